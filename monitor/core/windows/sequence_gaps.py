"""Records that never came, by the venue's own sequence numbers.

A feed is one kind of record of one market. Each window keeps how many records of the feed had a
number, the lowest number and the highest; all of these commute, so the order of arrival cannot
show. Numbers between the highest before the window and the highest in it whose records did not come
are missing. A venue that numbers several feeds with one counter has gaps in each all the time; the
detectors learn that as the usual.
"""

from __future__ import annotations

from numba import njit

from detectors.arrays.types import F1, I2, INT, RI1
from monitor.core.decode.batch import ABSENT
from monitor.core.windows.columns import KINDS, MINIMA, NO_MINIMUM, SUMS

_FEEDS = len(KINDS)
_NUMBERED = SUMS.index(f"{KINDS[0]}_numbered")
_LOW = MINIMA.index(f"{KINDS[0]}_seq_low")
_HIGH = MINIMA.index(f"{KINDS[0]}_seq_high")
_STEP = 2
"""From one kind's lowest and highest number to the next kind's."""


@njit((INT, I2, I2, RI1, RI1), cache=True, nogil=True)
def add_sequence_numbers(kind, sums, minima, row, seq):  # type: ignore[no-untyped-def]
    """Note the numbers of records of the kind at `KINDS[kind]`."""
    for i in range(row.size):
        if seq[i] != ABSENT:
            sums[row[i], _NUMBERED + kind] += 1
            m = minima[row[i]]
            low, high = _LOW + _STEP * kind, _HIGH + _STEP * kind
            m[low] = min(m[low], seq[i])
            m[high] = min(m[high], -seq[i])


@njit((I2, I2, RI1, I2, F1), cache=True, nogil=True)
def count_missing(sums, minima, symbol, highest, out):  # type: ignore[no-untyped-def]
    """How many records are missing in each row (windows in order), over all feeds of its symbol.

    `highest`: (symbols, `KINDS`), the highest number so far, −1: none; brought up to date. NaN
    where no feed of the symbol was ever numbered. In a symbol's first window only what is missing
    between its own numbers counts. A number below half of the highest so far is a counter that
    began again.
    """
    for i in range(symbol.size):
        numbered, gap = False, 0
        for feed in range(_FEEDS):
            last = highest[symbol[i], feed]
            low = minima[i, _LOW + _STEP * feed]
            if low != NO_MINIMUM:
                high = -minima[i, _HIGH + _STEP * feed]
                if last < 0 or high < last // 2:
                    last = low - 1
                gap += max(0, high - last - sums[i, _NUMBERED + feed])
                last = max(last, high)
                highest[symbol[i], feed] = last
            numbered = numbered or last >= 0
        out[i] = float(gap) if numbered else float("nan")
