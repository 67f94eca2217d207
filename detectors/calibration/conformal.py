"""Conformal p-values over about the last day, in bounded memory.

The scores of each row are kept as a histogram that forgets: a score of a day ago counts 1/e. Its
bins are even in asinh of the score, so they are narrow near 0 and grow with the score far out. The
p-value of a score is the weight of all scores at least as high, itself included. Equal scores
always count against it, so ties need no random draw. To the highest few of a hundred a generalised
Pareto law is fitted, exponential or heavier, so that p can fall below one over the number of
windows.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numba import njit, types

from detectors.arrays.growable import grow_rows
from detectors.arrays.state import Stateful
from detectors.arrays.types import B1, F1, F2, FLOAT, INT, Bool, Float64

LOW, WIDTH, BINS = -2.5, 0.1, 120
"""asinh(-6) is -2.5, and the last bin begins at sinh(9.4), about 6,000 scales."""
READY_WINDOWS = 100
"""Scores that a tail of 4 in 100 needs before anything can be said of it."""
TAIL_SHARE, TAIL_WINDOWS = 0.04, 8.0
"""The tail is the highest 4 of 100, but at least the weight of 8 scores."""
REFIT_WINDOWS = 32
"""Between two fits of the tail; while young, each time the age has grown by a tenth."""
SHAPE_MAX = 0.45
"""Of the generalised Pareto: at .5 its variance, by which it is fitted, is infinite."""
EXCESS_MIN = 0.05
"""Least mean excess over the tail's start; that of equal scores would be 0."""
P_MIN = 1e-12
"""Smaller p-values count as this: nobody has that many windows."""
STANDARD_ERRORS = 2.0
"""The share of scores seen counts where it exceeds the tail's law by so many standard errors."""

START, SHARE, SPREAD, SHAPE, TOTAL, REFIT_AT, AGE, TAIL_COLUMNS = range(8)
"""Columns of `tail`. Of the generalised Pareto law: where it begins, the share of scores beyond,
scale and shape. The weight of all scores; the number of scores at the next fit, and so far."""
_EDGE: Float64 = np.sinh(LOW + WIDTH * np.arange(BINS + 1))
_MIDDLE: Float64 = np.sinh(LOW + WIDTH * (np.arange(BINS) + 0.5))


class ConformalPValues(Stateful):
    """p-values of many rows of scores.

    Parameters
    ----------
    rows
        How many; `grow` adds more.
    memory_windows
        A score counts 1/e after so many windows: those of a day.
    ready
        Fewer scores give no p-value.

    Examples
    --------
    >>> import numpy as np
    >>> conformal = ConformalPValues(1, 17280.0)
    >>> for i in range(1000):
    ...     conformal.learn(np.array([float(i % 10)]), np.ones(1, bool))
    >>> round(float(conformal.p_values(np.array([5.0]))[0]), 2)
    0.5

    References
    ----------
    Vovk, Gammerman, Shafer, "Algorithmic Learning in a Random World" (2005). Hosking, Wallis,
    "Parameter and quantile estimation for the generalized Pareto distribution",
    Technometrics 29 (1987), for the fit by moments.
    """

    STATE: ClassVar = ("weight", "tail")

    def __init__(self, rows: int, memory_windows: float, ready: int = READY_WINDOWS) -> None:
        self._ready = ready
        self._keep = float(np.exp(-1.0 / memory_windows))
        self.weight: Float64 = np.zeros((0, BINS))
        self.tail: Float64 = np.zeros((0, TAIL_COLUMNS))
        self.grow(rows)

    def grow(self, rows: int) -> None:
        """Have at least so many rows; new ones have seen nothing."""
        self.weight = grow_rows(self.weight, rows, growth=1.0)
        self.tail = grow_rows(self.tail, rows, growth=1.0)

    def p_values(self, score: Float64) -> Float64:
        """The chance of so high a score, (rows,) within (0, 1]; NaN where there is no score, or
        fewer than `ready` were learnt."""
        out = np.full(len(score), np.nan)
        _p_values(score, self._ready, self.weight, self.tail, out)
        return out

    def learn(self, score: Float64, taught: Bool) -> None:
        """Count the scores, where `taught` and not NaN."""
        _learn(score, taught, self._keep, _MIDDLE, _EDGE, self.weight, self.tail)


@njit(INT(FLOAT), cache=True, nogil=True, inline="always")
def _bin(score):  # type: ignore[no-untyped-def]
    place = int((np.arcsinh(min(max(score, -1e15), 1e15)) - LOW) / WIDTH)
    return min(max(place, 0), BINS - 1)


@njit(types.void(F1, INT, F2, F2, F1), cache=True, nogil=True)
def _p_values(score, ready, weight, tail, out):  # type: ignore[no-untyped-def]
    for row in range(score.size):
        z = score[row]
        total = tail[row, TOTAL]
        if z != z or tail[row, AGE] < ready:
            continue
        higher = 0.0
        for b in range(_bin(z), BINS):
            higher += weight[row, b]
        if z <= tail[row, START]:
            p = (higher + 1.0) / (total + 1.0)
        else:
            beyond = (z - tail[row, START]) / tail[row, SPREAD]
            shape = tail[row, SHAPE]
            if shape > 1e-6:
                p = tail[row, SHARE] * (1.0 + shape * beyond) ** (-1.0 / shape)
            else:
                p = tail[row, SHARE] * np.exp(-beyond)
            # Counts take few values, so the share that was seen may exceed any smooth law.
            p = max(p, (higher - STANDARD_ERRORS * np.sqrt(higher)) / (total + 1.0))
        out[row] = min(max(p, P_MIN), 1.0)


@njit(types.void(F1, B1, FLOAT, F1, F1, F2, F2), cache=True, nogil=True)
def _learn(score, taught, keep, middle, edge, weight, tail):  # type: ignore[no-untyped-def]
    for row in range(score.size):
        z = score[row]
        if z != z or not taught[row]:
            continue
        w, t = weight[row], tail[row]
        for b in range(BINS):
            w[b] *= keep
        w[_bin(z)] += 1.0
        t[TOTAL] = keep * t[TOTAL] + 1.0
        t[AGE] += 1.0
        if t[AGE] < t[REFIT_AT]:
            continue
        t[REFIT_AT] = t[AGE] + min(REFIT_WINDOWS, max(1.0, t[AGE] // 10))
        b, mass, first, second = BINS, 0.0, 0.0, 0.0
        while b > 0 and mass < max(TAIL_SHARE * t[TOTAL], TAIL_WINDOWS):
            b -= 1
            mass += w[b]
            first += w[b] * middle[b]
            second += w[b] * middle[b] * middle[b]
        mean = first / mass - edge[b]
        spread = second / mass - (first / mass) ** 2
        # The mean of few excesses is taken a standard error higher: p errs on the high side.
        mean = max(mean * (1.0 + mass**-0.5), EXCESS_MIN)
        shape = 0.5 * (1.0 - mean * mean / max(spread, 1e-12))
        shape = min(max(shape, 0.0), SHAPE_MAX)
        t[START], t[SHARE], t[SHAPE] = edge[b], (mass + 1.0) / (t[TOTAL] + 1.0), shape
        t[SPREAD] = mean * (1.0 - shape)
