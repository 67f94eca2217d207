"""A venue's marks on their way into margin state: judged one by one, doubts told as findings.

Layer `pricing`. What is doubted within one cell of time becomes one finding for each market and
kind, decided when the cell has passed, so that slicing shows nowhere.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from monitor.core.marks.market_rows import LEVELS
from monitor.core.contract.fixed_point import SCALE
from monitor.core.decode.batch import ABSENT, Int64
from monitor.core.finding import Finding, OffsetRange
from monitor.core.marks.mark_guard import DOUBT_KINDS, MarkGuard, MarkUpdate, PriceDoubt
from monitor.core.marks.volatility import Volatility
from monitor.core.tables.interner import Interner

STREAM = "marks"
"""The stream that its findings name; it is no feature of a window."""
_MARK, _INDEX, _LAST = 4, 5, 6
_BID, _ASK = 4, 4 + 2 * LEVELS
"""Columns of the best prices in a row of the venue's books."""


class MarkFilter:
    """Guards and volatilities of all markets, by the symbols' numbers."""

    def __init__(self, symbols: Interner) -> None:
        self._symbols = symbols
        self._guards: dict[int, MarkGuard] = {}
        self._volatility: dict[int, Volatility] = {}
        self._sources: dict[tuple[int, int], str] = {}
        """Sources of the records that wait, by partition and offset."""
        self._doubts: list[tuple[str, PriceDoubt]] = []
        self.doubted = dict.fromkeys(DOUBT_KINDS, 0)
        """Records that were not believed, and sources that were passed over."""

    def add_sources(self, partition: int, offsets: list[int], sources: list[str | None]) -> None:
        """Keep the sources that mark records tell, until those are judged."""
        for offset, text in zip(offsets, sources, strict=True):
            if text is not None:
                self._sources[partition, offset] = text

    def volatility_of(self, symbol: int) -> tuple[float | None, float]:
        """Realised volatility of a symbol's mark, a year (None: not known yet); its grain, s."""
        held = self._volatility.get(symbol)
        return (None, 0.0) if held is None else (held.sigma, held.grain_s)

    def filter_rows(self, rows: Int64, books: Int64) -> Int64:
        """Mark records (`ledger_entries.PRICE`) in event-time order: the same, with `ABSENT` for what is
        not believed. `books`: the last book by symbol.
        """
        out = rows.copy()
        for i, row in enumerate(rows.tolist()):
            symbol = row[3]
            bid, ask = books[symbol, _BID], books[symbol, _ASK]
            text = self._sources.pop((row[1], row[2]), None)
            mark_told, index_told, last = (
                None if row[at] == ABSENT else row[at] / SCALE for at in (_MARK, _INDEX, _LAST)
            )
            middle = 0.5 * float(bid + ask) / SCALE if bid > 0 and ask > 0 else None
            sources = () if text is None else _parse_sources(text)
            told = MarkUpdate(row[0], row[1], row[2], mark_told, index_told, last, middle, sources)
            guard = self._guards.get(symbol)
            if guard is None:
                guard = self._guards[symbol] = MarkGuard()
            mark, index, doubts = guard.judge(told)
            if doubts:
                (name,) = self._symbols.names(np.array([symbol]))
                self._doubts += [(name, doubt) for doubt in doubts]
            if not mark:
                out[i, _MARK] = ABSENT
            if not index:
                out[i, _INDEX] = ABSENT
            price = told.mark if mark else told.index if told.mark is None and index else None
            if price is not None:
                measured = self._volatility.get(symbol)
                if measured is None:
                    measured = self._volatility[symbol] = Volatility()
                measured.update(told.ts, price)
        return out

    def findings(self, end_ns: int, window_ns: int) -> list[Finding]:
        """What was doubted in the cell of time that ended at `end_ns`.

        It belongs to the window in which that end lies: whatever was decided before, that window
        was not.
        """
        groups: dict[tuple[str, str, int], list[PriceDoubt]] = {}
        for name, doubt in self._doubts:
            self.doubted[doubt.kind] += 1
            groups.setdefault((name, doubt.kind, doubt.partition), []).append(doubt)
        self._doubts = []
        return [_finding(key[0], groups[key], end_ns, window_ns) for key in sorted(groups)]

    def snapshot(self) -> dict[str, Any]:
        """All state; nothing is in doubt between two cells."""
        return {
            "guards": [[s, *self._guards[s].snapshot()] for s in sorted(self._guards)],
            "volatility": [[s, *self._volatility[s].snapshot()] for s in sorted(self._volatility)],
            "sources": [[*at, self._sources[at]] for at in sorted(self._sources)],
            "doubted": self.doubted,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a snapshot."""
        self._guards = {symbol: MarkGuard.from_state(held) for symbol, *held in state["guards"]}
        self._volatility = {}
        for symbol, *measured in state["volatility"]:
            self._volatility[symbol] = Volatility()
            self._volatility[symbol].restore(measured)
        self._sources = {(partition, offset): text for partition, offset, text in state["sources"]}
        self.doubted = dict(state["doubted"])


def _parse_sources(text: str) -> tuple[tuple[str, float, int], ...]:
    """Sources as the judge has read them: the text was found good when its record was decoded."""
    return tuple((s["name"], float(s["price"]), int(s["ts"])) for s in json.loads(text))


def _finding(symbol: str, doubts: list[PriceDoubt], end_ns: int, window_ns: int) -> Finding:
    """The doubts of one market and kind; the words come from the last of them."""
    last, offsets = doubts[-1], [doubt.offset for doubt in doubts]
    return Finding(
        window=end_ns // window_ns,
        since=doubts[0].ts // window_ns,
        partition=last.partition,
        symbol=symbol,
        stream=STREAM,
        detector=last.kind,
        observed=float(len(doubts)),
        expected=0.0,
        p=0.0,
        records=[OffsetRange("mark", min(offsets), max(offsets))],
        facts={
            "offered": last.offered,
            "kept": last.kept,
            "limit": last.limit,
            "source": last.source,
            "agree": last.agree,
            "against": last.against,
        },
    )
