"""Levels, alone or several together: spreads, depth, costs, lags, volatility, imbalances.

Each feature is compared with its own usual value on three time scales: the window itself, the mean
over about 5 windows, and over about 33, each in its own robust standard deviations. How rare such a
distance is follows from its own past and, where it was never seen, from a heavy-tailed law. The
p-values of all features and scales are put together by their Cauchy combination, which holds
however they depend on each other. The score is -ln of the combined p.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import numpy as np

from detectors.arrays.types import Float64, Int64
from detectors.base import Evidence
from detectors.contrib import comove_kernel as kernel
from detectors.row_detector import RowBank, RowDetector
from detectors.stats.limits import NUMBER_MAX, SD_OF_MAD

Side = Literal["both", "up", "down"]
SIDES: dict[str, int] = {"both": kernel.BOTH, "up": kernel.UP, "down": kernel.DOWN}


class CoMoveBank(RowBank):
    """`CoMoveDetector`s with the same parameters, a row of numbers each."""

    log_likelihood = True

    def __init__(self, features: int, side: int, warm_up: int, patience: int) -> None:
        width = kernel.HEAD + kernel.FEATURE * features
        super().__init__(width, "of as many features", warm_up, patience)
        self._side = side

    def judge(self, rows: Int64, values: Float64) -> Float64:
        scores = np.empty(len(rows))
        given = np.ascontiguousarray(values)
        kernel.judge(self._rows, given, self._side, self._warm_up, rows, scores)
        return scores

    def refusal(self, value: Float64) -> str | None:
        return None if np.abs(value).max() <= NUMBER_MAX else "a number is beyond 64 bits"

    def evidence(self, row: int, value: Float64) -> Evidence | None:
        mine = self._rows[row]
        score, feature, scale = kernel.score_row(mine, np.ascontiguousarray(value), self._side)
        if not score > 0.0:
            return None
        at = kernel.HEAD + feature * kernel.FEATURE
        on_scale = mine[at + kernel.PER_FEATURE + scale * kernel.PER_SCALE :]
        mean, spread = on_scale[[kernel.MEAN, kernel.SPREAD]].tolist()
        alpha = float(kernel.ALPHAS[scale])
        return Evidence(
            mean + alpha * (float(value[feature]) - mean),
            float(mine[at + kernel.CENTRE]),
            "value",
            round(1.0 / alpha),
            scale=SD_OF_MAD * spread,
            feature=feature,
        )

    def learn(self, rows: Int64, values: Float64) -> None:
        given = np.ascontiguousarray(values)
        kernel.learn(self._rows, given, self._side, self._warm_up, rows)

    def report(self, row: int, value: Float64) -> None:
        kernel.report(self._rows[row], np.ascontiguousarray(value), self._patience)


class CoMoveDetector(RowDetector):
    """Robust z over three time scales → p → Cauchy combination, for one feature or several.

    A reported window moves no usual value and no spread. After `patience` reported windows in a
    row the level is the new normal.

    Parameters
    ----------
    inputs
        The keys that it reads; a window that lacks one is not judged.
    side
        What hurts: "up", "down" or "both".
    warm_up
        Windows to learn before the first judgement, ≥ 2.
    patience
        Reported windows in a row after which their level is the new normal, ≥ 1.

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
        if warm_up < 2 or patience < 1:
            raise ValueError("warm_up is at least 2 windows and patience at least 1")
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
        return (len(self.inputs), self.side, self.warm_up, self.patience)

    def bank(self) -> CoMoveBank:
        return CoMoveBank(len(self.inputs), SIDES[self.side], self.warm_up, self.patience)
