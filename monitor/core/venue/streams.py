"""Detectors on what needs the accounts of a market: leverage by notional, forced flow, churn.

As in a shard (`monitor/core/detection/single_streams.py`), but once for each moment of the bands and at the venue stage. An amount
is judged in units of what one record of its market usually moves, so that a market of millions and
one of hundreds are alike to a detector of counts, and no single record counts beyond `UNITS_MAX`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from detectors.base import Evidence
from detectors.calibration.calibrator import AlertBudget
from monitor.core.bands.inputs import Floats
from monitor.core.bands.market_bands import VenueBands
from monitor.core.contract.feature_catalogue import FEATURES
from monitor.core.decode.batch import Int64
from monitor.core.detection.detector_group import DetectorGroup, Factory, group_streams
from monitor.core.finding import Finding, OffsetRange
from monitor.core.settings import EngineSettings
from monitor.core.venue.attribution import Attribution, AttributionEntry
from monitor.core.venue.state import VenueState
from monitor.core.venue.stream_inputs import (
    VENUE_COLUMN,
    StreamRows,
    forced_to_depth,
    stream_rows,
    thinner_depth,
)

UNITS_MAX = 2.0
"""One record counts as at most so many usual ones: the size of a single one is heavy-tailed, and
proves little; what is looked for is several at once."""
UNIT_ALPHA = 0.01
"""Of the mean that says what is usual: the last hundred records."""
_FORCED_TO_DEPTH = VENUE_COLUMN["forced_to_depth"]


class VenueStreams:
    """All streams of `feature_catalogue.VENUE_FEATURES` that the settings ask for."""

    def __init__(self, settings: EngineSettings, factories: Sequence[Factory]) -> None:
        self._settings = settings
        self._bands_interval_ns = settings.accounts.bands_interval_ns
        mine = [i for i, s in enumerate(settings.streams) if s.feature in VENUE_COLUMN]
        per_day = 86_400e9 / self._bands_interval_ns
        self._groups = [
            DetectorGroup(
                settings.streams, group, factories[group[0]], VENUE_COLUMN, per_day, self._budget(1)
            )
            for group in group_streams(mine, factories)
        ]
        self._row = {"": 0}
        """By market: one more than its number among the accounts' symbols; "": the whole venue."""
        # By row and stream: what one record usually moves, and how many told of it.
        self._unit: Floats = np.zeros((0, len(VENUE_COLUMN)))
        self._record_count: Floats = np.zeros((0, len(VENUE_COLUMN)))
        self._ready = 0
        self._attribution = Attribution(self._bands_interval_ns)

    def _budget(self, ready: int) -> AlertBudget:
        """What streams of the venue may spend, shared alike by those that can judge."""
        return AlertBudget(
            self._settings.venue_per_day, self._bands_interval_ns / 1e9, max(1, ready)
        )

    def judge(self, venue: VenueState, bands: VenueBands) -> list[Finding]:
        """Judge what was applied last and the bands made of it, then learn it."""
        if not self._groups:
            return []
        self._grow(venue)
        # Markets come by name, and "" before all of them.
        names = ["", *(market.symbol for market in bands.markets)]
        row = np.array([self._row[name] for name in names])
        values = np.zeros((len(names), len(VENUE_COLUMN)))
        values[0, _FORCED_TO_DEPTH] = np.nan
        values[1:, _FORCED_TO_DEPTH] = [forced_to_depth(market) for market in bands.markets]
        depth = {self._row[m.symbol] - 1: thinner_depth(m) for m in bands.markets}
        self._count(venue, stream_rows(venue, depth), names, row, values, bands.ts)
        limit = self._budget(self._ready).p_limit
        findings, ready = [], 0
        for group in self._groups:
            judged = group.judge(row, *group.values(values), limit)
            ready += group.count_ready(judged)
            for rare in judged.rare:
                name = names[rare.symbol]
                book = venue.last_books.data[self._row[name] - 1, :4] if name else None
                found = rare.stream, rare.p, rare.evidence
                findings.append(self._finding(book, bands.ts, name, *found))
            group.learn(judged)
        self._ready = ready
        self._attribution.forget(bands.ts)
        return findings

    def _grow(self, venue: VenueState) -> None:
        """Have a row for every symbol that was met."""
        symbols = venue.ledger.symbols
        have, want = len(self._row), len(symbols) + 1
        if have == want:
            return
        for name in symbols.names(np.arange(have - 1, want - 1)):
            self._row[name] = len(self._row)
        more = np.zeros((want - len(self._unit), len(VENUE_COLUMN)))
        self._unit = np.concatenate((self._unit, more))
        self._record_count = np.concatenate((self._record_count, more))
        for group in self._groups:
            group.grow(want)

    def _count(
        self,
        venue: VenueState,
        rows: StreamRows,
        names: list[str],
        row: Int64,
        values: Floats,
        end: int,
    ) -> None:
        """Add up the cell's records by market and stream, in usual ones, and note who made them."""
        if not len(rows.stream):
            return
        place_of = np.full(len(self._unit), -1)
        place_of[row] = np.arange(len(row))
        place = place_of[rows.symbol + 1]
        order = np.lexsort((rows.stream, place))
        key = place[order] * len(VENUE_COLUMN) + rows.stream[order]
        begins = np.flatnonzero(np.diff(key, prepend=-len(VENUE_COLUMN) - 1)).tolist()
        accounts = venue.ledger.names.names(rows.account)
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
            self._attribution.add(AttributionEntry.from_records(end, names[spot], stream, told))

    def _learn_unit(self, row: int, stream: int, amount: Floats) -> None:
        """A mean of the last records; an outlier counts as it was counted."""
        before, heard = self._unit[row, stream], self._record_count[row, stream] + len(amount)
        self._record_count[row, stream] = heard
        weight = min(1.0, len(amount) * max(UNIT_ALPHA, 1.0 / heard))
        self._unit[row, stream] = before + weight * (float(amount.mean()) - before)

    def _finding(
        self, book: Int64 | None, end: int, symbol: str, i: int, p: float, evidence: Evidence
    ) -> Finding:
        """Decided in the window in which the moment lies: whatever was decided before, that window
        was not. `book`: where the market's last one lies."""
        setting = self._settings.streams[i]
        stream = VENUE_COLUMN[setting.feature]
        window_ns = self._settings.time.window_ns
        begin = end - evidence.windows * self._bands_interval_ns
        amount = FEATURES[setting.feature].form == "amount"
        scale = float(self._unit[self._row[symbol], stream]) if amount else 1.0
        accounts, records = self._attribution.shares_since(begin, symbol, stream)
        partition = 0 if book is None else int(book[1])
        if not amount and book is not None:
            records = [OffsetRange("book", int(book[2]), int(book[2]), partition)]
        return Finding(
            window=end // window_ns,
            since=begin // window_ns,
            partition=partition,
            symbol=symbol,
            stream=setting.feature,
            detector=setting.detector,
            observed=evidence.observed * scale,
            expected=evidence.expected * scale,
            p=p * window_ns / self._bands_interval_ns,
            accounts=accounts,
            records=records,
        )

    def snapshot(self) -> dict[str, Any]:
        return {
            "unit": self._unit,
            "heard": self._record_count,
            "ready": self._ready,
            "carried": self._attribution.snapshot(),
            "groups": [group.snapshot() for group in self._groups],
        }

    def restore(self, state: dict[str, Any]) -> None:
        self._unit, self._record_count = np.array(state["unit"]), np.array(state["heard"])
        self._ready = state["ready"]
        self._attribution.restore(state["carried"])
        for group, held in zip(self._groups, state["groups"], strict=True):
            group.restore(held)
