"""The venue's streams: detectors on what needs the accounts of a market.

Leverage by notional, forced flow, churn: judged as in a shard
(`monitor/core/detection/single_streams.py`), but once for each interval of the bands. An amount is
judged in units of what one record of its market usually moves, so that a detector of counts treats
a market of millions like one of hundreds; and no record counts for more than `UNITS_MAX`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from detectors.arrays.growable import grow_rows
from detectors.arrays.runs import equal_runs
from detectors.arrays.state import Stateful
from detectors.arrays.types import Bool, Float64, Int64
from monitor.core.accounts.ledger_kernels import ACCOUNT
from monitor.core.bands.market_bands import VenueBands
from monitor.core.contract.feature_catalogue import FEATURES
from monitor.core.detection.detector_group import (
    DetectorFactory,
    DetectorGroups,
    RareScore,
    StreamProgress,
)
from monitor.core.detection.judge import PassedTime
from monitor.core.detection.streams_out import stream_out_finding
from monitor.core.finding import Finding, OffsetRange
from monitor.core.marks import market_rows
from monitor.core.settings import EngineSettings
from monitor.core.snapshot import from_state, to_state
from monitor.core.venue import stream_inputs
from monitor.core.venue.state import VenueState
from monitor.core.venue.stream_inputs import VENUE_COLUMN, StreamRows

UNITS_MAX = 2.0
"""One record counts as at most so many usual ones: sizes are heavy-tailed, so that a single large
record proves little. The streams look for several records at once."""
UNIT_ALPHA = 0.01
"""The usual size of a record is a mean over about the last hundred."""
CELLS_KEPT = 120
"""How far back a finding names accounts and records, in intervals of the bands."""
ACCOUNTS_KEPT = 16
"""Accounts kept of each interval, market and stream: those with the largest amounts."""
ACCOUNTS_SHOWN = 5
"""Accounts that a finding names."""

AccountAmount = tuple[str, float]
"""An account and its amount, in the stream's unit; or its share of the whole."""
_FORCED_TO_DEPTH, _UNEXPLAINED = VENUE_COLUMN["forced_to_depth"], VENUE_COLUMN["unexplained"]
_OF_MARKETS = np.arange(len(VENUE_COLUMN)) != _UNEXPLAINED
"""By stream: whether a market has it; the others are the venue's."""


@dataclass(slots=True)
class VenueMoment(PassedTime):
    """What all shards have passed: an interval of the bands ends, and the venue as of then."""

    state: VenueState
    bands: VenueBands | None = None
    """None where there are none: no records came, or no market has a mark and a tier table."""


class VenueStreams(Stateful):
    """All streams of `feature_catalogue.VENUE_FEATURES` that the settings ask for."""

    STATE = "_unit", "_record_count", "_attribution", "_groups", "_is_running"

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
        self._is_running: Bool = np.zeros(len(VENUE_COLUMN), np.bool_)
        """By stream: whether its feed has run, so that an interval without its records has 0."""
        self._symbols: Sequence[str] | None = None
        """The markets of the last bands, a list that stays while they are the same."""
        self._names: list[str] = []
        self._rows: Int64 = np.empty(0, np.int64)
        """"" and these markets, and the row of each."""

    def judge(self, closed: VenueMoment) -> list[Finding]:
        """Judge the interval that was applied last, and the bands as of its end; then learn it."""
        venue, bands = closed.state, closed.bands
        self._is_running |= stream_inputs.running_streams(venue)
        if bands is None or not self._groups:
            return []
        self._grow(venue)
        symbols = bands.markets.symbols
        if symbols is not self._symbols:
            # Markets come by name, and "" before all of them.
            self._names = ["", *symbols]
            self._rows = np.array([self._row[name] for name in self._names])
            self._symbols = symbols
        names, row = self._names, self._rows
        values = np.full((len(names), len(VENUE_COLUMN)), np.nan)
        values[:, self._is_running] = 0.0
        values[0, _OF_MARKETS] = values[1:, _UNEXPLAINED] = np.nan
        values[1:, _FORCED_TO_DEPTH] = stream_inputs.forced_to_depth(bands.markets)
        depth = np.full(len(self._row), np.nan)
        depth[row[1:] - 1] = stream_inputs.thinner_depth(bands.markets)
        self._count(venue, stream_inputs.stream_rows(venue, depth), bands, row, values)
        findings = []
        self._groups.begin(row, values)
        for rare in self._groups.judge():
            name = names[rare.symbol]
            book = venue.last_books.data[self._row[name] - 1] if name else None
            findings.append(self._finding(book, bands.ts, name, rare))
        self._groups.learn()
        window = bands.ts // self._settings.time.window_ns
        for out in self._groups.drain_out():
            stream = self._settings.streams[out.stream]
            what = list(self._row)[out.symbol], stream.feature, stream.detector, out.why
            findings.append(stream_out_finding(window, 0, *what))
        self._attribution.forget(bands.ts)
        return findings

    def progress(self) -> list[StreamProgress]:
        """How far each stream of the venue has come."""
        return self._groups.progress()

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
        self, venue: VenueState, rows: StreamRows, bands: VenueBands, row: Int64, values: Float64
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
            name = bands.markets.symbols[i - 1] if i else ""
            self._attribution.add(bands.ts, name, stream, amounts, rows.ranges(records))

    def _finding(self, book: Int64 | None, end: int, symbol: str, rare: RareScore) -> Finding:
        """A finding of the window that holds the interval's end: those before it may be decided.

        `book`: the market's last one.
        """
        setting, evidence = self._settings.streams[rare.stream], rare.evidence
        feature = setting.input_features[evidence.feature]
        stream = VENUE_COLUMN[feature]
        window_ns = self._settings.time.window_ns
        begin = end - evidence.windows * self._interval_ns
        is_amount = FEATURES[feature].form == "amount"
        scale = float(self._unit[self._row[symbol], stream]) if is_amount else 1.0
        if is_amount and evidence.unit == "value":
            scale *= evidence.windows  # the mean of an interval: as a sum over all of them
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
            stream=feature,
            detector=setting.detector,
            observed=evidence.observed * scale,
            expected=evidence.expected * scale,
            p=rare.p * window_ns / self._interval_ns,
            accounts=accounts,
            records=records,
            seen=rare.seen * self._interval_ns // window_ns,
        )


@dataclass(frozen=True, slots=True)
class AttributionEntry:
    """What carried a stream of a market in the interval of the bands that ends at `end` (ns).

    `accounts`: by amount, the highest first.
    """

    end: int
    symbol: str
    stream: int
    accounts: list[AccountAmount]
    records: list[OffsetRange]


class Attribution:
    """Which accounts carried the streams in the last `CELLS_KEPT` intervals of the bands, each
    `interval_ns` long, and where their records lie.
    """

    def __init__(self, interval_ns: int) -> None:
        self._kept_ns = CELLS_KEPT * interval_ns
        self._entries: deque[AttributionEntry] = deque()

    def add(
        self,
        end: int,
        symbol: str,
        stream: int,
        amounts: Iterable[AccountAmount],
        records: Iterable[OffsetRange],
    ) -> None:
        """What counted to a stream in the interval up to `end` (ns), which is the last so far."""
        accounts = _rank(_add_up(amounts))[:ACCOUNTS_KEPT]
        self._entries.append(AttributionEntry(end, symbol, stream, accounts, _join_ranges(records)))

    def forget(self, now: int) -> None:
        """Drop what is too old at event time `now`, ns."""
        while self._entries and self._entries[0].end <= now - self._kept_ns:
            self._entries.popleft()

    def shares_since(
        self, begin: int, symbol: str, stream: int
    ) -> tuple[list[AccountAmount], list[OffsetRange]]:
        """The accounts with most since `begin` (ns), each with its share, and the records."""
        at = symbol, stream
        entries = [e for e in self._entries if e.end > begin and (e.symbol, e.stream) == at]
        amounts = _add_up(pair for entry in entries for pair in entry.accounts)
        total = sum(amounts.values())
        shares = [(name, amount / total) for name, amount in _rank(amounts)[:ACCOUNTS_SHOWN]]
        return shares, _join_ranges(range_ for entry in entries for range_ in entry.records)

    def snapshot(self) -> Any:
        return to_state(list(self._entries))

    def restore(self, state: Any) -> None:
        self._entries = deque(from_state(list[AttributionEntry], state))


def _add_up(pairs: Iterable[AccountAmount]) -> dict[str, float]:
    amounts: dict[str, float] = {}
    for name, amount in pairs:
        amounts[name] = amounts.get(name, 0.0) + amount
    return amounts


def _rank(amounts: dict[str, float]) -> list[AccountAmount]:
    """The highest amount first, then by name."""
    return sorted(amounts.items(), key=lambda pair: (-pair[1], pair[0]))


def _join_ranges(ranges: Iterable[OffsetRange]) -> list[OffsetRange]:
    """One range for each kind and partition, in their order."""
    joined: dict[tuple[str, int], OffsetRange] = {}
    for r in ranges:
        assert r.partition is not None
        other = joined.get((r.kind, r.partition), r)
        first, last = min(r.first, other.first), max(r.last, other.last)
        joined[r.kind, r.partition] = OffsetRange(r.kind, first, last, r.partition)
    return [joined[key] for key in sorted(joined)]
