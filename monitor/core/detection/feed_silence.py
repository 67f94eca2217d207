"""A topic partition that stops, and speaks again: findings of the data layer.

Silence is a fact of the log: the time of the last record, and how far control records or the next
record say that nothing came. So live and replay find the same stops, at the same event time.
"""

from __future__ import annotations

from monitor.core.event_time.watermark import PartitionClock
from monitor.core.finding import Finding

DETECTOR = "silence"
_SECOND_NS = 1e9


class FeedSilences:
    """The stops of one shard's topic partitions that wait for their windows to close."""

    def __init__(self, parts: dict[str, PartitionClock], partition: int, window_ns: int) -> None:
        self._clocks = parts
        self._partition = partition
        self._window_ns = window_ns

    def findings(self, until: int) -> list[Finding]:
        """Those of windows before `until`, by time and kind."""
        found = []
        for kind, part in self._clocks.items():
            due = [told for told in part.silences if told[0] // self._window_ns < until]
            part.silences = [told for told in part.silences if told not in due]
            found += [self._finding(kind, *told) for told in due]
        return sorted(found, key=lambda f: (f.window, f.stream))

    def _finding(
        self, kind: str, ts: int, high: int, longest: int, count: int, over: int
    ) -> Finding:
        return Finding(
            window=ts // self._window_ns,
            since=high // self._window_ns,
            partition=self._partition,
            symbol="",
            stream=f"{kind}_silence",
            detector=DETECTOR,
            observed=(ts - high) / _SECOND_NS,
            expected=longest / _SECOND_NS,
            # Of so many silences and this one, this is the longest.
            p=1.0 / (count + 1),
            is_end=bool(over),
        )
