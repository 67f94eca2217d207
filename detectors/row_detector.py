"""Detectors that live in one row of numbers, so that a bank of them is one array."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from typing import Any

import numpy as np

from detectors.bank import Bank, Float64
from detectors.base import Detector, Score, read_number

_FIRST_ROW = np.zeros(1, np.int64)


class RowBank(Bank):
    """A bank whose rows are those of one array.

    Parameters
    ----------
    width
        Numbers in a row.
    what
        Words for what the rows belong to, for the error on a foreign state.
    """

    def __init__(self, width: int, what: str) -> None:
        self._rows = np.empty((0, width))
        self._what = what

    @abc.abstractmethod
    def begin(self, rows: Float64) -> None:
        """Fill in rows as they are before anything was seen."""

    def grow(self, rows: int) -> None:
        have = len(self._rows)
        if rows > have:
            more = np.empty((max(rows, 2 * have) - have, self._rows.shape[1]))
            self.begin(more)
            self._rows = np.concatenate((self._rows, more))

    def snapshot(self, rows: int) -> Float64:
        return self._rows[:rows].copy()

    def restore(self, state: Float64) -> None:
        if state.shape[1] != self._rows.shape[1]:
            raise ValueError(f"this state is not of {self._what}: start it afresh")
        self._rows = state.copy()


class RowDetector(Detector):
    """A detector that is the only row of its bank. It sets `self._row = self.bank()` with a row."""

    _row: RowBank
    non_negative: bool = True
    """Whether its numbers may not be below zero."""

    @abc.abstractmethod
    def bank(self) -> RowBank: ...

    def _init_row(self) -> None:
        self._row = self.bank()
        self._row.grow(1)

    def _read(self, x: Mapping[Any, Any]) -> Float64 | str:
        numbers = []
        for feature in self.features:
            number = read_number(x, feature)
            if isinstance(number, str):
                return number
            if self.non_negative and number < 0:
                return f"{feature} is below zero, and a count is not"
            numbers.append(number)
        return np.array([numbers])

    def judge_one(self, x: Mapping[Any, Any]) -> Score:
        values = self._read(x)
        if isinstance(values, str):
            return Score(None, values)
        score = float(self._row.judge(_FIRST_ROW, values)[0])
        if score != score:
            return Score(None, self._row.why(0, values[0]))
        return Score(score, None, self._row.evidence(0, values[0]))

    def learn_one(self, x: Mapping[Any, Any]) -> None:
        values = self._read(x)
        if not isinstance(values, str):
            self._row.learn(_FIRST_ROW, values)

    def report_one(self, x: Mapping[Any, Any]) -> None:
        values = self._read(x)
        if not isinstance(values, str):
            self._row.report(0, values[0])

    def snapshot(self) -> dict[str, Any]:
        return {"row": self._row.snapshot(1)[0].tolist()}

    def restore(self, state: dict[str, Any]) -> None:
        self._row.restore(np.array([state["row"]]))
