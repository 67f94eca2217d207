"""Bursts of unknown size and length in quiet streams: quasi-Poisson FOCuS on a slow baseline.

Of all windows in which a rise may have begun, and all factors by which the rate may have risen, it
computes the likeliest, exactly and at a logarithmic cost: a beginning that a later one exceeds for
every factor will never be the likeliest again. What is left is a chain of stretches with rising
means, all above the baseline. Counts that vary more than Poisson's are allowed for by their
dispersion. The baseline ignores self-excitation: where events bring events, `BurstDetector` detects
more.
"""

from __future__ import annotations

from math import log
from typing import ClassVar

import numpy as np
from numba import njit, types

from detectors.arrays.types import F1, F2, FLOAT, I1, INT, Float64, Int64
from detectors.base import Evidence
from detectors.row_detector import RowBank, RowDetector, count_refusal
from detectors.stats import limits

ALPHA = 0.001
"""Of the baseline: a memory of 1,000 windows."""
BASE_MIN = 0.02
"""Events a window: the least baseline, for a silent stream may begin to act."""
DISPERSION_MIN, DISPERSION_PRIOR, PRIOR_EVENTS = 1.0, 1.2, 30.0
"""Of the quasi-Poisson law; the prior counts as this many events."""
STRETCHES = 24
"""Of the chain. It grows with the logarithm of the windows; when it is full the oldest two join."""
LOOK_BACK = 300.0
"""Windows. A rise that began earlier is a new level, which the baseline has taken in."""
COUNT_MAX = 2.0**53
"""A judged window counts as at most so much, so that sums stay exact."""

SEEN, BASE, SQUARES, FORECASTS, EPISODE_WINDOWS, EPISODE_TOTAL, LENGTH, CHAIN = range(8)
"""A row: windows learnt, the baseline, squared residuals and forecasts of the same windows, the
windows of the present episode (0 outside one) and the events in them, the length of the chain, and
the chain itself, (`STRETCHES`, `STRETCH_COLUMNS`)."""
COUNT, EXPECTED, WINDOWS, STRETCH_COLUMNS = range(4)

SCORED = types.UniTuple(FLOAT, 4)  # type: ignore[no-untyped-call]


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
    chain[length, COUNT], chain[length, EXPECTED], chain[length, WINDOWS] = count, base, 1.0
    length += 1
    while length > 1 and chain[length - 1, COUNT] * chain[length - 2, EXPECTED] <= (
        chain[length - 2, COUNT] * chain[length - 1, EXPECTED]
    ):
        chain[length - 2] += chain[length - 1]
        length -= 1
    drop = 0
    while drop < length and chain[drop, COUNT] <= chain[drop, EXPECTED]:
        drop += 1
    if drop < length and chain[drop:length, WINDOWS].sum() > LOOK_BACK:
        drop += 1
    chain[: length - drop] = chain[drop:length].copy()
    return length - drop


@njit(SCORED(F1, FLOAT), cache=True, nogil=True, error_model="numpy")
def score_row(row, new_count):  # type: ignore[no-untyped-def]
    """The score after a window of `new_count`, on a copy of the chain, and what it rests on: count,
    expected count and windows since the likeliest beginning."""
    chain = row[CHAIN:].copy().reshape(STRETCHES, STRETCH_COLUMNS)
    length = _push(chain, int(row[LENGTH]), min(new_count, COUNT_MAX), max(row[BASE], BASE_MIN))
    best, since, expected_since, windows_since = 0.0, 0.0, 0.0, 0.0
    count = expected = windows = 0.0
    for i in range(length - 1, -1, -1):
        count += chain[i, COUNT]
        expected += chain[i, EXPECTED]
        windows += chain[i, WINDOWS]
        ratio = count * log(count / expected) - (count - expected)
        if ratio > best:
            best, since, expected_since, windows_since = ratio, count, expected, windows
    return best / _dispersion(row), since, expected_since, windows_since


@njit(types.void(F2, INT, I1, F1, F1), cache=True, nogil=True, error_model="numpy")
def judge(state, warm_up, rows, counts, scores):  # type: ignore[no-untyped-def]
    """Score `counts` of `rows`; NaN where a row is learning, or the number is no count."""
    for i in range(rows.shape[0]):
        row, count = state[rows[i]], counts[i]
        scores[i] = np.nan
        if row[SEEN] >= warm_up and 0.0 <= count <= limits.NUMBER_MAX:
            scores[i] = score_row(row, count)[0]


@njit(inline="always", error_model="numpy")
def _bound_count(row, count):  # type: ignore[no-untyped-def]
    """As how many events a window is learnt: within an episode beside what that has shown so far,
    so that its level is adopted at once, however high."""
    usual = max(row[BASE], BASE_MIN)
    if row[EPISODE_WINDOWS] > 0.0:
        usual = max(usual, row[EPISODE_TOTAL] / row[EPISODE_WINDOWS])
    return min(count, limits.CEILING_FACTOR * usual + limits.CEILING_EVENTS)


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
    """Learn `counts` of `rows`, which were judged and not reported."""
    for i in range(rows.shape[0]):
        row, count = state[rows[i]], counts[i]
        if not 0.0 <= count <= limits.NUMBER_MAX:
            continue
        base = max(row[BASE], BASE_MIN)
        bounded = _bound_count(row, count)
        if row[SEEN] >= warm_up:
            chain = row[CHAIN:].reshape(STRETCHES, STRETCH_COLUMNS)
            row[LENGTH] = _push(chain, int(row[LENGTH]), bounded, base)
        if row[EPISODE_WINDOWS] > 0.0:
            _extend_episode(row, patience, bounded)
            if row[LENGTH] == 0.0:
                row[EPISODE_WINDOWS] = row[EPISODE_TOTAL] = 0.0
            continue
        row[SEEN] += 1.0
        if row[SEEN] > warm_up // 4:
            limit = limits.RESIDUAL_MAX * (_dispersion(row) * base + 1.0)
            keep = 1.0 - 1.0 / limits.DAY_WINDOWS
            row[SQUARES] = keep * row[SQUARES] + min((bounded - base) ** 2, limit)
            row[FORECASTS] = keep * row[FORECASTS] + base
        row[BASE] += max(ALPHA, 1.0 / row[SEEN]) * (bounded - row[BASE])


@njit(types.void(F2, INT, INT, FLOAT), cache=True, nogil=True, error_model="numpy")
def report(state, patience, at, count):  # type: ignore[no-untyped-def]
    """Row `at` was reported in this window: its evidence starts anew, and it learns nothing."""
    if 0.0 <= count <= limits.NUMBER_MAX:
        row = state[at]
        row[LENGTH] = 0.0
        _extend_episode(row, patience, _bound_count(row, count))


class FocusBank(RowBank):
    """`FocusDetector`s with the same parameters, a row of numbers each."""

    log_likelihood = True

    def __init__(self, warm_up: int, patience: int) -> None:
        super().__init__(CHAIN + STRETCHES * STRETCH_COLUMNS, "", warm_up, patience)

    def judge(self, rows: Int64, values: Float64) -> Float64:
        scores = np.empty(len(rows))
        judge(self._rows, self._warm_up, rows, values[:, 0].copy(), scores)
        return scores

    def refusal(self, value: Float64) -> str | None:
        return count_refusal(value[0])

    def evidence(self, row: int, value: Float64) -> Evidence | None:
        score, observed, expected, windows = score_row(self._rows[row], float(value[0]))
        return Evidence(observed, expected, "events", int(windows)) if score > 0.0 else None

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
    BANK: ClassVar = FocusBank
    PARAMETERS: ClassVar = ("warm_up", "patience")

    def __init__(self, feature: str = "count", warm_up: int = 300, patience: int = 300) -> None:
        self.feature = feature
        self.warm_up = warm_up
        self.patience = patience
        self._init_row()
