"""A venue's marks on their way into margin state: each is judged, and doubts become findings.

Findings belong to the layer `pricing`. The doubts of one cell of time become one finding for each
market and kind when the cell has passed, so that batching does not show in the output.
"""

from __future__ import annotations

import json
from collections import defaultdict
from typing import Any

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
from monitor.core.marks.volatility import Volatility
from monitor.core.snapshot import from_state, to_state
from monitor.core.tables.interner import Interner

_FACTS = ("offered", "kept", "limit", "source", "agree", "against")
"""What a finding says of its last doubt: fields of `PriceDoubt`."""


class MarkFilter:
    """Guards and volatilities of all markets, by the symbols' numbers."""

    def __init__(self, symbols: Interner) -> None:
        self._symbols = symbols
        self._guards = GuardBank()
        self._volatility: dict[int, Volatility] = defaultdict(Volatility)
        self._sources: dict[tuple[int, int], str] = {}
        """Index sources of the mark records to come, by partition and offset."""
        self._doubts: list[tuple[str, PriceDoubt]] = []
        self.doubted = dict.fromkeys(mark_guard.DOUBT_KINDS, 0)
        """Prices that were not trusted and sources that were ignored, by kind."""

    def add_sources(self, partition: int, offsets: list[int], sources: list[str | None]) -> None:
        """Keep the index sources of mark records (JSON) until the records are judged."""
        texts = zip(offsets, sources, strict=True)
        self._sources |= {(partition, offset): text for offset, text in texts if text is not None}

    def volatility_of(self, symbol: int) -> tuple[float | None, float]:
        """Realised volatility of a symbol's mark, a year (None: too few returns); its grain, s."""
        volatility = self._volatility.get(symbol)
        return (None, 0.0) if volatility is None else volatility.estimate

    def filter_rows(self, rows: Int64, books: Int64) -> Int64:
        """A copy of mark rows (n, `MARK_COLUMNS`), in event-time order, with `ABSENT` for each mark
        and index that is not trusted. `books`: the last book by symbol.
        """
        out = rows.copy()
        if not len(rows):
            return out
        every = self._take_sources(rows)
        symbols, names = (
            rows[:, columns.SYMBOL].tolist(),
            [tuple([s["name"] for s in of]) for of in every],
        )
        same = map(self._guards.has_names, symbols, names)
        flat = [source for of in every for source in of]
        sources = SourceRows(
            np.cumsum([0, *map(len, every)]),
            np.array([float(source["price"]) for source in flat], np.float64),
            np.array([int(source["ts"]) for source in flat], np.int64),
            np.fromiter(same, np.bool_, len(rows)),
        )
        place = self._guards.pass_ordinary(0, rows, books, sources)
        while place < len(rows):
            symbol = symbols[place]
            self._judge(rows[place].tolist(), books[symbol], every[place], out[place])
            for i in range(place + 1, len(rows)):
                if symbols[i] == symbol:
                    sources.is_same[i] = self._guards.has_names(symbol, names[i])
            place = self._guards.pass_ordinary(place + 1, rows, books, sources)
        has_mark = rows[:, columns.MARK] != ABSENT
        price = np.where(has_mark, out[:, columns.MARK], out[:, columns.INDEX])
        times, prices = rows[:, columns.TS].tolist(), to_floats(price).tolist()
        for symbol, ts, value in zip(symbols, times, prices, strict=True):
            if value == value:
                self._volatility[symbol].update(ts, value)
        return out

    def _take_sources(self, rows: Int64) -> list[list[dict[str, Any]]]:
        """The sources of each of these records as they came, which are not asked for again."""
        places = rows[:, [columns.PARTITION, columns.OFFSET]].tolist()
        if not self._sources:
            return [[] for _ in places]
        # The text was valid when its record was decoded.
        texts = [self._sources.pop((partition, offset), "[]") for partition, offset in places]
        every: list[list[dict[str, Any]]] = json.loads(f"[{','.join(texts)}]")
        return every

    def _judge(self, row: list[int], book: Int64, every: list[dict[str, Any]], out: Int64) -> None:
        """Judge a mark that is not ordinary; `out`: its row without what is not trusted."""
        symbol = row[columns.SYMBOL]
        sources = [PriceSource(s["name"], float(s["price"]), int(s["ts"])) for s in every]
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
            "volatility": {symbol: v.snapshot() for symbol, v in self._volatility.items()},
            "sources": [[*at, self._sources[at]] for at in sorted(self._sources)],
            "doubted": self.doubted,
        }

    def restore(self, state: dict[str, Any]) -> None:
        self._guards.restore(from_state(dict[int, MarkGuard], state["guards"]))
        self._volatility = defaultdict(Volatility)
        for symbol, volatility in state["volatility"].items():
            self._volatility[symbol].restore(volatility)
        self._sources = {(partition, offset): text for partition, offset, text in state["sources"]}
        self.doubted = dict(state["doubted"])


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
