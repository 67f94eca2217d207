"""Kernels that add admitted records to integer accumulators, one row a window and symbol.

Everything kept is a sum, a count, a minimum, a maximum or the last write by (event time, offset):
the order in which records arrive cannot show in the result.
"""

from __future__ import annotations

import numpy as np
from numba import njit, types, uint64

from monitor.core.contract.feature_catalogue import BAND_BPS, HIGH_LEVERAGE
from monitor.core.decode.batch import ABSENT
from monitor.core.tables.interner import I64, R64

I64_2 = types.int64[:, ::1]
I64_1 = types.int64
U64R = types.Array(types.uint64, 1, "C", readonly=True)

KINDS = ("order", "cancel", "fill", "leverage", "book", "mark")
"""The shard's kinds, in the order of the offset columns."""

SUMS = (
    "orders_buy", "orders_sell", "order_notional_buy", "order_notional_sell",
    "market_orders", "replaces",
    "cancels_buy", "cancels_sell", "cancels_unsided",
    "cancel_notional_buy", "cancel_notional_sell", "cancel_notional_unsided",
    "completed", "cancels_aged", "cancels_100ms", "cancels_1s",
    "trades_buy", "trades_sell", "trade_notional_buy", "trade_notional_sell",
    "maker_fills", "liquidations", "liquidation_notional",
    "leverage_changes", "leverage_raises", "books", "crossed_books", "marks",
    "maker_notional_buy", "maker_notional_sell", "fees", "rebates", "takers", "taker_fills",
    "leverage_known", "leverage_doublings", "leverage_first_high", "mode_switches", "late",
    *(f"{kind}_numbered" for kind in KINDS),
)  # fmt: skip
"""Counts, and notional, fees and rebates in 1e-6 of the quote currency. `completed`: a removal with
nothing left, which was filled and is not counted as a cancel. `cancels_aged`: cancels whose age is
known. `takers`: orders that took something, of those `taker_fills` that name their order.
`leverage_known`: changes that tell what was before. `leverage_doublings`: log2 of what raises
multiply leverage by, in `DOUBLING_UNITS`. `late`: records too late for the window they belong to, in the
window in which they came. `…_numbered`: records that have a number of the venue's."""

DOUBLING_UNITS = 1 << 20
"""One doubling of leverage in `leverage_doublings`."""

MINIMA = (
    "buy_low", "buy_high", "sell_low", "sell_high", "behind",
    *(f"{kind}_seq_{end}" for kind in KINDS for end in ("low", "high")),
)  # fmt: skip
"""Lowest of each; of the highs and of `behind` the negative is held. Prices of takers' fills by
side, 1e-8; `behind`: how far a record ran behind the highest time in its topic partition, ns;
`…_seq_…`: the venue's own numbers."""
NO_MINIMUM = 2**62
"""Where there was none."""

BOOK_COLUMNS = (
    "ts", "offset", "bid", "ask", "mid",
    *(f"depth_{bps}bps_bid" for bps in BAND_BPS), *(f"depth_{bps}bps_ask" for bps in BAND_BPS),
    "cost_buy", "cost_sell",
)  # fmt: skip
"""The last book of a window: times in ns, prices in 1e-8, depth in 1e-6 of the quote currency;
cost to trade a given notional, against the mid, in 1e-8."""

MARK_COLUMNS = ("mark", "index", "last", "funding_rate", "funding_interval_s", "open_interest")
"""The last value of each; each with its (ts, offset) before it."""

# numba takes integers for constants, not look-ups by name.
_ORDERS_BUY = SUMS.index("orders_buy")
_ORDER_NOTIONAL_BUY = SUMS.index("order_notional_buy")
_MARKET_ORDERS = SUMS.index("market_orders")
_REPLACES = SUMS.index("replaces")
_CANCELS_BUY = SUMS.index("cancels_buy")
_CANCEL_NOTIONAL_BUY = SUMS.index("cancel_notional_buy")
_COMPLETED = SUMS.index("completed")
_CANCELS_AGED = SUMS.index("cancels_aged")
_CANCELS_100MS = SUMS.index("cancels_100ms")
_CANCELS_1S = SUMS.index("cancels_1s")
_TRADES_BUY = SUMS.index("trades_buy")
_TRADE_NOTIONAL_BUY = SUMS.index("trade_notional_buy")
_MAKER_FILLS = SUMS.index("maker_fills")
_LIQUIDATIONS = SUMS.index("liquidations")
_LIQUIDATION_NOTIONAL = SUMS.index("liquidation_notional")
_LEVERAGE_CHANGES = SUMS.index("leverage_changes")
_LEVERAGE_RAISES = SUMS.index("leverage_raises")
_MARKS = SUMS.index("marks")
_MAKER_NOTIONAL_BUY = SUMS.index("maker_notional_buy")
_FEES = SUMS.index("fees")
_REBATES = SUMS.index("rebates")
_LEVERAGE_WITH_PREVIOUS = SUMS.index("leverage_known")
_LEVERAGE_DOUBLINGS = SUMS.index("leverage_doublings")
_LEVERAGE_FIRST_HIGH = SUMS.index("leverage_first_high")
_E8 = 100_000_000
NOTIONAL_CAP = 10**18
"""Notional of one record is held at 1e12 quote units: a sum of millions stays in 64 bits."""


@njit(types.int64(types.int64, types.int64), cache=True, nogil=True)
def notional(price, quantity):  # type: ignore[no-untyped-def]
    """price · quantity, both in 1e-8, as money in 1e-6: exact, rounded down."""
    if float(price) * float(quantity) * 1e-10 >= float(NOTIONAL_CAP):
        return NOTIONAL_CAP
    p1, p0 = price // _E8, price % _E8
    q1, q0 = quantity // _E8, quantity % _E8
    low = p0 * q0 // _E8
    return p1 * q1 * 1_000_000 + (p1 * q0 + p0 * q1 + low) // 100


@njit(types.void(I64_2, I64_2, I64_1, R64, R64), cache=True, nogil=True)
def add_offsets(first, last, kind, row, offset):  # type: ignore[no-untyped-def]
    """The first and last offset of each row."""
    for i in range(row.size):
        r = row[i]
        first[r, kind] = min(first[r, kind], offset[i])
        last[r, kind] = max(last[r, kind], offset[i])


@njit(types.void(I64_2, R64, R64, R64, R64, R64), cache=True, nogil=True)
def add_orders(acc, row, side, price, quantity, action):  # type: ignore[no-untyped-def]
    """Orders: counts and notional by side; a market order has no price, so no notional."""
    for i in range(row.size):
        a = acc[row[i]]
        sell = 0 if side[i] > 0 else 1
        a[_ORDERS_BUY + sell] += 1
        if action[i] == 1:
            a[_REPLACES] += 1
        if price[i] == ABSENT:
            a[_MARKET_ORDERS] += 1
        else:
            a[_ORDER_NOTIONAL_BUY + sell] += notional(price[i], quantity[i])


@njit(types.void(types.int64[::1], types.int64), cache=True, nogil=True, inline="always")
def add_age(a, age):  # type: ignore[no-untyped-def]
    """Count one cancel by its age, ns."""
    a[_CANCELS_AGED] += 1
    if age < 1_000_000_000:
        a[_CANCELS_1S] += 1
        if age < 100_000_000:
            a[_CANCELS_100MS] += 1


@njit(types.void(I64_2, R64, R64, R64, R64, R64, R64), cache=True, nogil=True)
def add_cancels(acc, row, ts, side, price, quantity, placed):  # type: ignore[no-untyped-def]
    """Cancels: counts and notional by side, and how quick those are that tell their age."""
    for i in range(row.size):
        a = acc[row[i]]
        if quantity[i] == 0:
            a[_COMPLETED] += 1
            continue
        which = 2 if side[i] == ABSENT else (0 if side[i] > 0 else 1)
        a[_CANCELS_BUY + which] += 1
        if price[i] != ABSENT and quantity[i] != ABSENT:
            a[_CANCEL_NOTIONAL_BUY + which] += notional(price[i], quantity[i])
        if placed[i] != ABSENT:
            add_age(a, ts[i] - placed[i])


@njit(types.void(I64_2, I64_2, R64, R64, R64, R64, R64, R64, R64), cache=True, nogil=True)
def add_fills(acc, lows, row, side, price, quantity, liquidity, cause, fee):  # type: ignore[no-untyped-def]
    """Fills: a trade is its taker's record; makers' records are counted apart."""
    for i in range(row.size):
        a = acc[row[i]]
        value = notional(price[i], quantity[i])
        sell = 0 if side[i] > 0 else 1
        if fee[i] != ABSENT:
            # As a record's notional, a fee is held at a bound, so that sums stay in 64 bits.
            paid = min(max(fee[i], -NOTIONAL_CAP), NOTIONAL_CAP)
            if paid > 0:
                a[_FEES] += paid
            else:
                a[_REBATES] -= paid
        if liquidity[i] == 0:
            a[_MAKER_FILLS] += 1
            a[_MAKER_NOTIONAL_BUY + sell] += value
            continue
        a[_TRADES_BUY + sell] += 1
        a[_TRADE_NOTIONAL_BUY + sell] += value
        if cause[i] > 0:
            a[_LIQUIDATIONS] += 1
            a[_LIQUIDATION_NOTIONAL] += value
        low = lows[row[i]]
        low[2 * sell] = min(low[2 * sell], price[i])
        low[2 * sell + 1] = min(low[2 * sell + 1], -price[i])


@njit(types.int64(types.int64, types.int64), cache=True, nogil=True)
def doublings(new, old):  # type: ignore[no-untyped-def]
    """log2(new / old) of two numbers above 0, in `DOUBLING_UNITS`, with integers alone: the same on every
    machine, to within two units.
    """
    total = np.int64(0)
    for value, sign in ((new, 1), (old, -1)):
        power = np.int64(0)
        while value >> (power + 1):
            power += 1
        total += sign * power * DOUBLING_UNITS
        x = value << (30 - power) if power <= 30 else value >> (power - 30)
        bit = DOUBLING_UNITS
        while bit > 1:
            bit >>= 1
            x = x * x >> 30
            if x >> 31:
                x >>= 1
                total += sign * bit
    return total


@njit(types.void(I64_2, R64, R64, R64), cache=True, nogil=True)
def add_leverage(acc, row, leverage, previous):  # type: ignore[no-untyped-def]
    """Leverage changes: those known to go up and how far, and those that begin high."""
    for i in range(row.size):
        a = acc[row[i]]
        a[_LEVERAGE_CHANGES] += 1
        if previous[i] == ABSENT:
            if leverage[i] >= HIGH_LEVERAGE * _E8:
                a[_LEVERAGE_FIRST_HIGH] += 1
            continue
        a[_LEVERAGE_WITH_PREVIOUS] += 1
        if leverage[i] > previous[i]:
            a[_LEVERAGE_RAISES] += 1
            a[_LEVERAGE_DOUBLINGS] += doublings(leverage[i], previous[i])


@njit(types.void(I64_2, R64, R64), cache=True, nogil=True)
def add_behind(lows, row, behind):  # type: ignore[no-untyped-def]
    """How far records ran behind in their topic partition."""
    for i in range(row.size):
        low = lows[row[i]]
        low[4] = min(low[4], -behind[i])


@njit(types.void(I64_2, R64, R64, R64, I64_2, I64_2), cache=True, nogil=True)
def add_marks(acc, row, ts, offset, values, marks):  # type: ignore[no-untyped-def]
    """The last value of each column of `values` by (ts, offset)."""
    for i in range(row.size):
        acc[row[i], _MARKS] += 1
        m = marks[row[i]]
        for c in range(values.shape[0]):
            if values[c, i] == ABSENT:
                continue
            if ts[i] > m[3 * c] or (ts[i] == m[3 * c] and offset[i] > m[3 * c + 1]):
                m[3 * c] = ts[i]
                m[3 * c + 1] = offset[i]
                m[3 * c + 2] = values[c, i]


@njit(types.void(U64R, R64, U64R, R64, R64, I64, I64_2), cache=True, nogil=True)
def join_ages(order_key, order_ts, key, ts, row, table, acc):  # type: ignore[no-untyped-def]
    """Give each cancel the age since the last placement of its order not after it.

    An order placed more than a second before the window is not here: such a cancel's age is known
    to be over one second, which is all that is asked.
    """
    mask = table.size - 1
    for i in range(order_key.size):
        slot = np.int64(order_key[i] & uint64(mask))
        while table[slot] >= 0:
            slot = (slot + 1) & mask
        table[slot] = i
    for i in range(key.size):
        placed = np.int64(-1)
        slot = np.int64(key[i] & uint64(mask))
        while table[slot] >= 0:
            j = table[slot]
            if order_key[j] == key[i] and order_ts[j] <= ts[i]:
                placed = max(placed, order_ts[j])
            slot = (slot + 1) & mask
        add_age(acc[row[i]], ts[i] - placed if placed >= 0 else np.int64(2_000_000_000))
