"""A detector in thirty lines: how far a number lies above the mean of the last ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from detectors.base import Detector, Evidence, Score, read_number


class AboveMean(Detector):
    """Excess over the EW mean of what was seen, counted at most ten times that mean.

    Parameters
    ----------
    feature
        The key that holds the number.
    warm_up
        Windows before the first judgement.
    """

    def __init__(self, feature: str = "count", warm_up: int = 100) -> None:
        self.feature = feature
        self.warm_up = warm_up
        self._seen = 0
        self._mean = 0.0

    @property
    def features(self) -> tuple[str, ...]:
        return (self.feature,)

    def judge_one(self, x: Mapping[Any, Any]) -> Score:
        value = read_number(x, self.feature)
        if isinstance(value, str):
            return Score(None, value)
        if self._seen < self.warm_up:
            return Score(None, f"learning: {self._seen} of {self.warm_up} windows seen")
        return Score(value - self._mean, None, Evidence(value, self._mean, "events", 1))

    def learn_one(self, x: Mapping[Any, Any]) -> None:
        value = read_number(x, self.feature)
        if isinstance(value, str):
            return
        self._seen += 1
        bound = 10.0 * abs(self._mean) + 10.0
        self._mean += 0.01 * (max(-bound, min(bound, value)) - self._mean)

    def snapshot(self) -> dict[str, Any]:
        return {"seen": self._seen, "mean": self._mean}

    def restore(self, state: dict[str, Any]) -> None:
        self._seen, self._mean = state["seen"], state["mean"]
