"""Whitening: what of a stream its own past and the market's pace do not explain.

Streams that share a volatility factor rise together by nature. Before their evidence may be
added, each is replaced by the residual of an online regression on its own last value, its own
short mean, a constant, and the log of the forecast rate of the market's events, over a robust
scale. Many rows (a stream of a symbol each) are kept in arrays and go through one kernel.

Everything is measured from the stream's slow mean and in its own scale, so that a depth of 1e7
and a share of 0.1 are conditioned alike. What one window can teach is bounded: a residual counts
for at most `CLIP` scales, in the weights, in the scale and in the means. A window that repeats
the last value teaches the scale nothing: a stream that stops for a day is no quieter after it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit, types
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

FORGETTING = 0.9999
"""Of the recursive least squares: a memory of 10,000 windows."""
SHORT_ALPHA, LONG_ALPHA = 0.2, 0.01
"""Of the means: 5 windows, in which a volatility factor lives, and 100, the level."""
SCALE_ALPHA = 0.002
"""Of the scale: 500 windows, so that a new regime has its own within an hour of 5 s windows."""
CLIP = 5.0
"""Scales that a residual counts for at most."""
YOUNG_WINDOWS = 20
"""Until then the scale is not told from the level that is still being found."""
PRIOR_VARIANCE = 1.0
"""Of each weight before anything is learnt, in scales squared."""
VARIANCE_MAX = 100.0
"""Mean variance of the weights, at most: a constant stream would let it grow for ever."""
FLOOR = 1e-9
"""The scale is at least this share of the level (and this much): a constant stream has none."""
VALUE_MAX = 2.0**63
"""Larger values are refused like NaN: no 64-bit count, price or notional is one."""

TERMS = 4
# Columns of `level`.
LAST, NEAR, FAR, SCALE, SEEN = range(5)

_F1, _F2, _F3 = types.float64[::1], types.float64[:, ::1], types.float64[:, :, ::1]
_B1 = types.boolean[::1]


class Whitener:
    """Online regressions of many streams, each on its own past and one number from outside.

    Parameters
    ----------
    rows
        How many streams; `grow` adds more.

    Examples
    --------
    >>> import numpy as np
    >>> whitener = Whitener(1)
    >>> for i in range(500):
    ...     _ = whitener.judge(np.array([float(i % 7)]), np.zeros(1))
    ...     whitener.learn(np.ones(1, bool))
    >>> residual, expected = whitener.judge(np.array([30.0]), np.zeros(1))
    >>> bool(residual[0] > 5)
    True

    References
    ----------
    Haykin, "Adaptive Filter Theory", chapter on recursive least squares. Huber, "Robust
    Statistics" (1981), for the bounded influence.
    """

    def __init__(self, rows: int = 0) -> None:
        self.level: Floats = np.zeros((0, 5))
        self.weight: Floats = np.zeros((0, TERMS))
        self.variance: Floats = np.zeros((0, TERMS, TERMS))
        self._terms: Floats = np.zeros((0, TERMS))
        self._value: Floats = np.zeros(0)
        self._residual: Floats = np.zeros(0)
        self.grow(rows)

    def __len__(self) -> int:
        return len(self.level)

    def grow(self, rows: int) -> None:
        """Have at least so many rows; new ones have seen nothing."""
        more = rows - len(self)
        if more <= 0:
            return
        self.level = np.concatenate((self.level, np.zeros((more, 5))))
        self.weight = np.concatenate((self.weight, np.zeros((more, TERMS))))
        fresh = np.tile(PRIOR_VARIANCE * np.eye(TERMS), (more, 1, 1))
        self.variance = np.concatenate((self.variance, fresh))

    def judge(self, value: Floats, pace: Floats) -> tuple[Floats, Floats]:
        """The residual of each row in its scales, and the value that was expected.

        Parameters
        ----------
        value
            (rows,); NaN where there is none. What is infinite or beyond 64 bits is none either.
        pace
            (rows,): log of the forecast rate of the market's events, known before this window.

        Returns
        -------
        Both (rows,); NaN where the row abstains: no value, or fewer than `YOUNG_WINDOWS` seen.
        """
        rows = len(self)
        self._terms = np.zeros((rows, TERMS))
        self._value = np.where(np.abs(value) <= VALUE_MAX, value, np.nan)
        self._residual = np.full(rows, np.nan)
        expected = np.full(rows, np.nan)
        out = self._terms, self._residual, expected
        _judge(self._value, np.ascontiguousarray(pace), self.level, self.weight, *out)
        young = self.level[:, SEEN] < YOUNG_WINDOWS
        return np.where(young, np.nan, self._residual), expected

    def learn(self, taught: Flags) -> None:
        """Learn the window that was judged last, where `taught`; elsewhere it only passes."""
        _learn(
            self._value, self._terms, self._residual, taught, self.level, self.weight, self.variance
        )

    def echo(self) -> Floats:
        """What a lasting step by one scale leaves in the second window's residual, (rows,), 0 to 1:
        the rest is explained by the first."""
        explained = self.weight[:, 1] + SHORT_ALPHA * self.weight[:, 2]
        return np.clip(1.0 - explained, 0.0, 1.0)

    def snapshot(self) -> dict[str, Any]:
        return {"level": self.level, "weight": self.weight, "variance": self.variance}

    def restore(self, state: dict[str, Any]) -> None:
        self.level = np.array(state["level"])
        self.weight = np.array(state["weight"])
        self.variance = np.array(state["variance"])


@njit(types.void(_F1, _F1, _F2, _F2, _F2, _F1, _F1), cache=True, nogil=True)
def _judge(value, pace, level, weight, terms, residual, expected):  # type: ignore[no-untyped-def]
    for row in range(value.size):
        y = value[row]
        if y != y:
            continue
        last, near, far, scale, seen = level[row]
        if seen == 0.0:
            last = near = far = y
        unit = max(scale, FLOOR * (1.0 + abs(far)))
        x = terms[row]
        x[0] = 1.0
        x[1] = (last - far) / unit
        x[2] = (near - far) / unit
        x[3] = pace[row]
        forecast = 0.0
        for i in range(TERMS):
            forecast += weight[row, i] * x[i]
        expected[row] = far + forecast * unit
        residual[row] = (y - expected[row]) / unit


@njit(types.void(_F1, types.float64, _F1, _F2, _F1), cache=True, nogil=True)
def _regress(x, off, weight, variance, gain):  # type: ignore[no-untyped-def]
    """One step of recursive least squares with forgetting."""
    below = FORGETTING
    for i in range(TERMS):
        gain[i] = 0.0
        for j in range(TERMS):
            gain[i] += variance[i, j] * x[j]
        below += x[i] * gain[i]
    trace = 0.0
    for i in range(TERMS):
        weight[i] += gain[i] / below * off
        for j in range(TERMS):
            variance[i, j] = (variance[i, j] - gain[i] * gain[j] / below) / FORGETTING
        trace += variance[i, i]
    if trace > TERMS * VARIANCE_MAX:
        for i in range(TERMS):
            for j in range(TERMS):
                variance[i, j] *= TERMS * VARIANCE_MAX / trace


@njit(types.void(_F1, _F2, _F1, _B1, _F2, _F2, _F3), cache=True, nogil=True)
def _learn(value, terms, residual, taught, level, weight, variance):  # type: ignore[no-untyped-def]
    gain = np.empty(TERMS)
    for row in range(value.size):
        y = value[row]
        if y != y:
            continue
        last, near, far, scale, seen = level[row]
        if seen == 0.0:
            last = near = far = y
        unit = max(scale, FLOOR * (1.0 + abs(far)))
        off = residual[row]
        if seen >= YOUNG_WINDOWS:
            off = min(max(off, -CLIP), CLIP)
        if taught[row]:
            seen += 1.0
            if y != last:
                if seen <= YOUNG_WINDOWS:
                    scale += (abs(y - far) - scale) / seen
                else:
                    alpha = max(SCALE_ALPHA, 1.0 / seen)
                    scale += alpha * (abs(off) * unit - scale)
            if seen > YOUNG_WINDOWS:
                _regress(terms[row], off, weight[row], variance[row], gain)
        # A bounded step from what was expected: an outlier or an attack moves no mean far.
        shown = y - (residual[row] - off) * unit
        alpha = max(LONG_ALPHA, 1.0 / max(seen, 1.0))
        level[row, LAST] = shown
        level[row, NEAR] = near + max(SHORT_ALPHA, alpha) * (shown - near)
        level[row, FAR] = far + alpha * (shown - far)
        level[row, SCALE] = scale
        level[row, SEEN] = seen
