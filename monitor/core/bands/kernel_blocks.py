"""The small compiled loops of `kernel_prices.py`, each over a block of positions: they have no branch
where it can be helped, so that the compiler turns them into vector instructions.
"""

from __future__ import annotations

import numpy as np
from numba import njit, types

from monitor.core.bands.kernel_roots import maintenance_of, solve_tier_by_tier
from monitor.core.bands.layout import (
    AT_ENTRY,
    BACKSTOP,
    BETA,
    BIN_WIDTH,
    CLOSE_FEE,
    CODE_BITS,
    DEDUCTION,
    DUE_FLAG,
    EXPONENT_LOW,
    EXPONENTS,
    F1,
    F2,
    FACTOR_GROWTH,
    FEE,
    I4,
    I8,
    INT,
    INVERSE_MARK,
    LOWEST_TIER_TOP,
    MARK,
    NEXT_BOUND,
    NOTIONAL_MAX,
    NOTIONAL_MIN,
    OUT_OF_REACH,
    RATE,
    SIZE_RATE,
    UNITS_MAX,
    WARN_K,
)


@njit(inline="always", error_model="numpy")
def units_of(notional):  # type: ignore[no-untyped-def]
    return np.int64(np.rint(min(notional * 1e6, UNITS_MAX)))


@njit(types.int64(INT, INT, I8, I4, I4, F1, F1, I4, I4, I4), nogil=True, cache=True)
def gather_positions(low, high, start, count, market, quantity, q, at, slot, holder):  # type: ignore[no-untyped-def]
    """The positions of pools low … high − 1, one after the other; how many."""
    n = 0
    for pool in range(low, high):
        first = start[pool]
        for i in range(first, first + count[pool]):
            q[n], at[n], slot[n], holder[n] = quantity[i], market[i], i, pool
            n += 1
    return n


@njit(types.void(INT, F1, I4, F2, F1, F1, F1, F1, F1, F1, F1, F1), nogil=True, cache=True,
      error_model="numpy")  # fmt: skip
def value_positions(n, q, at, table, worth, size, rise, need, free, inverse, drift, odd):  # type: ignore[no-untyped-def]
    """Each position's value, notional, rate and requirement in the lowest tier; what a move of the
    common factor by 1 leaves of it, and whether (1.0) that may not be the whole answer.
    """
    mark, rate, grows, less = table[MARK], table[RATE], table[SIZE_RATE], table[DEDUCTION]
    turned, beta, grown, next_bound = (
        table[INVERSE_MARK],
        table[BETA],
        table[FACTOR_GROWTH],
        table[NEXT_BOUND],
    )
    for t in range(n):
        m = np.uint32(at[t])
        worth[t] = q[t] * mark[m]
        size[t] = abs(q[t]) * mark[m]
        rise[t] = rate[m] + grows[m] * abs(q[t])
        need[t] = rise[t] * size[t] - less[m]
        free[t] = need[t] + less[m]
    for t in range(n):
        m = np.uint32(at[t])
        inverse[t] = turned[m]
        drift[t] = (worth[t] - rise[t] * size[t]) * beta[m]
        odd[t] = 0.0 if size[t] * grown[m] < next_bound[m] else 1.0


@njit(types.void(INT, F1, I4, I4, F1, F2, F1, F1, F1, F1, F1, F1, F1, F1), nogil=True, cache=True,
      error_model="numpy")  # fmt: skip
def apply_higher_tiers(  # type: ignore[no-untyped-def]
    n, q, at, slot, entry, table, size, rise, need, free, odd, bound, rate, deduction
):
    """The requirement of what stands in a higher tier, or is counted at its entry price."""
    for t in range(n):
        if odd[t] != 0.0 and size[t] >= table[NEXT_BOUND, at[t]]:
            m = at[t]
            need[t] = maintenance_of(m, q[t], entry[slot[t]], table, bound, rate, deduction)
            free[t] = need[t] + table[DEDUCTION, m]
            if table[AT_ENTRY, m] != 0.0:
                # The maintenance is the same at every price, whatever the tier.
                rise[t] = free[t] = 0.0


@njit(types.void(INT, F1, I4, F1, F2, types.float32[::1], F1, F1, F1), nogil=True, cache=True,
      error_model="numpy")  # fmt: skip
def closing_costs(n, q, at, size, table, slip, calm, stress, backstop):  # type: ignore[no-untyped-def]
    """What a close costs: as the venue counts it, and into today's book. Slippage is linear between
    powers of two, which are read from the number's own bits.
    """
    fee, close, own = table[FEE], table[CLOSE_FEE], table[BACKSTOP]
    other = np.uint64(table.shape[1] * EXPONENTS)
    for t in range(n):
        m = np.uint64(np.uint32(at[t]))
        # No branch: half of all positions lie on either side of the lowest column.
        notional = size[t] if size[t] >= NOTIONAL_MIN else NOTIONAL_MIN
        notional = notional if notional < NOTIONAL_MAX else NOTIONAL_MAX
        bits = np.float64(notional).view(np.uint64)
        e = (bits >> np.uint64(52)) - np.uint64(1023 + EXPONENT_LOW)
        bits = (bits & np.uint64(0xFFFFFFFFFFFFF)) | np.uint64(0x3FF0000000000000)
        part = np.uint64(bits).view(np.float64) - 1.0
        place = m * np.uint64(EXPONENTS) + e + (np.uint64(0) if q[t] > 0.0 else other)
        one = np.float64(slip[place])
        slipped = one + (np.float64(slip[place + np.uint64(1)]) - one) * part
        stress[t] = fee[m] + close[m] + slipped
    for t in range(n):
        calm[t], backstop[t] = fee[np.uint32(at[t])], own[np.uint32(at[t])]


@njit(types.void(INT, F1, F1, F1, F1, F1, F1, F1, F2), nogil=True, cache=True,
      error_model="numpy")  # fmt: skip
def solve_lowest_tier(n, q, free, worth, rise, calm, stress, backstop, x):  # type: ignore[no-untyped-def]
    """Eight prices of n positions in the lowest tier: x[j] by the k and the costs of row j."""
    for j in range(8):
        out = x[j]
        cost = calm if j < 4 else stress
        if j & 3 == 2:
            for t in range(n):
                k = backstop[t]
                out[t] = (k * free[t] + worth[t]) / (q[t] - abs(q[t]) * (k * rise[t] + cost[t]))
        elif j & 3 == 3:
            for t in range(n):
                out[t] = worth[t] / (q[t] - abs(q[t]) * cost[t])
        else:
            k = WARN_K if j & 3 == 0 else 1.0
            for t in range(n):
                out[t] = (k * free[t] + worth[t]) / (q[t] - abs(q[t]) * (k * rise[t] + cost[t]))


@njit(types.void(INT, F1, I4, F2, F1, F1, F1, F1, F1, F1, F2, F1, F1, F1), nogil=True, cache=True,
      error_model="numpy")  # fmt: skip
def solve_beyond_lowest_tier(  # type: ignore[no-untyped-def]
    n, q, at, table, free, worth, rise, calm, stress, backstop, x, bound, rate, deduction
):  # fmt: skip
    """The prices of those that leave the lowest tier on their way."""
    upper = table[LOWEST_TIER_TOP]
    most, beyond = np.zeros(n), np.empty(n, np.bool_)
    for half in range(0, 8, 4):
        x0, x1, x2, x3 = x[half], x[half + 1], x[half + 2], x[half + 3]
        for t in range(n):
            a = most[t]
            a = x0[t] if x0[t] > a else a
            a = x1[t] if x1[t] > a else a
            a = x2[t] if x2[t] > a else a
            most[t] = x3[t] if x3[t] > a else a
    for t in range(n):
        over = most[t] * abs(q[t]) >= upper[np.uint32(at[t])]
        beyond[t] = over | ((q[t] > 0.0) & (WARN_K * rise[t] + stress[t] >= 1.0))
    for t in range(n):
        if beyond[t]:
            solve_tier_by_tier(t, q[t], free[t], worth[t], calm[t], stress[t], backstop[t], at[t], table, x,
                 bound, rate, deduction)  # fmt: skip


@njit(types.void(INT, F1, F1, F1, I4), nogil=True, cache=True, error_model="numpy")
def zones_of(n, q, x, inverse, out):  # type: ignore[no-untyped-def]
    """The zone of each price: how far the mark must move against the position; `OUT` for NaN."""
    for t in range(n):
        y = x[t] * inverse[t]
        v = (1.0 - y if q[t] > 0.0 else y - 1.0) * (1.0 / BIN_WIDTH)
        v = (v if v > 0.0 else 0.0) if y > 0.0 else float(OUT_OF_REACH)
        out[t] = np.int32(v if v < OUT_OF_REACH else float(OUT_OF_REACH))


@njit(types.int64(INT, F1, I4, F1, types.int32[:, ::1], I4), nogil=True, cache=True,
      error_model="numpy")  # fmt: skip
def pick_forced(n, q, group, stress, zone, chosen):  # type: ignore[no-untyped-def]
    """Which positions are forced within reach at any stage; how many. What is due stands in the
    first zone; what stress would do is not known without a book.
    """
    near, far, back, broke = zone[0], zone[1], zone[2], zone[3]
    for t in range(n):
        due = group[t] & DUE_FLAG != 0
        near[t] = 0 if due else near[t]
        far[t] = OUT_OF_REACH if stress[t] != stress[t] else 0 if due else far[t]
    for t in range(n):
        a = near[t] if near[t] < far[t] else far[t]
        b = back[t] if back[t] < broke[t] else broke[t]
        a = a if a < b else b
        group[t] = group[t] if (a < OUT_OF_REACH) & (q[t] != 0.0) else -1
    found = np.int64(0)
    for t in range(n):
        # Written and then counted or not: whether it is forced is hard to foretell.
        chosen[found] = t
        found += np.int64(group[t] >= 0)
    return found


@njit(types.void(INT, F1, I4, I4, F1, I4, types.int32[:, ::1], I4, INT, I8, I8, I4, I4, I8),
      nogil=True, cache=True, error_model="numpy")  # fmt: skip
def write_records(  # type: ignore[no-untyped-def]
    found, q, at, holder, size, group, zone, chosen, markets, code, units, owner, bucket, told
):  # fmt: skip
    """A record for each chosen position. `bucket`: side · markets + market; `told` counts them."""
    near, far, back, broke = zone[0], zone[1], zone[2], zone[3]
    for i in range(found):
        t = chosen[i]
        word = np.int64(broke[t]) << CODE_BITS | np.int64(back[t])
        word = (word << CODE_BITS | np.int64(far[t])) << CODE_BITS | np.int64(near[t])
        code[i] = word << 4 | np.int64(group[t] & 15)
        units[i] = units_of(size[t])
        owner[i] = holder[t]
        place = at[t] + (0 if q[t] > 0.0 else markets)
        bucket[i] = place
        told[place] += 1
