"""Findings of the data layer: a topic partition brings records more than once.

A single repeat is what an at-least-once producer may do. A share of them is a producer that sends
everything twice, or reads its source again: a rule says so for as long as it lasts.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Any

from detectors.arrays.state import Stateful
from monitor.core.contract.feature_catalogue import REPEATS
from monitor.core.contract.units import SECOND_NS
from monitor.core.detection.judge import PassedTime
from monitor.core.event_time.repeats import RepeatCount, RepeatFilter
from monitor.core.finding import Finding, OffsetRange

REPEATS_MIN, REPEATS_SHARE_MIN = 3, 0.01
"""The rule: so many repeats, and such a share of the topic partition's records, within `SPAN_NS`.
It ends when `SPAN_NS` have passed without a repeat."""
SPAN_NS = 60 * SECOND_NS

Source = tuple[str, int]
"""A kind of records, and a partition of its topic."""


class RepeatedRecords:
    """The repeats of some topic partitions: `filters` finds them, and this judges how many come."""

    def __init__(self, sources: Iterable[Source], window_ns: int) -> None:
        self.filters = {source: RepeatFilter(window_ns) for source in sources}
        span = max(1, SPAN_NS // window_ns)
        self._conditions = {source: _Condition(*source, span) for source in self.filters}

    def judge(self, closed: PassedTime) -> list[Finding]:
        """The beginnings and ends in windows that have closed, and what came in between."""
        findings = []
        for source, seen in self.filters.items():
            condition = self._conditions[source]
            for window in sorted(w for w in seen.counts if w < closed.until):
                findings += condition.count(window, seen.counts.pop(window))
            findings += condition.end_before(closed.until)
        return findings

    def snapshot(self) -> list[Any]:
        parts = self.filters.values(), self._conditions.values()
        return [[part.snapshot() for part in pair] for pair in zip(*parts, strict=True)]

    def restore(self, state: list[Any]) -> None:
        parts = self.filters.values(), self._conditions.values()
        for pair, states in zip(zip(*parts, strict=True), state, strict=True):
            for part, part_state in zip(pair, states, strict=True):
                part.restore(part_state)


class _Condition(Stateful):
    """Whether one topic partition repeats itself; windows come in their order."""

    STATE = "_recent", "_since", "_last", "_records", "_repeats"

    def __init__(self, kind: str, partition: int, span: int) -> None:
        self._kind, self._partition, self._span = kind, partition, span
        self._recent: deque[list[int]] = deque()
        """Window, records, repeats, first and last offset of each window of the last span."""
        self._since: int | None = None
        """Window of the first repeat, while the condition lasts."""
        self._last = 0
        """Window of the last repeat."""
        self._records = self._repeats = 0
        """Of the last span; while the condition lasts, since it began."""

    def count(self, window: int, count: RepeatCount) -> list[Finding]:
        """The next window in which records came."""
        findings = self.end_before(window)
        self._records += count.records
        self._repeats += count.repeats
        if self._since is None:
            self._recent.append([window, *count])
            while self._recent[0][0] <= window - self._span:
                _, records, repeats, *_ = self._recent.popleft()
                self._records -= records
                self._repeats -= repeats
            few = self._repeats < max(REPEATS_MIN, REPEATS_SHARE_MIN * self._records)
            if few or not count.repeats:
                return findings
            repeated = [row for row in self._recent if row[2]]
            self._since, self._last = repeated[0][0], window
            self._recent.clear()
            first = min(row[3] for row in repeated)
            return [*findings, self._finding(window, self._repeats, first, count.last)]
        if count.repeats:
            self._last = window
            findings.append(self._finding(window, count.repeats, count.first, count.last))
        return findings

    def end_before(self, window: int) -> list[Finding]:
        """The end of the condition, where it comes before this window."""
        end = self._last + self._span
        if self._since is None or window <= end:
            return []
        finding = self._finding(end, self._repeats)
        self._since, self._records, self._repeats = None, 0, 0
        return [finding]

    def _finding(self, window: int, repeats: int, *offsets: int) -> Finding:
        assert self._since is not None
        where = window, self._since, self._partition
        return Finding(
            *where, "", f"{self._kind}_{REPEATS}", REPEATS, float(repeats), 0.0, 0.0,
            records=[OffsetRange(self._kind, *offsets)] if offsets else [],
            facts={"repeats": self._repeats, "records": self._records},
            is_end=not offsets,
        )  # fmt: skip
