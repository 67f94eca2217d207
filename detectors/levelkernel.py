"""The compiled loops of `level.py`: one row of numbers a stream, many streams in one call."""

from __future__ import annotations

from math import copysign, exp, lgamma, log, log2, pi, sqrt

import numpy as np
from numba import njit, types

from detectors.nnls import UNKNOWNS, nnls

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
WEIGHTS_MAX = 0.99
"""The weights' sum stays below 1: else a step could not be told from a random walk."""
REFIT_WINDOWS, FORGET_WINDOWS = 3600.0, 86400.0
"""Between two fits, once so old (before, at each doubling); what is this old weighs 1/e in them."""
TEACHES, FAR = 3.0, 8.0
"""Standard deviations of the level: beyond the first a value teaches mean and weights no more,
beyond the second the forecast goes on from there: what follows an outlier is no step back."""
FREEDOMS = np.array([3.0, 6.0, 15.0, 50.0])
"""Degrees of freedom that t may have; the one under which the innovations are likeliest counts."""
PROOF = 3.0
"""By how much the logarithm of the likelihood must rise for each step to lighter tails."""
FOOTPRINT = 64
"""Windows until a step's footprint is thought to change no more."""
SUM_MAX = 50.0
"""A CUSUM remembers no more."""
_NORM = np.array(
    [lgamma((f + 1) / 2) - lgamma(f / 2) - log(pi * f) / 2 for f in FREEDOMS.tolist()]
)
BODY, BINS = 2.0, 22
"""Innovations this many scales long and longer are counted, by half octaves."""
THEORY = 30.0
"""Beside what was counted, t weighs as much as this many innovations."""
ENDS = 4.0
"""The longest so many innovations are too few for their bins: beyond them lies a Pareto tail."""
INDEX_MIN, INDEX_MAX = 0.5, 8.0
"""Of that tail."""
AWAY_SPREADS = 1.0
"""A level so many of its standard deviations off its usual is away."""
STAYS_PRIOR, AWAY_PRIOR = 0.05, 20.0
"""The chance that a level that is away stays there, at first, and the windows that this weighs."""
MOVES_MIN, STILL = 30.0, 3600.0
"""Innovations on the side that hurts before there is a judgement, unless so many windows had
fewer."""
UNSURE = 0.3
"""A step is looked for give or take this share of its size."""

# A row of the state. PLAIN: mean size of the level until the warm-up is over. CENTER: the slow
# mean; SQUARE of values off it. SIDE: innovations on the side that hurts, counted; INNER: their
# mean square, far ones weighed down. AWAY: windows after one far off its usual, STAYED: those in which
# the level stayed there, STEADY: the mean square of its moves then; _NOW: while evidence stands. MEANS of values off the center; GRAM is an upper triangle.
(
    SEEN, REFIT_AT, REFITTED_AT, PLAIN, FLOOR, CENTER, SQUARE, SIDE, INNER, FREEDOM, HELD,
    HELD_TOTAL, PREVIOUS, AWAY, STAYED, STEADY, AWAY_NOW, STAYED_NOW,
) = range(18)  # fmt: skip
MEANS, WEIGHTS, MOMENT, GRAM, LIKELY, LONG = 18, 22, 26, 30, 40, 44
# LONG: innovations that reach each half octave, LONG_NOW: those of evidence that stands and may yet
# be reported; then the tail beyond the bins: its number, index and edge.
LONG_NOW = LONG + BINS
TAIL = LONG_NOW + BINS
INDEX, EDGE, STEPS = TAIL + 1, TAIL + 2, TAIL + 3
# Then for each step looked for: the CUSUM; since it began the levels, windows, and moves among them.
SUM, LEVELS, WINDOWS, MOVES, PER_STEP = range(5)

F1, F2, I1 = types.float64[::1], types.float64[:, ::1], types.int64[::1]
INT, F, B = types.int64, types.float64, types.boolean


@njit(types.void(F2, INT), cache=True, nogil=True)
def begin(state, warm_up):  # type: ignore[no-untyped-def]
    """Rows as they stand before anything was seen."""
    state[:] = 0.0
    state[:, REFIT_AT] = warm_up // 2
    state[:, WEIGHTS] = 0.5
    state[:, FREEDOM] = FREEDOMS[0]
    state[:, INDEX], state[:, EDGE] = 1.0, BODY


@njit(inline="always", error_model="numpy")
def _value(row, signed, level):  # type: ignore[no-untyped-def]
    return level if signed else log(level + row[FLOOR])


@njit(inline="always", error_model="numpy")
def _least(row, signed):  # type: ignore[no-untyped-def]
    return max(SCALE_MIN * row[PLAIN] if signed else SCALE_MIN, 1e-12)


@njit(inline="always", error_model="numpy")
def _spread(row, signed):  # type: ignore[no-untyped-def]
    """Standard deviation of the level itself."""
    return max(sqrt(row[SQUARE]), _least(row, signed))


@njit(inline="always", error_model="numpy")
def _innovation(row, off):  # type: ignore[no-untyped-def]
    """How far a value lies from its forecast."""
    forecast = 0.0
    for i in range(UNKNOWNS):
        forecast += row[WEIGHTS + i] * row[MEANS + i]
    return off - forecast


@njit(inline="always")
def _still(row, level):  # type: ignore[no-untyped-def]
    """Whether the level has not moved, which is no news."""
    return row[SEEN] > 0.0 and level == row[PREVIOUS]


@njit(inline="always", error_model="numpy")
def _footprint(row, windows):  # type: ignore[no-untyped-def]
    """What shows of a step of 1, so many windows after its first."""
    taken = 0.0
    for i in range(UNKNOWNS):
        taken += row[WEIGHTS + i] * (1.0 - (1.0 - ALPHAS[i]) ** min(windows, FOOTPRINT - 1.0))
    return 1.0 - taken


@njit(B(F1, INT), cache=True, nogil=True)
def learnt(row, warm_up):  # type: ignore[no-untyped-def]
    """Whether enough was seen: windows, and moves unless the level hardly makes any."""
    return row[SEEN] >= warm_up and (row[SIDE] >= MOVES_MIN or row[SEEN] >= STILL)


@njit(B(F1, F, B, INT), cache=True, nogil=True)
def able(row, level, signed, warm_up):  # type: ignore[no-untyped-def]
    """Whether the row can judge this level."""
    fits = abs(level) <= LEVEL_MAX and (signed or level >= 0.0)
    return fits and learnt(row, warm_up) and (signed or row[FLOOR] > 0.0)


@njit(inline="always", error_model="numpy")
def _density(freedom, z):  # type: ignore[no-untyped-def]
    """The logarithm of t's density."""
    norm = _NORM[0]
    for i in range(FREEDOMS.shape[0]):
        if FREEDOMS[i] == freedom:
            norm = _NORM[i]
    return norm - (freedom + 1.0) / 2.0 * log(1.0 + z * z / freedom)


@njit(inline="always", error_model="numpy")
def _ordinary(row, z):  # type: ignore[no-untyped-def]
    """The logarithm of the density of an ordinary innovation of `z` scales: t's, and where long
    ones were counted, how often they came."""
    theory = _density(row[FREEDOM], z)
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
def _away(row, side, spread):  # type: ignore[no-untyped-def]
    """Whether the level was off its usual in the window before, on the side that hurts."""
    was = row[MEANS]
    return (was * side if side else abs(was)) > AWAY_SPREADS * spread


@njit(inline="always", error_model="numpy")
def _stays(row):  # type: ignore[no-untyped-def]
    """The chance that a level that is away stays there."""
    return (AWAY_PRIOR * STAYS_PRIOR + row[STAYED]) / (AWAY_PRIOR + row[AWAY])


@njit(inline="always", error_model="numpy")
def _staying(row, signed, scale, off):  # type: ignore[no-untyped-def]
    """The logarithm of the density, in `scale`, of a level that stays where it is."""
    steady = max(sqrt(row[STEADY]), _least(row, signed))
    return _density(row[FREEDOM], (off - row[MEANS]) / steady) + log(scale / steady)


@njit(inline="always", error_model="numpy")
def _count(row, long):  # type: ignore[no-untyped-def]
    """One more innovation of so many scales, `BODY` or more."""
    for i in range(min(BINS, int(2.0 * log2(long / BODY)) + 1)):
        row[LONG_NOW + i] += 1.0


@njit(inline="always", error_model="numpy")
def _find_tail(row):  # type: ignore[no-untyped-def]
    last = 0
    while last + 1 < BINS and row[LONG + last + 1] >= ENDS:
        last += 1
    row[EDGE], row[TAIL] = BODY * 2.0 ** (last / 2.0), row[LONG + last]
    # Over two octaves, or as many as there are.
    first = max(0, last - 4)
    if first < last:
        fallen = log((row[LONG + first] + 1.0) / (row[LONG + last] + 1.0))
        index = fallen / ((last - first) * log(2.0) / 2.0)
        row[INDEX] = min(max(index, INDEX_MIN), INDEX_MAX)
    else:
        row[INDEX] = 1.0


@njit(inline="always")
def _settle(row):  # type: ignore[no-untyped-def]
    """No evidence stands: what came while it did was ordinary."""
    if row[LONG_NOW] > 0.0:
        row[LONG:LONG_NOW] += row[LONG_NOW:TAIL]
        row[LONG_NOW:TAIL] = 0.0
        _find_tail(row)
    row[AWAY] += row[AWAY_NOW]
    row[STAYED] += row[STAYED_NOW]
    row[AWAY_NOW] = row[STAYED_NOW] = 0.0


@njit(inline="always")
def _side(steps):  # type: ignore[no-untyped-def]
    """Which side hurts: 1, -1; 0: both."""
    return 0.0 if steps.min() < 0.0 < steps.max() else copysign(1.0, steps[0])


@njit(inline="always", error_model="numpy")
def _stepped(freedom, z, shows):  # type: ignore[no-untyped-def]
    """The logarithm of the density of an innovation that shows a step."""
    wide = max(1.0, UNSURE * abs(shows))
    return _density(freedom, (z - shows) / wide) - log(wide)


@njit(F(F1, F1, F, B, F, F2), cache=True, nogil=True, error_model="numpy")
def weigh(row, steps, least, signed, level, sums):  # type: ignore[no-untyped-def]
    """The score of a window at `level`; into `sums` each CUSUM after it, and 1 where that begins
    with this window. `least`: of a level without sign, the logarithm of the least ratio."""
    highest = 0.0
    if _still(row, level):
        for k in range(steps.shape[0]):
            sums[k, 0], sums[k, 1] = row[STEPS + PER_STEP * k + SUM], 0.0
            highest = max(highest, sums[k, 0])
        return highest
    scale = max(sqrt(row[INNER]), _least(row, signed))
    off = _value(row, signed, level) - row[CENTER]
    z = _innovation(row, off) / scale
    freedom = row[FREEDOM]
    ordinary = _ordinary(row, z)
    side = _side(steps)
    if _away(row, side, _spread(row, signed)):
        stays = _stays(row)
        staying = _staying(row, signed, scale, off)
        ordinary = log(stays * exp(staying) + (1.0 - stays) * exp(ordinary))
    spread = _spread(row, signed) / scale
    matters = 0.0 if signed else least / scale
    for k in range(steps.shape[0]):
        at = STEPS + PER_STEP * k
        total = row[at + SUM]
        sums[k, 0] = sums[k, 1] = 0.0
        # Far innovations weigh alike under both laws: that a step is over is told by the level.
        if off * steps[k] <= 0.0 or (total <= 0.0 and z * steps[k] <= 0.0):
            continue
        step = copysign(max(abs(steps[k]) * spread, matters), steps[k])
        first = _stepped(freedom, z, step) - ordinary
        later = 0.0
        if total > 0.0:
            shows = step * _footprint(row, row[at + MOVES])
            later = total + _stepped(freedom, z, shows) - ordinary
        sums[k, 0] = max(0.0, first, later)
        sums[k, 1] = 1.0 if first > later else 0.0
        highest = max(highest, sums[k, 0])
    return highest


@njit(types.void(F2, F1, F, B, INT, I1, F1, F1), cache=True, nogil=True)
def judge(state, steps, least, signed, warm_up, rows, levels, scores):  # type: ignore[no-untyped-def]
    """Score `levels` of `rows`; NaN where a row is learning, or the number is no such level."""
    sums = np.empty((steps.shape[0], 2))
    for i in range(rows.shape[0]):
        row = state[rows[i]]
        scores[i] = np.nan
        if able(row, levels[i], signed, warm_up):
            scores[i] = weigh(row, steps, least, signed, levels[i], sums)


@njit(inline="always")
def _within(value, reach):  # type: ignore[no-untyped-def]
    return min(max(value, -reach), reach)


@njit(inline="always")
def _forget_evidence(row):  # type: ignore[no-untyped-def]
    row[STEPS:] = 0.0
    row[LONG_NOW:TAIL] = 0.0
    row[AWAY_NOW] = row[STAYED_NOW] = 0.0


@njit(inline="always", error_model="numpy")
def _accumulate(row, steps, level, sums):  # type: ignore[no-untyped-def]
    """Keep the evidence of the judged window. Returns whether any CUSUM is above zero."""
    above, moved = False, 0.0 if _still(row, level) else 1.0
    for k in range(steps):
        at = STEPS + PER_STEP * k
        row[at + SUM] = min(sums[k, 0], SUM_MAX)
        if sums[k, 0] <= 0.0 or sums[k, 1] > 0.0:
            row[at + LEVELS] = row[at + WINDOWS] = row[at + MOVES] = 0.0
        if sums[k, 0] > 0.0:
            row[at + LEVELS] += level
            row[at + WINDOWS] += 1.0
            row[at + MOVES] += moved
            above = True
    return above


@njit(inline="always")
def _follow(row, off):  # type: ignore[no-untyped-def]
    for i in range(UNKNOWNS):
        row[MEANS + i] += ALPHAS[i] * (off - row[MEANS + i])


@njit(inline="always", error_model="numpy")
def _hold(row, signed, patience, level):  # type: ignore[no-untyped-def]
    """One more window of an episode; after `patience` of them it is the new level."""
    off = _value(row, signed, level) - row[CENTER]
    row[HELD] += 1.0
    row[HELD_TOTAL] += off
    if not _still(row, level):
        _follow(row, _within(off, FAR * _spread(row, signed)))
    row[PREVIOUS] = level
    if row[HELD] > patience:
        shift = row[HELD_TOTAL] / row[HELD]
        row[CENTER] += shift
        row[MEANS : MEANS + UNKNOWNS] -= shift
        row[HELD] = row[HELD_TOTAL] = 0.0
        _forget_evidence(row)


@njit(inline="always", error_model="numpy")
def _regress(row, signed, off):  # type: ignore[no-untyped-def]
    # Each window weighs alike whatever the level's spread was at the time.
    spread = _spread(row, signed)
    weight = 1.0 / (spread * spread)
    at = GRAM
    for i in range(UNKNOWNS):
        row[MOMENT + i] += weight * row[MEANS + i] * off
        for j in range(i, UNKNOWNS):
            row[at] += weight * row[MEANS + i] * row[MEANS + j]
            at += 1


@njit(inline="always", error_model="numpy")
def _learn_stay(row, signed, off, innovation):  # type: ignore[no-untyped-def]
    """Of a level off its usual: whether it stays there or comes back as forecast."""
    scale = max(sqrt(row[INNER]), _least(row, signed))
    staying = _stays(row) * exp(_staying(row, signed, scale, off))
    coming = (1.0 - _stays(row)) * exp(_density(row[FREEDOM], innovation / scale))
    row[AWAY_NOW] += 1.0
    row[STAYED_NOW] += staying / (staying + coming)
    move = off - row[MEANS]
    z = move / max(sqrt(row[STEADY]), _least(row, signed))
    weight = (row[FREEDOM] + 1.0) / (row[FREEDOM] + z * z)
    alpha = max(ALPHA, 1.0 / (row[AWAY] + row[AWAY_NOW]))
    row[STEADY] += alpha * (weight * move * move - row[STEADY])


@njit(inline="always", error_model="numpy")
def _measure(row, signed, side, off, innovation):  # type: ignore[no-untyped-def]
    """Scale and tails of the innovations on the side that hurts (1, -1; 0: both)."""
    if _away(row, side, _spread(row, signed)):
        _learn_stay(row, signed, off, innovation)
    if innovation * side < 0.0:
        return
    row[SIDE] += 1.0
    alpha = max(ALPHA, 1.0 / row[SIDE])
    z = innovation / max(sqrt(row[INNER]), _least(row, signed))
    if abs(z) >= BODY:
        _count(row, abs(z))
    # Weighed as t weighs it: a far one says little about the scale.
    weight = (row[FREEDOM] + 1.0) / (row[FREEDOM] + z * z)
    row[INNER] += alpha * (weight * innovation * innovation - row[INNER])
    weighed = min(row[SIDE], 1.0 / ALPHA)
    best = -np.inf
    for i in range(FREEDOMS.shape[0]):
        density = _NORM[i] - (FREEDOMS[i] + 1.0) / 2.0 * log(1.0 + z * z / FREEDOMS[i])
        row[LIKELY + i] += alpha * (density - row[LIKELY + i])
        proven = weighed * row[LIKELY + i] - i * PROOF
        if proven > best:
            best, row[FREEDOM] = proven, FREEDOMS[i]


@njit(inline="always", error_model="numpy")
def _refit(row):  # type: ignore[no-untyped-def]
    fitted = np.empty(UNKNOWNS)
    gram, moment = row[GRAM : GRAM + 10], row[MOMENT : MOMENT + UNKNOWNS]
    if nnls(gram, moment, fitted):
        over = max(1.0, fitted.sum() / WEIGHTS_MAX)
        row[WEIGHTS : WEIGHTS + UNKNOWNS] = fitted / over
    keep = exp((row[REFITTED_AT] - row[SEEN]) / FORGET_WINDOWS)
    gram *= keep
    moment *= keep
    row[SIDE] *= keep
    row[AWAY] *= keep
    row[STAYED] *= keep
    row[LONG:LONG_NOW] *= keep
    _find_tail(row)
    row[REFITTED_AT] = row[SEEN]
    row[REFIT_AT] = row[SEEN] + min(row[SEEN], REFIT_WINDOWS)


@njit(inline="always", error_model="numpy")
def _learn(row, signed, side, warm_up, level):  # type: ignore[no-untyped-def]
    moved = not _still(row, level)
    row[SEEN] += 1.0
    row[PREVIOUS] = level
    young = 1.0 / row[SEEN]
    if row[SEEN] <= warm_up:
        row[PLAIN] += young * (abs(level) - row[PLAIN])
        row[FLOOR] = FLOOR_SHARE * row[PLAIN]
    if not signed and row[FLOOR] == 0.0:
        return  # nothing but zeros so far: there is no scale to take a logarithm in
    value = _value(row, signed, level)
    if row[SEEN] <= 2.0:
        row[CENTER] = value
        return
    off = value - row[CENTER]
    innovation = _innovation(row, off)
    settled = row[SEEN] > warm_up // 4
    spread = _spread(row, signed)
    taught = _within(off, TEACHES * spread) if settled else off
    if settled and moved:
        _regress(row, signed, taught)
        _measure(row, signed, side, off, innovation)
    alpha = max(ALPHA, young)
    row[CENTER] += alpha * taught
    row[SQUARE] += alpha * (taught * taught - row[SQUARE])
    if moved:
        _follow(row, _within(off, FAR * spread) if settled else off)
    if row[SEEN] >= row[REFIT_AT]:
        _refit(row)


@njit(types.void(F2, F1, F, B, F, INT, INT, I1, F1), cache=True, nogil=True)
def learn(state, steps, least, signed, side, warm_up, patience, rows, levels):  # type: ignore[no-untyped-def]
    """Learn `levels` of `rows`, which were judged and not reported."""
    sums = np.empty((steps.shape[0], 2))
    for i in range(rows.shape[0]):
        row, level = state[rows[i]], levels[i]
        if not (abs(level) <= LEVEL_MAX and (signed or level >= 0.0)):
            continue
        above = False
        if able(row, level, signed, warm_up):
            weigh(row, steps, least, signed, level, sums)
            above = _accumulate(row, steps.shape[0], level, sums)
        if row[HELD] > 0.0:
            _hold(row, signed, patience, level)
            if not above and not _away(row, side, _spread(row, signed)):
                row[HELD] = row[HELD_TOTAL] = 0.0
        else:
            _learn(row, signed, side, warm_up, level)
            if not above:
                _settle(row)


@njit(types.void(F2, B, INT, INT, F), cache=True, nogil=True)
def report(state, signed, patience, at, level):  # type: ignore[no-untyped-def]
    """Row `at` was reported in this window: its evidence starts anew, and it learns nothing."""
    row = state[at]
    if abs(level) <= LEVEL_MAX and (signed or (level >= 0.0 and row[FLOOR] > 0.0)):
        _forget_evidence(row)
        _hold(row, signed, patience, level)
