"""Levels, alone or several together: spreads, depth, costs, lags, volatility, imbalances.

Each feature is compared with its own usual value on three time scales: the window itself, the mean
over about 5 windows, and over about 33, each in its own robust standard deviations. How rare such a
distance is follows from its own past and, where it was never seen, from a heavy-tailed law. The
p-values of all features and scales are put together by their Cauchy combination, which holds
however they depend on each other. The score is -ln of the combined p.
"""

from __future__ import annotations

from math import atan, log, pi, tan
from typing import Any, ClassVar, Literal

import numpy as np
from numba import njit, types

from detectors.arrays.types import F1, F2, FLOAT, I1, INT, Float64, Int64
from detectors.base import Evidence
from detectors.row_detector import SEEN, RowBank, RowDetector
from detectors.stats.limits import DAY_WINDOWS, NUMBER_MAX, SD_OF_MAD

ALPHAS = np.array([1.0, 0.2, 0.03])
"""Of the means that are compared with the usual: the window itself, 5 windows, 33 windows."""
SCALES = 3
CENTRE_ALPHA = 0.003
"""Of the usual value and of the spreads: a memory of 333 windows."""
OUTLIER = 6.0
"""Spreads beyond which a number moves centre and spread no further."""
SPREAD_FLOOR = 1e-9
"""Of the spread, relative to the centre: equal numbers differ by nothing but rounding."""
BINS = 40
BIN_RATIO = 1.15
"""Distances are counted in bins that grow by this: the first ends at Z_FIRST, the last begins
at about 58 standard deviations."""
Z_FIRST = 0.25
FORGET = 1.0 / DAY_WINDOWS
"""Share of the counts that is forgotten each window."""
PRIOR_WINDOWS = 100.0
"""Student's t with four degrees of freedom counts as so many windows: it says how rare a distance
is that was never seen."""
P_MIN = 1e-280
"""Far above the least positive number, so that 1 / p is finite."""
BOTH, UP, DOWN = 0, 1, -1
Side = Literal["both", "up", "down"]
SIDES = {"both": BOTH, "up": UP, "down": DOWN}

EPISODE_WINDOWS, HEAD = SEEN + 1, SEEN + 2
"""After the head, a row has a stretch for each feature, and in it one for each time scale."""
CENTRE, PER_FEATURE = 0, 1  # then for each scale its mean, spread, count and bins
MEAN, SPREAD, COUNT_TOTAL, COUNTS = range(4)
PER_SCALE = 3 + BINS
FEATURE = PER_FEATURE + SCALES * PER_SCALE

SCORED = types.Tuple((FLOAT, INT, INT))  # type: ignore[no-untyped-call]


@njit(inline="always")
def _is_readable(values):  # type: ignore[no-untyped-def]
    highest = 0.0
    for f in range(values.shape[0]):
        highest = max(highest, abs(values[f]))
    return highest <= NUMBER_MAX


@njit(inline="always", error_model="numpy")
def _spread(row, at, scale):  # type: ignore[no-untyped-def]
    mine = at + PER_FEATURE + scale * PER_SCALE
    return row[mine + SPREAD] + SPREAD_FLOOR * abs(row[at + CENTRE]) + 1e-12


@njit(inline="always", error_model="numpy")
def _distance(row, at, scale, value):  # type: ignore[no-untyped-def]
    """The scale's mean after `value` less the usual value, in standard deviations."""
    mine = at + PER_FEATURE + scale * PER_SCALE
    mean = row[mine + MEAN] + ALPHAS[scale] * (value - row[mine + MEAN])
    return (mean - row[at + CENTRE]) / (SD_OF_MAD * _spread(row, at, scale))


@njit(inline="always", error_model="numpy")
def _distance_on_side(z, side):  # type: ignore[no-untyped-def]
    return abs(z) if side == BOTH else z * side


@njit(inline="always", error_model="numpy")
def _bin(z):  # type: ignore[no-untyped-def]
    if z <= Z_FIRST:
        return 0
    return min(BINS - 1, 1 + int(log(z / Z_FIRST) / log(BIN_RATIO)))


@njit(inline="always", error_model="numpy")
def _p_value(row, mine, z):  # type: ignore[no-untyped-def]
    """The share of windows at least as far off; of what was never seen, by Student's t."""
    tail = 0.0
    for b in range(_bin(z), BINS):
        tail += row[mine + COUNTS + b]
    law = min(1.0, (1.0 + max(0.0, z) ** 2 / 4.0) ** -2.5)
    p = (tail + PRIOR_WINDOWS * law) / (row[mine + COUNT_TOTAL] + PRIOR_WINDOWS)
    return min(1.0, max(P_MIN, p))


@njit(inline="always", error_model="numpy")
def _cauchy(p):  # type: ignore[no-untyped-def]
    return 1.0 / (pi * p) if p < 1e-8 else 1.0 / tan(pi * min(p, 1.0 - 1e-8))


@njit(SCORED(F1, F1, INT), cache=True, nogil=True, error_model="numpy")
def score_row(row, values, side):  # type: ignore[no-untyped-def]
    """-ln of the combined p, and the feature and the scale that have the least p by themselves."""
    total, least, feature, rarest = 0.0, 2.0, 0, 0
    for f in range(values.shape[0]):
        at = HEAD + f * FEATURE
        for scale in range(SCALES):
            mine = at + PER_FEATURE + scale * PER_SCALE
            p = _p_value(row, mine, _distance_on_side(_distance(row, at, scale, values[f]), side))
            total += _cauchy(p)
            if p < least:
                least, feature, rarest = p, f, scale
    mean = total / (SCALES * values.shape[0])
    if mean > 1e6:
        return log(pi * mean), feature, rarest
    return max(0.0, -log(0.5 - atan(mean) / pi)), feature, rarest


@njit(types.void(F2, F2, INT, INT, I1, F1), cache=True, nogil=True, error_model="numpy")
def judge(state, values, side, warm_up, rows, scores):  # type: ignore[no-untyped-def]
    """Score rows of features; NaN where a row is learning."""
    for i in range(rows.shape[0]):
        row = state[rows[i]]
        scores[i] = np.nan
        if row[SEEN] >= warm_up and _is_readable(values[i]):
            scores[i] = score_row(row, values[i], side)[0]


@njit(inline="always", error_model="numpy")
def _clip(off, reach):  # type: ignore[no-untyped-def]
    return min(reach, max(-reach, off))


@njit(inline="always", error_model="numpy")
def _learn(row, at, value, side, counting):  # type: ignore[no-untyped-def]
    alpha = max(CENTRE_ALPHA, 1.0 / (row[SEEN] + 1.0))
    centre = row[at + CENTRE]
    reach = OUTLIER * SD_OF_MAD * _spread(row, at, 0) + 1e-3 * abs(centre) + 1e-9
    off = value - centre
    if row[SEEN] > 10.0:  # the first windows say where the numbers lie at all
        off = _clip(off, reach)
    for scale in range(SCALES):
        mine = at + PER_FEATURE + scale * PER_SCALE
        if counting:
            z = _distance_on_side(_distance(row, at, scale, value), side)
            for b in range(BINS):
                row[mine + COUNTS + b] -= FORGET * row[mine + COUNTS + b]
            row[mine + COUNTS + _bin(z)] += 1.0
            row[mine + COUNT_TOTAL] += 1.0 - FORGET * row[mine + COUNT_TOTAL]
        weight = max(ALPHAS[scale], 1.0 / (row[SEEN] + 1.0))
        row[mine + MEAN] += weight * (centre + off - row[mine + MEAN])
        row[mine + SPREAD] += alpha * (abs(row[mine + MEAN] - centre) - row[mine + SPREAD])
    row[at + CENTRE] += alpha * off


@njit(types.void(F2, F2, INT, INT, I1), cache=True, nogil=True, error_model="numpy")
def learn(state, values, side, warm_up, rows):  # type: ignore[no-untyped-def]
    """Learn windows that were judged and not reported."""
    for i in range(rows.shape[0]):
        row = state[rows[i]]
        if not _is_readable(values[i]):
            continue
        for f in range(values.shape[1]):
            counting = row[SEEN] >= warm_up // 2
            _learn(row, HEAD + f * FEATURE, values[i, f], side, counting)
        row[SEEN] += 1.0
        row[EPISODE_WINDOWS] = 0.0


@njit(types.void(F1, F1, INT), cache=True, nogil=True, error_model="numpy")
def report(row, values, patience):  # type: ignore[no-untyped-def]
    """A reported window teaches nothing; after `patience` in a row, all is learnt anew."""
    if not _is_readable(values):
        return
    row[EPISODE_WINDOWS] += 1.0
    if row[EPISODE_WINDOWS] > patience:
        row[:] = 0.0


class CoMoveBank(RowBank):
    """`CoMoveDetector`s with the same parameters, a row of numbers each."""

    log_likelihood = True

    def __init__(self, features: int, side: int, warm_up: int, patience: int) -> None:
        width = HEAD + FEATURE * features
        super().__init__(width, "of as many features", warm_up, patience)
        self._side = side

    def judge(self, rows: Int64, values: Float64) -> Float64:
        scores = np.empty(len(rows))
        given = np.ascontiguousarray(values)
        judge(self._rows, given, self._side, self._warm_up, rows, scores)
        return scores

    def refusal(self, value: Float64) -> str | None:
        return None if np.abs(value).max() <= NUMBER_MAX else "a number is beyond 64 bits"

    def evidence(self, row: int, value: Float64) -> Evidence | None:
        mine = self._rows[row]
        score, feature, scale = score_row(mine, np.ascontiguousarray(value), self._side)
        if not score > 0.0:
            return None
        at = HEAD + feature * FEATURE
        on_scale = mine[at + PER_FEATURE + scale * PER_SCALE :]
        mean, spread = on_scale[[MEAN, SPREAD]].tolist()
        alpha, usual = float(ALPHAS[scale]), float(mine[at + CENTRE])
        now, windows = mean + alpha * (float(value[feature]) - mean), round(1.0 / alpha)
        return Evidence(now, usual, "value", windows, None, SD_OF_MAD * spread, feature)

    def learn(self, rows: Int64, values: Float64) -> None:
        given = np.ascontiguousarray(values)
        learn(self._rows, given, self._side, self._warm_up, rows)

    def report(self, row: int, value: Float64) -> None:
        report(self._rows[row], np.ascontiguousarray(value), self._patience)


class CoMoveDetector(RowDetector):
    """Robust z over three time scales → p → Cauchy combination, for one feature or several.

    A reported window teaches nothing. After `patience` reported windows in a row what they show is
    the new normal: the row begins anew, and abstains for its warm-up.

    Parameters
    ----------
    inputs
        The keys that it reads; a window that lacks one is not judged.
    side
        What hurts: "up", "down" or "both".
    warm_up
        Windows to learn before the first judgement, ≥ 2.
    patience
        Reported windows in a row after which the row begins anew, ≥ 1.

    Examples
    --------
    >>> from detectors.contrib.comove import CoMoveDetector
    >>> detector = CoMoveDetector(("spread_bps", "cost_bps"), side="up")
    >>> for i in range(900):
    ...     detector.learn_one({"spread_bps": 2 + i % 3, "cost_bps": 5 + i % 2})
    >>> detector.judge_one({"spread_bps": 3, "cost_bps": 5}).value < 3
    True
    >>> score = detector.judge_one({"spread_bps": 60, "cost_bps": 5})
    >>> score.value > 8, score.evidence.feature, score.evidence.windows
    (True, 0, 5)

    References
    ----------
    Liu, Xie, "Cauchy combination test: a powerful test with analytic p-value calculation under
    arbitrary dependency structures", J. Am. Stat. Assoc. 115 (2020);
    Vovk, Gammerman, Shafer, "Algorithmic Learning in a Random World" (2005), for p-values from
    the past.
    """

    log_likelihood: ClassVar[bool] = True
    """Clean data lift -ln p above h in about exp(-h) of the windows, like such a CUSUM."""
    BANK: ClassVar = CoMoveBank
    WARM_UP_MIN: ClassVar = 2
    non_negative = False

    def __init__(
        self,
        inputs: tuple[str, ...] = ("value",),
        side: Side = "both",
        warm_up: int = 600,
        patience: int = 300,
    ) -> None:
        if not inputs:
            raise ValueError("give at least one input: the features it reads")
        if side not in SIDES:
            raise ValueError(f"side is one of {', '.join(SIDES)}, not {side!r}")
        self.inputs = inputs
        self.side = side
        self.warm_up = warm_up
        self.patience = patience
        self._init_row()

    @property
    def features(self) -> tuple[str, ...]:
        return self.inputs

    @property
    def bank_key(self) -> tuple[Any, ...]:
        return (len(self.inputs), SIDES[self.side], self.warm_up, self.patience)
