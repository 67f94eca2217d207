"""Detectors that live in one row of numbers, so that a bank of them is one array."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from detectors.arrays.growable import grow_rows
from detectors.arrays.types import Float64, Int64
from detectors.base import Bank, Detector, Score, learning_reason, read_numbers
from detectors.stats.limits import NUMBER_MAX
from detectors.window_run import JUDGE, LEARN, WindowRun, single_window

FIRST_ROW = np.zeros(1, np.int64)
SEEN = 0
"""Column of the windows learnt so far, in the row of a detector that has a warm-up."""


class RowBank(Bank):
    """A bank whose rows are those of one array, `width` numbers each.

    `alike` says what must be the same for a state to fit, for the error on one that does not.
    `warm_up` and `patience` are those of the detector.
    """

    def __init__(self, width: int, alike: str = "", warm_up: int = 0, patience: int = 0) -> None:
        self._rows = np.empty((0, width))
        self._alike = alike
        self._warm_up, self._patience = warm_up, patience

    def init_rows(self, rows: Float64) -> None:
        """Fill in what a row that has seen nothing holds; it comes as zeros."""

    def grow(self, rows: int) -> None:
        have = len(self._rows)
        if rows > have:
            self._rows = grow_rows(self._rows, rows)
            self.init_rows(self._rows[have:])

    def refusal(self, value: Float64) -> str | None:
        """Why these numbers cannot be judged by any row; None where they can."""
        return None

    def windows_left(self, rows: Int64) -> Int64:
        left: Int64 = self._warm_up - self._rows[rows, SEEN].astype(np.int64)
        return left.clip(0)

    WHY_COLUMNS: tuple[int, ...] = (SEEN,)
    """Of a row, what tells why it abstains."""

    def why(self, row: int, value: Float64) -> str:
        return self.why_of(self._rows[row, self.WHY_COLUMNS].tolist(), value)

    def why_of(self, state: list[float], value: Float64) -> str:
        """Why a row abstains whose `WHY_COLUMNS` are these."""
        return self.refusal(value) or learning_reason(state[0], self._warm_up)

    def snapshot(self, rows: int) -> Float64:
        return self._rows[:rows].copy()

    def restore(self, state: Float64) -> None:
        if state.shape[1] != self._rows.shape[1]:
            kind = f"{type(self).__name__} {self._alike}".strip()
            raise ValueError(f"this state is not of a {kind}: start the detector afresh")
        self._rows = state.copy()


class RunBank(RowBank):
    """A bank that goes through many windows in one compiled call."""

    @abc.abstractmethod
    def run(self, steps: int, low: int, block: int, windows: WindowRun) -> tuple[int, bool]:
        """Judge and learn windows from `low` on, as `steps` says (`window_run.BOTH`, …).

        With `BOTH`, ends before a window in which a score may be rare, and after one that fills a
        row's block of `block` windows. Returns the window that comes next, and whether one before
        it filled a block.
        """

    def judge(self, rows: Int64, values: Float64) -> Float64:
        window = single_window(rows, values)
        self.run(JUDGE, 0, 0, window)
        return window.scores

    def learn(self, rows: Int64, values: Float64) -> None:
        self.run(LEARN, 0, 0, single_window(rows, values))


def count_refusal(*counts: float) -> str | None:
    """Why these cannot be counts of one window; None where they can.

    >>> count_refusal(-1.0)
    'the number is below zero or beyond 64 bits, and a count is not'
    """
    if all(0.0 <= count <= NUMBER_MAX for count in counts):
        return None
    number = "the number" if len(counts) == 1 else "a number"
    return f"{number} is below zero or beyond 64 bits, and a count is not"


class RowDetector(Detector):
    """A detector that is the only row of its bank; its `__init__` ends with `_init_row`.

    By default it reads one number, called `feature`.
    """

    BANK: ClassVar[type[RowBank]]
    PARAMETERS: ClassVar[tuple[str, ...]]
    """Those in which the rows of a bank are alike; the bank takes them in this order."""
    WARM_UP_MIN: ClassVar[int] = 1
    explains: ClassVar = True

    _row: RowBank
    feature: str
    non_negative: bool = True
    """Whether it refuses numbers below zero."""

    @property
    def features(self) -> tuple[str, ...]:
        return (self.feature,)

    @property
    def bank_key(self) -> tuple[Any, ...]:
        return tuple(getattr(self, name) for name in self.PARAMETERS)

    def bank(self) -> RowBank:
        return self.BANK(*self.bank_key)

    def _init_row(self) -> None:
        least = {"warm_up": self.WARM_UP_MIN, "patience": 1}
        for name, windows in least.items():
            if getattr(self, name, windows) < windows:
                raise ValueError(f"{name} is a number of windows: give at least {windows}")
        self._row = self.bank()
        self._row.grow(1)

    def _read(self, x: Mapping[Any, Any]) -> Float64 | str:
        numbers = read_numbers(x, self.features)
        if isinstance(numbers, str):
            return numbers
        if self.non_negative and min(numbers) < 0:
            negative = next(f for f, n in zip(self.features, numbers, strict=True) if n < 0)
            return f"{negative} is below zero, and a count is not"
        return np.array([numbers])

    def judge_one(self, x: Mapping[Any, Any]) -> Score:
        values = self._read(x)
        if isinstance(values, str):
            return Score(None, values)
        score = float(self._row.judge(FIRST_ROW, values)[0])
        if score != score:
            return Score(None, self._row.why(0, values[0]))
        evidence = self._row.evidence(0, values[0]) if self.matters(values[0]) else None
        return Score(score, None, evidence)

    def learn_one(self, x: Mapping[Any, Any]) -> None:
        values = self._read(x)
        if not isinstance(values, str):
            self._row.learn(FIRST_ROW, values)

    def report_one(self, x: Mapping[Any, Any]) -> None:
        values = self._read(x)
        if not isinstance(values, str):
            self._row.report(0, values[0])

    def snapshot(self) -> dict[str, Any]:
        return {"row": self._row.snapshot(1)[0].tolist()}

    def restore(self, state: dict[str, Any]) -> None:
        self._row.restore(np.array([state["row"]]))
