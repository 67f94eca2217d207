"""Findings of the data layer: a topic partition has stopped, or brings records again.

Silence is a property of the log: the time of the last record, and the time up to which control
records or the next record say that nothing came. So live and replay find the same stops, at the
same event time.
"""

from __future__ import annotations

from detectors.arrays.state import Stateful
from monitor.core.contract.units import SECOND_NS
from monitor.core.detection.judge import PassedTime
from monitor.core.event_time.watermark import PartitionClock, Silence
from monitor.core.finding import Finding

DETECTOR = "silence"


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
            passed = [s for s in clock.silences if s.ts // self._window_ns < closed.until]
            clock.silences = [s for s in clock.silences if s not in passed]
            findings += [self._finding(kind, silence) for silence in passed]
        return sorted(findings, key=lambda f: (f.window, f.stream))

    def _finding(self, kind: str, silence: Silence) -> Finding:
        where = silence.ts // self._window_ns, silence.high // self._window_ns, self._partition
        seconds = (silence.ts - silence.high) / SECOND_NS, silence.longest / SECOND_NS
        # Of this silence and all before it, one after each record, this is the longest.
        p = 1.0 / (silence.records + 1)
        over = bool(silence.over)
        return Finding(*where, "", f"{kind}_silence", DETECTOR, *seconds, p, is_end=over)
