"""Records that never came, by the venue's own sequence numbers.

A feed is one kind of record of one market. Of each window there is how many records of it had a
number, and the lowest and highest; all of that commutes, so arrival shows nowhere. What lies
between the highest number before the window and the highest in it, and did not come, is missing.
A venue that counts several feeds with one number has gaps in each as a matter of habit, which is
what detectors are for.
"""

from __future__ import annotations

from numba import njit, types

from monitor.core.decode.batch import ABSENT
from monitor.core.tables.hash_table import I64_2
from monitor.core.tables.interner import R64
from monitor.core.windows.accumulators import KINDS, MINIMA, NO_MINIMUM, SUMS

_FEEDS = len(KINDS)
_NUMBERED = SUMS.index(f"{KINDS[0]}_numbered")
_LOW = MINIMA.index(f"{KINDS[0]}_seq_low")
_F1 = types.float64[::1]


@njit(types.void(types.int64, I64_2, I64_2, R64, R64), cache=True, nogil=True)
def add_sequence_numbers(kind, sums, lows, row, seq):  # type: ignore[no-untyped-def]
    """Note the numbers of records of the kind at `KINDS[kind]`."""
    for i in range(row.size):
        if seq[i] != ABSENT:
            sums[row[i], _NUMBERED + kind] += 1
            low = lows[row[i]]
            at = _LOW + 2 * kind
            low[at] = min(low[at], seq[i])
            low[at + 1] = min(low[at + 1], -seq[i])


@njit(types.void(I64_2, I64_2, R64, I64_2, _F1), cache=True, nogil=True)
def count_missing(sums, lows, symbol, seen, out):  # type: ignore[no-untyped-def]
    """How many records are missing in each row (windows in order), over all feeds of its symbol.

    `seen`: (symbols, `KINDS`), the highest number so far, -1: none; brought up to date. NaN where
    no feed of the symbol was ever numbered. Of a symbol's first window only what is missing within
    it can be told. A number below half of the highest so far is a count begun anew.
    """
    for i in range(symbol.size):
        known, gap = False, 0
        for feed in range(_FEEDS):
            last = seen[symbol[i], feed]
            low = lows[i, _LOW + 2 * feed]
            if low != NO_MINIMUM:
                high = -lows[i, _LOW + 2 * feed + 1]
                if last < 0 or high < last // 2:
                    last = low - 1
                gap += max(0, high - last - sums[i, _NUMBERED + feed])
                last = max(last, high)
                seen[symbol[i], feed] = last
            known = known or last >= 0
        out[i] = float(gap) if known else float("nan")
