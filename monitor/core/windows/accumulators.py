"""Kernels that add admitted records to integer accumulators, one row a window and symbol.

Everything kept is a sum, a count, a minimum, a maximum or the last write by (event time, offset):
the order in which records arrive cannot show in the result.
"""

from __future__ import annotations

import numpy as np
from numba import njit, uint64

from detectors.arrays.columns import column_numbers
from detectors.arrays.hash_table import mix
from detectors.arrays.types import B1, I1, I2, I3, INT, RI1, RU1, U1
from monitor.core.contract.feature_catalogue import HIGH_LEVERAGE
from monitor.core.contract.fixed_point import SCALE
from monitor.core.contract.units import MILLISECOND_NS, SECOND_NS
from monitor.core.decode import stepped_kernels
from monitor.core.decode.batch import ABSENT
from monitor.core.decode.stepped_kernels import NOTIONAL_CAP
from monitor.core.windows import columns

SUM = column_numbers(columns.SUMS)
MINIMUM = column_numbers(columns.MINIMA)
_CANCEL = column_numbers(columns.CANCEL_COLUMNS)
_SPREAD = column_numbers(columns.CONCENTRATION_COLUMNS)
_COUNT_CEILING = 256
"""Counts from here on are alike when the most active accounts are chosen."""


@njit(INT(INT, INT), cache=True, nogil=True)
def notional(price, quantity):  # type: ignore[no-untyped-def]
    """Price · quantity, codes of stepped decimals, as money in 1e-6: exact, rounded down."""
    return stepped_kernels.notional(price, quantity)


@njit((I2, I2, INT, RI1, RI1), cache=True, nogil=True)
def add_offsets(first, last, kind, row, offset):  # type: ignore[no-untyped-def]
    """The first and last offset of each row."""
    for i in range(row.size):
        r = row[i]
        first[r, kind] = min(first[r, kind], offset[i])
        last[r, kind] = max(last[r, kind], offset[i])


@njit((I2, RI1, RI1, RI1, RI1, RI1), cache=True, nogil=True)
def add_orders(sums, row, side, price, quantity, action):  # type: ignore[no-untyped-def]
    """Orders: counts and notional by side; a market order has no price, so no notional."""
    for i in range(row.size):
        s = sums[row[i]]
        sell = 0 if side[i] > 0 else 1
        s[SUM.orders_buy + sell] += 1
        if action[i] == 1:
            s[SUM.replaces] += 1
        if price[i] == ABSENT:
            s[SUM.market_orders] += 1
        else:
            s[SUM.order_notional_buy + sell] += notional(price[i], quantity[i])


@njit((I1, INT), cache=True, nogil=True, inline="always")
def add_age(s, age):  # type: ignore[no-untyped-def]
    """Count one cancel by its order's age, ns."""
    s[SUM.cancels_aged] += 1
    if age < SECOND_NS:
        s[SUM.cancels_1s] += 1
        if age < 100 * MILLISECOND_NS:
            s[SUM.cancels_100ms] += 1


@njit(INT(I2, RI1, RI1, RI1, RI1, RI1, RI1, RU1, I2), cache=True, nogil=True)
def add_cancels(sums, row, ts, side, price, quantity, placed, account, out):  # type: ignore[no-untyped-def]
    """Cancels: counts and notional by side; the age of those that tell when they were placed.

    `account`: the hash of its name. Those that tell price, side and quantity are written to `out`
    (`CANCEL_COLUMNS`); returns how many.
    """
    n = 0
    for i in range(row.size):
        s = sums[row[i]]
        if quantity[i] == 0:
            s[SUM.completed] += 1
            continue
        which = 2 if side[i] == ABSENT else (0 if side[i] > 0 else 1)
        s[SUM.cancels_buy + which] += 1
        if placed[i] != ABSENT:
            add_age(s, ts[i] - placed[i])
        if price[i] == ABSENT or quantity[i] == ABSENT:
            continue
        value = notional(price[i], quantity[i])
        s[SUM.cancel_notional_buy + which] += value
        if side[i] != ABSENT:
            out[n, _CANCEL.row] = row[i]
            out[n, _CANCEL.side] = side[i]
            out[n, _CANCEL.price] = price[i]
            out[n, _CANCEL.notional] = value
            out[n, _CANCEL.account] = np.int64(account[i])
            n += 1
    return n


@njit((I2, I2, RI1, RI1, RI1, RI1, RI1, RI1, RI1), cache=True, nogil=True)
def add_fills(sums, minima, row, side, price, quantity, liquidity, cause, fee):  # type: ignore[no-untyped-def]
    """Fills: a trade is its taker's record; makers' records are counted apart."""
    for i in range(row.size):
        s = sums[row[i]]
        value = notional(price[i], quantity[i])
        sell = 0 if side[i] > 0 else 1
        if fee[i] != ABSENT:
            # Capped like a record's notional, so that sums stay in 64 bits.
            paid = min(max(fee[i], -NOTIONAL_CAP), NOTIONAL_CAP)
            if paid > 0:
                s[SUM.fees] += paid
            else:
                s[SUM.rebates] -= paid
        if liquidity[i] == 0:
            s[SUM.maker_fills] += 1
            s[SUM.maker_notional_buy + sell] += value
            continue
        s[SUM.trades_buy + sell] += 1
        s[SUM.trade_notional_buy + sell] += value
        if cause[i] > 0:
            s[SUM.liquidations] += 1
            s[SUM.liquidation_notional] += value
        low = MINIMUM.buy_low if side[i] > 0 else MINIMUM.sell_low
        high = MINIMUM.buy_high if side[i] > 0 else MINIMUM.sell_high
        m = minima[row[i]]
        m[low] = min(m[low], price[i])
        m[high] = min(m[high], -price[i])


@njit(INT(INT, INT), cache=True, nogil=True)
def doublings(new, old):  # type: ignore[no-untyped-def]
    """log2(new / old) of two numbers above 0, in 1 / `DOUBLING_UNITS`.

    It uses integers alone, so it is the same on every machine; it is exact to two units.
    """
    total = np.int64(0)
    for value, sign in ((new, 1), (old, -1)):
        power = np.int64(0)
        while value >> (power + 1):
            power += 1
        total += sign * power * columns.DOUBLING_UNITS
        x = value << (30 - power) if power <= 30 else value >> (power - 30)
        bit = columns.DOUBLING_UNITS
        while bit > 1:
            bit >>= 1
            x = x * x >> 30
            if x >> 31:
                x >>= 1
                total += sign * bit
    return total


@njit((I2, RI1, RI1, RI1), cache=True, nogil=True)
def add_leverage(sums, row, leverage, previous):  # type: ignore[no-untyped-def]
    """Leverage changes: the raises and how far they go; without a leverage before, those that begin
    high.
    """
    for i in range(row.size):
        s = sums[row[i]]
        s[SUM.leverage_changes] += 1
        if previous[i] == ABSENT:
            if leverage[i] >= HIGH_LEVERAGE * SCALE:
                s[SUM.leverage_first_high] += 1
            continue
        s[SUM.leverage_compared] += 1
        if leverage[i] > previous[i]:
            s[SUM.leverage_raises] += 1
            s[SUM.leverage_doublings] += doublings(leverage[i], previous[i])


@njit((I2, RI1, RI1), cache=True, nogil=True)
def add_behind(minima, row, behind):  # type: ignore[no-untyped-def]
    """How far records ran behind in their topic partition, ns."""
    for i in range(row.size):
        m = minima[row[i]]
        m[MINIMUM.behind] = min(m[MINIMUM.behind], -behind[i])


@njit((I2, RI1, RI1, RI1, I2, I2), cache=True, nogil=True)
def add_marks(sums, row, ts, offset, values, marks):  # type: ignore[no-untyped-def]
    """The last value of each column of `values` (`MARK_COLUMNS`, records) by (ts, offset)."""
    for i in range(row.size):
        sums[row[i], SUM.marks] += 1
        for c in range(values.shape[0]):
            if values[c, i] == ABSENT:
                continue
            m = marks[row[i], columns.MARK_WIDTH * c : columns.MARK_WIDTH * (c + 1)]
            if ts[i] > m[columns.MARK_TS] or (
                ts[i] == m[columns.MARK_TS] and offset[i] > m[columns.MARK_OFFSET]
            ):
                m[columns.MARK_TS] = ts[i]
                m[columns.MARK_OFFSET] = offset[i]
                m[columns.MARK_VALUE] = values[c, i]


@njit(I1(RI1, INT), cache=True, nogil=True)
def group_by_row(row, rows):  # type: ignore[no-untyped-def]
    """The entries whose row is not negative, in the order of their rows (below `rows`)."""
    begin = np.zeros(rows + 1, np.int64)
    for i in range(row.size):
        if row[i] >= 0:
            begin[row[i] + 1] += 1
    for r in range(rows):
        begin[r + 1] += begin[r]
    order = np.empty(begin[rows], np.int64)
    for i in range(row.size):
        if row[i] >= 0:
            order[begin[row[i]]] = i
            begin[row[i]] += 1
    return order


@njit((RI1, RU1, I2, I3, U1), cache=True, nogil=True)
def add_concentration(account_row, account_hash, counts, spread, hash_sum):  # type: ignore[no-untyped-def]
    """Add up how each count spreads over a row's accounts, and a hash of all of them.

    `spread`: (rows, counts, `CONCENTRATION_COLUMNS`). `hash_sum`: (rows), a sum of hashes of
    accounts with their counts, in which the order of entries cannot show.
    """
    for i in range(account_row.size):
        r = account_row[i]
        h = account_hash[i]
        for c in range(counts.shape[1]):
            n = counts[i, c]
            h = mix(h ^ (uint64(n) + uint64(0x9E3779B97F4A7C15)))
            if n > 0:
                s = spread[r, c]
                s[_SPREAD.accounts] += 1
                s[_SPREAD.total] += n
                s[_SPREAD.top] = max(s[_SPREAD.top], n)
                s[_SPREAD.squares] += n * n
        hash_sum[r] += h


@njit((RI1, I2, INT, B1), cache=True, nogil=True)
def mark_most_active(begin, counts, most, keep):  # type: ignore[no-untyped-def]
    """Mark the entries of each row (from `begin[r]` to `begin[r + 1]`) that stay: all where there
    are at most `most`; else, of each count, those so high that no more than `most` are as high.
    """
    number = np.empty(_COUNT_CEILING + 1, np.int64)
    for r in range(begin.size - 1):
        low, high = begin[r], begin[r + 1]
        if high - low <= most:
            keep[low:high] = True
            continue
        for c in range(counts.shape[1]):
            number[:] = 0
            for i in range(low, high):
                number[min(counts[i, c], _COUNT_CEILING)] += 1
            least = _COUNT_CEILING + 1
            above = 0
            while least > 1 and above + number[least - 1] <= most:
                least -= 1
                above += number[least]
            for i in range(low, high):
                if counts[i, c] >= least:
                    keep[i] = True


@njit((I2, RI1, INT), cache=True, nogil=True)
def add_one(counts, row, column):  # type: ignore[no-untyped-def]
    """Count rows in one column."""
    for i in range(row.size):
        counts[row[i], column] += 1
