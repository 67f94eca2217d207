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
USUAL_LEAST, USUAL_MOST, USUAL_TIMES = 0.1, 0.8, 2.0
"""Of the levels at unchanged prices of a side so many times the usual share may shrink in a window
by chance, but at least the first and at most the second of these shares. Usual on recorded books:
0.5 % on Bitstamp, 3 % on StandX, 12 % on Binance."""
MEMORY = 600.0
"""Of the usual share, in windows with a book."""
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


@njit(FLOAT(INT, INT, FLOAT), cache=True, nogil=True, error_model="numpy")
def _evidence(trials, count, chance):  # type: ignore[no-untyped-def]
    """The log-likelihood ratio of so many of the trials against the share `chance`; 0: fewer."""
    share = count / trials
    if not share > chance:
        return 0.0
    evidence = count * np.log(share / chance)
    if count < trials:
        evidence += (trials - count) * np.log((1.0 - share) / (1.0 - chance))
    return evidence


@njit((I2, I1, I1, I1, I2, F2, F2), cache=True, nogil=True)
def _compare(ladders, times, cell, symbol, last, usual, out):  # type: ignore[no-untyped-def]
    """Rows in the order of windows; `cell`: of each its place in `out`; by symbol, `last`: the
    ladder of its last book, `usual`: books compared, and the usual share that shrinks."""
    for r in range(len(cell)):
        if times[r] == NEVER:
            continue
        now, before = ladders[r], last[symbol[r]]
        levels, nats, trials, count = 0, 0.0, 0, 0
        mine = usual[symbol[r]]
        chance = min(max(USUAL_TIMES * mine[1], USUAL_LEAST), USUAL_MOST)
        for side in range(2):
            part = slice(2 * side * LADDER_LEVELS, 2 * (side + 1) * LADDER_LEVELS)
            unchanged, shrunk = _shrunk_levels(before[part], now[part], 1.0 if side else -1.0)
            evidence = _evidence(unchanged, shrunk, chance)
            trials, count = trials + unchanged, count + shrunk
            levels += shrunk if evidence > 0.0 else 0
            nats += evidence
        out[cell[r], 0], out[cell[r], 1] = levels, nats
        if trials > 0:
            mine[0] += 1.0
            mine[1] += max(1.0 / MEMORY, 1.0 / mine[0]) * (count / trials - mine[1])
        before[:] = now


class RestingSizes(Stateful):
    """The last ladder of every market and what usually shrinks, by symbol number."""

    STATE = "_last", "_usual"

    def __init__(self) -> None:
        self._last: Int64 = np.zeros((0, LADDER_WIDTH), np.int64)
        self._usual: Float64 = np.zeros((0, 2))

    def step(self, ladders: Int64, times: Int64, cell: Int64, symbol: Int64, out: Float64) -> None:
        """Write the number of levels, of both sides, that have shrunk since the book before, and
        the evidence that it is not by chance.

        Rows in the order of windows: ladders, the books' event times (`NEVER`: none that is sound),
        places in `out` (`OUTPUT_COLUMNS`), symbols.
        """
        symbols = int(symbol.max(initial=-1)) + 1
        self._last, self._usual = grow_rows(self._last, symbols), grow_rows(self._usual, symbols)
        _compare(ladders, times, cell, symbol, self._last, self._usual, out)
