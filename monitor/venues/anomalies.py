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
"""The longest are listed, further ones are counted."""
RETURN_RECORDS = 16
"""A break is a jump ahead instead where one of so many records after it is back before it."""
REPEAT_LINES = 65_536
"""A line is a repeat where it equals one of this many lines before it."""


@dataclass
class _LogTimes:
    """The event times of one kind of records: a log of its own, whatever stands between its lines
    in the file."""

    first_ts: int = -1
    highest_ts: int = -1
    gaps: list[tuple[int, int]] = field(default_factory=list)
    """From and to, of each step that is longer than `BREAK_NS`."""
    ahead_count: int = 0
    ahead_ns_max: int = 0
    back_count: int = 0
    back_ns_max: int = 0
    _return_left: int = 0
    """How many of the next records may still show that the last gap was a jump ahead."""

    def observe(self, ts: Int64) -> None:
        """Take the event times (ns) of the next records, in file order."""
        if self.first_ts < 0:
            self.first_ts = self.highest_ts = int(ts[0])
        first = self.highest_ts
        before = np.maximum(np.maximum.accumulate(np.append(first, ts[:-1])), first)
        step = ts - before
        if not self._return_left and not (step > BREAK_NS).any():
            self.back_count += int((step < 0).sum())
            self.back_ns_max = max(self.back_ns_max, -int(step.min()))
            self.highest_ts = max(first, int(ts.max()))
            return
        for time in ts.tolist():
            self._observe_one(time)

    def _observe_one(self, ts: int) -> None:
        if self._return_left and ts < self.highest_ts - BREAK_NS:
            before, _ = self.gaps.pop()
            self.ahead_count += 1
            self.ahead_ns_max = max(self.ahead_ns_max, self.highest_ts - before)
            self.highest_ts, self._return_left = before, 0
        self._return_left = max(self._return_left - 1, 0)
        step = ts - self.highest_ts
        if step > BREAK_NS:
            self.gaps.append((self.highest_ts, ts))
            self._return_left = RETURN_RECORDS
        if step < 0:
            self.back_count += 1
            self.back_ns_max = max(self.back_ns_max, -step)
        self.highest_ts = max(self.highest_ts, ts)

    def empty_spans(self, first: int, last: int) -> list[tuple[int, int]]:
        """The times from `first` to `last` in which it has no record for long."""
        spans = [(first, self.first_ts), *self.gaps, (self.highest_ts, last)]
        return [span for span in spans if span[1] - span[0] > BREAK_NS]


def _overlaps(a: list[tuple[int, int]], b: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The times that lie in a span of each, where they are breaks; both rise."""
    both, i, k = [], 0, 0
    while i < len(a) and k < len(b):
        low, high = max(a[i][0], b[k][0]), min(a[i][1], b[k][1])
        if high - low > BREAK_NS:
            both.append((low, high))
        if a[i][1] < b[k][1]:
            i += 1
        else:
            k += 1
    return both


@dataclass
class FeedAnomalies:
    """What is anomalous in a feed; it is reported and never corrected.

    Each kind of records has its own time: a file of all orders and then all fills is in order.
    """

    repeat_count: int = 0
    locked_books: int = 0
    """Books whose best bid equals the best ask."""
    crossed_books: int = 0
    """Books whose best bid is above the best ask."""
    truncated_files: list[str] = field(default_factory=list)
    """Files that end in the middle of their compressed stream."""
    _times: dict[str, _LogTimes] = field(default_factory=dict)
    """By kind of records."""
    _recent_lines: OrderedDict[int, None] = field(default_factory=OrderedDict)

    def observe_times(self, kind: str, ts: Int64) -> None:
        """Take the event times (ns) of the next records of a kind, in file order."""
        if len(ts):
            self._times.setdefault(kind, _LogTimes()).observe(ts)

    def breaks(self) -> list[tuple[int, int]]:
        """From and to (ns) of each break: a long time in which no kind has a record."""
        logs = [log for _, log in sorted(self._times.items())]
        if not logs:
            return []
        first, last = min(log.first_ts for log in logs), max(log.highest_ts for log in logs)
        spans = logs[0].empty_spans(first, last)
        for log in logs[1:]:
            spans = _overlaps(spans, log.empty_spans(first, last))
        return spans

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
        breaks, logs = self.breaks(), self._times.values()
        listed = sorted(breaks, key=lambda span: (span[0] - span[1], span[0]))[:BREAKS_LISTED]
        return {
            "break_over_ns": BREAK_NS,
            "breaks": len(breaks),
            "longest_breaks_listed": [{"from": low, "to": high} for low, high in listed],
            "jumps_ahead": sum(log.ahead_count for log in logs),
            "jump_ahead_ns_max": max((log.ahead_ns_max for log in logs), default=0),
            "jumps_back": sum(log.back_count for log in logs),
            "jump_back_ns_max": max((log.back_ns_max for log in logs), default=0),
            "repeated_lines": self.repeat_count,
            "locked_books": self.locked_books,
            "crossed_books": self.crossed_books,
            "broken_off": self.truncated_files,
        }
