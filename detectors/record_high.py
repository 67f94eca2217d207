"""Levels that are higher than they seldom are: what is forced against what the book takes, sweeps.

Some levels jump by nature (one large position comes within reach, a book is swept), so no law of
their steps holds. Of those one can only say how long they have not been so high. So the score is
the number itself, without a theory: calibration says how often it was as high in the last two days,
and says nothing in the first six hours.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from detectors.arrays.types import Bool, Float64, Int64
from detectors.base import Evidence
from detectors.row_detector import SEEN, RowBank, RowDetector
from detectors.stats.limits import NUMBER_MAX

ALPHA = 0.003
"""Of the usual level: a memory of 333 windows."""
USUAL, WIDTH = SEEN + 1, SEEN + 2


class RecordHighBank(RowBank):
    """`RecordHighDetector`s with the same parameters, a row of numbers each."""

    def __init__(self, least: float) -> None:
        super().__init__(WIDTH)
        self._least = least

    def judge(self, rows: Int64, values: Float64) -> Float64:
        level = values[:, 0]
        return np.where((self._rows[rows, SEEN] > 0.0) & _is_level(level), level, np.nan)

    def why(self, row: int, value: Float64) -> str:
        if not _is_level(value)[0]:
            return "the number is below zero or beyond 64 bits, and such a level is not"
        return "learning: no window seen"

    def evidence(self, row: int, value: Float64) -> Evidence | None:
        level, (seen, usual) = float(value[0]), self._rows[row].tolist()
        if not seen or not self._least <= level <= NUMBER_MAX:
            return None
        return Evidence(level, usual, "value", 1)

    def learn(self, rows: Int64, values: Float64) -> None:
        level = values[:, 0]
        readable = _is_level(level)
        rows, level = rows[readable], level[readable]
        usual, seen = self._rows[rows, USUAL], self._rows[rows, SEEN] + 1.0
        # An outlier moves the usual level as twice the usual level would.
        most = np.where(seen == 1.0, level, usual + np.maximum(usual, self._least))
        bounded = np.minimum(level, most)
        self._rows[rows, USUAL] = usual + np.maximum(ALPHA, 1.0 / seen) * (bounded - usual)
        self._rows[rows, SEEN] = seen

    def report(self, row: int, value: Float64) -> None:
        """Not learnt: the usual level is that of windows that were not reported."""


def _is_level(number: Float64) -> Bool:
    return (number >= 0.0) & (number <= NUMBER_MAX)


class RecordHighDetector(RowDetector):
    """A level that is as high as it seldom is; its EW mean is the usual one.

    Parameters
    ----------
    feature
        The key that holds the level of the window, ≥ 0.
    least
        Lower levels are of no interest, > 0, in the feature's unit. They have a score, for
        calibration learns all scores, but no evidence.

    Examples
    --------
    >>> from detectors.record_high import RecordHighDetector
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
