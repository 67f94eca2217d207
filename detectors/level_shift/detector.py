"""Levels that step away from their usual: depth, spread, cost to trade, mark against index.

A level remembers: where it was a moment ago it is about now. So what is judged is the innovation,
the distance from a forecast: a non-negative combination of the last value and of EW means of the
recent past, with weights refitted by least squares. Its scale is that of innovations on the side
that hurts (spreads jump up and not down). The logarithm is taken where a level has no sign, so that
"a fifth of usual" means as much at a depth of 1e4 as at 1e8.

Real books are not what theory has: they stand still, jump, and stay away for a while. So
innovations follow Student's t in the middle and what was counted in the tails; a level that has not
moved says nothing new; and one that is off its usual may stay there, as often as it was seen to.

A step of the level by D shows as D in the first innovation, and in each that follows as what the
forecast has not taken over yet: its *footprint*. CUSUMs of the log-likelihood ratio of just that,
one for each size of step, may start anew at every window and end where the level is back at its
usual; the score is the highest. What is then reported is not learnt, neither how far the level
jumped nor that it stayed.
"""

from __future__ import annotations

from math import exp, log
from typing import Any, ClassVar

import numpy as np

from detectors.bank import Float64, Int64
from detectors.base import Evidence
from detectors.level_shift import columns as layout
from detectors.level_shift import kernel
from detectors.row_detector import RowBank, RowDetector

DIRECTION_SIGNS = {"up": (1.0,), "down": (-1.0,), "both": (1.0, -1.0)}


class LevelShiftBank(RowBank):
    """`LevelShiftDetector`s with the same parameters, a row of numbers each."""

    log_likelihood = True

    def __init__(
        self,
        direction: str,
        signed: bool,
        sizes: tuple[float, ...],
        least: float,
        warm_up: int,
        patience: int,
    ) -> None:
        self._steps = np.array(
            [sign * size for sign in DIRECTION_SIGNS[direction] for size in sizes]
        )
        self._side = sum(DIRECTION_SIGNS[direction])
        self._signed, self._least = signed, log(least)
        self._warm_up, self._patience = warm_up, patience
        width = layout.STEPS + layout.PER_STEP * len(self._steps)
        super().__init__(width, "a LevelDetector with the same steps")

    def begin(self, rows: Float64) -> None:
        kernel.begin(rows, self._warm_up)

    def judge(self, rows: Int64, values: Float64) -> Float64:
        levels, scores = values[:, 0].copy(), np.empty(len(rows))
        law = self._steps, self._least, self._signed, self._warm_up
        kernel.judge(self._rows, *law, rows, levels, scores)
        return scores

    def why(self, row: int, value: Float64) -> str:
        level, seen = float(value[0]), int(self._rows[row, layout.SEEN])
        if level < 0.0 and not self._signed:
            return "the number is below zero, and such a level is not"
        if not abs(level) <= layout.LEVEL_MAX:
            return "the number is beyond 64 bits"
        if seen < self._warm_up:
            return f"learning: {seen} of {self._warm_up} windows seen"
        if not self._signed and self._rows[row, layout.FLOOR] == 0.0:
            return "nothing but zeros in the warm-up: there is no scale to measure by"
        moves = int(self._rows[row, layout.SIDE])
        return f"learning: {moves} of {layout.MOVES_MIN:.0f} moves seen"

    def evidence(self, row: int, value: Float64) -> Evidence | None:
        mine, level = self._rows[row], float(value[0])
        if not layout.can_judge(mine, level, self._signed, self._warm_up):
            return None
        sums = np.empty((len(self._steps), 2))
        if not kernel.score_row(mine, self._steps, self._least, self._signed, level, sums) > 0.0:
            return None
        likeliest = int(sums[:, 0].argmax())
        at = layout.STEPS + layout.PER_STEP * likeliest
        total, windows = 0.0, 0
        if not sums[likeliest, 1]:
            total, windows = float(mine[at + layout.LEVELS]), int(mine[at + layout.WINDOWS])
        return Evidence(
            (total + level) / (windows + 1), self.usual_level(row), "value", windows + 1
        )

    def usual_level(self, row: int) -> float:
        """The level that is thought usual, in the feature's unit."""
        mine = self._rows[row]
        center = float(mine[layout.CENTER])
        return center if self._signed else max(0.0, exp(center) - float(mine[layout.FLOOR]))

    def learn(self, rows: Int64, values: Float64) -> None:
        levels = values[:, 0].copy()
        law = self._steps, self._least, self._signed, self._side, self._warm_up, self._patience
        kernel.learn(self._rows, *law, rows, levels)

    def report(self, row: int, value: Float64) -> None:
        kernel.report(self._rows, self._signed, self._patience, row, value[0])


class LevelShiftDetector(RowDetector):
    """CUSUMs for a step of an autoregressive level.

    After `report_one` the detector is *in an episode*: it learns nothing and its evidence starts
    anew, until its CUSUMs are back at zero. After `patience` windows the episode is the new level.

    Parameters
    ----------
    feature
        The key that holds the level of the window.
    direction
        "up", "down" or "both": which way a step hurts.
    signed
        Whether the level may be below 0 (no logarithm is taken then).
    sizes
        Steps looked for, each > 0, in standard deviations of the level itself.
    least
        The smallest step that matters, ≥ 1: the level over its usual, or the usual over it. A level
        that has no sign is told from steps of at least that; a signed one has no such ratio.
    warm_up
        Windows to learn before the first judgement, ≥ 10.
    patience
        Windows after which a reported episode is the new normal, ≥ 1.

    Examples
    --------
    >>> from detectors.level_shift.detector import LevelDetector
    >>> detector = LevelShiftDetector("depth", direction="down")
    >>> for i in range(600):
    ...     detector.learn_one({"depth": 1e6 * (1 + 0.1 * ((i * 7919) % 13 - 6) / 6)})
    >>> detector.judge_one({"depth": 1.05e6}).value
    0.0
    >>> detector.judge_one({"depth": 2e5}).value > 10
    True

    References
    ----------
    Page, "Continuous inspection schemes", Biometrika 41 (1954). Lange, Little, Taylor, "Robust
    statistical modeling using the t distribution", JASA 84 (1989), for the scale.
    """

    log_likelihood: ClassVar[bool] = True
    _row: LevelShiftBank

    def __init__(
        self,
        feature: str = "level",
        direction: str = "up",
        signed: bool = False,
        sizes: tuple[float, ...] = (2.0, 5.0, 12.0),
        least: float = 2.0,
        warm_up: int = 300,
        patience: int = 300,
    ) -> None:
        if direction not in DIRECTION_SIGNS:
            raise ValueError(f"direction is {', '.join(DIRECTION_SIGNS)}, not {direction!r}")
        if not sizes or min(sizes) <= 0:
            raise ValueError(f"sizes must be steps above 0, not {sizes}")
        if least < 1:
            raise ValueError(f"least is a ratio of at least 1, not {least}")
        if warm_up < 10 or patience < 1:
            raise ValueError("give a warm_up of at least 10 windows and a patience of at least 1")
        self.feature = feature
        self.direction = direction
        self.signed = signed
        self.sizes = sizes
        self.least = least
        self.warm_up = warm_up
        self.patience = patience
        self.non_negative = not signed
        self._init_row()

    @property
    def features(self) -> tuple[str, ...]:
        return (self.feature,)

    @property
    def bank_key(self) -> tuple[Any, ...]:
        return tuple(self.__dict__[name] for name in _PARAMETERS)

    def bank(self) -> LevelShiftBank:
        return LevelShiftBank(**{name: self.__dict__[name] for name in _PARAMETERS})

    @property
    def usual_level(self) -> float:
        """The level that is thought usual, in the feature's unit."""
        return self._row.usual_level(0)


_PARAMETERS = ("direction", "signed", "sizes", "least", "warm_up", "patience")
"""The parameters that decide what is said of a number."""
