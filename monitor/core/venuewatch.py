"""Detectors on what needs the accounts of a market: leverage by notional, forced flow, churn.

As in a shard (`watch.py`), but once for each moment of the bands and at the venue stage. An amount
is judged in units of what one record of its market usually moves, so that a market of millions and
one of hundreds are alike to a detector of counts, and no single record counts beyond `UNITS_MAX`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from detectors.base import Evidence
from detectors.calibrate import Budget
from monitor.core.bandinput import Floats
from monitor.core.batch import Int64
from monitor.core.carried import Carried, Note
from monitor.core.findings import Finding
from monitor.core.group import Factory, Group, alike
from monitor.core.history import Range
from monitor.core.marginflow import COLUMN, Flow, flow, forced_to_depth, thinner
from monitor.core.settings import EngineSettings
from monitor.core.streams import TABLE
from monitor.core.venue import Venue
from monitor.core.venuebands import VenueBands

UNITS_MAX = 2.0
"""One record counts as at most so many usual ones: the size of a single one is heavy-tailed, and
proves little; what is looked for is several at once."""
UNIT_ALPHA = 0.01
"""Of the mean that says what is usual: the last hundred records."""
_STOCK = COLUMN["forced_to_depth"]


class VenueWatch:
    """All streams of `streams.OF_VENUE` that the settings ask for."""

    def __init__(self, settings: EngineSettings, factories: Sequence[Factory]) -> None:
        self._settings = settings
        self._cell_ns = settings.accounts.cell_ns
        mine = [i for i, s in enumerate(settings.streams) if s.feature in COLUMN]
        per_day = 86_400e9 / self._cell_ns
        self._groups = [
            Group(settings.streams, group, factories[group[0]], COLUMN, per_day, self._budget(1))
            for group in alike(mine, factories)
        ]
        self._row = {"": 0}
        """By market: one more than its number among the accounts' symbols; "": the whole venue."""
        # By row and stream: what one record usually moves, and how many told of it.
        self._unit: Floats = np.zeros((0, len(COLUMN)))
        self._heard: Floats = np.zeros((0, len(COLUMN)))
        self._ready = 0
        self._carried = Carried(self._cell_ns)

    def _budget(self, ready: int) -> Budget:
        """What streams of the venue may spend, shared alike by those that can judge."""
        return Budget(self._settings.venue_per_day, self._cell_ns / 1e9, max(1, ready))

    def judge(self, venue: Venue, known: VenueBands) -> list[Finding]:
        """Judge what was applied last and the bands made of it, then learn it."""
        if not self._groups:
            return []
        self._grow(venue)
        # Markets come by name, and "" before all of them.
        names = ["", *(market.symbol for market in known.markets)]
        row = np.array([self._row[name] for name in names])
        values = np.zeros((len(names), len(COLUMN)))
        values[0, _STOCK] = np.nan
        values[1:, _STOCK] = [forced_to_depth(market) for market in known.markets]
        depth = {self._row[m.symbol] - 1: thinner(m) for m in known.markets}
        self._count(venue, flow(venue, depth), names, row, values, known.ts)
        limit = self._budget(self._ready).p_limit
        findings, ready = [], 0
        for group in self._groups:
            judged = group.judge(row, *group.values(values), limit)
            ready += group.ready(judged)
            for rare in judged.rare:
                name = names[rare.symbol]
                book = venue.book.data[self._row[name] - 1, :4] if name else None
                found = rare.stream, rare.p, rare.evidence
                findings.append(self._finding(book, known.ts, name, *found))
            group.learn(judged)
        self._ready = ready
        self._carried.forget(known.ts)
        return findings

    def _grow(self, venue: Venue) -> None:
        """Have a row for every symbol that was met."""
        symbols = venue.accounts.symbols
        have, want = len(self._row), len(symbols) + 1
        if have == want:
            return
        for name in symbols.names(np.arange(have - 1, want - 1)):
            self._row[name] = len(self._row)
        more = np.zeros((want - len(self._unit), len(COLUMN)))
        self._unit = np.concatenate((self._unit, more))
        self._heard = np.concatenate((self._heard, more))
        for group in self._groups:
            group.know(want)

    def _count(
        self, venue: Venue, rows: Flow, names: list[str], row: Int64, values: Floats, end: int
    ) -> None:
        """Add up the cell's records by market and stream, in usual ones, and note who made them."""
        if not len(rows.stream):
            return
        place_of = np.full(len(self._unit), -1)
        place_of[row] = np.arange(len(row))
        place = place_of[rows.symbol + 1]
        order = np.lexsort((rows.stream, place))
        key = place[order] * len(COLUMN) + rows.stream[order]
        begins = np.flatnonzero(np.diff(key, prepend=-len(COLUMN) - 1)).tolist()
        accounts = venue.accounts.names.names(rows.account)
        for a, b in zip(begins, [*begins[1:], len(order)], strict=True):
            mine = order[a:b]
            spot, stream = int(place[mine[0]]), int(rows.stream[mine[0]])
            if spot < 0:
                continue
            at, amount = int(row[spot]), rows.amount[mine]
            unit = self._unit[at, stream] or float(amount.mean())
            counted = np.minimum(amount / unit, UNITS_MAX)
            values[spot, stream] = counted.sum()
            self._learn_unit(at, stream, counted * unit)
            told = [
                (accounts[i], moved, rows.kind[i], int(rows.partition[i]), int(rows.offset[i]))
                for i, moved in zip(mine.tolist(), amount.tolist(), strict=True)
            ]
            self._carried.add(Note.of(end, names[spot], stream, told))

    def _learn_unit(self, row: int, stream: int, amount: Floats) -> None:
        """A mean of the last records; an outlier counts as it was counted."""
        before, heard = self._unit[row, stream], self._heard[row, stream] + len(amount)
        self._heard[row, stream] = heard
        weight = min(1.0, len(amount) * max(UNIT_ALPHA, 1.0 / heard))
        self._unit[row, stream] = before + weight * (float(amount.mean()) - before)

    def _finding(
        self, book: Int64 | None, end: int, symbol: str, i: int, p: float, evidence: Evidence
    ) -> Finding:
        """Decided in the window in which the moment lies: whatever was decided before, that window
        was not. `book`: where the market's last one lies."""
        setting = self._settings.streams[i]
        stream = COLUMN[setting.feature]
        window_ns = self._settings.time.window_ns
        begin = end - evidence.windows * self._cell_ns
        amount = TABLE[setting.feature].form == "amount"
        scale = float(self._unit[self._row[symbol], stream]) if amount else 1.0
        accounts, records = self._carried.since(begin, symbol, stream)
        partition = 0 if book is None else int(book[1])
        if not amount and book is not None:
            records = [Range("book", int(book[2]), int(book[2]), partition)]
        return Finding(
            window=end // window_ns,
            since=begin // window_ns,
            partition=partition,
            symbol=symbol,
            stream=setting.feature,
            detector=setting.detector,
            observed=evidence.observed * scale,
            expected=evidence.expected * scale,
            p=p * window_ns / self._cell_ns,
            accounts=accounts,
            records=records,
        )

    def snapshot(self) -> dict[str, Any]:
        return {
            "unit": self._unit,
            "heard": self._heard,
            "ready": self._ready,
            "carried": self._carried.snapshot(),
            "groups": [group.snapshot() for group in self._groups],
        }

    def restore(self, state: dict[str, Any]) -> None:
        self._unit, self._heard = np.array(state["unit"]), np.array(state["heard"])
        self._ready = state["ready"]
        self._carried.restore(state["carried"])
        for group, held in zip(self._groups, state["groups"], strict=True):
            group.restore(held)
