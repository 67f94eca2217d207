"""How many events of the recent past were as high: a storm that fills several blocks is one."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Iterable

EVENT_BLOCKS = 3
"""Of blocks no further apart than this, the highest alone counts: a quarter of an hour of 1 s
windows, within which what comes back reopens an incident."""


class EventPeaks:
    """Of the last `most` blocks, those that none within `EVENT_BLOCKS` of them exceeds.

    The first of the same height counts. Of the oldest of `most` blocks it is no longer known what
    came before them: they do not count. So the last `most` blocks say all.

    Examples
    --------
    >>> from detectors.calibration.event_peaks import EventPeaks
    >>> peaks = EventPeaks(most=100)
    >>> for height in (1.0, 7.0, 9.0, 8.0, 1.0, 1.0, 1.0, 6.0):
    ...     peaks.add(height)
    >>> peaks.count_from(5.0)
    2
    """

    def __init__(self, most: int, blocks: Iterable[float] = ()) -> None:
        self.most = most
        self._added = 0
        self._last: deque[float] = deque(maxlen=EVENT_BLOCKS)
        """The last blocks, peaks or not."""
        self._peaks: deque[tuple[int, float]] = deque()
        """Number and height of each, in order of time."""
        self._heights: list[float] = []
        """Their heights, the lowest first."""
        for height in blocks:
            self.add(height)

    def add(self, height: float) -> None:
        """Take the next block."""
        is_peak = all(height > before for before in self._last)
        if is_peak and self._peaks and self._peaks[-1][0] >= self._added - EVENT_BLOCKS:
            self._remove(self._peaks.pop())
        if is_peak:
            self._peaks.append((self._added, height))
            insort(self._heights, height)
        self._last.append(height)
        self._added += 1
        oldest = self._added - self.most
        while oldest >= 0 and self._peaks and self._peaks[0][0] < oldest + EVENT_BLOCKS:
            self._remove(self._peaks.popleft())

    def _remove(self, peak: tuple[int, float]) -> None:
        del self._heights[bisect_left(self._heights, peak[1])]

    def count_from(self, height: float) -> int:
        """How many are at least as high."""
        return len(self._heights) - bisect_left(self._heights, height)
