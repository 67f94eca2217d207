"""The compiled loops of `BurstBank`: one row of numbers a stream, many streams in one call.

Every row is judged and learnt by itself, so what a bank says of a stream does not depend on
which others are in it. No fast mathematics: the same operations in the same order.
"""

from __future__ import annotations

from math import exp, log, log1p

import numpy as np
from numba import njit, types

from detectors.arrays.types import F1, F2, FLOAT, INT
from detectors.stats import change_sums, limits
from detectors.stats.change_sums import CUSUM, EVIDENCE
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

ALPHAS = np.array([0.5, 0.1, 0.02, 0.003])
"""Of the EW means: memories of 2, 10, 50 and 333 windows."""
MEANS = UNKNOWNS
YOUNG_WINDOWS = 334
"""Until then each mean is the plain mean of the windows that it reaches back to."""
FORECAST_MIN = 0.02
"""Events a window: the least forecast, for a silent stream may begin to act."""
BASE_MIN = 0.1
"""Events a window: the least usual rate of which bursts are multiples. Five times next to nothing
is no burst that anybody looks for: with 0.02 a silent stream found four of five first bursts of 6 a
second, and with 0.1 all; with 0.25 streams of one event in 100 s, in clusters, had 2.4 false alarms
on the first day where one was allowed."""
DISPERSION_MIN, DISPERSION_PRIOR, PRIOR_EVENTS = 1.02, 1.5, 30.0
"""φ stays above Poisson's 1, where the formula divides by φ-1. It starts at the prior, which counts
as this many events."""
REFIT_WINDOWS = 3600.0
"""Between two fits, once the detector is that old; before, each time its age has doubled."""
EVIDENCE_MEMORY_SHARE = 0.1
"""Evidence is forgotten over a tenth of the windows that the row has seen. Moods that last longer
are not learnt yet, and would look like a burst. Raised to a power below 1, a Shiryaev-Roberts sum
is still lifted by clean data no more often than theory says (Jensen)."""

# A row of the state.
(
    SEEN, REFIT_AT, REFITTED_AT, DISPERSION, EPISODE_WINDOWS, EPISODE_TOTAL, ADDED_RATES,
    END_EVIDENCE, PENDING_WINDOWS, MEAN,
) = range(10)  # fmt: skip
"""Windows learnt, of the next fit and of the last one; φ. Of the present episode: its windows (0
outside one), the events in them, what the reported burst adds (in usual rates), and the evidence
that it adds this no longer. How many windows are in the sums from `PENDING` on."""
WEIGHT, MEANS_BEFORE = MEAN + MEANS, MEAN + 2 * MEANS
"""The EW means, their weights in the forecast, and the means as the episode began."""
FIT = SQUARES = MEAN + 3 * MEANS
FORECASTS, MOMENT, GRAM = FIT + 1, FIT + 2, FIT + 2 + MEANS
"""The sums of the fit: squared residuals, forecasts of the same windows, means × counts, and the
upper triangle of means × means."""
PENDING = GRAM + TRIANGLE
"""The same sums of windows that may yet be reported."""
FIT_SUMS = PENDING - FIT
SIZES, PER_SIZE = PENDING + FIT_SUMS, change_sums.CHANGE_COLUMNS
"""Then the evidence for each size of burst: see `change_sums`."""

M_COUNT, M_FORECAST, M_SCORE, M_EVIDENCE = range(4)
"""A row of the memo: the count judged last (NaN: none), its forecast and score, then `EVIDENCE` of
each size of burst after it, then `CUSUM` of each."""


@njit(inline="always", error_model="numpy")
def _weigh_means(row, first):  # type: ignore[no-untyped-def]
    """What the means from column `first` on forecast: no more than the highest of them.

    Weights fitted to a count that grew for minutes add up to more than 1, and would forecast more
    than was ever seen once it stops.
    """
    total = highest = 0.0
    for j in range(MEANS):
        total += row[WEIGHT + j] * row[first + j]
        highest = max(highest, row[first + j])
    return min(total, highest)


@njit(inline="always", error_model="numpy")
def _forecast(row):  # type: ignore[no-untyped-def]
    return max(_weigh_means(row, MEAN), FORECAST_MIN)


@njit(inline="always", error_model="numpy")
def _bound_count(row, count, forecast):  # type: ignore[no-untyped-def]
    """As how many events a window is learnt: within an episode beside what that has shown so far,
    so that its level is adopted at once, however high."""
    if row[EPISODE_WINDOWS] > 0.0:
        forecast = max(forecast, row[EPISODE_TOTAL] / row[EPISODE_WINDOWS])
    return min(count, limits.CEILING_FACTOR * forecast + limits.CEILING_EVENTS)


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
    base = max(row[MEAN + MEANS - 1], BASE_MIN)
    m_cusum = M_EVIDENCE + sizes.shape[0]
    keep = 1.0 - 1.0 / max(1.0, EVIDENCE_MEMORY_SHARE * row[SEEN])
    for k in range(sizes.shape[0]):
        raised = forecast + (sizes[k] - 1.0) * base
        ratio = _ratio(count, forecast, raised, row[DISPERSION])
        at = SIZES + PER_SIZE * k
        before = row[at + EVIDENCE]
        memo[M_EVIDENCE + k] = log1p(exp(before * keep if before > 0.0 else before)) + ratio
        memo[m_cusum + k] = max(0.0, row[at + CUSUM] * keep + ratio)
    memo[M_COUNT] = count
    memo[M_FORECAST] = forecast
    memo[M_SCORE] = max(0.0, change_sums.log_mean_exp(memo[M_EVIDENCE:m_cusum]))


@njit(types.void(F2, INT), cache=True, nogil=True)
def init_rows(state, warm_up):  # type: ignore[no-untyped-def]
    """Fill in rows that have seen nothing."""
    for i in range(state.shape[0]):
        row = state[i]
        row[:] = 0.0
        row[REFIT_AT] = warm_up
        row[DISPERSION] = DISPERSION_PRIOR
        row[WEIGHT : WEIGHT + MEANS] = 1.0 / MEANS
        change_sums.forget_evidence(row, SIZES, PER_SIZE)


@njit(inline="always")
def _accumulate(row, memo, sizes):  # type: ignore[no-untyped-def]
    """Keep the evidence of the judged window. Returns whether any CUSUM is above zero."""
    is_above = False
    for k in range(sizes):
        at = SIZES + PER_SIZE * k
        evidence, cusum = memo[M_EVIDENCE + k], memo[M_EVIDENCE + sizes + k]
        seen, expected = memo[M_COUNT], memo[M_FORECAST]
        is_above |= change_sums.keep_evidence(row, at, evidence, cusum, seen, expected)
    return is_above


@njit(inline="always", error_model="numpy")
def _move_means(row, count):  # type: ignore[no-untyped-def]
    young = 1.0 / row[SEEN] if row[SEEN] < YOUNG_WINDOWS else 0.0  # then it is the plain mean
    for j in range(MEANS):
        row[MEAN + j] += max(ALPHAS[j], young) * (count - row[MEAN + j])


@njit(inline="always")
def _copy_means(row, source, target):  # type: ignore[no-untyped-def]
    """One by one: for a slice numba compiles two seconds of text of an error that cannot come."""
    for j in range(MEANS):
        row[target + j] = row[source + j]


@njit(inline="always", error_model="numpy")
def _track_episode(row, patience, count):  # type: ignore[no-untyped-def]
    """Learn a window of an episode that is not reported: does the burst go on?

    While it does, the means stay as they were before the burst. A forecast is one of the next
    window, though, and worthless minutes later: so from when the burst may be over, the means
    follow the stream again. It is over when that is `patience` times likelier than that it goes on.
    """
    usual = _weigh_means(row, MEANS_BEFORE)
    base = max(row[MEANS_BEFORE + MEANS - 1], BASE_MIN)
    usual = max(usual, base)  # a lull before the burst need not go on after it
    ratio = _ratio(count, usual, usual + row[ADDED_RATES] * base, row[DISPERSION])
    row[END_EVIDENCE] = max(0.0, row[END_EVIDENCE] - ratio)
    if row[END_EVIDENCE] == 0.0:
        _copy_means(row, MEANS_BEFORE, MEAN)
    else:
        _move_means(row, count)
    if row[END_EVIDENCE] > log(patience):
        row[EPISODE_WINDOWS] = row[EPISODE_TOTAL] = 0.0
        change_sums.forget_evidence(row, SIZES, PER_SIZE)


@njit(inline="always")
def _extend_episode(row, patience, bounded):  # type: ignore[no-untyped-def]
    """One more window of an episode; after `patience` of them its level is the new normal."""
    row[EPISODE_WINDOWS] += 1.0
    row[EPISODE_TOTAL] += bounded
    if row[EPISODE_WINDOWS] > patience:
        row[MEAN : MEAN + MEANS] = row[EPISODE_TOTAL] / row[EPISODE_WINDOWS]
        row[EPISODE_WINDOWS] = row[EPISODE_TOTAL] = 0.0
        change_sums.forget_evidence(row, SIZES, PER_SIZE)


@njit(inline="always", error_model="numpy")
def _refit(row):  # type: ignore[no-untyped-def]
    # The weights stay where `nnls` finds none above zero: silence says nothing of them.
    nnls(row[GRAM : GRAM + TRIANGLE], row[MOMENT : MOMENT + MEANS], row[WEIGHT : WEIGHT + MEANS])
    squares = row[SQUARES] + PRIOR_EVENTS * DISPERSION_PRIOR
    row[DISPERSION] = max(DISPERSION_MIN, squares / (row[FORECASTS] + PRIOR_EVENTS))
    keep = exp((row[REFITTED_AT] - row[SEEN]) / limits.DAY_WINDOWS)
    for i in range(TRIANGLE):
        row[GRAM + i] *= keep
    for i in range(MEANS):
        row[MOMENT + i] *= keep
    row[SQUARES] *= keep
    row[FORECASTS] *= keep
    row[REFITTED_AT] = row[SEEN]
    row[REFIT_AT] = row[SEEN] + min(row[SEEN], REFIT_WINDOWS)


@njit(inline="always", error_model="numpy")
def _learn(row, warm_up, patience, count, forecast, suspect):  # type: ignore[no-untyped-def]
    """Learn a window outside an episode: the sums of the fit, weighted by 1 / forecast, and the
    means.

    While there is evidence (`suspect`) the sums are pending: by the time that a burst is reported
    it would else have taught that events follow each other, and hidden the next. Evidence that
    lasts for more than `patience` windows is no burst but a forecast that is too low: it is learnt.
    """
    n = GRAM + FIT_SUMS
    for i in range(MEANS):
        weighed = row[MEAN + i] / forecast
        row[MOMENT + FIT_SUMS + i] += weighed * count
        for j in range(i, MEANS):
            row[n] += weighed * row[MEAN + j]
            n += 1
    row[SEEN] += 1.0
    if row[SEEN] > warm_up // 4:
        limit = limits.RESIDUAL_MAX * (row[DISPERSION] * forecast + 1.0)
        row[SQUARES + FIT_SUMS] += min((count - forecast) ** 2, limit)
        row[FORECASTS + FIT_SUMS] += forecast
    row[PENDING_WINDOWS] += 1.0
    if not suspect or row[PENDING_WINDOWS] > patience:
        row[PENDING_WINDOWS] = 0.0
        for i in range(FIT_SUMS):
            row[FIT + i] += row[PENDING + i]
            row[PENDING + i] = 0.0
    _move_means(row, count)
    if row[SEEN] >= row[REFIT_AT]:
        _refit(row)


@njit(inline="always", error_model="numpy")
def _judge_row(row, noted, sizes, warm_up, count):  # type: ignore[no-untyped-def]
    """The score; NaN where the row is learning, or the number is no count."""
    if row[SEEN] < warm_up or not 0.0 <= count <= limits.NUMBER_MAX:
        return np.nan
    _score_row(row, noted, sizes, count)
    return noted[M_SCORE]


@njit(inline="always", error_model="numpy")
def _learn_row(row, noted, sizes, warm_up, patience, count):  # type: ignore[no-untyped-def]
    """Learn a window that was judged and not reported."""
    if not 0.0 <= count <= limits.NUMBER_MAX:
        return
    if row[SEEN] >= warm_up:
        _score_row(row, noted, sizes, count)
        above = _accumulate(row, noted, sizes.shape[0])
        forecast = noted[M_FORECAST]
    else:
        above = False
        forecast = _forecast(row)
    noted[M_COUNT] = np.nan
    bounded = _bound_count(row, count, forecast)
    if row[EPISODE_WINDOWS] > 0.0:
        _track_episode(row, patience, bounded)
        if row[EPISODE_WINDOWS] > 0.0:
            _extend_episode(row, patience, bounded)
    else:
        _learn(row, warm_up, patience, bounded, forecast, above)


@njit(inline="always")
def note_state(row, state):  # type: ignore[no-untyped-def]
    """Keep what tells why a row abstains."""
    state[0] = row[SEEN]


@njit(
    RUN_END(F2, F2, F1, INT, INT, INT, INT, INT, RUN),
    cache=True, nogil=True, error_model="numpy",
)  # fmt: skip
def run_windows(state, memo, sizes, warm_up, patience, steps, low, block, run):  # type: ignore[no-untyped-def]
    """As `RunBank.run`."""
    for w in range(low, run.judged.size):
        begin, end = run.ends[w], run.ends[w + 1]
        if steps & JUDGE:
            judged, is_ordinary_window = 0, True
            for i in range(begin, end):
                row, count = state[run.rows[i]], run.values[i, 0]
                run.scores[i] = _judge_row(row, memo[run.rows[i]], sizes, warm_up, count)
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
                row, noted, count = state[run.rows[i]], memo[run.rows[i]], run.values[i, 0]
                _learn_row(row, noted, sizes, warm_up, patience, count)
                if steps == BOTH:
                    is_full |= count_score(run, i, block)
            if is_full:
                return w + 1, True
    return run.judged.size, False


@njit(types.void(F2, F2, F1, INT, INT, FLOAT), cache=True, nogil=True, error_model="numpy")
def report(state, memo, sizes, patience, at, count):  # type: ignore[no-untyped-def]
    """Row `at` was reported in this window: its evidence starts anew, and it learns nothing."""
    row, noted = state[at], memo[at]
    _score_row(row, noted, sizes, count)
    likeliest = noted[M_EVIDENCE : M_EVIDENCE + sizes.shape[0]].argmax()
    row[ADDED_RATES] = sizes[likeliest] - 1.0
    noted[M_COUNT] = np.nan
    bounded = _bound_count(row, count, _forecast(row))
    change_sums.forget_evidence(row, SIZES, PER_SIZE)
    row[PENDING:SIZES] = 0.0
    row[PENDING_WINDOWS] = 0.0
    row[END_EVIDENCE] = 0.0
    if row[EPISODE_WINDOWS] == 0.0:
        _copy_means(row, MEAN, MEANS_BEFORE)
    _copy_means(row, MEANS_BEFORE, MEAN)
    _extend_episode(row, patience, bounded)
