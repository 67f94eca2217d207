"""Findings of the data layer about the time of a topic partition: it has stopped or brings records
again, a record claimed a time that nothing bears out, many records are late, delay has flipped.

All of it is a property of the log and of its control records (`monitor/core/event_time`). So live
and replay find the same, at the same event time.
"""

from __future__ import annotations

from detectors.arrays.state import Stateful
from monitor.core.contract.feature_catalogue import TIME_RULES
from monitor.core.contract.units import MILLISECOND_NS, SECOND_NS
from monitor.core.detection.judge import PassedTime, split_passed
from monitor.core.event_time.clock_state import (
    LATE_SHARE,
    MINUTE_NS,
    RULE_MINUTES,
    TIME_JUMPS,
    Silence,
    TimeNotice,
)
from monitor.core.event_time.watermark import PartitionClock
from monitor.core.finding import Finding, OffsetRange

SILENCE = "silence"


class FeedTimes(Stateful):
    """What the clocks of one partition of the topics have to say.

    It keeps nothing: a notice waits in its `PartitionClock` until its window has closed.
    """

    def __init__(self, clocks: dict[str, PartitionClock], partition: int, window_ns: int) -> None:
        self._clocks = clocks
        self._partition = partition
        self._window_ns = window_ns

    def judge(self, closed: PassedTime) -> list[Finding]:
        """What happened in windows that have closed, by time and stream."""
        findings = []
        for kind, clock in self._clocks.items():
            if not clock.silences and not clock.notices:
                continue
            stops, clock.silences = split_passed(clock.silences, closed, self._window_ns)
            findings += [self._silence(kind, silence) for silence in stops]
            passed, clock.notices = split_passed(clock.notices, closed, self._window_ns)
            findings += [self._notice(kind, notice) for notice in passed]
        return sorted(findings, key=lambda f: (f.window, f.stream))

    def judge_end(self) -> list[Finding]:
        """The records that were refused at the end of their log, behind which no window closes."""
        findings = []
        for kind, clock in self._clocks.items():
            findings += [self._notice(kind, n) for n in clock.notices if n.about == TIME_JUMPS]
            clock.notices = [n for n in clock.notices if n.about != TIME_JUMPS]
        return findings

    def _silence(self, kind: str, silence: Silence) -> Finding:
        where = silence.ts // self._window_ns, silence.high // self._window_ns, self._partition
        seconds = (silence.ts - silence.high) / SECOND_NS, silence.usual / SECOND_NS
        # At most: one silence in so many is as long as the usual one, and this one is far longer.
        p = 1.0 / max(1, silence.one_in)
        over = bool(silence.over)
        return Finding(*where, "", f"{kind}_silence", SILENCE, *seconds, p, is_end=over)

    def _notice(self, kind: str, notice: TimeNotice) -> Finding:
        rule = TIME_RULES[notice.about]
        window = notice.ts // self._window_ns
        name = "", f"{kind}_{rule}", rule
        facts: dict[str, float | int | str | None]
        if notice.about == TIME_JUMPS:
            ahead_s = (notice.observed - notice.expected) / SECOND_NS
            facts = {"offset": notice.offset, "ahead_s": ahead_s, "claims_ns": notice.observed}
            numbers = ahead_s, 0.0
            at = [OffsetRange(kind, notice.offset, notice.offset, self._partition)]
            where = window, window, self._partition
            return Finding(*where, *name, *numbers, 1.0, records=at, facts=facts)
        span_ns = RULE_MINUTES * MINUTE_NS if notice.about == LATE_SHARE else MINUTE_NS
        since = (notice.ts - span_ns) // self._window_ns
        facts = {"observed": notice.observed, "expected": notice.expected}
        if notice.about == LATE_SHARE:
            numbers = notice.observed / max(1, notice.expected), 0.0
        else:
            numbers = notice.observed / MILLISECOND_NS, notice.expected / MILLISECOND_NS
        where = window, since, self._partition
        over = bool(notice.over)
        return Finding(*where, *name, *numbers, 1.0, facts=facts, is_end=over)
