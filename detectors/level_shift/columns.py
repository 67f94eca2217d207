"""The row of numbers of one level, and what is read off it."""

from __future__ import annotations

from math import log, sqrt

import numpy as np
from numba import njit

from detectors.arrays.types import BOOL, F1, FLOAT, INT
from detectors.stats.limits import NUMBER_MAX
from detectors.stats.nnls import TRIANGLE, UNKNOWNS

ALPHA = 0.003
"""Of the slow mean and all scales: 333 windows; a younger detector weighs its windows alike."""
ALPHAS = np.array([1.0, 0.3, 0.1, 0.02])
"""Of the means that forecast: the last value, 3, 10 and 50 windows."""
FLOOR_SHARE = 0.03
"""Of the mean level of the warm-up: what lies below it is as good as nothing."""
SCALE_MIN = 0.003
"""The least scale of innovations, 0.3 % of a level or of a signed level's mean size: a level that
never moved may begin to."""
FREEDOMS = np.array([3.0, 6.0, 15.0, 50.0])
"""Degrees of freedom that Student's t may have; those with the likeliest innovations count."""
BODY, BINS = 2.0, 22
"""Innovations of so many scales and more are counted, in so many bins of half an octave."""
FOOTPRINT = 64
"""Windows after which a step's footprint changes no more."""
MOVES_MIN, STILL = 30.0, 3600.0
"""A row judges after so many innovations on the side that hurts, or after so many windows with
fewer."""

(
    SEEN, REFIT_AT, REFITTED_AT, PLAIN, FLOOR, CENTER, SQUARE, SIDE, INNER, FREEDOM,
    EPISODE_WINDOWS, EPISODE_TOTAL, PREVIOUS, AWAY, STAYED, STEADY, AWAY_NOW, STAYED_NOW, TAIL,
    INDEX, EDGE, MEANS,
) = range(22)  # fmt: skip
"""A row of the state. Windows: those learnt (`SEEN`), of the next fit and of the last one. Of the
level: its mean size until the warm-up is over (`PLAIN`), what is as good as nothing (`FLOOR`), the
slow mean of its values (`CENTER`), the mean square of values off it (`SQUARE`), and the level one
window ago (`PREVIOUS`). Of innovations on the side that hurts: how many (`SIDE`), their mean
square, far ones weighted down (`INNER`), and the degrees of freedom of their law (`FREEDOM`). Of
the present episode: its windows (0 outside one), and the sum of values off the center. Windows
after one in which the level was off its usual (`AWAY`), those in which it stayed there (`STAYED`),
and the mean square of its moves then (`STEADY`); `AWAY_NOW` and `STAYED_NOW`: the same since there
is evidence. Of the Pareto tail beyond the bins: the innovations in it (`TAIL`), how fast it falls
(`INDEX`), and where it begins (`EDGE`)."""
WEIGHTS = MEANS + UNKNOWNS
MOMENT = WEIGHTS + UNKNOWNS
GRAM = MOMENT + UNKNOWNS
"""The EW means of values off the center, from the last value on, and their weights in the forecast;
of the fit, means × values and the upper triangle of means × means."""
LIKELY = GRAM + TRIANGLE
"""The mean log density of innovations under each of `FREEDOMS`."""
LONG = LIKELY + len(FREEDOMS)
LONG_NOW = LONG + BINS
"""Innovations that reach each half octave; the same since there is evidence, for those may yet be
reported."""
STEPS = LONG_NOW + BINS
SUM, LEVELS, WINDOWS, MOVES, PER_STEP = range(5)
"""Then for each step looked for: the CUSUM, and since it began the sum of levels, the windows, and
those in which the level moved."""

CUSUM, IS_NEW, SUMS = range(3)
"""Rows of `sums`: for each step the CUSUM after a window, and 1 where it begins in that window."""


@njit(inline="always", error_model="numpy")
def value_of(row, signed, level):  # type: ignore[no-untyped-def]
    """The level, or its logarithm where it has no sign."""
    return level if signed else log(level + row[FLOOR])


@njit(inline="always", error_model="numpy")
def least_scale(row, signed):  # type: ignore[no-untyped-def]
    """The least standard deviation, of values and of innovations."""
    return max(SCALE_MIN * row[PLAIN] if signed else SCALE_MIN, 1e-12)


@njit(inline="always", error_model="numpy")
def spread_of(row, signed):  # type: ignore[no-untyped-def]
    """Standard deviation of the values."""
    return max(sqrt(row[SQUARE]), least_scale(row, signed))


@njit(inline="always", error_model="numpy")
def innovation_of(row, off):  # type: ignore[no-untyped-def]
    """How far a value, `off` the center, lies from its forecast."""
    forecast = 0.0
    for i in range(UNKNOWNS):
        forecast += row[WEIGHTS + i] * row[MEANS + i]
    return off - forecast


@njit(inline="always")
def is_still(row, level):  # type: ignore[no-untyped-def]
    """Whether the level has not moved since the window before."""
    return row[SEEN] > 0.0 and level == row[PREVIOUS]


@njit(inline="always", error_model="numpy")
def footprint(row, windows):  # type: ignore[no-untyped-def]
    """What an innovation shows of a step of 1, so many windows after its first."""
    taken = 0.0
    for i in range(UNKNOWNS):
        taken += row[WEIGHTS + i] * (1.0 - (1.0 - ALPHAS[i]) ** min(windows, FOOTPRINT - 1.0))
    return 1.0 - taken


@njit(inline="always")
def is_readable(level, signed):  # type: ignore[no-untyped-def]
    """Whether the number can be such a level."""
    return abs(level) <= NUMBER_MAX and (signed or level >= 0.0)


@njit(BOOL(F1, INT), cache=True, nogil=True)
def is_ready(row, warm_up):  # type: ignore[no-untyped-def]
    """Whether enough was seen: windows, and moves unless the level hardly makes any."""
    return row[SEEN] >= warm_up and (row[SIDE] >= MOVES_MIN or row[SEEN] >= STILL)


@njit(BOOL(F1, FLOAT, BOOL, INT), cache=True, nogil=True)
def can_judge(row, level, signed, warm_up):  # type: ignore[no-untyped-def]
    """Whether the row can judge this level."""
    has_scale = signed or row[FLOOR] > 0.0
    return is_readable(level, signed) and is_ready(row, warm_up) and has_scale
