"""The venue's streams: detectors on what needs the accounts of a market.

Leverage by notional, forced flow, churn: judged as in a shard
(`monitor/core/detection/single_streams.py`), but once for each interval of the bands. An amount is
judged in units of what one record of its market usually moves, so that a detector of counts treats
a market of millions like one of hundreds; and no record counts for more than `UNITS_MAX`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from detectors.arrays.growable import grow_rows
from detectors.arrays.runs import equal_runs
from detectors.arrays.state import Stateful
from detectors.arrays.types import Float64, Int64
from monitor.core.accounts.ledger_kernels import ACCOUNT
from monitor.core.bands.market_bands import VenueBands
from monitor.core.contract.feature_catalogue import FEATURES
from monitor.core.detection.detector_group import DetectorFactory, DetectorGroups, RareScore
from monitor.core.detection.judge import PassedTime
from monitor.core.finding import Finding, OffsetRange
from monitor.core.marks import market_rows
from monitor.core.settings import EngineSettings
from monitor.core.venue.attribution import Attribution
from monitor.core.venue.state import VenueState
from monitor.core.venue.stream_inputs import (
    VENUE_COLUMN,
    StreamRows,
    forced_to_depth,
    stream_rows,
    thinner_depth,
)

UNITS_MAX = 2.0
"""One record counts as at most so many usual ones: sizes are heavy-tailed, so that a single large
record proves little. The streams look for several records at once."""
UNIT_ALPHA = 0.01
"""The usual size of a record is a mean over about the last hundred."""
_FORCED_TO_DEPTH = VENUE_COLUMN["forced_to_depth"]


@dataclass(slots=True)
class VenueMoment(PassedTime):
    """What all shards have passed: an interval of the bands ends, and the venue as of then."""

    state: VenueState
    bands: VenueBands | None = None
    """None where there are none: no records came, or no market has a mark and a tier table."""


class VenueStreams(Stateful):
    """All streams of `feature_catalogue.VENUE_FEATURES` that the settings ask for."""

    STATE = "_unit", "_record_count", "_attribution", "_groups"

    def __init__(self, settings: EngineSettings, factories: Sequence[DetectorFactory]) -> None:
        self._settings = settings
        self._interval_ns = settings.accounts.bands_interval_ns
        budget = settings.budget.venue_streams
        self._groups = DetectorGroups(
            settings.streams, factories, VENUE_COLUMN, budget, self._interval_ns
        )
        self._row = {"": 0}
        """By market: one more than its number among the ledger's symbols; "": the whole venue."""
        # By row and stream: what one record usually moves, and how many records came.
        self._unit: Float64 = np.zeros((0, len(VENUE_COLUMN)))
        self._record_count: Float64 = np.zeros((0, len(VENUE_COLUMN)))
        self._attribution = Attribution(self._interval_ns)

    def judge(self, closed: VenueMoment) -> list[Finding]:
        """Judge the interval that was applied last, and the bands as of its end; then learn it."""
        venue, bands = closed.state, closed.bands
        if bands is None or not self._groups:
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
        findings = []
        for rare in self._groups.judge(row, self._groups.inputs(values), slice(None)):
            name = names[rare.symbol]
            book = venue.last_books.data[self._row[name] - 1] if name else None
            findings.append(self._finding(book, bands.ts, name, rare))
        self._groups.learn()
        self._attribution.forget(bands.ts)
        return findings

    def _grow(self, venue: VenueState) -> None:
        """Have a row for every symbol of the ledger."""
        symbols = venue.ledger.symbols
        have, want = len(self._row), len(symbols) + 1
        if have == want:
            return
        for name in symbols.names(np.arange(have - 1, want - 1)):
            self._row[name] = len(self._row)
        self._unit = grow_rows(self._unit, want)
        self._record_count = grow_rows(self._record_count, want)
        self._groups.grow(want)

    def _count(
        self,
        venue: VenueState,
        rows: StreamRows,
        names: list[str],
        row: Int64,
        values: Float64,
        end: int,
    ) -> None:
        """Add up the records by market and stream, in usual ones, and keep whose they are."""
        if not len(rows.stream):
            return
        index_of = np.full(len(self._unit), -1)
        index_of[row] = np.arange(len(row))
        market = index_of[rows.symbol + 1]
        order = np.lexsort((rows.stream, market))
        accounts = venue.ledger.names.names(rows.entries[:, ACCOUNT])
        for a, b in equal_runs(market[order] * len(VENUE_COLUMN) + rows.stream[order]):
            records = order[a:b]
            i, stream = int(market[records[0]]), int(rows.stream[records[0]])
            if i < 0:
                continue
            at, amount = int(row[i]), rows.amount[records]
            unit = self._unit[at, stream] or float(amount.mean())
            units = np.minimum(amount / unit, UNITS_MAX)
            values[i, stream] = units.sum()
            # Follow the mean of the last records; an outlier enters as it was counted.
            self._record_count[at, stream] += len(amount)
            weight = len(amount) * max(UNIT_ALPHA, 1.0 / self._record_count[at, stream])
            change = float((units * unit).mean()) - self._unit[at, stream]
            self._unit[at, stream] += min(1.0, weight) * change
            amounts = zip((accounts[r] for r in records), amount.tolist(), strict=True)
            self._attribution.add(end, names[i], stream, amounts, rows.ranges(records))

    def _finding(self, book: Int64 | None, end: int, symbol: str, rare: RareScore) -> Finding:
        """A finding of the window that holds the interval's end: those before it may be decided.

        `book`: the market's last one.
        """
        setting, evidence = self._settings.streams[rare.stream], rare.evidence
        stream = VENUE_COLUMN[setting.feature]
        window_ns = self._settings.time.window_ns
        begin = end - evidence.windows * self._interval_ns
        is_amount = FEATURES[setting.feature].form == "amount"
        scale = float(self._unit[self._row[symbol], stream]) if is_amount else 1.0
        accounts, records = self._attribution.shares_since(begin, symbol, stream)
        partition = 0 if book is None else int(book[market_rows.PARTITION])
        if book is not None and not is_amount:
            offset = int(book[market_rows.OFFSET])
            records = [OffsetRange("book", offset, offset, partition)]
        return Finding(
            window=end // window_ns,
            since=begin // window_ns,
            partition=partition,
            symbol=symbol,
            stream=setting.feature,
            detector=setting.detector,
            observed=evidence.observed * scale,
            expected=evidence.expected * scale,
            p=rare.p * window_ns / self._interval_ns,
            accounts=accounts,
            records=records,
        )
