"""The compiled loops of `LevelShiftBank`: one row of numbers a stream, many streams in one call."""

from __future__ import annotations

from math import copysign, exp, log, sqrt

import numpy as np
from numba import njit, types

from detectors.arrays.types import BOOL, F1, F2, FLOAT, I1, INT
from detectors.level_shift import columns as col
from detectors.level_shift import move_density as density
from detectors.stats.limits import DAY_WINDOWS, SUM_MAX
from detectors.stats.nnls import TRIANGLE, UNKNOWNS, nnls

WEIGHTS_MAX = 0.99
"""The weights' sum stays below 1: with 1 every level is a random walk, and a step is ordinary."""
REFIT_WINDOWS = 3600.0
"""Between two fits, once the row is that old; before, each time its age has doubled."""
TAUGHT_SPREADS, FORECAST_SPREADS = 3.0, 8.0
"""Standard deviations of the values: mean and weights are taught by a value as if it were at most
the first off the center, and the forecast goes on as if it were at most the second: the return from
an outlier is no step."""
EVIDENCE_MEMORY_SHARE = 0.1
"""Evidence is forgotten over a tenth of the windows that the row has seen: moods that last longer
are not learnt yet."""


@njit(types.void(F2, INT), cache=True, nogil=True)
def init_rows(state, warm_up):  # type: ignore[no-untyped-def]
    """Fill in rows that have seen nothing."""
    state[:] = 0.0
    state[:, col.REFIT_AT] = warm_up // 2
    state[:, col.WEIGHTS] = 0.5
    state[:, col.FREEDOM] = col.FREEDOMS[0]
    state[:, col.INDEX], state[:, col.EDGE] = 1.0, col.BODY


@njit(inline="always")
def _side(steps):  # type: ignore[no-untyped-def]
    """Which side hurts: 1, -1; 0: both."""
    return 0.0 if steps.min() < 0.0 < steps.max() else copysign(1.0, steps[0])


@njit(FLOAT(F1, F1, FLOAT, BOOL, FLOAT, F2), cache=True, nogil=True, error_model="numpy")
def score_row(row, steps, least, signed, level, sums):  # type: ignore[no-untyped-def]
    """The score of a window at `level`; `sums` (`SUMS`, steps) is filled in.

    `least`: of a level without sign, the logarithm of the least step that matters, as a ratio.
    """
    highest = 0.0
    if col.is_still(row, level):
        for k in range(steps.shape[0]):
            sums[col.CUSUM, k] = row[col.STEPS + col.PER_STEP * k + col.SUM]
            sums[col.IS_NEW, k] = 0.0
            highest = max(highest, sums[col.CUSUM, k])
        return highest
    scale = max(sqrt(row[col.INNER]), col.least_scale(row, signed))
    off = col.value_of(row, signed, level) - row[col.CENTER]
    z = col.innovation_of(row, off) / scale
    freedom = row[col.FREEDOM]
    ordinary = density.log_density_ordinary(row, z)
    side = _side(steps)
    if density.is_away(row, side, col.spread_of(row, signed)):
        stays = density.chance_to_stay(row)
        staying = density.log_density_staying(row, signed, scale, off)
        ordinary = log(stays * exp(staying) + (1.0 - stays) * exp(ordinary))
    spread = col.spread_of(row, signed) / scale
    keep = 1.0 - 1.0 / max(1.0, EVIDENCE_MEMORY_SHARE * row[col.SEEN])
    matters, most = 0.0 if signed else least / scale, np.abs(steps).max()
    for k in range(steps.shape[0]):
        at = col.STEPS + col.PER_STEP * k
        total = keep * row[at + col.SUM]
        sums[col.CUSUM, k] = sums[col.IS_NEW, k] = 0.0
        # A step is over when the level is back at its usual: a far innovation back says little, for
        # both laws have heavy tails.
        if off * steps[k] <= 0.0 or (total <= 0.0 and z * steps[k] <= 0.0):
            continue
        step = copysign(max(abs(steps[k]) * spread, matters), steps[k])
        first = density.log_density_stepped(freedom, z, step)
        if abs(steps[k]) == most:
            first = max(first, density.log_density_larger(z, step))
        first -= ordinary
        later = 0.0
        if total > 0.0:
            shows = step * col.footprint(row, row[at + col.MOVES])
            later = total + density.log_density_stepped(freedom, z, shows) - ordinary
        sums[col.CUSUM, k] = max(0.0, first, later)
        sums[col.IS_NEW, k] = 1.0 if first > later else 0.0
        highest = max(highest, sums[col.CUSUM, k])
    return highest


@njit(types.void(F2, F1, FLOAT, BOOL, INT, I1, F1, F1), cache=True, nogil=True)
def judge(state, steps, least, signed, warm_up, rows, levels, scores):  # type: ignore[no-untyped-def]
    """Score `levels` of `rows`; NaN where a row is learning, or the number is no such level."""
    sums = np.empty((col.SUMS, steps.shape[0]))
    for i in range(rows.shape[0]):
        row = state[rows[i]]
        scores[i] = np.nan
        if col.can_judge(row, levels[i], signed, warm_up):
            scores[i] = score_row(row, steps, least, signed, levels[i], sums)


@njit(inline="always")
def _clip(value, reach):  # type: ignore[no-untyped-def]
    return min(max(value, -reach), reach)


@njit(inline="always")
def _forget_evidence(row):  # type: ignore[no-untyped-def]
    row[col.STEPS :] = 0.0
    row[col.LONG_NOW : col.STEPS] = 0.0
    row[col.AWAY_NOW] = row[col.STAYED_NOW] = 0.0


@njit(inline="always", error_model="numpy")
def _accumulate(row, steps, level, sums):  # type: ignore[no-untyped-def]
    """Keep the evidence of the judged window. Returns whether any CUSUM is above zero."""
    above, moved = False, 0.0 if col.is_still(row, level) else 1.0
    for k in range(steps):
        at = col.STEPS + col.PER_STEP * k
        row[at + col.SUM] = min(sums[col.CUSUM, k], SUM_MAX)
        if sums[col.CUSUM, k] <= 0.0 or sums[col.IS_NEW, k] > 0.0:
            row[at + col.LEVELS] = row[at + col.WINDOWS] = row[at + col.MOVES] = 0.0
        if sums[col.CUSUM, k] > 0.0:
            row[at + col.LEVELS] += level
            row[at + col.WINDOWS] += 1.0
            row[at + col.MOVES] += moved
            above = True
    return above


@njit(inline="always")
def _move_means(row, off):  # type: ignore[no-untyped-def]
    for i in range(UNKNOWNS):
        row[col.MEANS + i] += col.ALPHAS[i] * (off - row[col.MEANS + i])


@njit(inline="always", error_model="numpy")
def _extend_episode(row, signed, patience, level):  # type: ignore[no-untyped-def]
    """One more window of an episode; after `patience` of them it is the new level."""
    off = col.value_of(row, signed, level) - row[col.CENTER]
    row[col.EPISODE_WINDOWS] += 1.0
    row[col.EPISODE_TOTAL] += off
    if not col.is_still(row, level):
        _move_means(row, _clip(off, FORECAST_SPREADS * col.spread_of(row, signed)))
    row[col.PREVIOUS] = level
    if row[col.EPISODE_WINDOWS] > patience:
        shift = row[col.EPISODE_TOTAL] / row[col.EPISODE_WINDOWS]
        row[col.CENTER] += shift
        row[col.MEANS : col.MEANS + UNKNOWNS] -= shift
        row[col.EPISODE_WINDOWS] = row[col.EPISODE_TOTAL] = 0.0
        _forget_evidence(row)


@njit(inline="always", error_model="numpy")
def _regress(row, signed, off):  # type: ignore[no-untyped-def]
    """Add a window to the sums of the fit, with the same weight whatever the spread is now."""
    spread = col.spread_of(row, signed)
    weight = 1.0 / (spread * spread)
    at = col.GRAM
    for i in range(UNKNOWNS):
        row[col.MOMENT + i] += weight * row[col.MEANS + i] * off
        for j in range(i, UNKNOWNS):
            row[at] += weight * row[col.MEANS + i] * row[col.MEANS + j]
            at += 1


@njit(inline="always", error_model="numpy")
def _refit(row):  # type: ignore[no-untyped-def]
    fitted = np.empty(UNKNOWNS)
    gram, moment = row[col.GRAM : col.GRAM + TRIANGLE], row[col.MOMENT : col.MOMENT + UNKNOWNS]
    if nnls(gram, moment, fitted):
        over = max(1.0, fitted.sum() / WEIGHTS_MAX)
        row[col.WEIGHTS : col.WEIGHTS + UNKNOWNS] = fitted / over
    keep = exp((row[col.REFITTED_AT] - row[col.SEEN]) / DAY_WINDOWS)
    gram *= keep
    moment *= keep
    row[col.SIDE] *= keep
    row[col.AWAY] *= keep
    row[col.STAYED] *= keep
    row[col.LONG : col.LONG_NOW] *= keep
    density.fit_tail(row)
    row[col.REFITTED_AT] = row[col.SEEN]
    row[col.REFIT_AT] = row[col.SEEN] + min(row[col.SEEN], REFIT_WINDOWS)


@njit(inline="always", error_model="numpy")
def _learn(row, signed, side, warm_up, level):  # type: ignore[no-untyped-def]
    moved = not col.is_still(row, level)
    row[col.SEEN] += 1.0
    row[col.PREVIOUS] = level
    young = 1.0 / row[col.SEEN]
    if row[col.SEEN] <= warm_up:
        row[col.PLAIN] += young * (abs(level) - row[col.PLAIN])
        row[col.FLOOR] = col.FLOOR_SHARE * row[col.PLAIN]
    if not signed and row[col.FLOOR] == 0.0:
        return  # nothing but zeros so far: there is no scale to take a logarithm in
    value = col.value_of(row, signed, level)
    if row[col.SEEN] <= 2.0:
        row[col.CENTER] = value
        return
    off = value - row[col.CENTER]
    innovation = col.innovation_of(row, off)
    settled = row[col.SEEN] > warm_up // 4
    spread = col.spread_of(row, signed)
    taught = _clip(off, TAUGHT_SPREADS * spread) if settled else off
    if settled and moved:
        _regress(row, signed, taught)
        density.learn_scale_and_tail(row, signed, side, off, innovation)
    alpha = max(col.ALPHA, young)
    row[col.CENTER] += alpha * taught
    row[col.SQUARE] += alpha * (taught * taught - row[col.SQUARE])
    if moved:
        _move_means(row, _clip(off, FORECAST_SPREADS * spread) if settled else off)
    if row[col.SEEN] >= row[col.REFIT_AT]:
        _refit(row)


@njit(types.void(F2, F1, FLOAT, BOOL, FLOAT, INT, INT, I1, F1), cache=True, nogil=True)
def learn(state, steps, least, signed, side, warm_up, patience, rows, levels):  # type: ignore[no-untyped-def]
    """Learn `levels` of `rows`, which were judged and not reported."""
    sums = np.empty((col.SUMS, steps.shape[0]))
    for i in range(rows.shape[0]):
        row, level = state[rows[i]], levels[i]
        if not col.is_readable(level, signed):
            continue
        above = False
        if col.can_judge(row, level, signed, warm_up):
            score_row(row, steps, least, signed, level, sums)
            above = _accumulate(row, steps.shape[0], level, sums)
        if row[col.EPISODE_WINDOWS] > 0.0:
            _extend_episode(row, signed, patience, level)
            if not above and not density.is_away(row, side, col.spread_of(row, signed)):
                row[col.EPISODE_WINDOWS] = row[col.EPISODE_TOTAL] = 0.0
        else:
            _learn(row, signed, side, warm_up, level)
            if not above:
                density.commit_pending(row)


@njit(types.void(F2, BOOL, INT, INT, FLOAT), cache=True, nogil=True)
def report(state, signed, patience, at, level):  # type: ignore[no-untyped-def]
    """Row `at` was reported in this window: its evidence starts anew, and it learns nothing."""
    row = state[at]
    if col.is_readable(level, signed) and (signed or row[col.FLOOR] > 0.0):
        _forget_evidence(row)
        _extend_episode(row, signed, patience, level)
