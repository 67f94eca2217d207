"""Anomalies in a feed's order of time: breaks, jumps back, repeated lines, truncated files."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from monitor.core.contract.units import SECOND_NS
from monitor.core.decode.batch import Int64

BREAK_NS = 60 * SECOND_NS
"""A longer time without records is reported as a break in the feed."""
BREAKS_LISTED = 100
"""Further breaks are counted, not listed."""
REPEAT_LINES = 65_536
"""A line is a repeat where it equals one of this many lines before it."""


@dataclass
class FeedAnomalies:
    """What is anomalous in a feed; it is reported and never corrected."""

    breaks: list[dict[str, int]] = field(default_factory=list)
    break_count: int = 0
    back_count: int = 0
    back_ns_max: int = 0
    repeat_count: int = 0
    truncated_files: list[str] = field(default_factory=list)
    """Files that end in the middle of their compressed stream."""
    highest_ts: int = -1
    _recent_lines: OrderedDict[int, None] = field(default_factory=OrderedDict)

    def observe_times(self, ts: Int64) -> None:
        """Take the event times (ns) of the next records, in file order."""
        if not len(ts):
            return
        before = np.maximum.accumulate(ts)[:-1]
        first = self.highest_ts if self.highest_ts >= 0 else int(ts[0])
        highest = np.maximum(np.concatenate(([first], before)), first)
        step = ts - highest
        self.back_count += int((step < 0).sum())
        self.back_ns_max = max(self.back_ns_max, -int(step.min()))
        for i in np.flatnonzero(step > BREAK_NS).tolist():
            self.break_count += 1
            if len(self.breaks) < BREAKS_LISTED:
                self.breaks.append({"from": int(highest[i]), "to": int(ts[i])})
        self.highest_ts = max(first, int(ts.max()))

    def observe_line(self, raw: bytes) -> None:
        """Take a line that made records, to count its repeats."""
        key = hash(raw)
        if key in self._recent_lines:
            self.repeat_count += 1
            self._recent_lines.move_to_end(key)
            return
        self._recent_lines[key] = None
        if len(self._recent_lines) > REPEAT_LINES:
            self._recent_lines.popitem(last=False)

    def facts(self) -> dict[str, Any]:
        """All anomalies, as in the import's report and in the day's notes."""
        return {
            "break_over_ns": BREAK_NS,
            "breaks": self.break_count,
            "longest_breaks_listed": self.breaks,
            "jumps_back": self.back_count,
            "jump_back_ns_max": self.back_ns_max,
            "repeated_lines": self.repeat_count,
            "broken_off": self.truncated_files,
        }
