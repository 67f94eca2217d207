"""A venue's marks on their way into margin state: each is judged, and doubts become findings.

Findings belong to the layer `pricing`. The doubts of one cell of time become one finding for each
market and kind when the cell has passed, so that batching does not show in the output.
"""

from __future__ import annotations

from itertools import chain, repeat
from typing import Any

import msgspec
import numpy as np

from detectors.arrays.types import Int64
from monitor.core.contract.feature_catalogue import DOUBTED_PRICES
from monitor.core.contract.units import SECOND_NS
from monitor.core.decode.batch import ABSENT
from monitor.core.decode.stepped_kernels import places_of, to_float, to_float_at, to_floats
from monitor.core.finding import Finding, OffsetRange
from monitor.core.marks import mark_guard
from monitor.core.marks import market_rows as columns
from monitor.core.marks.guard_bank import GuardBank, SourceRows
from monitor.core.marks.mark_guard import MarkGuard, MarkUpdate, PriceDoubt, PriceSource
from monitor.core.marks.volatility import VolatilityBank
from monitor.core.snapshot import from_state, to_state
from monitor.core.tables.interner import Interner

_FACTS = ("offered", "kept", "limit", "source", "agree", "against")
"""What a finding says of its last doubt: fields of `PriceDoubt`."""


class _IndexSource(msgspec.Struct, gc=False):
    """A source of an index as its record has it."""

    name: str
    price: float
    ts: int


_DECODER = msgspec.json.Decoder(list[list[_IndexSource]], strict=False)
"""Reads a price that is text, too."""


class MarkFilter:
    """Guards and volatilities of all markets, by the symbols' numbers."""

    def __init__(self, symbols: Interner) -> None:
        self._symbols = symbols
        self._guards = GuardBank()
        self.volatility = VolatilityBank()
        self._sources: dict[tuple[int, int], str] = {}
        """Index sources of the mark records to come, by partition and offset."""
        self._doubts: list[tuple[str, PriceDoubt]] = []
        self.doubted = dict.fromkeys(mark_guard.DOUBT_KINDS, 0)
        """Prices that were not trusted and sources that were ignored, by kind."""

    def source_names(self, symbol: int) -> tuple[str, ...]:
        """The sources of a market's index, as its last record that had any names them."""
        return self._guards.names(symbol)

    def add_sources(self, partition: int, offsets: list[int], sources: list[str | None]) -> None:
        """Keep the index sources of mark records (JSON) until the records are judged."""
        texts = zip(offsets, sources, strict=True)
        self._sources |= {(partition, offset): text for offset, text in texts if text is not None}

    def filter_rows(self, rows: Int64, books: Int64) -> Int64:
        """A copy of mark rows (n, `MARK_COLUMNS`), in event-time order, with `ABSENT` for each mark
        and index that is not trusted. `books`: the last book by symbol.
        """
        out = rows.copy()
        if not len(rows):
            return out
        every, sources = self._read_sources(rows)
        place = self._guards.pass_ordinary(0, rows, books, sources)
        while place < len(rows):
            symbol = int(rows[place, columns.SYMBOL])
            self._judge(rows[place].tolist(), books[symbol], every[place], out[place])
            for i in np.flatnonzero(rows[place + 1 :, columns.SYMBOL] == symbol) + place + 1:
                sources.is_same[i] = self._guards.has_names(symbol, _names(every[i]))
            place = self._guards.pass_ordinary(place + 1, rows, books, sources)
        has_mark = rows[:, columns.MARK] != ABSENT
        price = np.where(has_mark, out[:, columns.MARK], out[:, columns.INDEX])
        self.volatility.grow(len(books))
        self.volatility.update(rows[:, columns.SYMBOL], rows[:, columns.TS], to_floats(price))
        return out

    def _read_sources(self, rows: Int64) -> tuple[list[list[_IndexSource]], SourceRows]:
        """The sources of each of these records, which are not asked for again."""
        if not self._sources:
            none = np.empty(0), np.empty(0, np.int64)
            begin, is_same = np.zeros(len(rows) + 1, np.int64), np.zeros(len(rows), np.bool_)
            return [[]] * len(rows), SourceRows(begin, *none, is_same)
        symbols = rows[:, columns.SYMBOL].tolist()
        partitions, offsets = (rows[:, at].tolist() for at in (columns.PARTITION, columns.OFFSET))
        # The text was valid when its record was decoded.
        texts = map(self._sources.pop, zip(partitions, offsets, strict=True), repeat("[]"))
        every = _DECODER.decode(f"[{','.join(texts)}]")
        counts = list(map(len, every))
        flat = list(chain.from_iterable(every))
        names = [source.name for source in flat]
        return every, SourceRows(
            np.cumsum([0, *counts]),
            np.array([source.price for source in flat], np.float64),
            np.array([source.ts for source in flat], np.int64),
            self._guards.have_names(symbols, counts, names),
        )

    def _judge(self, row: list[int], book: Int64, every: list[_IndexSource], out: Int64) -> None:
        """Judge a mark that is not ordinary; `out`: its row without what is not trusted."""
        symbol = row[columns.SYMBOL]
        sources = [PriceSource(s.name, s.price, s.ts) for s in every]
        guard = self._guards.guard(symbol)
        trusts_mark, trusts_index, doubts = guard.judge(_read_update(row, book, sources))
        self._guards.set_guard(symbol, guard)
        if doubts:
            (name,) = self._symbols.names(np.array([symbol]))
            self._doubts += [(name, doubt) for doubt in doubts]
        if not trusts_mark:
            out[columns.MARK] = ABSENT
        if not trusts_index:
            out[columns.INDEX] = ABSENT

    def findings(self, end_ns: int, window_ns: int) -> list[Finding]:
        """One finding for each market, kind and partition with doubts in the cell of time that ends
        at `end_ns`. Its window is the one in which `end_ns` lies: that is still open.
        """
        groups: dict[tuple[str, str, int], list[PriceDoubt]] = {}
        for name, doubt in self._doubts:
            self.doubted[doubt.kind] += 1
            groups.setdefault((name, doubt.kind, doubt.partition), []).append(doubt)
        self._doubts = []
        findings = []
        for symbol, kind, partition in sorted(groups):
            doubts = groups[symbol, kind, partition]
            last, offsets = doubts[-1], [doubt.offset for doubt in doubts]
            findings.append(
                Finding(
                    window=end_ns // window_ns,
                    since=doubts[0].ts // window_ns,
                    partition=partition,
                    symbol=symbol,
                    stream=DOUBTED_PRICES,
                    detector=kind,
                    observed=float(len(doubts)),
                    expected=0.0,
                    p=0.0,
                    records=[OffsetRange("mark", min(offsets), max(offsets))],
                    facts={name: getattr(last, name) for name in _FACTS},
                )
            )
        return findings

    def snapshot(self) -> dict[str, Any]:
        """All state; between two cells there are no doubts."""
        return {
            "guards": to_state(self._guards.guards()),
            "volatility": self.volatility.snapshot(),
            "sources": [[*at, self._sources[at]] for at in sorted(self._sources)],
            "doubted": self.doubted,
        }

    def restore(self, state: dict[str, Any]) -> None:
        self._guards.restore(from_state(dict[int, MarkGuard], state["guards"]))
        self.volatility.restore(state["volatility"])
        self._sources = {(partition, offset): text for partition, offset, text in state["sources"]}
        self.doubted = dict(state["doubted"])


def _names(sources: list[_IndexSource]) -> tuple[str, ...]:
    return tuple([source.name for source in sources])


def _read_update(row: list[int], book: Int64, sources: list[PriceSource]) -> MarkUpdate:
    mark, index, last = (
        None if row[at] == ABSENT else to_float(row[at])
        for at in (columns.MARK, columns.INDEX, columns.LAST)
    )
    bid, ask = int(book[columns.BEST_BID]), int(book[columns.BEST_ASK])
    places = places_of(max(bid, ask))
    both = to_float_at(bid, places) + to_float_at(ask, places)
    ts, partition, offset = row[columns.TS], row[columns.PARTITION], row[columns.OFFSET]
    fresh = ts - int(book[columns.TS]) <= mark_guard.GOOD_PRICE_MAX_AGE_S * SECOND_NS
    middle = 0.5 * both / 10**places if bid > 0 and ask > 0 and fresh else None
    return MarkUpdate(ts, partition, offset, mark, index, last, middle, tuple(sources))
