"""Bursts of unknown size and length in quiet streams: quasi-Poisson FOCuS on a slow baseline.

Of all windows in which a rise could have begun, and all factors by which the rate could have
risen, the likeliest, exactly, at a logarithmic cost: a beginning that a later one beats for every
factor will never be the likeliest again. What is left is a chain of stretches with rising means,
all above the baseline. Counts that vary more than Poisson's are reckoned with by their
dispersion. The baseline knows nothing of self-excitation: on a stream whose events bring events,
`detectors/burst/detector.py` finds more.
"""

from __future__ import annotations

from math import log
from typing import Any, ClassVar

import numpy as np
from numba import njit, types

from detectors.bank import Float64, Int64
from detectors.base import NUMBER_MAX, Evidence
from detectors.row_detector import RowBank, RowDetector

ALPHA = 0.001
"""Of the baseline: a memory of 1,000 windows."""
BASE_MIN = 0.02
"""Events a window. A stream that never spoke is not thought impossible to speak."""
DISPERSION_MIN, DISPERSION_PRIOR, PRIOR_EVENTS = 1.0, 1.2, 30.0
"""Of the quasi-Poisson law, with the prior that weighs as much as this many events."""
CEILING_FACTOR, CEILING_EVENTS = 5.0, 30.0
"""A window is learnt as at most 5 times the baseline plus 30: one outlier poisons nothing."""
RESIDUAL_MAX = 25.0
STRETCHES = 24
"""Of the chain. Its length grows with the logarithm of the windows; beyond, the oldest two join."""
LOOK_BACK = 300.0
"""Windows. A rise that began earlier is a new level, which the baseline has taken in."""
COUNT_MAX = 2.0**53
"""A judged window counts as at most so much, so that sums stay exact."""

SEEN, BASE, SQUARES, FORECASTS, EPISODE_WINDOWS, EPISODE_TOTAL, LENGTH, CHAIN = range(8)
# The chain: for each stretch counts, baseline, windows.

F1, F2, I1 = types.float64[::1], types.float64[:, ::1], types.int64[::1]
INT = types.int64


@njit(inline="always")
def _dispersion(row):  # type: ignore[no-untyped-def]
    squares = row[SQUARES] + PRIOR_EVENTS * DISPERSION_PRIOR
    return max(DISPERSION_MIN, squares / (row[FORECASTS] + PRIOR_EVENTS))


@njit(inline="always", error_model="numpy")
def _push(chain, length, count, base):  # type: ignore[no-untyped-def]
    """Add a window; returns the new length. Means rise along the chain, and are above 1."""
    if length == STRETCHES:
        chain[0] += chain[1]
        chain[1 : length - 1] = chain[2:length].copy()
        length -= 1
    chain[length, 0], chain[length, 1], chain[length, 2] = count, base, 1.0
    length += 1
    while length > 1 and chain[length - 1, 0] * chain[length - 2, 1] <= (
        chain[length - 2, 0] * chain[length - 1, 1]
    ):
        chain[length - 2] += chain[length - 1]
        length -= 1
    drop = 0
    while drop < length and chain[drop, 0] <= chain[drop, 1]:
        drop += 1
    if drop < length and chain[drop:length, 2].sum() > LOOK_BACK:
        drop += 1
    chain[: length - drop] = chain[drop:length].copy()
    return length - drop


@njit(inline="always", error_model="numpy")
def _best_ratio(chain, length, stretch):  # type: ignore[no-untyped-def]
    """The highest log-likelihood ratio; into `stretch` its counts, baseline, windows."""
    best, count, base, windows = 0.0, 0.0, 0.0, 0.0
    for i in range(length - 1, -1, -1):
        count, base = count + chain[i, 0], base + chain[i, 1]
        windows += chain[i, 2]
        ratio = count * log(count / base) - (count - base)
        if ratio > best:
            best = ratio
            stretch[0], stretch[1], stretch[2] = count, base, windows
    return best


@njit(types.float64(F1, types.float64, F1), cache=True, nogil=True, error_model="numpy")
def score_row(row, count, stretch):  # type: ignore[no-untyped-def]
    """The score after a window of `count`, on a copy of the chain."""
    chain = row[CHAIN:].copy().reshape(STRETCHES, 3)
    length = _push(chain, int(row[LENGTH]), min(count, COUNT_MAX), max(row[BASE], BASE_MIN))
    return _best_ratio(chain, length, stretch) / _dispersion(row)


@njit(types.void(F2, INT, I1, F1, F1), cache=True, nogil=True, error_model="numpy")
def judge(state, warm_up, rows, counts, scores):  # type: ignore[no-untyped-def]
    found = np.empty(3)
    for i in range(rows.shape[0]):
        row, count = state[rows[i]], counts[i]
        scores[i] = np.nan
        if row[SEEN] >= warm_up and 0.0 <= count <= NUMBER_MAX:
            scores[i] = score_row(row, count, found)


@njit(inline="always", error_model="numpy")
def _extend_episode(row, patience, bounded):  # type: ignore[no-untyped-def]
    """One more window of an episode; after `patience` of them its level is the new normal."""
    row[EPISODE_WINDOWS] += 1.0
    row[EPISODE_TOTAL] += bounded
    if row[EPISODE_WINDOWS] > patience:
        row[BASE] = row[EPISODE_TOTAL] / row[EPISODE_WINDOWS]
        row[EPISODE_WINDOWS] = row[EPISODE_TOTAL] = row[LENGTH] = 0.0


@njit(types.void(F2, INT, INT, I1, F1), cache=True, nogil=True, error_model="numpy")
def learn(state, warm_up, patience, rows, counts):  # type: ignore[no-untyped-def]
    for i in range(rows.shape[0]):
        row, count = state[rows[i]], counts[i]
        if not 0.0 <= count <= NUMBER_MAX:
            continue
        base = max(row[BASE], BASE_MIN)
        bounded = min(count, CEILING_FACTOR * base + CEILING_EVENTS)
        if row[SEEN] >= warm_up:
            chain = row[CHAIN:].reshape(STRETCHES, 3)
            row[LENGTH] = _push(chain, int(row[LENGTH]), bounded, base)
        if row[EPISODE_WINDOWS] > 0.0:
            _extend_episode(row, patience, bounded)
            if row[LENGTH] == 0.0:
                row[EPISODE_WINDOWS] = row[EPISODE_TOTAL] = 0.0
            continue
        row[SEEN] += 1.0
        if row[SEEN] > warm_up // 4:
            limit = RESIDUAL_MAX * (_dispersion(row) * base + 1.0)
            keep = 1.0 - 1.0 / 86400.0
            row[SQUARES] = keep * row[SQUARES] + min((bounded - base) ** 2, limit)
            row[FORECASTS] = keep * row[FORECASTS] + base
        row[BASE] += max(ALPHA, 1.0 / row[SEEN]) * (bounded - row[BASE])


@njit(types.void(F2, INT, INT, types.float64), cache=True, nogil=True, error_model="numpy")
def report(state, patience, at, count):  # type: ignore[no-untyped-def]
    if 0.0 <= count <= NUMBER_MAX:
        row = state[at]
        row[LENGTH] = 0.0
        base = max(row[BASE], BASE_MIN)
        _extend_episode(row, patience, min(count, CEILING_FACTOR * base + CEILING_EVENTS))


class FocusBank(RowBank):
    """`FocusDetector`s with the same parameters, a row of numbers each."""

    log_likelihood = True

    def __init__(self, warm_up: int, patience: int) -> None:
        super().__init__(CHAIN + 3 * STRETCHES, "a FocusDetector")
        self._warm_up, self._patience = warm_up, patience

    def begin(self, rows: Float64) -> None:
        rows[:] = 0.0

    def judge(self, rows: Int64, values: Float64) -> Float64:
        scores = np.empty(len(rows))
        judge(self._rows, self._warm_up, rows, values[:, 0].copy(), scores)
        return scores

    def why(self, row: int, value: Float64) -> str:
        if not 0.0 <= value[0] <= NUMBER_MAX:
            return "the number is below zero or beyond 64 bits, and a count is not"
        return f"learning: {int(self._rows[row, SEEN])} of {self._warm_up} windows seen"

    def evidence(self, row: int, value: Float64) -> Evidence | None:
        found = np.zeros(3)
        if not score_row(self._rows[row], float(value[0]), found) > 0.0:
            return None
        observed, expected, windows = found.tolist()
        return Evidence(observed, expected, "events", int(windows))

    def learn(self, rows: Int64, values: Float64) -> None:
        learn(self._rows, self._warm_up, self._patience, rows, values[:, 0].copy())

    def report(self, row: int, value: Float64) -> None:
        report(self._rows, self._patience, row, value[0])


class FocusDetector(RowDetector):
    """Functional online CUSUM for rises of a Poisson rate, over-dispersed or not.

    Reported windows and new levels are dealt with as in `BurstDetector`.

    Parameters
    ----------
    feature
        The key that holds the count of the window, ≥ 0.
    warm_up
        Windows to learn before the first judgement, ≥ 1.
    patience
        Windows after which a reported episode is the new normal, ≥ 1.

    Examples
    --------
    >>> from detectors.contrib.focus import FocusDetector
    >>> detector = FocusDetector()
    >>> for i in range(900):
    ...     detector.learn_one({"count": i % 3})
    >>> detector.learn_one({"count": 7})
    >>> score = detector.judge_one({"count": 9})
    >>> score.value > 8, score.evidence.observed, score.evidence.windows
    (True, 16.0, 2)

    References
    ----------
    Ward, Dilillo, Eckley, Fearnhead, "Poisson-FOCuS: an efficient online method for detecting
    count bursts with application to gamma ray burst detection", J. Am. Stat. Assoc. 119 (2024);
    Romano, Eckley, Fearnhead, Rigaill, "Fast online changepoint detection via functional pruning
    CUSUM statistics", J. Mach. Learn. Res. 24 (2023).
    """

    log_likelihood: ClassVar[bool] = True

    def __init__(self, feature: str = "count", warm_up: int = 300, patience: int = 300) -> None:
        if warm_up < 1 or patience < 1:
            raise ValueError("warm_up and patience are numbers of windows: give at least 1")
        self.feature = feature
        self.warm_up = warm_up
        self.patience = patience
        self._init_row()

    @property
    def features(self) -> tuple[str, ...]:
        return (self.feature,)

    @property
    def bank_key(self) -> tuple[Any, ...]:
        return (self.warm_up, self.patience)

    def bank(self) -> FocusBank:
        return FocusBank(self.warm_up, self.patience)
