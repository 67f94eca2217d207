"""The law of a level's ordinary moves: how large they are, how rare large ones are, and whether a
level that is off its usual stays there."""

from __future__ import annotations

from math import exp, lgamma, log, log2, pi, sqrt

import numpy as np
from numba import njit

from detectors.level_shift.columns import (
    ALPHA,
    AWAY,
    AWAY_NOW,
    BINS,
    BODY,
    EDGE,
    FREEDOM,
    FREEDOMS,
    INDEX,
    INNER,
    LIKELY,
    LONG,
    LONG_NOW,
    MEANS,
    MOVES_MIN,
    SIDE,
    STAYED,
    STAYED_NOW,
    STEADY,
    STEPS,
    TAIL,
    least_scale,
    spread_of,
)

LIGHTER_TAIL_GAIN = 3.0
"""What the log likelihood must gain for each step to lighter tails in `FREEDOMS`."""
_NORM = np.array([lgamma((f + 1) / 2) - lgamma(f / 2) - log(pi * f) / 2 for f in FREEDOMS.tolist()])
THEORY = 30.0
"""Beside what was counted, Student's t counts as so many innovations."""
TAIL_COUNT_MIN = 4.0
"""A bin with fewer innovations in it and beyond it says little: there begins a Pareto tail."""
INDEX_MIN, INDEX_MAX = 0.5, 8.0
"""Of that tail."""
AWAY_SPREADS = 1.0
"""A level is away when it is so many standard deviations of its values off the center."""
STAYS_PRIOR, AWAY_PRIOR = 0.05, 20.0
"""Prior of the chance that a level that is away stays there, and the windows that it counts as."""
LARGER_STEP_POWER = 0.5
"""Steps larger than any looked for are rarer by this power of their size."""
LOG_DENSITY_MIN = -600.0
"""The least log density; its exp is still above 0."""
STEP_UNCERTAINTY = 0.3
"""A step is looked for give or take this share of its size."""


@njit(inline="always", error_model="numpy")
def _log_t(i, z):  # type: ignore[no-untyped-def]
    """The logarithm of t's density, with the i-th of `FREEDOMS`."""
    return _NORM[i] - (FREEDOMS[i] + 1.0) / 2.0 * log(1.0 + z * z / FREEDOMS[i])


@njit(inline="always", error_model="numpy")
def log_density(freedom, z):  # type: ignore[no-untyped-def]
    """The logarithm of t's density, not below `LOG_DENSITY_MIN`."""
    at = 0
    for i in range(FREEDOMS.shape[0]):
        if FREEDOMS[i] == freedom:
            at = i
    return max(_log_t(at, z), LOG_DENSITY_MIN)


@njit(inline="always", error_model="numpy")
def _weighted_square(freedom, off, scale):  # type: ignore[no-untyped-def]
    """The square of an innovation with its weight by Student's t: a far one says little of the
    scale."""
    z = off / scale
    return (freedom + 1.0) / (freedom + z * z) * off * off


@njit(inline="always", error_model="numpy")
def log_density_ordinary(row, z):  # type: ignore[no-untyped-def]
    """The log density of an ordinary innovation of `z` scales: by Student's t in the middle, and by
    how often long ones were counted in the tails."""
    theory = log_density(row[FREEDOM], z)
    long = abs(z)
    if long < BODY:
        return theory
    if long >= row[EDGE]:
        index = row[INDEX]
        counted = row[TAIL] * index / long * (row[EDGE] / long) ** index
    else:
        at = int(2.0 * log2(long / BODY))
        low = BODY * 2.0 ** (at / 2.0)
        counted = (row[LONG + at] - row[LONG + at + 1]) / (low * (sqrt(2.0) - 1.0))
    return log((THEORY * exp(theory) + counted / 2.0) / (THEORY + row[SIDE]))


@njit(inline="always", error_model="numpy")
def is_away(row, side, spread):  # type: ignore[no-untyped-def]
    """Whether the level was off its usual in the window before, on the side that hurts."""
    was = row[MEANS]
    return (was * side if side else abs(was)) > AWAY_SPREADS * spread


@njit(inline="always", error_model="numpy")
def chance_to_stay(row):  # type: ignore[no-untyped-def]
    """The chance that a level that is away stays there."""
    return (AWAY_PRIOR * STAYS_PRIOR + row[STAYED]) / (AWAY_PRIOR + row[AWAY])


@njit(inline="always", error_model="numpy")
def log_density_staying(row, signed, scale, off):  # type: ignore[no-untyped-def]
    """The log density, in units of `scale`, of a level that stays where it is."""
    steady = max(sqrt(row[STEADY]), least_scale(row, signed))
    return log_density(row[FREEDOM], (off - row[MEANS]) / steady) + log(scale / steady)


@njit(inline="always", error_model="numpy")
def log_density_stepped(freedom, z, shows):  # type: ignore[no-untyped-def]
    """The log density of an innovation in which `shows` scales of a step show."""
    wide = max(1.0, STEP_UNCERTAINTY * abs(shows))
    return log_density(freedom, (z - shows) / wide) - log(wide)


@njit(inline="always", error_model="numpy")
def log_density_larger(z, step):  # type: ignore[no-untyped-def]
    """The log of half the density of the first innovation of a step larger than `step`."""
    if z / step <= 1.0:
        return LOG_DENSITY_MIN
    return log(LARGER_STEP_POWER / 2.0 / abs(step)) - (1.0 + LARGER_STEP_POWER) * log(z / step)


@njit(inline="always", error_model="numpy")
def count_long(row, long):  # type: ignore[no-untyped-def]
    """Count an innovation of `long` scales, at least `BODY`."""
    for i in range(min(BINS, int(2.0 * log2(long / BODY)) + 1)):
        row[LONG_NOW + i] += 1.0


@njit(inline="always", error_model="numpy")
def fit_tail(row):  # type: ignore[no-untyped-def]
    """Read off the bins where the tail begins, what it holds, and how fast it falls."""
    last = 0
    while last + 1 < BINS and row[LONG + last + 1] >= TAIL_COUNT_MIN:
        last += 1
    row[EDGE], row[TAIL] = BODY * 2.0 ** (last / 2.0), row[LONG + last]
    # From two octaves, or as many as there are.
    first = max(0, last - 4)
    if first < last:
        fallen = log((row[LONG + first] + 1.0) / (row[LONG + last] + 1.0))
        index = fallen / ((last - first) * log(2.0) / 2.0)
        row[INDEX] = min(max(index, INDEX_MIN), INDEX_MAX)
    else:
        row[INDEX] = 1.0


@njit(inline="always")
def commit_pending(row):  # type: ignore[no-untyped-def]
    """There is no evidence any more: what came while there was is ordinary."""
    if row[LONG_NOW] > 0.0:
        for i in range(STEPS - LONG_NOW):
            row[LONG + i] += row[LONG_NOW + i]
            row[LONG_NOW + i] = 0.0
        fit_tail(row)
    row[AWAY] += row[AWAY_NOW]
    row[STAYED] += row[STAYED_NOW]
    row[AWAY_NOW] = row[STAYED_NOW] = 0.0


@njit(inline="always", error_model="numpy")
def learn_stay(row, signed, off, innovation):  # type: ignore[no-untyped-def]
    """Learn whether a level that is away stays there, or comes back as forecast."""
    scale = max(sqrt(row[INNER]), least_scale(row, signed))
    staying = chance_to_stay(row) * exp(log_density_staying(row, signed, scale, off))
    coming = (1.0 - chance_to_stay(row)) * exp(log_density(row[FREEDOM], innovation / scale))
    row[AWAY_NOW] += 1.0
    row[STAYED_NOW] += staying / (staying + coming)
    move = off - row[MEANS]
    steady = max(sqrt(row[STEADY]), least_scale(row, signed))
    alpha = max(ALPHA, 1.0 / (row[AWAY] + row[AWAY_NOW]))
    row[STEADY] += alpha * (_weighted_square(row[FREEDOM], move, steady) - row[STEADY])


@njit(inline="always", error_model="numpy")
def learn_scale_and_tail(row, signed, side, off, innovation):  # type: ignore[no-untyped-def]
    """Learn scale and tails of the innovations on the side that hurts (1, -1; 0: both)."""
    if is_away(row, side, spread_of(row, signed)):
        learn_stay(row, signed, off, innovation)
    if innovation * side < 0.0:
        return
    row[SIDE] += 1.0
    alpha = max(ALPHA, 1.0 / row[SIDE])
    if row[SIDE] <= MOVES_MIN:  # the first ones set the scale by their mean size
        scale = sqrt(row[INNER])
        scale += alpha * (sqrt(pi / 2.0) * abs(innovation) - scale)
        row[INNER] = scale * scale
        return
    scale = max(sqrt(row[INNER]), least_scale(row, signed))
    z = innovation / scale
    if abs(z) >= BODY:
        count_long(row, abs(z))
    row[INNER] += alpha * (_weighted_square(row[FREEDOM], innovation, scale) - row[INNER])
    weight = min(row[SIDE], 1.0 / ALPHA)
    best = -np.inf
    for i in range(FREEDOMS.shape[0]):
        density = _log_t(i, z)
        row[LIKELY + i] += alpha * (density - row[LIKELY + i])
        proven = weight * row[LIKELY + i] - i * LIGHTER_TAIL_GAIN
        if proven > best:
            best, row[FREEDOM] = proven, FREEDOMS[i]
