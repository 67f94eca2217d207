"""The last book of a window, measured: spread, depth within bands, cost to trade a notional."""

from __future__ import annotations

import numpy as np
from numba import njit, types

from detectors.arrays.columns import column_numbers
from detectors.arrays.types import I1, I2, INT, RI1
from monitor.core.contract.feature_catalogue import BAND_BPS
from monitor.core.decode.batch import ABSENT, Ladder
from monitor.core.decode.stepped_kernels import middle, places_of, ratio, reach, to_float_at
from monitor.core.windows.accumulators import SUM, notional
from monitor.core.windows.columns import BOOK_COLUMNS, LADDER_LEVELS

BOOK = column_numbers(BOOK_COLUMNS)
_DEPTH_BID = BOOK_COLUMNS.index(f"depth_{BAND_BPS[0]}bps_bid")
_DEPTH_ASK = BOOK_COLUMNS.index(f"depth_{BAND_BPS[0]}bps_ask")
_REACH_MOST = 1e12
"""A level at ten thousand times the mid, 1e-8 of it: what lies further says nothing more."""
_LADDER = types.NamedUniTuple(RI1, len(Ladder._fields), Ladder)  # type: ignore[no-untyped-call]


@njit(INT(_LADDER, INT, INT, INT, INT), cache=True, nogil=True)
def _cost_to_trade(side, low, high, mid, size):  # type: ignore[no-untyped-def]
    """What it costs to trade `size` (1e-6) into the levels from `low` up to `high`: |VWAP/mid − 1|
    in 1e-8, or `ABSENT` where the levels do not suffice.

    Doubles here belong to one record alone and are rounded to the grid at once.
    """
    left = float(size)
    base = 0.0
    places = places_of(mid)
    for i in range(low, high):
        value = float(notional(side.price[i], side.quantity[i]))
        take = min(left, value)
        base += take / to_float_at(side.price[i], places)
        left -= take
        if left <= 0.0:
            break
    if left > 0.0 or base <= 0.0:
        return ABSENT
    return np.int64(round(abs(float(size) / base / to_float_at(mid, places) - 1.0) * 1e8))


@njit(INT(_LADDER, INT, INT, INT), cache=True, nogil=True)
def _reach_of(side, low, high, mid):  # type: ignore[no-untyped-def]
    """How far the last of the levels from `low` up to `high` lies from the mid, 1e-8 of it, at most
    `_REACH_MOST`; 0 where there is none."""
    if high == low:
        return 0
    return np.int64(round(min(abs(ratio(side.price[high - 1], mid) - 1.0) * 1e8, _REACH_MOST)))


@njit((_LADDER, INT, INT, I1), cache=True, nogil=True, inline="always")
def _keep_levels(side, low, high, out):  # type: ignore[no-untyped-def]
    """The best levels from `low` up to `high`: prices, then sizes."""
    for k in range(LADDER_LEVELS):
        some = low + k < high
        out[k] = side.price[low + k] if some else 0
        out[LADDER_LEVELS + k] = side.quantity[low + k] if some else 0


@njit((I2, RI1, RI1, RI1, _LADDER, _LADDER, INT, I2, I2), cache=True, nogil=True)
def add_books(sums, row, ts, offset, bids, asks, size, books, ladders):  # type: ignore[no-untyped-def]
    """Measure the last book of each row that is not crossed into `books` (`BOOK_COLUMNS`); `size`:
    the notional to trade, 1e-6. Of a crossed book only the best prices are kept. `ladders`
    (`LADDER_WIDTH`): the best levels of the same book.
    """
    for i in range(row.size):
        s = sums[row[i]]
        s[SUM.books] += 1
        b0, b1 = bids.offset[i], bids.offset[i + 1]
        a0, a1 = asks.offset[i], asks.offset[i + 1]
        best_bid = bids.price[b0] if b1 > b0 else ABSENT
        best_ask = asks.price[a0] if a1 > a0 else ABSENT
        both = best_bid != ABSENT and best_ask != ABSENT
        b = books[row[i]]
        if both and best_bid == best_ask:
            s[SUM.locked_books] += 1
        elif both and best_bid > best_ask:
            s[SUM.crossed_books] += 1
            if ts[i] > b[BOOK.crossed_ts] or (
                ts[i] == b[BOOK.crossed_ts] and offset[i] > b[BOOK.crossed_offset]
            ):
                b[BOOK.crossed_ts], b[BOOK.crossed_offset] = ts[i], offset[i]
                b[BOOK.crossed_bid], b[BOOK.crossed_ask] = best_bid, best_ask
            continue
        if ts[i] < b[BOOK.ts] or (ts[i] == b[BOOK.ts] and offset[i] < b[BOOK.offset]):
            continue
        b[BOOK.ts] = ts[i]
        b[BOOK.offset] = offset[i]
        b[BOOK.bid] = best_bid
        b[BOOK.ask] = best_ask
        mid = middle(best_bid, best_ask) if both else max(best_bid, best_ask)
        b[BOOK.mid] = mid
        for k in range(len(BAND_BPS)):
            low, high = reach(mid, BAND_BPS[k])
            depth = np.int64(0)
            for j in range(b0, b1):
                if bids.price[j] < low:
                    break
                depth += notional(bids.price[j], bids.quantity[j])
            b[_DEPTH_BID + k] = depth
            depth = np.int64(0)
            for j in range(a0, a1):
                if asks.price[j] > high:
                    break
                depth += notional(asks.price[j], asks.quantity[j])
            b[_DEPTH_ASK + k] = depth
        b[BOOK.reach_bid] = _reach_of(bids, b0, b1, mid)
        b[BOOK.reach_ask] = _reach_of(asks, a0, a1, mid)
        b[BOOK.cost_buy] = _cost_to_trade(asks, a0, a1, mid, size)
        b[BOOK.cost_sell] = _cost_to_trade(bids, b0, b1, mid, size)
        _keep_levels(bids, b0, b1, ladders[row[i], : 2 * LADDER_LEVELS])
        _keep_levels(asks, a0, a1, ladders[row[i], 2 * LADDER_LEVELS :])
