"""Many detectors alike, one a row, judged and learnt together.

The engine watches thousands of streams. A call a stream costs more than what is computed in it,
so detectors are asked by the bank: one call for all the streams of a window. What a bank says
of a row is what one detector by itself would say, bit for bit.
"""

from __future__ import annotations

import abc
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from detectors.base import Detector, Evidence

Int64 = NDArray[np.int64]
Float64 = NDArray[np.float64]


class Bank(abc.ABC):
    """Detectors of one kind and with the same parameters, numbered from 0.

    `values` are float64 of shape (rows asked, features), in the order of the detector's
    `features`, finite. No row is asked twice in one call.
    """

    log_likelihood: bool = False
    """As of the detector."""

    @abc.abstractmethod
    def grow(self, rows: int) -> None:
        """Have at least so many rows; new ones are as a detector is before it has seen anything."""

    @abc.abstractmethod
    def judge(self, rows: Int64, values: Float64) -> Float64:
        """Scores as `judge_one` gives them; NaN: the detector abstains. Changes no state."""

    @abc.abstractmethod
    def why(self, row: int, value: Float64) -> str:
        """Why the row abstains on these features, in words."""

    @abc.abstractmethod
    def evidence(self, row: int, value: Float64) -> Evidence | None:
        """The evidence of `judge_one`; asked only where it is wanted, before anything is learnt."""

    @abc.abstractmethod
    def learn(self, rows: Int64, values: Float64) -> None:
        """`learn_one` of each row."""

    @abc.abstractmethod
    def report(self, row: int, value: Float64) -> None:
        """`report_one` of a row."""

    @abc.abstractmethod
    def snapshot(self, rows: int) -> Any:
        """Everything learnt by the first `rows` rows, as plain numbers, texts, lists and arrays."""

    @abc.abstractmethod
    def restore(self, state: Any) -> None:
        """Continue, bit for bit, where the bank that gave `snapshot` stood."""


class SequentialBank(Bank):
    """Any detectors, asked one after the other."""

    def __init__(self, factory: Callable[[], Detector]) -> None:
        self._factory = factory
        self._detectors: list[Detector] = []
        detector = factory()
        self._keys = detector.features
        self.log_likelihood = detector.log_likelihood

    def grow(self, rows: int) -> None:
        self._detectors += [self._factory() for _ in range(len(self._detectors), rows)]

    def _features(self, value: Float64) -> dict[str, float]:
        return dict(zip(self._keys, value.tolist(), strict=True))

    def judge(self, rows: Int64, values: Float64) -> Float64:
        scores = [
            self._detectors[row].judge_one(self._features(value)).value
            for row, value in zip(rows.tolist(), values, strict=True)
        ]
        return np.array([np.nan if score is None else score for score in scores])

    def why(self, row: int, value: Float64) -> str:
        return self._detectors[row].judge_one(self._features(value)).why or "no reason given"

    def evidence(self, row: int, value: Float64) -> Evidence | None:
        return self._detectors[row].judge_one(self._features(value)).evidence

    def learn(self, rows: Int64, values: Float64) -> None:
        for row, value in zip(rows.tolist(), values, strict=True):
            self._detectors[row].learn_one(self._features(value))

    def report(self, row: int, value: Float64) -> None:
        self._detectors[row].report_one(self._features(value))

    def snapshot(self, rows: int) -> list[dict[str, Any]]:
        return [detector.snapshot() for detector in self._detectors[:rows]]

    def restore(self, state: list[dict[str, Any]]) -> None:
        self._detectors = []
        self.grow(len(state))
        for detector, held in zip(self._detectors, state, strict=True):
            detector.restore(held)
