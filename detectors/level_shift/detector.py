"""Levels that step away from their usual: depth, spread, cost to trade, mark against index.

A level remembers: it is now about where it was a moment ago. So what is judged is the innovation,
the distance from a forecast: a non-negative combination of the last value and of EW means of the
recent past, with weights refitted by least squares. Its scale is that of innovations on the side
that hurts (spreads jump up and not down). Of a level without sign the logarithm is taken, so that
"a fifth of usual" means as much at a depth of 1e4 as at 1e8.

Real books differ from theory: they stand still, jump, and stay away for a while. So innovations
follow Student's t in the middle and what was counted in the tails; a level that has not moved adds
no evidence; and one that is off its usual may stay there, as often as it has done before.

A step of the level by D shows as D in the first innovation, and in each that follows as what the
forecast has not taken over yet: its *footprint*. For each size of step there is a CUSUM of the
log-likelihood ratio of just that. It may start anew at every window, and ends where the level is
back at its usual; the score is the highest. Of a reported step nothing is learnt, neither how far
the level jumped nor that it stayed.
"""

from __future__ import annotations

from math import exp, log
from typing import ClassVar

import numpy as np

from detectors.arrays.types import Float64
from detectors.base import Evidence, learning_reason
from detectors.level_shift import columns as col
from detectors.level_shift import kernel
from detectors.row_detector import RowDetector, RunBank
from detectors.stats.limits import NUMBER_MAX
from detectors.window_run import WindowRun

DIRECTION_SIGNS = {"up": (1.0,), "down": (-1.0,), "both": (1.0, -1.0)}


class LevelShiftBank(RunBank):
    """`LevelShiftDetector`s with the same parameters, a row of numbers each."""

    WHY_COLUMNS = col.SEEN, col.FLOOR, col.SIDE

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
        signs = DIRECTION_SIGNS[direction]
        self._steps = np.array([sign * size for sign in signs for size in sizes])
        self._signed, self._least = signed, log(least)
        limits = warm_up, patience
        self._chosen = kernel.Chosen(self._steps, self._least, signed, sum(signs), *limits)
        width = col.STEPS + col.PER_STEP * len(self._steps)
        super().__init__(width, "with the same steps", warm_up, patience)

    def init_rows(self, rows: Float64) -> None:
        kernel.init_rows(rows, self._warm_up)

    def run(self, steps: int, low: int, block: int, windows: WindowRun) -> tuple[int, bool]:
        return kernel.run_windows(self._rows, self._chosen, steps, low, block, windows)

    def why_of(self, state: list[float], value: Float64) -> str:
        level, (seen, floor, moves) = float(value[0]), state
        if level < 0.0 and not self._signed:
            return "the number is below zero, and such a level is not"
        if not abs(level) <= NUMBER_MAX:
            return "the number is beyond 64 bits"
        if seen < self._warm_up:
            return learning_reason(seen, self._warm_up)
        if not self._signed and floor == 0.0:
            return "nothing but zeros in the warm-up: there is no scale to measure by"
        return f"learning: {int(moves)} of {col.MOVES_MIN:.0f} moves seen"

    def evidence(self, row: int, value: Float64) -> Evidence | None:
        mine, level = self._rows[row], float(value[0])
        if not col.can_judge(mine, level, self._signed, self._warm_up):
            return None
        sums = np.empty((col.SUMS, len(self._steps)))
        if not kernel.score_row(mine, self._steps, self._least, self._signed, level, sums) > 0.0:
            return None
        likeliest = int(sums[col.CUSUM].argmax())
        total, windows = 0.0, 0
        if not sums[col.IS_NEW, likeliest]:
            step = mine[col.STEPS + col.PER_STEP * likeliest :]
            total, windows = float(step[col.LEVELS]), int(step[col.WINDOWS])
        mean = (total + level) / (windows + 1)
        return Evidence(mean, self.usual_level(row), "value", windows + 1)

    def usual_level(self, row: int) -> float:
        """The usual level, in the feature's unit."""
        mine = self._rows[row]
        center = float(mine[col.CENTER])
        return center if self._signed else max(0.0, exp(center) - float(mine[col.FLOOR]))

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
        The smallest step that matters, ≥ 1: the level over its usual, or the usual over it. Only
        for a level without sign; a signed one has no such ratio.
    warm_up
        Windows to learn before the first judgement, ≥ 10.
    patience
        Windows after which a reported episode is the new normal, ≥ 1.

    Examples
    --------
    >>> from detectors.level_shift.detector import LevelShiftDetector
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
    BANK: ClassVar = LevelShiftBank
    PARAMETERS: ClassVar = ("direction", "signed", "sizes", "least", "warm_up", "patience")
    WARM_UP_MIN: ClassVar = 10

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
        self.feature = feature
        self.direction = direction
        self.signed = signed
        self.sizes = sizes
        self.least = least
        self.warm_up = warm_up
        self.patience = patience
        self.non_negative = not signed
        self._init_row()
