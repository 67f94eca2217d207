"""The compiled loops of `RatioBank`: one row of numbers a stream."""

from __future__ import annotations

from math import exp, lgamma, log1p

import numpy as np
from numba import njit, types

from detectors.arrays.types import F1, F2, FLOAT, INT
from detectors.stats import change_sums, limits
from detectors.stats.change_sums import CUSUM, EVIDENCE
from detectors.window_run import BOTH, JUDGE, LEARN, RUN, RUN_END, count_score, is_ordinary

ALPHA = 0.003
"""Of the EW sums that make the usual share: a memory of 333 windows."""
PRIOR = 0.5
"""Events of each kind before any was seen: no share is impossible (Jeffreys)."""
SPREAD_PRIOR, PRIOR_PAIRS = 0.02, 200.0
"""ρ, the correlation of two events of one window, starts here; this counts as so many pairs of
events."""
SPREAD_MIN, SPREAD_MAX = 1e-4, 0.9
FORGET = 1.0 / limits.DAY_WINDOWS
"""Share of the sums behind ρ that is forgotten each window."""
TRIALS_MAX = 1e5
"""A window counts as at most so many events: no gamma function loses its digits."""

(
    SEEN, PART, TOTAL, SQUARES, PLAIN, PAIRS, EPISODE_WINDOWS, EPISODE_PART, EPISODE_TOTAL, SIZES,
) = range(10)  # fmt: skip
"""A row: windows learnt; EW sums of the watched events and of all; for ρ, squared residuals, their
variances by the binomial law, and pairs of events; of the present episode the windows (0 outside
one), the watched events and all. From `SIZES` on, for each factor of the odds, what
`change_sums` says, and the events of the same windows (`TRIALS`)."""
TRIALS, PER_SIZE = change_sums.CHANGE_COLUMNS, change_sums.CHANGE_COLUMNS + 1
SUMS = 2
"""Rows of `sums`: `EVIDENCE` of each factor after a window, and `CUSUM` of each."""


@njit(inline="always", error_model="numpy")
def _share(row):  # type: ignore[no-untyped-def]
    return (row[PART] + PRIOR) / (row[TOTAL] + 2.0 * PRIOR)


@njit(inline="always", error_model="numpy")
def _spread(row):  # type: ignore[no-untyped-def]
    above = row[SQUARES] - row[PLAIN] + SPREAD_PRIOR * PRIOR_PAIRS
    return min(SPREAD_MAX, max(SPREAD_MIN, above / (row[PAIRS] + PRIOR_PAIRS)))


@njit(inline="always", error_model="numpy")
def _log_beta_binomial(part, other, a, b):  # type: ignore[no-untyped-def]
    """Of the beta-binomial, but for what does not depend on the share."""
    return lgamma(part + a) - lgamma(a) + lgamma(other + b) - lgamma(b)


@njit(FLOAT(F1, F1, FLOAT, FLOAT, F2), nogil=True, cache=True, error_model="numpy")
def score_row(row, factors, part, other, sums):  # type: ignore[no-untyped-def]
    """The score after a window; into `sums` (`SUMS`, factors) each factor's evidence and CUSUM."""
    shrink = min(1.0, TRIALS_MAX / max(1.0, part + other))
    part, other = part * shrink, other * shrink
    share, precision = _share(row), 1.0 / _spread(row) - 1.0
    usual = _log_beta_binomial(part, other, share * precision, (1.0 - share) * precision)
    for k in range(factors.shape[0]):
        raised = factors[k] * share / (1.0 - share + factors[k] * share)
        a, b = raised * precision, (1.0 - raised) * precision
        ratio = _log_beta_binomial(part, other, a, b) - usual
        at = SIZES + PER_SIZE * k
        sums[EVIDENCE, k] = log1p(exp(row[at + EVIDENCE])) + ratio
        sums[CUSUM, k] = max(0.0, row[at + CUSUM] + ratio)
    return max(0.0, change_sums.log_mean_exp(sums[EVIDENCE]))


@njit(types.void(F2), cache=True, nogil=True)
def init_rows(state):  # type: ignore[no-untyped-def]
    """Fill in rows that have seen nothing."""
    for i in range(state.shape[0]):
        state[i] = 0.0
        change_sums.forget_evidence(state[i], SIZES, PER_SIZE)


@njit(inline="always")
def _is_readable(part, other):  # type: ignore[no-untyped-def]
    return 0.0 <= part <= limits.NUMBER_MAX and 0.0 <= other <= limits.NUMBER_MAX


@njit(inline="always")
def _accumulate(row, sums, part, other):  # type: ignore[no-untyped-def]
    """Keep the evidence of the judged window. Returns whether any CUSUM is above zero."""
    is_above = False
    total = part + other
    expected = _share(row) * total
    for k in range(sums.shape[1]):
        at = SIZES + PER_SIZE * k
        if change_sums.keep_evidence(row, at, sums[EVIDENCE, k], sums[CUSUM, k], part, expected):
            is_above = True
            row[at + TRIALS] += total
        else:
            row[at + TRIALS] = 0.0
    return is_above


@njit(inline="always", error_model="numpy")
def _shrink_factor(row, part, other):  # type: ignore[no-untyped-def]
    """By what to shrink a window so that it teaches no more than an unusually busy one."""
    usual = row[TOTAL] / max(1.0, min(row[SEEN], 1.0 / ALPHA))
    ceiling = limits.CEILING_FACTOR * usual + limits.CEILING_EVENTS
    return min(1.0, ceiling / max(1.0, part + other))


@njit(inline="always", error_model="numpy")
def _extend_episode(row, patience, part, other):  # type: ignore[no-untyped-def]
    """One more window of an episode; after `patience` of them its share is the new normal."""
    row[EPISODE_WINDOWS] += 1.0
    row[EPISODE_PART] += part
    row[EPISODE_TOTAL] += part + other
    if row[EPISODE_WINDOWS] > patience:
        row[PART], row[TOTAL] = row[EPISODE_PART], row[EPISODE_TOTAL]
        row[EPISODE_WINDOWS] = row[EPISODE_PART] = row[EPISODE_TOTAL] = 0.0
        change_sums.forget_evidence(row, SIZES, PER_SIZE)


@njit(inline="always", error_model="numpy")
def _learn(row, warm_up, part, other):  # type: ignore[no-untyped-def]
    total, share = part + other, _share(row)
    row[SEEN] += 1.0
    if total > 1.0 and row[SEEN] > warm_up // 4:
        plain = total * share * (1.0 - share)
        limit = limits.RESIDUAL_MAX * plain * (1.0 + (total - 1.0) * _spread(row))
        row[SQUARES] += min((part - total * share) ** 2, limit) - FORGET * row[SQUARES]
        row[PLAIN] += plain - FORGET * row[PLAIN]
        row[PAIRS] += plain * (total - 1.0) - FORGET * row[PAIRS]
    row[PART] += part - ALPHA * row[PART]
    row[TOTAL] += total - ALPHA * row[TOTAL]


@njit(inline="always", error_model="numpy")
def _learn_row(row, factors, warm_up, patience, part, other, sums):  # type: ignore[no-untyped-def]
    """Learn a window that was judged and not reported."""
    if not _is_readable(part, other):
        return
    above = False
    if row[SEEN] >= warm_up:
        score_row(row, factors, part, other, sums)
        above = _accumulate(row, sums, part, other)
    shrink = _shrink_factor(row, part, other)
    if row[EPISODE_WINDOWS] > 0.0:
        _extend_episode(row, patience, part * shrink, other * shrink)
        if not above:
            row[EPISODE_WINDOWS] = row[EPISODE_PART] = row[EPISODE_TOTAL] = 0.0
    else:
        _learn(row, warm_up, part * shrink, other * shrink)


@njit(inline="always")
def note_state(row, state):  # type: ignore[no-untyped-def]
    """Keep what tells why a row abstains."""
    state[0] = row[SEEN]


@njit(RUN_END(F2, F1, INT, INT, INT, INT, INT, RUN), cache=True, nogil=True, error_model="numpy")
def run_windows(state, factors, warm_up, patience, steps, low, block, run):  # type: ignore[no-untyped-def]
    """Judge and learn windows from `low` on, as `steps` says. With `BOTH`, ends before a window in
    which a score may be rare, and after one that fills a row's block of `block` windows.
    """
    sums = np.empty((SUMS, factors.shape[0]))
    for w in range(low, run.judged.size):
        begin, end = run.ends[w], run.ends[w + 1]
        if steps & JUDGE:
            judged, is_ordinary_window = 0, True
            for i in range(begin, end):
                row, part, other = state[run.rows[i]], run.values[i, 0], run.values[i, 1]
                run.scores[i] = np.nan
                if row[SEEN] >= warm_up and _is_readable(part, other):
                    run.scores[i] = score_row(row, factors, part, other, sums)
                if run.scores[i] != run.scores[i]:
                    note_state(row, run.state[i])
                else:
                    judged += 1
                if steps == BOTH:
                    is_ordinary_window &= is_ordinary(run, i)
            run.judged[w] = judged
            if not is_ordinary_window:
                return w, False
        if steps & LEARN:
            is_full = False
            for i in range(begin, end):
                row, part, other = state[run.rows[i]], run.values[i, 0], run.values[i, 1]
                _learn_row(row, factors, warm_up, patience, part, other, sums)
                if steps == BOTH:
                    is_full |= count_score(run, i, block)
            if is_full:
                return w + 1, True
    return run.judged.size, False


@njit(types.void(F2, INT, INT, FLOAT, FLOAT), cache=True, nogil=True, error_model="numpy")
def report(state, patience, at, part, other):  # type: ignore[no-untyped-def]
    """Row `at` was reported: its evidence starts anew, and it learns nothing."""
    if _is_readable(part, other):
        row = state[at]
        shrink = _shrink_factor(row, part, other)
        change_sums.forget_evidence(row, SIZES, PER_SIZE)
        _extend_episode(row, patience, part * shrink, other * shrink)
