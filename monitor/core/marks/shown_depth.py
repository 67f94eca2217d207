"""How thin each market's visible book has been, measured online.

How much of a book is withdrawn decides how far forced flow moves a market, and nobody can know it
beforehand. What a market has shown is measured: every `SAMPLE_S` seconds of event time the depth of
the thinner side of its last book within `NEAR_FRACTION` of the middle, as a share of what is usual.
Usual is the geometric mean of the last hours; the share *shown* is the one that 99 of 100 samples
of the last hours were above.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit, types

from detectors.arrays.growable import grow_rows
from detectors.arrays.state import Stateful
from detectors.arrays.types import F1, F2, I2, Float64, Int64
from monitor.core.contract.units import SECOND_NS
from monitor.core.decode.stepped_kernels import to_float
from monitor.core.marks.market_rows import BEST_ASK, BEST_BID, LEVELS, SYMBOL, TS, VALUES

NEAR_FRACTION = 0.01
"""Depth counts within this fraction of the middle, on either side."""
SAMPLE_S = 10
"""Depth is that of the last book in each step of so many seconds."""
HALF_LIFE_SAMPLES = 2_160
"""Samples after which one counts half: six hours of them."""
USUAL_MIN = 30
"""Samples before the usual depth is known: five minutes."""
READY_SAMPLES = 180
"""Shares before the lowest of them is told from chance: half an hour, of which the second lowest
counts."""
TAIL = 0.01
"""The share of samples that may have been thinner than what counts as shown."""
BINS_PER_OCTAVE, OCTAVES = 4, 9
"""Shares are counted in quarter octaves from 1/512 on, each as the middle of its own. On 10 October
2025 the books of a large venue fell to 1/114 and 1/561 for minutes."""
BINS = BINS_PER_OCTAVE * OCTAVES + 1
"""The last bin holds all from 1 on."""
_SLOT, _SAMPLES, _SHARES = range(3)
_LAST, _LOG_SUM, _WEIGHT = range(3)
_KEEP = 0.5 ** (1.0 / HALF_LIFE_SAMPLES)


class ShownDepth(Stateful):
    """The depth of every market's book, by the number of its symbol."""

    STATE = "_counts", "_numbers", "_bins", "share", "today"

    def __init__(self) -> None:
        self._counts: Int64 = np.empty((0, 3), np.int64)
        """Slot of the current step (−1: none), samples so far, shares so far."""
        self._numbers: Float64 = np.empty((0, 3))
        """Depth of the last book, then sum and weight of the samples' binary logarithms."""
        self._bins: Float64 = np.empty((0, BINS))
        """How many shares lay in each bin, older ones weighted less."""
        self.share: Float64 = np.empty(0)
        """The share of its usual depth that a market has shown, at most 1; NaN: not known yet."""
        self.today: Float64 = np.empty(0)
        """The same as a share of the last book, at most 1: one that is thin already need not get
        thinner. NaN: not known yet."""

    def grow(self, markets: int) -> None:
        """Make room for markets with numbers below `markets`."""
        have = len(self._counts)
        if markets <= have:
            return
        self._counts = grow_rows(self._counts, markets)
        self._counts[have:, _SLOT] = -1
        self._numbers, self._bins = (
            grow_rows(self._numbers, markets),
            grow_rows(self._bins, markets),
        )
        self.share = grow_rows(self.share, markets, math.nan)
        self.today = grow_rows(self.today, markets, math.nan)

    def update(self, books: Int64, last: Int64) -> None:
        """Take book rows (`BOOK_WIDTH`) of one interval of the bands, in the order of time. `last`:
        by symbol, the last rows, these among them; how many came before in the interval depends on
        how records were sliced, so others do not count. A book without a bid or an ask does not
        either, nor a time before the market's current step. `grow` comes first.
        """
        if len(books):
            state = self._counts, self._numbers, self._bins, self.share, self.today
            _take_books(books, last, *state)


@njit(inline="always")
def _near_depth(book, best, sign, limit):  # type: ignore[no-untyped-def]
    depth = 0.0
    for level in range(best, best + LEVELS):
        price = to_float(book[level])
        if book[level + LEVELS] <= 0 or sign * price < sign * limit:
            break
        depth += price * to_float(book[level + LEVELS])
    return depth


@njit(inline="always")
def _close_sample(count, number, bins):  # type: ignore[no-untyped-def]
    """Count the last book of a step, beside what was usual before it."""
    log = math.log2(number[_LAST])
    if count[_SAMPLES] >= USUAL_MIN:
        octaves = log - number[_LOG_SUM] / number[_WEIGHT]
        place = BINS - 1 + math.floor(octaves * BINS_PER_OCTAVE + 0.5)
        for i in range(BINS):
            bins[i] *= _KEEP
        bins[min(max(place, 0), BINS - 1)] += 1.0
        count[_SHARES] += 1
    number[_LOG_SUM] = _KEEP * number[_LOG_SUM] + (1.0 - _KEEP) * log
    number[_WEIGHT] = _KEEP * number[_WEIGHT] + 1.0 - _KEEP
    count[_SAMPLES] += 1


@njit(inline="always")
def _share_of(bins):  # type: ignore[no-untyped-def]
    """The middle of the bin that `TAIL` of the shares reach."""
    left = TAIL * bins.sum()
    for i in range(BINS):
        left -= bins[i]
        if left < 0.0:
            break
    return 2.0 ** ((i - (BINS - 1)) / BINS_PER_OCTAVE)


@njit(types.void(I2, I2, I2, F2, F2, F1, F1), cache=True, nogil=True)
def _take_books(books, last, counts, numbers, every_bins, share, today):  # type: ignore[no-untyped-def]
    for row in range(books.shape[0]):
        book = books[row]
        symbol, slot = book[SYMBOL], book[TS] // (SAMPLE_S * SECOND_NS)
        count, number = counts[symbol], numbers[symbol]
        for column in range(VALUES):
            if book[column] != last[symbol, column]:
                slot = -1
        if book[BEST_BID] <= 0 or book[BEST_ASK] <= 0 or slot < max(count[_SLOT], 0):
            continue
        middle = (to_float(book[BEST_BID]) + to_float(book[BEST_ASK])) / 2.0
        bids = _near_depth(book, BEST_BID, 1.0, middle * (1.0 - NEAR_FRACTION))
        asks = _near_depth(book, BEST_ASK, -1.0, middle * (1.0 + NEAR_FRACTION))
        if not min(bids, asks) > 0.0:
            continue
        if slot > count[_SLOT] and count[_SLOT] >= 0:
            _close_sample(count, number, every_bins[symbol])
            if count[_SHARES] >= READY_SAMPLES:
                share[symbol] = _share_of(every_bins[symbol])
        count[_SLOT], number[_LAST] = slot, min(bids, asks)
        if count[_SHARES] >= READY_SAMPLES:
            usual = 2.0 ** (number[_LOG_SUM] / number[_WEIGHT])
            today[symbol] = min(1.0, share[symbol] * usual / number[_LAST])
