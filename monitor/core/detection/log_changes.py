"""Findings of the data layer: records of a topic partition are missing, or its log is another one.

Somebody has accepted that (`monitor/core/event_time/log_gaps.py`), so what was learnt goes on. The
finding says to all others what the numbers do not hold.
"""

from __future__ import annotations

from collections.abc import Mapping

from detectors.arrays.state import Stateful
from monitor.core.detection.judge import PassedTime, split_passed
from monitor.core.event_time.log_gaps import LogGap
from monitor.core.event_time.watermark import PartitionClock
from monitor.core.finding import Finding

NEW_LOG, CUT_LOG = "new_log", "cut_log"
"""The detectors that the findings name."""


class LogChanges(Stateful):
    """The gaps of topic partitions of one number, by kind.

    It keeps nothing: a gap waits in its `PartitionClock` until its window has closed.
    """

    def __init__(
        self, clocks: Mapping[str, PartitionClock], partition: int, window_ns: int
    ) -> None:
        self._clocks = clocks
        self._partition = partition
        self._window_ns = window_ns

    def judge(self, closed: PassedTime) -> list[Finding]:
        """The gaps in windows that have closed, by time and kind."""
        findings = []
        for kind, clock in self._clocks.items():
            passed, clock.gaps.passed = split_passed(clock.gaps.passed, closed, self._window_ns)
            findings += [self._finding(kind, gap) for gap in passed]
        return sorted(findings, key=lambda f: (f.window, f.stream))

    def _finding(self, kind: str, gap: LogGap) -> Finding:
        window = gap.ts // self._window_ns
        detector = NEW_LOG if gap.is_new_log else CUT_LOG
        # Of another log nobody knows how many are missing: at least the break itself counts.
        missing = 1.0 if gap.is_new_log else float(gap.offset - gap.missing_from)
        where = window, window, self._partition, "", f"{kind}_log", detector
        offsets = {"missing_from": gap.missing_from, "offset": gap.offset}
        facts: dict[str, float | int | str | None] = {**offsets, "log_offset": gap.log_offset}
        return Finding(*where, missing, 0.0, 1.0, facts=facts)
