"""Levels that go where they have not been: what is forced against what the book takes.

Some levels jump by nature (one large position comes within reach, a book is swept), so that no law
of their steps is worth the name. Of those it can only be said that they are as high as in no hour
before. So the score is the number itself, without a theory: calibration tells how often it was as
high in the last two days, and says nothing in the first six hours.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from detectors.base import Detector, Evidence, Score, read

ALPHA = 0.003
"""Of the usual level: the last 333 windows."""


class PeakDetector(Detector):
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
    >>> from detectors.peak import PeakDetector
    >>> detector = PeakDetector("share", least=0.5)
    >>> for _ in range(10):
    ...     detector.learn_one({"share": 0.2})
    >>> detector.judge_one({"share": 0.4}).evidence is None
    True
    >>> detector.judge_one({"share": 2.0}).evidence.observed
    2.0
    """

    def __init__(self, feature: str = "level", least: float = 1.0) -> None:
        if not least > 0.0:
            raise ValueError(f"least is a level above 0, not {least}")
        self.feature = feature
        self.least = least
        self._usual = 0.0
        self._seen = 0

    @property
    def features(self) -> tuple[str, ...]:
        return (self.feature,)

    def judge_one(self, x: Mapping[Any, Any]) -> Score:
        level = read(x, self.feature)
        if isinstance(level, str):
            return Score(None, level)
        if level < 0.0:
            return Score(None, f"{self.feature} is below zero, and such a level is not")
        if not self._seen:
            return Score(None, "learning: no window seen")
        if level < self.least:
            return Score(level)
        return Score(level, None, Evidence(level, self._usual, "value", 1))

    def learn_one(self, x: Mapping[Any, Any]) -> None:
        level = read(x, self.feature)
        if isinstance(level, str) or level < 0.0:
            return
        self._seen += 1
        bounded = level if self._seen == 1 else min(level, 2.0 * max(self._usual, self.least))
        self._usual += max(ALPHA, 1.0 / self._seen) * (bounded - self._usual)

    def report_one(self, x: Mapping[Any, Any]) -> None:
        """A level is one, whoever made it: the mean of what is usual follows it slowly."""
        self.learn_one(x)

    def state(self) -> dict[str, Any]:
        return {"usual": self._usual, "seen": self._seen}

    def restore(self, state: dict[str, Any]) -> None:
        self._usual, self._seen = state["usual"], state["seen"]
