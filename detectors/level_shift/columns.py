"""The row of numbers that a level's detector lives in, and what is read off it."""

from __future__ import annotations

from math import log, sqrt

import numpy as np
from numba import njit, types

from detectors.stats.nnls import UNKNOWNS

LEVEL_MAX = 2.0**63
"""Larger numbers are refused like NaN."""
ALPHA = 0.003
"""Of the slow mean and all scales: 333 windows; a younger detector weighs its windows alike."""
ALPHAS = np.array([1.0, 0.3, 0.1, 0.02])
"""Of the means that forecast: the last value, 3, 10 and 50 windows."""
FLOOR_SHARE = 0.03
"""Of the mean level of the warm-up: what lies below it is as good as nothing."""
SCALE_MIN = 0.003
"""The least scale of innovations: three tenths of a percent of a level, or of a signed level's
mean size. A level that never moves is not thought unable to."""
FREEDOMS = np.array([3.0, 6.0, 15.0, 50.0])
"""Degrees of freedom that t may have; the one under which the innovations are likeliest counts."""
BODY, BINS = 2.0, 22
"""Innovations this many scales long and longer are counted, by half octaves."""
FOOTPRINT = 64
"""Windows until a step's footprint is thought to change no more."""
MOVES_MIN, STILL = 30.0, 3600.0
"""Innovations on the side that hurts before there is a judgement, unless so many windows had
fewer."""

# A row of the state. PLAIN: mean size of the level until the warm-up is over. CENTER: the slow
# mean; SQUARE of values off it. SIDE: innovations on the side that hurts, counted; INNER: their
# mean square, far ones weighed down. AWAY: windows after one off its usual; STAYED: those in which
# the level stayed there; STEADY: the mean square of its moves then; _NOW: while evidence stands.
# MEANS of values off the center; GRAM is an upper triangle.
(
    SEEN, REFIT_AT, REFITTED_AT, PLAIN, FLOOR, CENTER, SQUARE, SIDE, INNER, FREEDOM, EPISODE_WINDOWS,
    EPISODE_TOTAL, PREVIOUS, AWAY, STAYED, STEADY, AWAY_NOW, STAYED_NOW,
) = range(18)  # fmt: skip
MEANS, WEIGHTS, MOMENT, GRAM, LIKELY, LONG = 18, 22, 26, 30, 40, 44
# LONG: innovations that reach each half octave, LONG_NOW: those of evidence that stands and may yet
# be reported; then the tail beyond the bins: its number, index and edge.
LONG_NOW = LONG + BINS
TAIL = LONG_NOW + BINS
INDEX, EDGE, STEPS = TAIL + 1, TAIL + 2, TAIL + 3
# Then for each step looked for: the CUSUM; since it began the levels, the windows, and the moves.
SUM, LEVELS, WINDOWS, MOVES, PER_STEP = range(5)

F1, F2, I1 = types.float64[::1], types.float64[:, ::1], types.int64[::1]
INT, F, B = types.int64, types.float64, types.boolean


@njit(inline="always", error_model="numpy")
def value_of(row, signed, level):  # type: ignore[no-untyped-def]
    return level if signed else log(level + row[FLOOR])


@njit(inline="always", error_model="numpy")
def least_scale(row, signed):  # type: ignore[no-untyped-def]
    return max(SCALE_MIN * row[PLAIN] if signed else SCALE_MIN, 1e-12)


@njit(inline="always", error_model="numpy")
def spread_of(row, signed):  # type: ignore[no-untyped-def]
    """Standard deviation of the level itself."""
    return max(sqrt(row[SQUARE]), least_scale(row, signed))


@njit(inline="always", error_model="numpy")
def innovation_of(row, off):  # type: ignore[no-untyped-def]
    """How far a value lies from its forecast."""
    forecast = 0.0
    for i in range(UNKNOWNS):
        forecast += row[WEIGHTS + i] * row[MEANS + i]
    return off - forecast


@njit(inline="always")
def is_still(row, level):  # type: ignore[no-untyped-def]
    """Whether the level has not moved, which is no news."""
    return row[SEEN] > 0.0 and level == row[PREVIOUS]


@njit(inline="always", error_model="numpy")
def footprint(row, windows):  # type: ignore[no-untyped-def]
    """What shows of a step of 1, so many windows after its first."""
    taken = 0.0
    for i in range(UNKNOWNS):
        taken += row[WEIGHTS + i] * (1.0 - (1.0 - ALPHAS[i]) ** min(windows, FOOTPRINT - 1.0))
    return 1.0 - taken


@njit(B(F1, INT), cache=True, nogil=True)
def is_ready(row, warm_up):  # type: ignore[no-untyped-def]
    """Whether enough was seen: windows, and moves unless the level hardly makes any."""
    return row[SEEN] >= warm_up and (row[SIDE] >= MOVES_MIN or row[SEEN] >= STILL)


@njit(B(F1, F, B, INT), cache=True, nogil=True)
def can_judge(row, level, signed, warm_up):  # type: ignore[no-untyped-def]
    """Whether the row can judge this level."""
    fits = abs(level) <= LEVEL_MAX and (signed or level >= 0.0)
    return fits and is_ready(row, warm_up) and (signed or row[FLOOR] > 0.0)
