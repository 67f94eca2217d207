"""Findings of the data layer: a topic partition has stopped, or brings records again.

Silence is a property of the log: the time of the last record, and the time up to which control
records or the next record say that nothing came. So live and replay find the same stops, at the
same event time.
"""

from __future__ import annotations

from typing import NamedTuple

from detectors.arrays.state import Stateful
from monitor.core.contract.units import SECOND_NS
from monitor.core.detection.judge import PassedTime
from monitor.core.event_time.watermark import PartitionClock
from monitor.core.finding import Finding

DETECTOR = "silence"


class FeedStop(NamedTuple):
    """A stop of a topic partition, or its end: a row of `PartitionClock.silences`."""

    ts: int
    """Event time at which it was certain, ns."""
    last_ns: int
    """Time of the last record before it, ns."""
    longest_ns: int
    """Longest silence before it."""
    records: int
    """Records before it."""
    is_end: int
    """1: records come again; 0: they have stopped."""


class FeedSilences(Stateful):
    """The stops of one shard's topic partitions.

    It keeps nothing: a stop waits in its `PartitionClock` until its window has closed.
    """

    def __init__(self, clocks: dict[str, PartitionClock], partition: int, window_ns: int) -> None:
        self._clocks = clocks
        self._partition = partition
        self._window_ns = window_ns

    def judge(self, closed: PassedTime) -> list[Finding]:
        """The stops and their ends in windows that have closed, by time and kind."""
        findings = []
        for kind, clock in self._clocks.items():
            passed = [s for s in clock.silences if s[0] // self._window_ns < closed.until]
            clock.silences = [s for s in clock.silences if s not in passed]
            findings += [self._finding(kind, FeedStop(*stop)) for stop in passed]
        return sorted(findings, key=lambda f: (f.window, f.stream))

    def _finding(self, kind: str, stop: FeedStop) -> Finding:
        return Finding(
            window=stop.ts // self._window_ns,
            since=stop.last_ns // self._window_ns,
            partition=self._partition,
            symbol="",
            stream=f"{kind}_silence",
            detector=DETECTOR,
            observed=(stop.ts - stop.last_ns) / SECOND_NS,
            expected=stop.longest_ns / SECOND_NS,
            # Of this silence and all before it, one after each record, this is the longest.
            p=1.0 / (stop.records + 1),
            is_end=bool(stop.is_end),
        )
