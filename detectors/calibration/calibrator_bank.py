"""Calibrators of many streams, asked together.

Nearly every score is ordinary, and an ordinary score needs no p-value but one comparison with the
least score that may be rare. Only beyond that, and when a block of windows is full, a stream's own
`Calibrator` is asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numba import njit, types

from detectors.arrays.growable import grow_rows
from detectors.arrays.types import F1, I1, INT, Bool, Float64, Int64
from detectors.calibration.calibrator import BLOCK_WINDOWS, Calibrator
from detectors.calibration.tail_prior import TailPrior
from detectors.interrupts import reraise_interrupts

SCORE_MAX = 1e3
"""By any theory a score beyond it is rare."""
SCORE_STEP, STEP_SHARE, SHARE_FROM = 0.5, 0.1, 1e-3
"""The least score that may be rare is sought to this width, and from `SHARE_FROM` on to this share
of itself: some scores are fractions of a basis point, and 0 in nearly every window. A score in
between is asked about for nothing; a block's end moves the threshold by less than that in most
rows."""


class CalibratorBank:
    """One `Calibrator` a row, with the same answers.

    `p_most`: the highest limit that `rare_scores` will ever be asked for; the rest as of
    `Calibrator`.
    """

    def __init__(
        self, windows_per_day: float, p_most: float, block_windows: int = BLOCK_WINDOWS,
        by_rank: bool = False,
    ) -> None:  # fmt: skip
        self._windows_per_day = windows_per_day
        self.block_windows = block_windows
        self._p_most = p_most
        self._by_rank = by_rank
        self._calibrators: list[Calibrator] = []
        self._first_score_min: dict[tuple[bool, TailPrior | None], float] = {}
        """Of a row that has seen nothing, by whether its scores are log-likelihoods, and by what it
        borrows."""
        self._score_min: Float64 = np.empty(0)  # scores below it have a p-value above `p_most`
        self._cap: Float64 = np.empty(0)
        self._highest: Float64 = np.empty(0)  # of the open block
        self._windows: Int64 = np.empty(0, np.int64)  # of the open block
        self.ready: Bool = np.empty(0, np.bool_)
        """Whether the row has p-values."""

    def add(self, log_likelihood: bool, prior: TailPrior | None = None) -> int:
        """A new row; returns its number."""
        row = len(self._calibrators)
        for name in ("_score_min", "_cap", "_highest", "_windows", "ready"):
            setattr(self, name, grow_rows(getattr(self, name), row + 1))
        self._calibrators.append(self._first_calibrator(log_likelihood, prior))
        self._begin(row)
        return row

    def _first_calibrator(self, log_likelihood: bool, prior: TailPrior | None) -> Calibrator:
        size = self._windows_per_day, self.block_windows
        return Calibrator(log_likelihood, *size, by_rank=self._by_rank, prior=prior)

    def _begin(self, row: int) -> None:
        """Let a row stand as its calibrator does that has seen nothing."""
        calibrator = self._calibrators[row]
        self._highest[row], self._windows[row] = -np.inf, 0
        kind = calibrator.log_likelihood, calibrator.prior
        if kind not in self._first_score_min:
            self._first_score_min[kind] = find_score_min(calibrator, self._p_most)
        self._cap[row], self.ready[row] = calibrator.cap, calibrator.why is None
        self._score_min[row] = self._first_score_min[kind]

    def _refresh_thresholds(self, row: int) -> None:
        """Read off the row's calibrator what holds until its next block."""
        calibrator = self._calibrators[row]
        self._cap[row], self.ready[row] = calibrator.cap, calibrator.why is None
        near = float(self._score_min[row])
        self._score_min[row] = find_score_min(calibrator, self._p_most, near)

    def why(self, row: int) -> str | None:
        """Why the row has no p-values yet; None when it has."""
        return self._calibrators[row].why

    def windows_seen(self, row: int) -> int:
        """Windows that the row's p-values are learnt from."""
        self._calibrators[row].windows = int(self._windows[row])
        return self._calibrators[row].windows_seen

    def windows_left(self, rows: Int64) -> Int64:
        """Windows with a score that each row has yet to learn before it has p-values."""
        left = np.zeros(len(rows), np.int64)
        for i in np.flatnonzero(~self.ready[rows]).tolist():
            row = int(rows[i])
            self._calibrators[row].windows = int(self._windows[row])
            left[i] = self._calibrators[row].windows_left
        return left

    def rare_scores(self, rows: Int64, scores: Float64, limit: float) -> list[tuple[int, float]]:
        """Indices in `rows` of the scores with a p-value of at most `limit`, and the p-values; NaN
        is never rare."""
        rare = []
        for i in (scores >= self._score_min[rows]).nonzero()[0].tolist():
            p = self._calibrators[int(rows[i])].p_value(float(scores[i]))
            if p <= limit:
                rare.append((i, p))
        return rare

    def learn(self, rows: Int64, scores: Float64) -> list[tuple[int, BaseException]]:
        """Count judged windows, reported or not; NaN is left out.

        Returns the rows whose calibrator raised, and what; each of them begins anew.
        """
        if _absorb(self._highest, self._cap, self._windows, rows, scores, self.block_windows):
            return self.close_blocks(rows)
        return []

    def close_blocks(self, rows: Int64) -> list[tuple[int, BaseException]]:
        """Close the blocks that are full; returns what `learn` does."""
        failed: list[tuple[int, BaseException]] = []
        for row in rows[self._windows[rows] == self.block_windows].tolist():
            try:
                self._calibrators[row].close_block(float(self._highest[row]))
                self._highest[row], self._windows[row] = -np.inf, 0
                self._refresh_thresholds(row)
            except BaseException as error:
                reraise_interrupts(error)
                failed.append((row, error))
                self.renew(row)
        return failed

    @property
    def columns(self) -> tuple[Float64, Float64, Float64, Int64]:
        """By row, for kernels to read and change: the least score that may be rare, the most that
        one counts, and of the open block the highest score and its windows."""
        return self._score_min, self._cap, self._highest, self._windows

    def renew(self, row: int) -> None:
        """Let a row begin anew, as one that has seen nothing."""
        before = self._calibrators[row]
        self._calibrators[row] = self._first_calibrator(before.log_likelihood, before.prior)
        self._begin(row)

    def snapshot(self) -> list[dict[str, Any]]:
        blocks = zip(self._windows.tolist(), self._highest.tolist(), strict=True)
        for calibrator, block in zip(self._calibrators, blocks, strict=False):
            calibrator.windows, calibrator.highest = block
        return [calibrator.snapshot() for calibrator in self._calibrators]

    def restore(
        self, state: list[dict[str, Any]], log_likelihood: bool,
        priors: Sequence[TailPrior | None] | None = None,
    ) -> None:  # fmt: skip
        """Continue where the calibrators that gave `snapshot` stood; `priors`: of each row."""
        self._calibrators = []
        for one, prior in zip(state, priors or [None] * len(state), strict=True):
            row = self.add(log_likelihood, prior)
            calibrator = self._calibrators[row]
            calibrator.restore(one)
            self._windows[row], self._highest[row] = calibrator.windows, calibrator.highest
            self._refresh_thresholds(row)


def find_score_min(calibrator: Calibrator, p_most: float, near: float = np.inf) -> float:
    """A score below which none has a p-value of `p_most` or less; the least that has one is no more
    than `SCORE_STEP`, or `STEP_SHARE` of itself, above it.

    `near`: where that was before.
    """
    if calibrator.why is not None:
        return np.inf
    by_law = calibrator.score_at_p(p_most) if p_most > 0.0 else np.inf
    low, high = by_law - _width(by_law) / 2, by_law + _width(by_law) / 2
    if calibrator.p_value(low) > p_most >= calibrator.p_value(high):
        return low - 1e-6
    low, high = -SCORE_MAX, SCORE_MAX
    if calibrator.p_value(high) > p_most:
        return SCORE_MAX
    if low < near < high:
        # It seldom moves far: steps that double find a span in which it lies.
        step = SCORE_STEP
        if calibrator.p_value(near) > p_most:
            low, most = near, high
            while (high := min(most, near + step)) < most and calibrator.p_value(high) > p_most:
                low, step = high, 2 * step
        else:
            high, least = near, low
            while (low := max(least, near - step)) > least and calibrator.p_value(low) <= p_most:
                high, step = low, 2 * step
    while high - low > _width(high):
        middle = (low + high) / 2
        if calibrator.p_value(middle) > p_most:
            low = middle
        else:
            high = middle
    return low - 1e-6  # p-values fall with the score, except in their last bits


def _width(score: float) -> float:
    """How precisely the least score that may be rare is sought, where it is about this."""
    return min(SCORE_STEP, STEP_SHARE * score) if score > SHARE_FROM else SCORE_STEP


@njit(types.boolean(F1, F1, I1, I1, F1, INT), cache=True, nogil=True)
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
