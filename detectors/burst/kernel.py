"""The compiled loops of `detector.py`: one row of numbers a stream, many streams in one call.

Every row is judged and learnt by itself, so what a bank says of a stream does not depend on
which others are in it. No fast mathematics: the same operations in the same order.
"""

from __future__ import annotations

from math import exp, log, log1p

import numpy as np
from numba import njit, types

from detectors.stats.nnls import nnls

COUNT_MAX = 2.0**63
"""No 64-bit count is larger."""
ALPHAS = np.array([0.5, 0.1, 0.02, 0.003])
"""Of the EW means: memories of 2, 10, 50 and 333 windows."""
MEANS = 4
YOUNG_WINDOWS = 334
"""Until then a mean weighs its windows alike, as far as it reaches."""
FORECAST_MIN = 0.02
"""Events a window. A stream that never spoke is not thought impossible to speak."""
DISPERSION_MIN, DISPERSION_PRIOR, PRIOR_EVENTS = 1.02, 1.5, 30.0
"""φ stays above Poisson's 1 (where the formula divides by φ-1), starts at the prior, which
weighs as much as this many events."""
REFIT_WINDOWS = 3600.0
"""Between two fits, once the detector is that old; before, each time its age has doubled."""
FORGET_WINDOWS = 86400.0
"""What is this old weighs 1/e in the fit."""
SUM_MAX = 50.0
"""Evidence beyond it is not kept, so that a change which nobody reports is over when it is
over; and below minus it is nothing."""
EVIDENCE_MEMORY_SHARE = 0.1
"""Evidence is kept for a tenth of what the row has seen: of moods that last longer than that it
knows nothing, and a burst could not be told from one. Raised to a power below 1, a Shiryaev–Roberts
sum stays one that clean data lift as seldom (Jensen)."""
CEILING_FACTOR, CEILING_EVENTS = 5.0, 30.0
"""A window is learnt as at most 5 times the forecast plus 30: one outlier poisons nothing."""
RESIDUAL_MAX = 25.0
"""Squared residuals count for φ up to this many variances, for the same reason."""

# A row of the state. MEAN, WEIGHT, GRAM (upper triangle of means × means) and MOMENT (means ×
# counts) are stretches. SQUARES of residuals and FORECASTS are summed over the same windows.
# FITTED are the sums of the fit, PENDING the same sums of windows that may yet be reported, and
# WAITED how many these are.
# HELD counts the windows of the present episode (0 outside one), HELD_TOTAL what came in them,
# BEFORE are the means as it began, ADDED what the reported burst adds, in usual rates, and OVER the
# evidence that it adds it no longer.
SEEN, REFIT_AT, REFITTED_AT, DISPERSION, EPISODE_WINDOWS, EPISODE_TOTAL = range(6)
MEAN, WEIGHT = 6, 10
FIT_SUMS = SQUARES = 14
FORECASTS, MOMENT, GRAM, PENDING, PENDING_WINDOWS = 15, 16, 20, 30, 46
MEANS_BEFORE, ADDED_RATES, END_EVIDENCE, SIZES = 47, 51, 52, 53
# Then for each size of burst: the log of the Shiryaev-Roberts sum, the CUSUM, and since the
# CUSUM's last zero: counts, forecasts, windows.
EVIDENCE, CUSUM, OBSERVED, EXPECTED, WINDOWS, PER_SIZE = range(6)
# A row of the memo: the count last judged (NaN: none), what came of it, then two sums a size.
M_COUNT, M_FORECAST, M_SCORE, MEMO = range(4)

F1, F2 = types.float64[::1], types.float64[:, ::1]
I1 = types.int64[::1]
INT, F = types.int64, types.float64


@njit(inline="always", error_model="numpy")
def _forecast(row):  # type: ignore[no-untyped-def]
    total = 0.0
    for j in range(MEANS):
        total += row[WEIGHT + j] * row[MEAN + j]
    return max(total, FORECAST_MIN)


@njit(inline="always", error_model="numpy")
def _ratio(count, usual, raised, dispersion):  # type: ignore[no-untyped-def]
    """The log of how much likelier `count` is where `raised` events are expected than `usual`."""
    over = dispersion - 1.0
    mixed = usual + over * raised
    ratio = count * log(raised * dispersion / mixed)
    return ratio + usual / over * log(usual * dispersion / mixed)


@njit(inline="always", error_model="numpy")
def _score_row(row, memo, sizes, count):  # type: ignore[no-untyped-def]
    """Into `memo`: the forecast for this window, the score and the sums after `count`."""
    if memo[M_COUNT] == count:
        return
    forecast = _forecast(row)
    base = max(row[MEAN + MEANS - 1], FORECAST_MIN)
    highest = -np.inf
    keep = 1.0 - 1.0 / max(1.0, EVIDENCE_MEMORY_SHARE * row[SEEN])
    for k in range(sizes.shape[0]):
        raised = forecast + (sizes[k] - 1.0) * base
        ratio = _ratio(count, forecast, raised, row[DISPERSION])
        at = SIZES + PER_SIZE * k
        before = row[at + EVIDENCE]
        total = log1p(exp(before * keep if before > 0.0 else before)) + ratio
        memo[MEMO + 2 * k] = total
        memo[MEMO + 2 * k + 1] = max(0.0, row[at + CUSUM] * keep + ratio)
        highest = max(highest, total)
    mixture = 0.0
    for k in range(sizes.shape[0]):
        mixture += exp(memo[MEMO + 2 * k] - highest)
    memo[M_COUNT] = count
    memo[M_FORECAST] = forecast
    memo[M_SCORE] = max(0.0, highest + log(mixture / sizes.shape[0]))


@njit(inline="always")
def _forget_evidence(row, sizes):  # type: ignore[no-untyped-def]
    row[SIZES:] = 0.0
    for k in range(sizes):
        row[SIZES + PER_SIZE * k + EVIDENCE] = -SUM_MAX


@njit(types.void(F2, INT, INT), cache=True, nogil=True)
def begin(state, sizes, warm_up):  # type: ignore[no-untyped-def]
    """Rows as they stand before anything was seen."""
    for i in range(state.shape[0]):
        row = state[i]
        row[:] = 0.0
        row[REFIT_AT] = warm_up
        row[DISPERSION] = DISPERSION_PRIOR
        row[WEIGHT : WEIGHT + MEANS] = 1.0 / MEANS
        _forget_evidence(row, sizes)


@njit(types.void(F2, F2, F1, INT, I1, F1, F1), cache=True, nogil=True, error_model="numpy")
def judge(state, memo, sizes, warm_up, rows, counts, scores):  # type: ignore[no-untyped-def]
    """Score `counts` of `rows`; NaN where a row is learning, or the number is no count."""
    for i in range(rows.shape[0]):
        at = rows[i]
        if state[at, SEEN] < warm_up or not 0.0 <= counts[i] <= COUNT_MAX:
            scores[i] = np.nan
        else:
            _score_row(state[at], memo[at], sizes, counts[i])
            scores[i] = memo[at, M_SCORE]


@njit(inline="always")
def _accumulate(row, memo, sizes):  # type: ignore[no-untyped-def]
    """Keep the evidence of the judged window. Returns whether any CUSUM is above zero."""
    above = False
    for k in range(sizes):
        at = SIZES + PER_SIZE * k
        row[at + EVIDENCE] = min(SUM_MAX, max(-SUM_MAX, memo[MEMO + 2 * k]))
        cusum = row[at + CUSUM] = min(SUM_MAX, memo[MEMO + 2 * k + 1])
        if cusum > 0.0:
            above = True
            row[at + OBSERVED] += memo[M_COUNT]
            row[at + EXPECTED] += memo[M_FORECAST]
            row[at + WINDOWS] += 1.0
        else:
            row[at + OBSERVED : at + PER_SIZE] = 0.0
    return above


@njit(inline="always", error_model="numpy")
def _move_means(row, count):  # type: ignore[no-untyped-def]
    young = 1.0 / row[SEEN] if row[SEEN] < YOUNG_WINDOWS else 0.0  # then it is the plain mean
    for j in range(MEANS):
        row[MEAN + j] += max(ALPHAS[j], young) * (count - row[MEAN + j])


@njit(inline="always", error_model="numpy")
def _track_episode(row, sizes, patience, count):  # type: ignore[no-untyped-def]
    """A window of an episode that is not reported: does the burst go on?

    While it does the forecast stands as it was before. A forecast is one of the next window,
    though, and minutes later it is none: as soon as the burst may be over the means move again. It
    is over when that is `patience` times likelier than that it is not; what it left is told.
    """
    usual = 0.0
    for j in range(MEANS):
        usual += row[WEIGHT + j] * row[MEANS_BEFORE + j]
    base = max(row[MEANS_BEFORE + MEANS - 1], FORECAST_MIN)
    usual = max(usual, base)  # a lull before the burst need not be one after it
    ratio = _ratio(count, usual, usual + row[ADDED_RATES] * base, row[DISPERSION])
    row[END_EVIDENCE] = max(0.0, row[END_EVIDENCE] - ratio)
    if row[END_EVIDENCE] == 0.0:
        row[MEAN : MEAN + MEANS] = row[MEANS_BEFORE : MEANS_BEFORE + MEANS]
    else:
        _move_means(row, count)
    if row[END_EVIDENCE] > log(patience):
        row[EPISODE_WINDOWS] = row[EPISODE_TOTAL] = 0.0
        _forget_evidence(row, sizes)


@njit(inline="always")
def _extend_episode(row, sizes, patience, bounded):  # type: ignore[no-untyped-def]
    """One more window of an episode; after `patience` of them its level is the new normal."""
    row[EPISODE_WINDOWS] += 1.0
    row[EPISODE_TOTAL] += bounded
    if row[EPISODE_WINDOWS] > patience:
        row[MEAN : MEAN + MEANS] = row[EPISODE_TOTAL] / row[EPISODE_WINDOWS]
        row[EPISODE_WINDOWS] = row[EPISODE_TOTAL] = 0.0
        _forget_evidence(row, sizes)


@njit(inline="always", error_model="numpy")
def _refit(row):  # type: ignore[no-untyped-def]
    # Silence tells nothing of how events follow each other: then the weights stay.
    nnls(row[GRAM : GRAM + 10], row[MOMENT : MOMENT + 4], row[WEIGHT : WEIGHT + 4])
    squares = row[SQUARES] + PRIOR_EVENTS * DISPERSION_PRIOR
    row[DISPERSION] = max(DISPERSION_MIN, squares / (row[FORECASTS] + PRIOR_EVENTS))
    keep = exp((row[REFITTED_AT] - row[SEEN]) / FORGET_WINDOWS)
    row[GRAM : GRAM + 10] *= keep
    row[MOMENT : MOMENT + 4] *= keep
    row[SQUARES] *= keep
    row[FORECASTS] *= keep
    row[REFITTED_AT] = row[SEEN]
    row[REFIT_AT] = row[SEEN] + min(row[SEEN], REFIT_WINDOWS)


@njit(inline="always", error_model="numpy")
def _learn(row, warm_up, patience, count, forecast, suspect):  # type: ignore[no-untyped-def]
    """Sums for the fit, with windows weighed by 1 / forecast, as their variance is; the means.

    While evidence stands the sums wait: a burst that is reported would else have taught by then
    that events follow each other, and hidden the next one. Evidence that stands for more than
    `patience` windows is of no burst: a forecast that is too low must not keep itself so.
    """
    later = PENDING - FIT_SUMS
    n = GRAM + later
    for i in range(MEANS):
        weighed = row[MEAN + i] / forecast
        row[MOMENT + later + i] += weighed * count
        for j in range(i, MEANS):
            row[n] += weighed * row[MEAN + j]
            n += 1
    row[SEEN] += 1.0
    if row[SEEN] > warm_up // 4:
        limit = RESIDUAL_MAX * (row[DISPERSION] * forecast + 1.0)
        row[SQUARES + later] += min((count - forecast) ** 2, limit)
        row[FORECASTS + later] += forecast
    row[PENDING_WINDOWS] += 1.0
    if not suspect or row[PENDING_WINDOWS] > patience:
        row[PENDING_WINDOWS] = 0.0
        for i in range(later):
            row[FIT_SUMS + i] += row[PENDING + i]
            row[PENDING + i] = 0.0
    _move_means(row, count)
    if row[SEEN] >= row[REFIT_AT]:
        _refit(row)


@njit(types.void(F2, F2, F1, INT, INT, I1, F1), cache=True, nogil=True, error_model="numpy")
def learn(state, memo, sizes, warm_up, patience, rows, counts):  # type: ignore[no-untyped-def]
    """Learn `counts` of `rows`, which were judged and not reported."""
    for i in range(rows.shape[0]):
        row, noted = state[rows[i]], memo[rows[i]]
        count = counts[i]
        if not 0.0 <= count <= COUNT_MAX:
            continue
        if row[SEEN] >= warm_up:
            _score_row(row, noted, sizes, count)
            above = _accumulate(row, noted, sizes.shape[0])
            forecast = noted[M_FORECAST]
        else:
            above = False
            forecast = _forecast(row)
        noted[M_COUNT] = np.nan
        bounded = min(count, CEILING_FACTOR * forecast + CEILING_EVENTS)
        if row[EPISODE_WINDOWS] > 0.0:
            _track_episode(row, sizes.shape[0], patience, bounded)
            if row[EPISODE_WINDOWS] > 0.0:
                _extend_episode(row, sizes.shape[0], patience, bounded)
        else:
            _learn(row, warm_up, patience, bounded, forecast, above)


@njit(types.void(F2, F2, F1, INT, INT, F), cache=True, nogil=True, error_model="numpy")
def report(state, memo, sizes, patience, at, count):  # type: ignore[no-untyped-def]
    """Row `at` was reported in this window: its evidence starts anew, and it learns nothing."""
    row, noted = state[at], memo[at]
    _score_row(row, noted, sizes, count)
    row[ADDED_RATES] = sizes[noted[MEMO::2].argmax()] - 1.0
    noted[M_COUNT] = np.nan
    bounded = min(count, CEILING_FACTOR * _forecast(row) + CEILING_EVENTS)
    _forget_evidence(row, sizes.shape[0])
    row[PENDING:MEANS_BEFORE] = 0.0
    row[END_EVIDENCE] = 0.0
    if row[EPISODE_WINDOWS] == 0.0:
        row[MEANS_BEFORE : MEANS_BEFORE + MEANS] = row[MEAN : MEAN + MEANS]
    row[MEAN : MEAN + MEANS] = row[MEANS_BEFORE : MEANS_BEFORE + MEANS]
    _extend_episode(row, sizes.shape[0], patience, bounded)
