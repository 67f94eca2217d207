"""Anomalies in a feed: breaks, jumps of time, repeated lines, locked and crossed books, truncated
files."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from monitor.core.contract.units import SECOND_NS
from monitor.core.decode.batch import Int64, Ladder

BREAK_NS = 60 * SECOND_NS
"""A longer time without records is reported as a break in the feed."""
BREAKS_LISTED = 100
"""Further breaks are counted, not listed."""
RETURN_RECORDS = 16
"""A break is a jump ahead instead where one of so many records after it is back before it."""
REPEAT_LINES = 65_536
"""A line is a repeat where it equals one of this many lines before it."""


@dataclass
class FeedAnomalies:
    """What is anomalous in a feed; it is reported and never corrected."""

    breaks: list[dict[str, int]] = field(default_factory=list)
    break_count: int = 0
    ahead_count: int = 0
    ahead_ns_max: int = 0
    back_count: int = 0
    back_ns_max: int = 0
    repeat_count: int = 0
    locked_books: int = 0
    """Books whose best bid equals the best ask."""
    crossed_books: int = 0
    """Books whose best bid is above the best ask."""
    truncated_files: list[str] = field(default_factory=list)
    """Files that end in the middle of their compressed stream."""
    highest_ts: int = -1
    _before_break: int = -1
    """The highest event time before the last break."""
    _return_left: int = 0
    """How many of the next records may still show that the last break was a jump ahead."""
    _recent_lines: OrderedDict[int, None] = field(default_factory=OrderedDict)

    def observe_times(self, ts: Int64) -> None:
        """Take the event times (ns) of the next records, in file order."""
        if not len(ts):
            return
        first = self.highest_ts if self.highest_ts >= 0 else int(ts[0])
        before = np.maximum(np.maximum.accumulate(np.append(first, ts[:-1])), first)
        step = ts - before
        if not self._return_left and not (step > BREAK_NS).any():
            self.back_count += int((step < 0).sum())
            self.back_ns_max = max(self.back_ns_max, -int(step.min()))
            self.highest_ts = max(first, int(ts.max()))
            return
        self.highest_ts = first
        for time in ts.tolist():
            self._observe_time(time)

    def _observe_time(self, ts: int) -> None:
        if self._return_left and ts < self.highest_ts - BREAK_NS:
            self.break_count -= 1
            if self.break_count < BREAKS_LISTED:
                self.breaks.pop()
            self.ahead_count += 1
            self.ahead_ns_max = max(self.ahead_ns_max, self.highest_ts - self._before_break)
            self.highest_ts, self._return_left = self._before_break, 0
        self._return_left = max(self._return_left - 1, 0)
        step = ts - self.highest_ts
        if step > BREAK_NS:
            self.break_count += 1
            if len(self.breaks) < BREAKS_LISTED:
                self.breaks.append({"from": self.highest_ts, "to": ts})
            self._before_break, self._return_left = self.highest_ts, RETURN_RECORDS
        if step < 0:
            self.back_count += 1
            self.back_ns_max = max(self.back_ns_max, -step)
        self.highest_ts = max(self.highest_ts, ts)

    def observe_books(self, ladders: Mapping[str, Ladder]) -> None:
        """Take the two sides of the next books, best level first."""
        bids, asks = ladders["bids"], ladders["asks"]
        both = (np.diff(bids.offset) > 0) & (np.diff(asks.offset) > 0)
        best_bid = bids.price[bids.offset[:-1][both]]
        best_ask = asks.price[asks.offset[:-1][both]]
        self.locked_books += int((best_bid == best_ask).sum())
        self.crossed_books += int((best_bid > best_ask).sum())

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
            "jumps_ahead": self.ahead_count,
            "jump_ahead_ns_max": self.ahead_ns_max,
            "jumps_back": self.back_count,
            "jump_back_ns_max": self.back_ns_max,
            "repeated_lines": self.repeat_count,
            "locked_books": self.locked_books,
            "crossed_books": self.crossed_books,
            "broken_off": self.truncated_files,
        }
