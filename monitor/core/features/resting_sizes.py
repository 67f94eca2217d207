"""Quotes that shrink where they stand: a book against the same prices in the book before.

How much rests near the touch changes all the time, as levels come and go. At a price that stands in
both of two books, a second apart, the size hardly ever changes, and that most of a side's shrink at
once does not happen by itself: somebody takes size away everywhere.
"""

from __future__ import annotations

import numpy as np
from numba import njit, types

from detectors.arrays.growable import grow_rows
from detectors.arrays.state import Stateful
from detectors.arrays.types import F2, FLOAT, I1, I2, INT, Float64, Int64
from monitor.core.decode.stepped_kernels import to_float
from monitor.core.event_time.clock_state import NEVER
from monitor.core.windows.columns import LADDER_LEVELS, LADDER_WIDTH

_PAIR = types.UniTuple(INT, 2)  # type: ignore[no-untyped-call]
SHRUNK_TO = 0.7
"""A level has shrunk where at most so much of it is left."""
USUAL_SHARE = 0.1
"""Of the levels at unchanged prices of a side so many may shrink in a window by chance. Measured on
recorded books: 0.5 % on Bitstamp, 3 % on StandX, 12 % on Binance."""
OUTPUT_COLUMNS = "levels_shrunk", "levels_shrunk_nats"


@njit(_PAIR(I1, I1, FLOAT), cache=True, nogil=True)
def _shrunk_levels(before, now, sign):  # type: ignore[no-untyped-def]
    """Of one side: the levels at unchanged prices, and how many of them have shrunk.

    `before`, `now`: prices and then sizes, best first. `sign`: 1 for asks, whose prices rise.
    """
    i = j = unchanged = shrunk = 0
    while i < LADDER_LEVELS and j < LADDER_LEVELS and before[i] > 0 and now[j] > 0:
        if before[i] == now[j]:
            unchanged += 1
            size = to_float(before[LADDER_LEVELS + i])
            shrunk += to_float(now[LADDER_LEVELS + j]) <= SHRUNK_TO * size
            i, j = i + 1, j + 1
        elif (before[i] < now[j]) == (sign > 0.0):
            i += 1
        else:
            j += 1
    return unchanged, shrunk


@njit(FLOAT(INT, INT), cache=True, nogil=True, error_model="numpy")
def _evidence(trials, count):  # type: ignore[no-untyped-def]
    """The log-likelihood ratio of so many of the trials against `USUAL_SHARE` of them; 0: fewer."""
    share = count / trials
    if not share > USUAL_SHARE:
        return 0.0
    evidence = count * np.log(share / USUAL_SHARE)
    if count < trials:
        evidence += (trials - count) * np.log((1.0 - share) / (1.0 - USUAL_SHARE))
    return evidence


@njit((I2, I1, I1, I1, I2, F2), cache=True, nogil=True)
def _compare(ladders, times, cell, symbol, last, out):  # type: ignore[no-untyped-def]
    """Rows in the order of windows; `cell`: of each its place in `out`; `last`: by symbol, the
    ladder of its last book."""
    for r in range(len(cell)):
        if times[r] == NEVER:
            continue
        now, before = ladders[r], last[symbol[r]]
        levels, nats = 0, 0.0
        for side in range(2):
            part = slice(2 * side * LADDER_LEVELS, 2 * (side + 1) * LADDER_LEVELS)
            unchanged, shrunk = _shrunk_levels(before[part], now[part], 1.0 if side else -1.0)
            evidence = _evidence(unchanged, shrunk)
            levels += shrunk if evidence > 0.0 else 0
            nats += evidence
        out[cell[r], 0], out[cell[r], 1] = levels, nats
        before[:] = now


class RestingSizes(Stateful):
    """The last ladder of every market, by symbol number."""

    STATE = ("_last",)

    def __init__(self) -> None:
        self._last: Int64 = np.zeros((0, LADDER_WIDTH), np.int64)

    def step(self, ladders: Int64, times: Int64, cell: Int64, symbol: Int64, out: Float64) -> None:
        """Write the number of levels, of both sides, that have shrunk since the book before, and
        the evidence that it is not by chance.

        Rows in the order of windows: ladders, the books' event times (`NEVER`: none that is sound),
        places in `out` (`OUTPUT_COLUMNS`), symbols.
        """
        self._last = grow_rows(self._last, int(symbol.max(initial=-1)) + 1, 0)
        _compare(ladders, times, cell, symbol, self._last, out)
