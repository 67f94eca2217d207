"""A plug-in that breaks, in one of the ways in which a detector can break."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from detectors.arrays.types import Float64, Int64
from detectors.base import Bank, Detector, Evidence, Score, SequentialBank

FAULTS = ("judge", "infinite", "learn", "report", "evidence", "panic")


class Panic(BaseException):
    """As Rust's panics reach Python: no `Exception`."""


class FrailDetector(Detector):
    """Counts windows, and does what `fault` says on a count of at least `breaks_at`."""

    log_likelihood: ClassVar[bool] = True

    def __init__(
        self, feature: str = "cancels", fault: str = "judge", breaks_at: float = 30.0
    ) -> None:
        self.feature, self.fault, self.breaks_at = feature, fault, breaks_at
        self.seen = 0

    @property
    def features(self) -> tuple[str, ...]:
        return (self.feature,)

    def _break(self, x: Mapping[Any, Any], *faults: str) -> None:
        if x[self.feature] >= self.breaks_at and self.fault in faults:
            if self.fault == "panic":
                raise Panic(f"at {id(self)}")
            raise ZeroDivisionError(f"at {id(self)}")

    def judge_one(self, x: Mapping[Any, Any]) -> Score:
        self._break(x, "judge", "panic")
        if self.seen < 3:
            return Score(None, "learning")
        if x[self.feature] < self.breaks_at or self.fault == "learn":
            return Score(0.0)
        if self.fault == "infinite":
            return Score(float("inf"))
        return Score(100.0, None, Evidence(x[self.feature], 1.0, "events", 1))

    def learn_one(self, x: Mapping[Any, Any]) -> None:
        self._break(x, "learn")
        self.seen += 1

    def report_one(self, x: Mapping[Any, Any]) -> None:
        self._break(x, "report")

    def snapshot(self) -> dict[str, Any]:
        if self.fault == "snapshot":
            raise TypeError("cannot be written")
        return {"seen": self.seen}

    def restore(self, state: dict[str, Any]) -> None:
        self.seen = state["seen"]

    def bank(self) -> Bank:
        return FrailBank(self.clone)


class FrailBank(SequentialBank):
    """Its evidence may raise where the score did not."""

    def evidence(self, row: int, value: Float64) -> Evidence | None:
        self._detectors[row]._break(self._features(value), "evidence")  # type: ignore[attr-defined]
        return super().evidence(row, value)


class WholeBank(FrailBank):
    """Judges and learns all rows in one go, so that one bad row is the fault of all."""

    def judge(self, rows: Int64, values: Float64) -> Float64:
        scores = super().judge(rows, values)
        assert len(scores) == len(rows)
        return np.asarray(scores)

    def learn(self, rows: Int64, values: Float64) -> None:
        for row, value in zip(rows.tolist(), values, strict=True):
            self._detectors[row].learn_one(self._features(value))


class WholeDetector(FrailDetector):
    """A detector of a `WholeBank`."""

    @property
    def bank_key(self) -> Any:
        return self.fault, self.breaks_at

    def bank(self) -> Bank:
        return WholeBank(self.clone)
