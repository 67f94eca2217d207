"""The compiled loops of `detector.py`: one row of numbers a stream."""

from __future__ import annotations

from math import exp, lgamma, log, log1p

import numpy as np
from numba import njit, types

COUNT_MAX = 2.0**63
ALPHA = 0.003
"""Of the EW sums that make the usual share: a memory of 333 windows."""
PRIOR = 0.5
"""Events of each kind that were never seen: no share is thought impossible (Jeffreys)."""
SPREAD_PRIOR, PRIOR_PAIRS = 0.02, 200.0
"""ρ, the correlation of two events of one window, starts here, and that weighs as much as so
many pairs of events."""
SPREAD_MIN, SPREAD_MAX = 1e-4, 0.9
FORGET = 1.0 / 86400.0
"""Of the sums behind ρ, a window."""
TRIALS_MAX = 1e5
"""A window counts as at most so many events: no gamma function loses its digits."""
CEILING_FACTOR, CEILING_EVENTS = 5.0, 30.0
"""And it is learnt as at most 5 times the usual number plus 30: one outlier poisons nothing."""
RESIDUAL_MAX = 25.0
"""Squared residuals count for ρ up to this many variances, for the same reason."""
SUM_MAX = 50.0
"""Evidence beyond it is not kept, so that a change which nobody reports is over when it is over."""

SEEN, PART, TOTAL, SQUARES, PLAIN, PAIRS, EPISODE_WINDOWS, EPISODE_PART, EPISODE_TOTAL = range(9)
SIZES = 9
# Then for each factor of the odds, as in the burst kernel.
EVIDENCE, CUSUM, OBSERVED, EXPECTED, TRIALS, WINDOWS, PER_SIZE = range(7)

F1, F2, I1 = types.float64[::1], types.float64[:, ::1], types.int64[::1]
INT, F = types.int64, types.float64


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


@njit(F(F1, F1, F, F, F2), nogil=True, cache=True, error_model="numpy")
def score_row(row, factors, part, other, sums):  # type: ignore[no-untyped-def]
    """The score after a window, and in `sums` each factor's evidence and CUSUM."""
    shrink = min(1.0, TRIALS_MAX / max(1.0, part + other))
    part, other = part * shrink, other * shrink
    share, precision = _share(row), 1.0 / _spread(row) - 1.0
    usual = _log_beta_binomial(part, other, share * precision, (1.0 - share) * precision)
    highest = -np.inf
    for k in range(factors.shape[0]):
        raised = factors[k] * share / (1.0 - share + factors[k] * share)
        ratio = (
            _log_beta_binomial(part, other, raised * precision, (1.0 - raised) * precision) - usual
        )
        at = SIZES + PER_SIZE * k
        sums[k, 0] = log1p(exp(row[at + EVIDENCE])) + ratio
        sums[k, 1] = max(0.0, row[at + CUSUM] + ratio)
        highest = max(highest, sums[k, 0])
    mixture = 0.0
    for k in range(factors.shape[0]):
        mixture += exp(sums[k, 0] - highest)
    return max(0.0, highest + log(mixture / factors.shape[0]))


@njit(inline="always")
def forget_evidence(row, sizes):  # type: ignore[no-untyped-def]
    row[SIZES:] = 0.0
    for k in range(sizes):
        row[SIZES + PER_SIZE * k + EVIDENCE] = -SUM_MAX


@njit(types.void(F2, INT), cache=True, nogil=True)
def begin(state, sizes):  # type: ignore[no-untyped-def]
    for i in range(state.shape[0]):
        state[i] = 0.0
        forget_evidence(state[i], sizes)


@njit(inline="always")
def _is_readable(part, other):  # type: ignore[no-untyped-def]
    return 0.0 <= part <= COUNT_MAX and 0.0 <= other <= COUNT_MAX


@njit(types.void(F2, F1, INT, I1, F2, F1), cache=True, nogil=True, error_model="numpy")
def judge(state, factors, warm_up, rows, values, scores):  # type: ignore[no-untyped-def]
    """Score parts and others; NaN where a row is learning, or a number is no count."""
    sums = np.empty((factors.shape[0], 2))
    for i in range(rows.shape[0]):
        row, part, other = state[rows[i]], values[i, 0], values[i, 1]
        scores[i] = np.nan
        if row[SEEN] >= warm_up and _is_readable(part, other):
            scores[i] = score_row(row, factors, part, other, sums)


@njit(inline="always")
def _accumulate(row, sums, part, other):  # type: ignore[no-untyped-def]
    above = False
    expected = _share(row) * (part + other)
    for k in range(sums.shape[0]):
        at = SIZES + PER_SIZE * k
        row[at + EVIDENCE] = min(SUM_MAX, max(-SUM_MAX, sums[k, 0]))
        cusum = row[at + CUSUM] = min(SUM_MAX, sums[k, 1])
        if cusum > 0.0:
            above = True
            row[at + OBSERVED] += part
            row[at + EXPECTED] += expected
            row[at + TRIALS] += part + other
            row[at + WINDOWS] += 1.0
        else:
            row[at + OBSERVED : at + PER_SIZE] = 0.0
    return above


@njit(inline="always", error_model="numpy")
def _shrink_factor(row, part, other):  # type: ignore[no-untyped-def]
    """By what to shrink a window so that it teaches no more than an unusually busy one."""
    usual = row[TOTAL] / max(1.0, min(row[SEEN], 1.0 / ALPHA))
    return min(1.0, (CEILING_FACTOR * usual + CEILING_EVENTS) / max(1.0, part + other))


@njit(inline="always", error_model="numpy")
def _extend_episode(row, sizes, patience, part, other):  # type: ignore[no-untyped-def]
    """One more window of an episode; after `patience` of them its share is the new normal."""
    row[EPISODE_WINDOWS] += 1.0
    row[EPISODE_PART] += part
    row[EPISODE_TOTAL] += part + other
    if row[EPISODE_WINDOWS] > patience:
        row[PART], row[TOTAL] = row[EPISODE_PART], row[EPISODE_TOTAL]
        row[EPISODE_WINDOWS] = row[EPISODE_PART] = row[EPISODE_TOTAL] = 0.0
        forget_evidence(row, sizes)


@njit(inline="always", error_model="numpy")
def _learn(row, warm_up, part, other):  # type: ignore[no-untyped-def]
    total, share = part + other, _share(row)
    row[SEEN] += 1.0
    if total > 1.0 and row[SEEN] > warm_up // 4:
        plain = total * share * (1.0 - share)
        limit = RESIDUAL_MAX * plain * (1.0 + (total - 1.0) * _spread(row))
        row[SQUARES] += min((part - total * share) ** 2, limit) - FORGET * row[SQUARES]
        row[PLAIN] += plain - FORGET * row[PLAIN]
        row[PAIRS] += plain * (total - 1.0) - FORGET * row[PAIRS]
    row[PART] += part - ALPHA * row[PART]
    row[TOTAL] += total - ALPHA * row[TOTAL]


@njit(types.void(F2, F1, INT, INT, I1, F2), cache=True, nogil=True, error_model="numpy")
def learn(state, factors, warm_up, patience, rows, values):  # type: ignore[no-untyped-def]
    """Learn windows that were judged and not reported."""
    sizes = factors.shape[0]
    sums = np.empty((sizes, 2))
    for i in range(rows.shape[0]):
        row, part, other = state[rows[i]], values[i, 0], values[i, 1]
        if not _is_readable(part, other):
            continue
        above = False
        if row[SEEN] >= warm_up:
            score_row(row, factors, part, other, sums)
            above = _accumulate(row, sums, part, other)
        shrink = _shrink_factor(row, part, other)
        if row[EPISODE_WINDOWS] > 0.0:
            _extend_episode(row, sizes, patience, part * shrink, other * shrink)
            if not above:
                row[EPISODE_WINDOWS] = row[EPISODE_PART] = row[EPISODE_TOTAL] = 0.0
        else:
            _learn(row, warm_up, part * shrink, other * shrink)


@njit(types.void(F2, INT, INT, INT, F, F), cache=True, nogil=True, error_model="numpy")
def report(state, sizes, patience, at, part, other):  # type: ignore[no-untyped-def]
    """Row `at` was reported: its evidence starts anew, and it learns nothing."""
    if _is_readable(part, other):
        row = state[at]
        shrink = _shrink_factor(row, part, other)
        forget_evidence(row, sizes)
        _extend_episode(row, sizes, patience, part * shrink, other * shrink)
