"""Findings of drift: what begins, goes on and ends with an hour.

The numbers are those of `hourly_numbers.py`, `detectors/drift.py` judges them. An hour is judged in
the first window measured after it, so that a drift is reported hourly at most.
"""

from __future__ import annotations

import numpy as np

from detectors.arrays.state import Stateful
from detectors.drift import HOURS_MIN, DriftEvent, DriftLevels
from monitor.core.contract.feature_catalogue import DRIFT_FEATURES
from monitor.core.contract.units import SECOND_NS
from monitor.core.detection.detector_group import StreamProgress
from monitor.core.detection.drift.hourly_numbers import NUMBERS, PIECES, HourlyNumbers
from monitor.core.detection.judge import ClosedSpan
from monitor.core.finding import DRIFT, Finding
from monitor.core.settings import EngineSettings
from monitor.core.windows.contributors import RecentWindows

HOUR_S = 3_600.0
_STREAMS = tuple(NUMBERS)


class MarketDrift(Stateful):
    """The drift of all markets of a shard, by symbol number."""

    STATE = "_numbers", "_levels", "_piece"

    def __init__(
        self, settings: EngineSettings, partition: int, partitions: int, history: RecentWindows
    ) -> None:
        self._partition, self._partitions = partition, partitions
        self._history = history
        self._budget = settings.budget.drift
        self._first_stream = len(settings.streams)
        self._piece_windows = max(1, settings.window_count(HOUR_S) // PIECES)
        self._window_ns = settings.time.window_ns
        self._numbers = HourlyNumbers()
        numbers = NUMBERS.values()
        least, side = [one.least for one in numbers], [one.side for one in numbers]
        self._levels = DriftLevels(np.array(least), np.array(side))
        self._piece = -1
        """The piece that runs, counted from 1970; −1 before the first."""

    def judge(self, closed: ClosedSpan) -> list[Finding]:
        """What hours that end before these windows, or among them, show."""
        features = closed.features
        if not self._budget.per_day or not len(features.window):
            return []
        symbols = len(features.window) // (closed.until - closed.low)
        markets = int(features.symbol[:symbols].max()) + 1
        self._numbers.grow(markets)
        self._levels.grow(markets)
        findings: list[Finding] = []
        low = closed.low
        while low < closed.until:
            # Sums are added window by window, and end between two, wherever the span was cut.
            piece = low // self._piece_windows
            if piece != self._piece:
                findings += self._end_piece(closed, low, piece)
            high = min(closed.until, (piece + 1) * self._piece_windows)
            rows = slice((low - closed.low) * symbols, (high - closed.low) * symbols)
            self._numbers.add(features.values[rows], features.symbol[rows])
            low = high
        return findings

    def _end_piece(self, closed: ClosedSpan, window: int, piece: int) -> list[Finding]:
        """`window` begins the piece of this number; end the one before, and its hour with it."""
        before, self._piece = self._piece, piece
        if before < 0:
            return []
        self._numbers.end_piece(before % PIECES)
        hour = before // PIECES
        if hour == piece // PIECES:
            return []
        streams = self._levels.judging
        p_limit = self._budget.p_limit(self._hour_s, streams, self._partitions)
        events = self._levels.judge(hour, self._numbers.end_hour(), p_limit)
        return [self._finding(closed, window, hour, event) for event in events]

    def progress(self) -> list[StreamProgress]:
        """How far each number has come, counted in markets."""
        hours = self._levels.hours
        begun = (hours > 0).sum(axis=0)
        judging = (hours >= HOURS_MIN).sum(axis=0)
        young = np.where((hours > 0) & (hours < HOURS_MIN), HOURS_MIN - hours, 0)
        left = young.max(axis=0, initial=0) * PIECES * self._piece_windows
        counts = zip(begun.tolist(), judging.tolist(), left.tolist(), strict=True)
        return [
            StreamProgress(self._first_stream + i, symbols, judged, 0, int(windows))
            for i, (symbols, judged, windows) in enumerate(counts)
            if symbols
        ]

    @property
    def _hour_s(self) -> float:
        """The length of an hour in whole windows, s."""
        return PIECES * self._piece_windows * self._window_ns / SECOND_NS

    def _finding(self, closed: ClosedSpan, window: int, hour: int, event: DriftEvent) -> Finding:
        stream = _STREAMS[event.stream]
        to_unit = NUMBERS[stream].to_unit
        since = (hour - event.hours + 1) * PIECES * self._piece_windows
        facts: dict[str, float | int | str | None] = {"days": event.days}
        if event.end:
            facts |= {"end": event.end, "lasted_s": event.hours * self._hour_s}
        records = DRIFT_FEATURES[stream].records
        return Finding(
            window, since, self._partition, closed.names[event.market], stream, DRIFT,
            to_unit(event.usual + event.change), to_unit(event.usual),
            event.p / (PIECES * self._piece_windows),
            records=self._history.record_ranges(event.market, since, window, records),
            facts=facts, is_end=bool(event.end),
        )  # fmt: skip
