"""Calibrators of many streams, asked together.

Nearly every score is ordinary, and ordinary scores need no p-value: one comparison with what is
the least a rare score must be. A stream's own `Calibrator` is asked beyond that, and when a block
of windows is full.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit, types
from numpy.typing import NDArray

from detectors.bank import Float64, Int64
from detectors.calibration.calibrator import BLOCK_WINDOWS, Calibrator

HALVINGS = 40
"""Of the interval in which the least rare score lies."""
SCORE_MAX = 1e3
"""No theory makes a score beyond it less than rare."""


class CalibratorBank:
    """One `Calibrator` a row, with the same answers.

    Parameters
    ----------
    windows_per_day
        86,400 for 1 s windows.
    p_most
        The highest limit that `rare_scores` will ever be asked for.
    block_windows
        As of `Calibrator`.
    """

    def __init__(
        self, windows_per_day: float, p_most: float, block_windows: int = BLOCK_WINDOWS
    ) -> None:
        self._windows_per_day = windows_per_day
        self._block_windows = block_windows
        self._p_most = p_most
        self._calibrators: list[Calibrator] = []
        self._least = np.empty(0)
        """Scores below it have a p-value above `p_most`."""
        self._cap = np.empty(0)
        self._highest = np.empty(0)
        self._windows = np.empty(0, np.int64)
        self.ready: NDArray[np.bool_] = np.empty(0, np.bool_)
        """Whether the row has p-values."""

    def __len__(self) -> int:
        return len(self._calibrators)

    def add(self, log_likelihood: bool) -> int:
        """A new row; returns its number."""
        row = len(self._calibrators)
        if row == len(self._least):
            self._grow(max(16, 2 * row))
        self._calibrators.append(
            Calibrator(log_likelihood, self._windows_per_day, self._block_windows)
        )
        self._highest[row], self._windows[row] = -np.inf, 0
        self._refresh_thresholds(row)
        return row

    def _grow(self, rows: int) -> None:
        for name in ("_least", "_cap", "_highest", "_windows", "ready"):
            old = getattr(self, name)
            new = np.zeros(rows, old.dtype)
            new[: len(old)] = old
            setattr(self, name, new)

    def _refresh_thresholds(self, row: int) -> None:
        """Note what the row's calibrator makes of scores until its next block."""
        calibrator = self._calibrators[row]
        self._cap[row] = calibrator.cap
        self.ready[row] = calibrator.why is None
        low, high = -SCORE_MAX, SCORE_MAX
        if not self.ready[row] or calibrator.p_value(high) > self._p_most:
            self._least[row] = SCORE_MAX if self.ready[row] else np.inf
            return
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            if calibrator.p_value(middle) > self._p_most:
                low = middle
            else:
                high = middle
        self._least[row] = low - 1e-6  # p-values fall with the score but for their last bits

    def why(self, row: int) -> str | None:
        """Why the row has no p-values yet; None when it has."""
        return self._calibrators[row].why

    def rare_scores(self, rows: Int64, scores: Float64, limit: float) -> list[tuple[int, float]]:
        """Places in `rows` whose p-value is not above `limit`, with it. NaN is never rare."""
        found = []
        for i in np.flatnonzero(scores >= self._least[rows]).tolist():
            p = self._calibrators[int(rows[i])].p_value(float(scores[i]))
            if p <= limit:
                found.append((i, p))
        return found

    def learn(self, rows: Int64, scores: Float64) -> None:
        """Count judged windows, reported or not; NaN is left out."""
        block = self._block_windows
        if _absorb(self._highest, self._cap, self._windows, rows, scores, block):
            for row in rows[self._windows[rows] == block].tolist():
                self._calibrators[row].close_block(float(self._highest[row]))
                self._highest[row], self._windows[row] = -np.inf, 0
                self._refresh_thresholds(row)

    def snapshot(self) -> list[dict[str, Any]]:
        return [
            calibrator.snapshot() | {"windows": windows, "highest": highest if windows else None}
            for calibrator, windows, highest in zip(
                self._calibrators, self._windows.tolist(), self._highest.tolist(), strict=False
            )
        ]

    def restore(self, state: list[dict[str, Any]], log_likelihood: bool) -> None:
        """Continue where the calibrators that gave `snapshot` stood."""
        self._calibrators = []
        for held in state:
            row = self.add(log_likelihood)
            self._calibrators[row].restore(held)
            self._windows[row] = held["windows"]
            self._highest[row] = -np.inf if held["highest"] is None else held["highest"]
            self._refresh_thresholds(row)


_F1, _I1 = types.float64[::1], types.int64[::1]


@njit(types.boolean(_F1, _F1, _I1, _I1, _F1, types.int64), cache=True, nogil=True)
def _absorb(highest, cap, windows, rows, scores, block):  # type: ignore[no-untyped-def]
    """Raise the open blocks' maxima and count their windows. Returns whether one is full."""
    full = False
    for i in range(rows.shape[0]):
        score, row = scores[i], rows[i]
        if np.isfinite(score):
            if score > highest[row]:
                highest[row] = min(score, cap[row])
            windows[row] += 1
            full = full or windows[row] >= block
    return full
