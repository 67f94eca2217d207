"""Whitening: the part of a stream that neither its own past nor the market's pace explains.

Streams that share a volatility factor rise together by nature. Before their evidence may be added,
each is replaced by the residual of an online regression on its own last value, its own short mean,
a constant, and the log of the forecast rate of the market's events, over a robust scale. The rows,
one for each stream of each symbol, are arrays and go through one kernel.

Everything is measured from the stream's slow mean and in its own scale, so a depth of 1e7 and a
share of 0.1 are equally well conditioned. What one window teaches is bounded: a residual counts as
at most `CLIP` scales, in the weights, in the scale and in the means. A window that repeats the last
value teaches the scale nothing, so a stream that stops for a day has the same scale after it.

Nothing runs away, whatever the input. A forecast lies within the range of the values seen, so no
distance from it, and no scale, is wider than that range; without that bound a forecast off by more
than `CLIP` scales widened the scale, which moved the forecast on (3e6, 8e9, 6e19, 1e304 where the
depth was 3e6). And a row whose values are off by so much for `PATIENCE_WINDOWS` describes another
regime than today's: it begins anew.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numba import njit, types

from detectors.arrays.growable import grow_rows
from detectors.arrays.state import Stateful
from detectors.arrays.types import B1, F1, F2, F3, FLOAT, INT, Bool, Float64
from detectors.stats.limits import NUMBER_MAX

FORGETTING = 0.9999
"""Of the recursive least squares: a memory of 10,000 windows."""
SHORT_ALPHA, LONG_ALPHA = 0.2, 0.01
"""Of the means: 5 windows, in which a volatility factor lives, and 100, the level."""
SCALE_ALPHA = 0.002
"""Of the scale: 500 windows, so that a new regime has its own within an hour of 5 s windows."""
CLIP = 5.0
"""A residual counts as at most so many scales."""
YOUNG_WINDOWS = 20
"""Until then the scale cannot be separated from the level, which is still being learnt."""
PRIOR_VARIANCE = 1.0
"""Of each weight before anything is learnt, in scales squared."""
VARIANCE_MAX = 100.0
"""Highest mean variance of the weights; that of a constant stream would else grow for ever."""
TERM_MAX = 1000.0
"""The stream's own terms count as at most so many scales: a product of larger ones would lose the
digits of `variance`."""
PATIENCE_WINDOWS = 60
"""What lasts longer is the new normal: 5 minutes of 5 s windows."""
FLOOR = 0.002
"""The scale is at least this, plus this share of the level. That of a constant stream is 0: in such
scales its first move would throw the regression off for good."""

LAST, NEAR, FAR, SCALE, SEEN, LOW, HIGH, ASTRAY, LEVEL_COLUMNS = range(9)
"""Columns of `level`: the last value, the short and the long mean, the scale, windows learnt, the
range of the values (over some 500 windows), and how many more of the last windows were `CLIP`
scales off than were not."""
CONSTANT, LAST_VALUE, SHORT_MEAN, PACE, TERMS = range(5)
"""Terms of the regression."""


class Whitener(Stateful):
    """Online regressions of many streams, each on its own past and one number from outside.

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

    STATE: ClassVar = ("level", "weight", "variance")

    def __init__(self, rows: int = 0) -> None:
        self.level: Float64 = np.zeros((0, LEVEL_COLUMNS))
        self.weight: Float64 = np.zeros((0, TERMS))
        self.variance: Float64 = np.zeros((0, TERMS, TERMS))
        # Of the window judged last, for learning:
        self._terms: Float64 = np.zeros((0, TERMS))
        self._value: Float64 = np.zeros(0)
        self._residual: Float64 = np.zeros(0)
        self.grow(rows)

    def __len__(self) -> int:
        return len(self.level)

    def grow(self, rows: int) -> None:
        """Have at least so many rows; new ones have seen nothing."""
        have = len(self)
        for name in self.STATE:
            setattr(self, name, grow_rows(getattr(self, name), rows, growth=1.0))
        self.variance[have:] = PRIOR_VARIANCE * np.eye(TERMS)

    def judge(self, value: Float64, pace: Float64) -> tuple[Float64, Float64]:
        """The residual of each row in its scales, and the value that was expected, both (rows,).

        NaN where the row abstains: no value, or fewer than `YOUNG_WINDOWS` seen.

        `value`: (rows,); NaN where there is none. An infinite value, or one beyond 64 bits, is
        ignored. `pace`: (rows,), log of the forecast rate of the market's events, from before this
        window.
        """
        rows = len(self)
        self._terms = np.zeros((rows, TERMS))
        self._value = np.where(np.abs(value) <= NUMBER_MAX, value, np.nan)
        self._residual = np.full(rows, np.nan)
        expected = np.full(rows, np.nan)
        out = self._terms, self._residual, expected
        _judge(self._value, np.ascontiguousarray(pace), self.level, self.weight, *out)
        young = self.level[:, SEEN] < YOUNG_WINDOWS
        return np.where(young, np.nan, self._residual), expected

    def learn(self, taught: Bool) -> None:
        """Learn the window judged last, where `taught`; in other rows only the means follow."""
        now = self._value, self._terms, self._residual
        _learn(*now, taught, self.level, self.weight, self.variance)

    def echo(self) -> Float64:
        """What a lasting step by one scale leaves in the second window's residual, (rows,), 0 to 1;
        the first window explains the rest."""
        explained = self.weight[:, LAST_VALUE] + SHORT_ALPHA * self.weight[:, SHORT_MEAN]
        return np.clip(1.0 - explained, 0.0, 1.0)


@njit(types.void(F1, F1, F2, F2, F2, F1, F1), cache=True, nogil=True)
def _judge(value, pace, level, weight, terms, residual, expected):  # type: ignore[no-untyped-def]
    for row in range(value.size):
        y = value[row]
        if y != y:
            continue
        own = level[row]
        if own[SEEN] == 0.0:
            own = np.full(LEVEL_COLUMNS, y)
            own[SCALE] = 0.0
        far = own[FAR]
        unit = max(own[SCALE], FLOOR * (1.0 + abs(far)))
        x = terms[row]
        x[CONSTANT] = 1.0
        x[LAST_VALUE] = min(max((own[LAST] - far) / unit, -TERM_MAX), TERM_MAX)
        x[SHORT_MEAN] = min(max((own[NEAR] - far) / unit, -TERM_MAX), TERM_MAX)
        x[PACE] = pace[row]
        forecast = 0.0
        for i in range(TERMS):
            forecast += weight[row, i] * x[i]
        expected[row] = min(max(far + forecast * unit, own[LOW]), own[HIGH])
        residual[row] = (y - expected[row]) / unit


@njit(types.void(F1, FLOAT, F1, F2, F1), cache=True, nogil=True)
def _regress(x, y, weight, variance, gain):  # type: ignore[no-untyped-def]
    """One step of recursive least squares with forgetting, on `y` scales off the long mean."""
    below, off = FORGETTING, y
    for i in range(TERMS):
        gain[i] = 0.0
        for j in range(TERMS):
            gain[i] += variance[i, j] * x[j]
        below += x[i] * gain[i]
        off -= weight[i] * x[i]
    off = min(max(off, -CLIP), CLIP)
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


@njit(types.void(INT, F2, F2, F3), cache=True, nogil=True)
def _begin_anew(row, level, weight, variance):  # type: ignore[no-untyped-def]
    for i in range(LEVEL_COLUMNS):
        level[row, i] = 0.0
    for i in range(TERMS):
        weight[row, i] = 0.0
        for j in range(TERMS):
            variance[row, i, j] = PRIOR_VARIANCE if i == j else 0.0


@njit(types.void(F1, F2, F1, B1, F2, F2, F3), cache=True, nogil=True)
def _learn(value, terms, residual, taught, level, weight, variance):  # type: ignore[no-untyped-def]
    gain = np.empty(TERMS)
    for row in range(value.size):
        y = value[row]
        if y != y:
            continue
        own = level[row]
        if own[SEEN] == 0.0:
            own[LAST] = own[NEAR] = own[FAR] = own[LOW] = own[HIGH] = y
        last, far = own[LAST], own[FAR]
        unit = max(own[SCALE], FLOOR * (1.0 + abs(far)))
        off = residual[row]
        if own[SEEN] >= YOUNG_WINDOWS:
            off = min(max(off, -CLIP), CLIP)
            own[ASTRAY] = max(0.0, own[ASTRAY] + (1.0 if abs(off) >= CLIP else -1.0))
            if own[ASTRAY] > PATIENCE_WINDOWS:
                _begin_anew(row, level, weight, variance)
                continue
        if taught[row]:
            own[SEEN] += 1.0
            if y != last:
                if own[SEEN] <= YOUNG_WINDOWS:
                    own[SCALE] += (abs(y - far) - own[SCALE]) / own[SEEN]
                else:
                    alpha = max(SCALE_ALPHA, 1.0 / own[SEEN])
                    own[SCALE] += alpha * (abs(off) * unit - own[SCALE])
            if own[SEEN] > YOUNG_WINDOWS:
                _regress(terms[row], (y - far) / unit, weight[row], variance[row], gain)
        # The means follow the value, clipped: neither an outlier nor an attack moves them far.
        shown = y - (residual[row] - off) * unit
        shown = min(max(shown, min(last, y)), max(last, y))
        alpha = max(LONG_ALPHA, 1.0 / max(own[SEEN], 1.0))
        own[LAST] = shown
        own[NEAR] += max(SHORT_ALPHA, alpha) * (shown - own[NEAR])
        own[FAR] += alpha * (shown - far)
        own[LOW] = min(shown, own[LOW] + SCALE_ALPHA * (own[FAR] - own[LOW]))
        own[HIGH] = max(shown, own[HIGH] + SCALE_ALPHA * (own[FAR] - own[HIGH]))
