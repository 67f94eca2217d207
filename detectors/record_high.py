"""Levels that go where they have not been: what is forced against what the book takes, sweeps.

Some levels jump by nature (one large position comes within reach, a book is swept), so that no law
of their steps is worth the name. Of those it can only be said that they are as high as in no hour
before. So the score is the number itself, without a theory: calibration tells how often it was as
high in the last two days, and says nothing in the first six hours.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from detectors.bank import Float64, Int64
from detectors.base import NUMBER_MAX, Evidence
from detectors.row_detector import RowBank, RowDetector

ALPHA = 0.003
"""Of the usual level: the last 333 windows."""
USUAL, SEEN, WIDTH = 0, 1, 2


class RecordHighBank(RowBank):
    """`RecordHighDetector`s with the same parameters, a row of numbers each."""

    def __init__(self, least: float) -> None:
        super().__init__(WIDTH, "a PeakDetector")
        self._least = least

    def begin(self, rows: Float64) -> None:
        rows[:] = 0.0

    def judge(self, rows: Int64, values: Float64) -> Float64:
        level = values[:, 0]
        known = (self._rows[rows, SEEN] > 0.0) & (level >= 0.0) & (level <= NUMBER_MAX)
        return np.where(known, level, np.nan)

    def why(self, row: int, value: Float64) -> str:
        if not 0.0 <= value[0] <= NUMBER_MAX:
            return "the number is below zero or beyond 64 bits, and such a level is not"
        return "learning: no window seen"

    def evidence(self, row: int, value: Float64) -> Evidence | None:
        level, (usual, seen) = float(value[0]), self._rows[row].tolist()
        if not seen or not self._least <= level <= NUMBER_MAX:
            return None
        return Evidence(level, usual, "value", 1)

    def learn(self, rows: Int64, values: Float64) -> None:
        level = values[:, 0]
        known = (level >= 0.0) & (level <= NUMBER_MAX)
        rows, level = rows[known], level[known]
        usual, seen = self._rows[rows, USUAL], self._rows[rows, SEEN] + 1.0
        # No outlier says more of what is usual than that it is twice as much.
        most = np.where(seen == 1.0, level, usual + np.maximum(usual, self._least))
        bounded = np.minimum(level, most)
        self._rows[rows, USUAL] = usual + np.maximum(ALPHA, 1.0 / seen) * (bounded - usual)
        self._rows[rows, SEEN] = seen

    def report(self, row: int, value: Float64) -> None:
        """Not learnt: the usual level is that of windows nobody was told of."""


class RecordHighDetector(RowDetector):
    """A level as high as it seldom was; what is usual is its EW mean.

    Parameters
    ----------
    feature
        The key that holds the level of the window, ≥ 0.
    least
        Below this no level is of interest, > 0, in the feature's unit: it has a score, for
        calibration has to know all of them, and no evidence.

    Examples
    --------
    >>> from detectors.record_high import PeakDetector
    >>> detector = RecordHighDetector("share", least=0.5)
    >>> for _ in range(10):
    ...     detector.learn_one({"share": 0.2})
    >>> detector.judge_one({"share": 0.4}).evidence is None
    True
    >>> detector.judge_one({"share": 2.0}).evidence.observed
    2.0
    """

    _row: RecordHighBank

    def __init__(self, feature: str = "level", least: float = 1.0) -> None:
        if not least > 0.0:
            raise ValueError(f"least is a level above 0, not {least}")
        self.feature = feature
        self.least = least
        self._init_row()

    @property
    def features(self) -> tuple[str, ...]:
        return (self.feature,)

    @property
    def bank_key(self) -> Any:
        return self.least

    def bank(self) -> RecordHighBank:
        return RecordHighBank(self.least)
