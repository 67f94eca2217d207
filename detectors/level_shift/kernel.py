"""The compiled loops of `LevelShiftBank`: one row of numbers a stream, many streams in one call."""

from __future__ import annotations

from math import copysign, exp, log, sqrt
from typing import NamedTuple

import numpy as np
from numba import njit, types

from detectors.arrays.types import BOOL, F1, F2, FLOAT, INT, Float64
from detectors.level_shift.columns import (
    ALPHA,
    ALPHAS,
    AWAY,
    AWAY_NOW,
    BODY,
    CENTER,
    CUSUM,
    EDGE,
    EPISODE_TOTAL,
    EPISODE_WINDOWS,
    FLOOR,
    FLOOR_SHARE,
    FREEDOM,
    FREEDOMS,
    GRAM,
    INDEX,
    INNER,
    IS_NEW,
    LEVELS,
    LONG,
    LONG_NOW,
    MEANS,
    MOMENT,
    MOVES,
    PER_STEP,
    PLAIN,
    PREVIOUS,
    REFIT_AT,
    REFITTED_AT,
    SEEN,
    SIDE,
    SQUARE,
    STAYED,
    STAYED_NOW,
    STEPS,
    SUM,
    SUMS,
    WEIGHTS,
    WINDOWS,
    can_judge,
    footprint,
    innovation_of,
    is_readable,
    is_still,
    least_scale,
    spread_of,
    value_of,
)
from detectors.level_shift.move_density import (
    chance_to_stay,
    commit_pending,
    fit_tail,
    is_away,
    learn_scale_and_tail,
    log_density_larger,
    log_density_ordinary,
    log_density_staying,
    log_density_stepped,
)
from detectors.stats.limits import DAY_WINDOWS, SUM_MAX
from detectors.stats.nnls import TRIANGLE, UNKNOWNS, nnls
from detectors.window_run import (
    BOTH,
    JUDGE,
    LEARN,
    RUN,
    RUN_END,
    count_score,
    is_ordinary,
    is_ready,
)

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


class Chosen(NamedTuple):
    """The parameters of a bank: the signed `steps` looked for, in standard deviations; of a level
    without sign the logarithm of the `least` that matters; whether it is `signed`; the `side` that
    hurts (0: both); and `warm_up` and `patience` in windows."""

    steps: Float64
    least: float
    signed: bool
    side: float
    warm_up: int
    patience: int


CHOSEN = types.NamedTuple(  # type: ignore[no-untyped-call]
    (F1, FLOAT, BOOL, FLOAT, INT, INT), Chosen
)


@njit(types.void(F2, INT), cache=True, nogil=True)
def init_rows(state, warm_up):  # type: ignore[no-untyped-def]
    """Fill in rows that have seen nothing."""
    state[:] = 0.0
    state[:, REFIT_AT] = warm_up // 2
    state[:, WEIGHTS] = 0.5
    state[:, FREEDOM] = FREEDOMS[0]
    state[:, INDEX], state[:, EDGE] = 1.0, BODY


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
    if is_still(row, level):
        for k in range(steps.shape[0]):
            sums[CUSUM, k] = row[STEPS + PER_STEP * k + SUM]
            sums[IS_NEW, k] = 0.0
            highest = max(highest, sums[CUSUM, k])
        return highest
    scale = max(sqrt(row[INNER]), least_scale(row, signed))
    off = value_of(row, signed, level) - row[CENTER]
    z = innovation_of(row, off) / scale
    freedom = row[FREEDOM]
    ordinary = log_density_ordinary(row, z)
    side = _side(steps)
    if is_away(row, side, spread_of(row, signed)):
        stays = chance_to_stay(row)
        staying = log_density_staying(row, signed, scale, off)
        ordinary = log(stays * exp(staying) + (1.0 - stays) * exp(ordinary))
    spread = spread_of(row, signed) / scale
    keep = 1.0 - 1.0 / max(1.0, EVIDENCE_MEMORY_SHARE * row[SEEN])
    matters, most = 0.0 if signed else least / scale, np.abs(steps).max()
    near = 0.0 if signed else least / 2.0
    for k in range(steps.shape[0]):
        at = STEPS + PER_STEP * k
        total = keep * row[at + SUM]
        sums[CUSUM, k] = sums[IS_NEW, k] = 0.0
        # A step is over when the level is back at its usual, or nearer to it than to the least step
        # that matters: a far innovation back says little, for both laws have heavy tails.
        if off * copysign(1.0, steps[k]) <= near or (total <= 0.0 and z * steps[k] <= 0.0):
            continue
        step = copysign(max(abs(steps[k]) * spread, matters), steps[k])
        first = log_density_stepped(freedom, z, step)
        if abs(steps[k]) == most:
            first = max(first, log_density_larger(z, step))
        first -= ordinary
        later = 0.0
        if total > 0.0:
            shows = step * footprint(row, row[at + MOVES])
            later = total + log_density_stepped(freedom, z, shows) - ordinary
        sums[CUSUM, k] = max(0.0, first, later)
        sums[IS_NEW, k] = 1.0 if first > later else 0.0
        highest = max(highest, sums[CUSUM, k])
    return highest


@njit(inline="always")
def _clip(value, reach):  # type: ignore[no-untyped-def]
    return min(max(value, -reach), reach)


@njit(inline="always")
def _forget_evidence(row):  # type: ignore[no-untyped-def]
    row[STEPS:] = 0.0
    row[LONG_NOW:STEPS] = 0.0
    row[AWAY_NOW] = row[STAYED_NOW] = 0.0


@njit(inline="always", error_model="numpy")
def _accumulate(row, steps, level, sums):  # type: ignore[no-untyped-def]
    """Keep the evidence of the judged window. Returns whether any CUSUM is above zero."""
    above, moved = False, 0.0 if is_still(row, level) else 1.0
    for k in range(steps):
        at = STEPS + PER_STEP * k
        row[at + SUM] = min(sums[CUSUM, k], SUM_MAX)
        if sums[CUSUM, k] <= 0.0 or sums[IS_NEW, k] > 0.0:
            row[at + LEVELS] = row[at + WINDOWS] = row[at + MOVES] = 0.0
        if sums[CUSUM, k] > 0.0:
            row[at + LEVELS] += level
            row[at + WINDOWS] += 1.0
            row[at + MOVES] += moved
            above = True
    return above


@njit(inline="always")
def _move_means(row, off):  # type: ignore[no-untyped-def]
    for i in range(UNKNOWNS):
        row[MEANS + i] += ALPHAS[i] * (off - row[MEANS + i])


@njit(inline="always", error_model="numpy")
def _extend_episode(row, signed, patience, level):  # type: ignore[no-untyped-def]
    """One more window of an episode; after `patience` of them it is the new level."""
    off = value_of(row, signed, level) - row[CENTER]
    row[EPISODE_WINDOWS] += 1.0
    row[EPISODE_TOTAL] += off
    if not is_still(row, level):
        _move_means(row, _clip(off, FORECAST_SPREADS * spread_of(row, signed)))
    row[PREVIOUS] = level
    if row[EPISODE_WINDOWS] > patience:
        shift = row[EPISODE_TOTAL] / row[EPISODE_WINDOWS]
        row[CENTER] += shift
        reach = FORECAST_SPREADS * spread_of(row, signed)
        for i in range(UNKNOWNS):  # they did not follow a far level all the way
            row[MEANS + i] = _clip(row[MEANS + i] - shift, reach)
        row[EPISODE_WINDOWS] = row[EPISODE_TOTAL] = 0.0
        _forget_evidence(row)


@njit(inline="always", error_model="numpy")
def _regress(row, signed, off):  # type: ignore[no-untyped-def]
    """Add a window to the sums of the fit, with the same weight whatever the spread is now."""
    spread = spread_of(row, signed)
    weight = 1.0 / (spread * spread)
    at = GRAM
    for i in range(UNKNOWNS):
        row[MOMENT + i] += weight * row[MEANS + i] * off
        for j in range(i, UNKNOWNS):
            row[at] += weight * row[MEANS + i] * row[MEANS + j]
            at += 1


@njit(inline="always", error_model="numpy")
def _refit(row):  # type: ignore[no-untyped-def]
    fitted = np.empty(UNKNOWNS)
    gram, moment = row[GRAM : GRAM + TRIANGLE], row[MOMENT : MOMENT + UNKNOWNS]
    if nnls(gram, moment, fitted):
        over = max(1.0, fitted.sum() / WEIGHTS_MAX)
        for i in range(UNKNOWNS):
            row[WEIGHTS + i] = fitted[i] / over
    keep = exp((row[REFITTED_AT] - row[SEEN]) / DAY_WINDOWS)
    for i in range(TRIANGLE):
        gram[i] *= keep
    for i in range(UNKNOWNS):
        moment[i] *= keep
    row[SIDE] *= keep
    row[AWAY] *= keep
    row[STAYED] *= keep
    for i in range(LONG, LONG_NOW):
        row[i] *= keep
    fit_tail(row)
    row[REFITTED_AT] = row[SEEN]
    row[REFIT_AT] = row[SEEN] + min(row[SEEN], REFIT_WINDOWS)


@njit(inline="always", error_model="numpy")
def _learn(row, signed, side, warm_up, level):  # type: ignore[no-untyped-def]
    moved = not is_still(row, level)
    row[SEEN] += 1.0
    row[PREVIOUS] = level
    young = 1.0 / row[SEEN]
    if row[SEEN] <= warm_up:
        row[PLAIN] += young * (abs(level) - row[PLAIN])
        row[FLOOR] = FLOOR_SHARE * row[PLAIN]
    if not signed and row[FLOOR] == 0.0:
        return  # nothing but zeros so far: there is no scale to take a logarithm in
    value = value_of(row, signed, level)
    if row[SEEN] <= 2.0:
        row[CENTER] = value
        return
    off = value - row[CENTER]
    innovation = innovation_of(row, off)
    settled = row[SEEN] > warm_up // 4
    spread = spread_of(row, signed)
    taught = _clip(off, TAUGHT_SPREADS * spread) if settled else off
    if settled and moved:
        _regress(row, signed, taught)
        learn_scale_and_tail(row, signed, side, off, innovation)
    alpha = max(ALPHA, young)
    row[CENTER] += alpha * taught
    row[SQUARE] += alpha * (taught * taught - row[SQUARE])
    if moved:
        _move_means(row, _clip(off, FORECAST_SPREADS * spread) if settled else off)
    if row[SEEN] >= row[REFIT_AT]:
        _refit(row)


@njit(inline="always", error_model="numpy")
def _learn_row(row, chosen, level, sums):  # type: ignore[no-untyped-def]
    """Learn a window that was judged and not reported."""
    steps, least, signed, side, warm_up, patience = chosen
    if not is_readable(level, signed):
        return
    above = False
    if can_judge(row, level, signed, warm_up):
        score_row(row, steps, least, signed, level, sums)
        above = _accumulate(row, steps.shape[0], level, sums)
    if row[EPISODE_WINDOWS] > 0.0:
        _extend_episode(row, signed, patience, level)
        if not above and not is_away(row, side, spread_of(row, signed)):
            row[EPISODE_WINDOWS] = row[EPISODE_TOTAL] = 0.0
    else:
        _learn(row, signed, side, warm_up, level)
        if not above:
            commit_pending(row)


@njit(inline="always")
def note_state(row, state):  # type: ignore[no-untyped-def]
    """Keep what tells why a row abstains."""
    state[0], state[1], state[2] = row[SEEN], row[FLOOR], row[SIDE]


@njit(RUN_END(F2, CHOSEN, INT, INT, INT, RUN), cache=True, nogil=True)
def run_windows(state, chosen, steps, low, block, run):  # type: ignore[no-untyped-def]
    """As `RunBank.run`."""
    sums = np.empty((SUMS, chosen.steps.shape[0]))
    least, signed, warm_up = chosen.least, chosen.signed, chosen.warm_up
    for w in range(low, run.judged.size):
        begin, end = run.ends[w], run.ends[w + 1]
        if steps & JUDGE:
            judged, is_ordinary_window = 0, True
            for i in range(begin, end):
                row, level = state[run.rows[i]], run.values[i, 0]
                run.scores[i] = np.nan
                if can_judge(row, level, signed, warm_up):
                    run.scores[i] = score_row(row, chosen.steps, least, signed, level, sums)
                if run.scores[i] != run.scores[i]:
                    note_state(row, run.state[i])
                elif steps == BOTH:
                    judged += is_ready(run, i)
                    is_ordinary_window &= is_ordinary(run, i)
            run.judged[w] = judged
            if not is_ordinary_window:
                return w, False
        if steps & LEARN:
            is_full = False
            for i in range(begin, end):
                _learn_row(state[run.rows[i]], chosen, run.values[i, 0], sums)
                if steps == BOTH:
                    is_full |= count_score(run, i, block)
            if is_full:
                return w + 1, True
    return run.judged.size, False


@njit(types.void(F2, BOOL, INT, INT, FLOAT), cache=True, nogil=True)
def report(state, signed, patience, at, level):  # type: ignore[no-untyped-def]
    """Row `at` was reported in this window: its evidence starts anew, and it learns nothing."""
    row = state[at]
    if is_readable(level, signed) and (signed or row[FLOOR] > 0.0):
        _forget_evidence(row)
        _extend_episode(row, signed, patience, level)
