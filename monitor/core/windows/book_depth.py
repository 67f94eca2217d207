"""The last book of a window, measured: spread, depth within bands, cost to trade a notional."""

from __future__ import annotations

import numpy as np
from numba import njit, types

from monitor.core.contract.feature_catalogue import BAND_BPS
from monitor.core.decode.batch import ABSENT
from monitor.core.tables.interner import R64
from monitor.core.windows.accumulators import I64_1, I64_2, SUMS, notional

_BOOKS = SUMS.index("books")
_CROSSED_BOOKS = SUMS.index("crossed_books")


@njit(
    types.int64(R64, R64, types.int64, types.int64, types.int64, types.int64),
    cache=True,
    nogil=True,
)
def cost_to_trade(price, quantity, low, high, mid, size):  # type: ignore[no-untyped-def]
    """What it costs to trade `size` (1e-6) into one side: |VWAP/mid − 1| in 1e-8, or `ABSENT`.

    Doubles here belong to one record alone and are rounded to the grid at once.
    """
    left = float(size)
    base = 0.0
    for i in range(low, high):
        value = float(notional(price[i], quantity[i]))
        take = min(left, value)
        base += take / float(price[i])
        left -= take
        if left <= 0.0:
            break
    if left > 0.0 or base <= 0.0:
        return ABSENT
    return np.int64(round(abs(float(size) / base / float(mid) - 1.0) * 1e8))


@njit(
    types.void(I64_2, R64, R64, R64, R64, R64, R64, R64, R64, R64, I64_1, I64_2),
    cache=True,
    nogil=True,
)
def add_books(acc, row, ts, offset, bid_at, bid, bid_size, ask_at, ask, ask_size, size, books):  # type: ignore[no-untyped-def]
    """Measure the last book of each window: spread, depth within bands, cost to trade `size`."""
    for i in range(row.size):
        a = acc[row[i]]
        a[_BOOKS] += 1
        b0, b1 = bid_at[i], bid_at[i + 1]
        a0, a1 = ask_at[i], ask_at[i + 1]
        best_bid = bid[b0] if b1 > b0 else ABSENT
        best_ask = ask[a0] if a1 > a0 else ABSENT
        both = best_bid != ABSENT and best_ask != ABSENT
        if both and best_bid >= best_ask:
            a[_CROSSED_BOOKS] += 1
        b = books[row[i]]
        if ts[i] < b[0] or (ts[i] == b[0] and offset[i] < b[1]):
            continue
        b[0] = ts[i]
        b[1] = offset[i]
        b[2] = best_bid
        b[3] = best_ask
        mid = best_bid // 2 + best_ask // 2 if both else max(best_bid, best_ask)
        b[4] = mid
        for k in range(len(BAND_BPS)):
            reach = mid // 10_000 * BAND_BPS[k] + mid % 10_000 * BAND_BPS[k] // 10_000
            depth = np.int64(0)
            for j in range(b0, b1):
                if bid[j] < mid - reach:
                    break
                depth += notional(bid[j], bid_size[j])
            b[5 + k] = depth
            depth = np.int64(0)
            for j in range(a0, a1):
                if ask[j] > mid + reach:
                    break
                depth += notional(ask[j], ask_size[j])
            b[5 + len(BAND_BPS) + k] = depth
        b[15] = cost_to_trade(ask, ask_size, a0, a1, mid, size)
        b[16] = cost_to_trade(bid, bid_size, b0, b1, mid, size)
