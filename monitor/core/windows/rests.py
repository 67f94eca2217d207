"""Which windows a shard measures: those up to about a minute after a record.

When nothing at all comes for longer, the shard rests: its windows are neither measured nor learnt,
because a feed that does not run says nothing of what is usual. So silence costs no work, however
long it is, and windows closed one by one give what they give when closed at once.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from detectors.arrays.state import Stateful
from detectors.arrays.types import Int64

REST_AFTER_S = 60.0
"""A shard rests when no record of any kind came for so long. A shorter time would cut the minutes
between the records of a quiet market out of what is usual there."""
RESTS_KEPT = 64
"""Evidence that reaches back over more rests than this begins after the oldest of them."""


class Rests(Stateful):
    """The rests of a shard.

    `after_windows`: it rests after so many windows without a record. `block`: and only from a
    multiple of this index, so that blocks of joint evidence end before it.
    """

    STATE = "_awake_until", "_rests"

    def __init__(self, after_windows: int, block: int) -> None:
        self._after_windows, self._block = after_windows, block
        self._awake_until: int | None = None
        """The first window of the rest to come, if no record comes before; None: no record yet."""
        self._rests: list[list[int]] = []
        """The first window of each rest and that of the record which ended it."""

    def awake_spans(self, record_windows: Int64, low: int, until: int) -> Iterator[tuple[int, int]]:
        """The windows from `low` up to `until` that are to be measured, as spans.

        `record_windows`: those of them that have records, rising; repetitions do not matter.
        """
        if self._awake_until is None:
            self._awake_until = low
        while low < until:
            at = int(np.searchsorted(record_windows, low))
            if low >= self._awake_until:
                if at == len(record_windows):
                    return
                low = int(record_windows[at])
                if low > self._awake_until:
                    self._rests = [*self._rests[1 - RESTS_KEPT :], [self._awake_until, low]]
                self._awake_until = low
            self._awake_until = self._extend(self._awake_until, record_windows[at:])
            high = min(self._awake_until, until)
            yield low, high
            low = high

    def _extend(self, awake_until: int, record_windows: Int64) -> int:
        """How far these windows extend the awake time, up to the first that comes after its end."""
        keeps = record_windows + 1 + self._after_windows
        ends = np.maximum(-(-keeps // self._block) * self._block, awake_until)
        before = np.concatenate(([awake_until], ends[:-1]))[: len(ends)]
        too_late = np.flatnonzero(record_windows > before)
        count = int(too_late[0]) if len(too_late) else len(ends)
        return int(ends[count - 1]) if count else awake_until

    def begin_of(self, window: int, count: int) -> int:
        """The first of the `count` measured windows that end with `window`."""
        begin = window - count + 1
        for rest, end in reversed(self._rests):
            if end <= begin:
                break
            if end <= window:
                begin -= end - rest
        return begin
