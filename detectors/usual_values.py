"""What is usual for a few numbers: scales for detectors that need them, and evidence for those that
bring none of their own.

A detector of river's gives a number and no reason. What an alert needs beside it lies in its
inputs: the value now, the usual one, and since when the two are far apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from detectors.arrays.state import Stateful
from detectors.calibration.calibrator import BLOCK_WINDOWS
from detectors.stats.limits import NUMBER_MAX

ALPHA = 0.003
"""Of centre and spread: a memory of 333 windows."""
OUTLIER = 6.0
"""Spreads beyond which a value moves centre and spread no further."""
YOUNG_WINDOWS = 10
"""The first windows say where the values lie at all: they count as they are."""
FAR = 3.0
"""Spreads from which a value is off the usual one: the change has begun."""
PATIENCE_WINDOWS = 600
"""What has been reported for so many windows in a row is the new usual, and learnt from then on."""
EVENT_WINDOWS, QUIET_WINDOWS = BLOCK_WINDOWS, 30
"""A score that is not above those reported less than the first many windows ago belongs to the same
event; after the second many without a report it would be told as a new one. Calibration counts
events so: by the highest score of a block."""
RELATIVE_FLOOR, FLOOR, JUMP_FLOOR = 1e-3, 1e-9, 0.1
"""The least spread: this part of the centre, this, and this part of a usual jump. A change by a
thousandth is none; and where nothing happens in most windows, one event is not beyond all scales.
"""
JUMP_ALPHA, JUMP_KEEP = 0.01, 1.0 - 1e-4
"""A usual jump is a mean over some hundred; without new ones it is forgotten in three hours of 1 s
windows."""


class Usual(Stateful):
    """The EW centre and spread (mean absolute deviation) of each of `inputs` numbers.

    A number counts as `NUMBER_MAX` at most.
    """

    STATE: ClassVar = (
        "seen",
        "_reported",
        "_centre",
        "_spread",
        "_jumps",
        "_jump",
        "_run",
        "_run_sum",
    )

    def __init__(self, inputs: int) -> None:
        self.seen = 0
        """Windows learnt."""
        self._reported = 0
        """Windows in a row, up to the last one, that were reported."""
        self._centre = [0.0] * inputs
        self._spread = [0.0] * inputs
        # How many values lay more than a spread off, and how far they usually do.
        self._jumps = [0] * inputs
        self._jump = [0.0] * inputs
        # The windows in a row, up to the last one, in which the value lay far above (below: < 0)
        # the usual one, and the sum of its values in them.
        self._run = [0] * inputs
        self._run_sum = [0.0] * inputs

    def scale(self, i: int) -> float:
        """The spread of an input, and never 0."""
        floor = RELATIVE_FLOOR * abs(self._centre[i]) + FLOOR
        return max(self._spread[i], floor, JUMP_FLOOR * self._jump[i])

    def distances(self, values: Sequence[float]) -> list[float]:
        """How far each value lies from the usual one, in spreads; below it: < 0."""
        off = zip(values, self._centre, strict=True)
        return [(_bound(v) - centre) / self.scale(i) for i, (v, centre) in enumerate(off)]

    def farthest(self, values: Sequence[float]) -> tuple[int, float, float, int]:
        """The input farthest off; its mean since it is, its usual value, and for how many windows,
        this one included."""
        distances = self.distances(values)
        i = max(range(len(values)), key=lambda at: abs(distances[at]))
        run, run_sum = self._run[i], self._run_sum[i]
        if abs(distances[i]) < FAR or run * distances[i] < 0.0:
            run, run_sum = 0, 0.0
        windows = abs(run) + 1
        return i, (run_sum + _bound(values[i])) / windows, self._centre[i], windows

    def learn(self, values: Sequence[float]) -> None:
        """Take in a window that was not reported."""
        self._follow_runs(values)
        self._reported = 0
        self._learn(values)

    def report(self, values: Sequence[float]) -> bool:
        """Take in a window that was reported. Returns whether it is usual by now, and learnt."""
        self._follow_runs(values)
        self._reported += 1
        if self._reported <= PATIENCE_WINDOWS:
            return False
        self._learn(values)
        return True

    def _follow_runs(self, values: Sequence[float]) -> None:
        for i, distance in enumerate(self.distances(values)):
            if abs(distance) < FAR:
                self._run[i], self._run_sum[i] = 0, 0.0
                continue
            side = 1 if distance > 0 else -1
            if self._run[i] * side < 0:
                self._run[i], self._run_sum[i] = 0, 0.0
            self._run[i] += side
            self._run_sum[i] += _bound(values[i])

    def _learn(self, values: Sequence[float]) -> None:
        self.seen += 1
        alpha = max(ALPHA, 1.0 / self.seen)
        for i, value in enumerate(values):
            off = _bound(value) - self._centre[i]
            self._jump[i] *= JUMP_KEEP
            if self.seen > YOUNG_WINDOWS:
                if abs(off) > self.scale(i):
                    self._jumps[i] += 1
                    most = OUTLIER * self._jump[i] if self._jumps[i] > 1 else abs(off)
                    weight = max(JUMP_ALPHA, 1.0 / self._jumps[i])
                    self._jump[i] += weight * (min(abs(off), most) - self._jump[i])
                reach = OUTLIER * self.scale(i)
                off = max(-reach, min(reach, off))
            self._centre[i] += alpha * off
            self._spread[i] += alpha * (abs(off) - self._spread[i])


def _bound(value: float) -> float:
    return max(-NUMBER_MAX, min(NUMBER_MAX, value))


class ReportedEvents(Stateful):
    """Which scores of a stream repeat what was reported minutes ago."""

    STATE: ClassVar = ("_windows_since", "_highest")

    def __init__(self) -> None:
        self._windows_since = EVENT_WINDOWS
        """Windows since the last report."""
        self._highest = 0.0
        """The highest score reported in the event."""

    def is_repeat(self, score: float) -> bool:
        """Whether a score is of an event that was reported, and over for a while."""
        return QUIET_WINDOWS < self._windows_since < EVENT_WINDOWS and score <= self._highest

    def learn(self) -> None:
        """A window passes that was not reported."""
        self._windows_since = min(EVENT_WINDOWS, self._windows_since + 1)

    def report(self, score: float) -> None:
        """A window with this score is reported."""
        same = self._windows_since < EVENT_WINDOWS
        self._highest = max(score, self._highest) if same else score
        self._windows_since = 0
