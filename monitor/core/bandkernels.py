"""The compiled loop of `bands.py` that prices positions: eight prices, factor roots, zones.

The formulas are those of `margin.py` in floats. The loop runs over a range of pools given to it,
writes only its own rows and sums in a fixed order, so any split over threads gives the same bits.
It works on blocks of positions that fit a core's cache: first the pools' sums, then one price for
the whole block at a time, which the compiler turns into vector instructions.
"""

from __future__ import annotations

import numpy as np
from numba import njit, types

BINS = 1000
"""Zones a side: 5 bp each, out to 50 % from the mark."""
BIN_WIDTH = 0.0005
LEVERAGE_EDGES = (5.0, 10.0, 25.0, 50.0)
"""Bounds of the leverage tiers: a pool's gross notional over its equity."""
LEVERAGE_TIERS = len(LEVERAGE_EDGES) + 1
GROUPS = 2 * LEVERAGE_TIERS
"""(cross, isolated) × leverage tier."""
EXPONENT_LOW, EXPONENTS = 10, 28
"""The slippage table has a column for each notional 2^10 … 2^37; less costs what 2^10 does."""
_LEAST, _MOST = 2.0**EXPONENT_LOW, 2.0 ** (EXPONENT_LOW + EXPONENTS - 1) * (1 - 1e-15)
FACTOR_REACH = 0.5
BLOCK = 1024
"""Positions worked on together at least (a pool is never split): their scratch of 200 bytes each
stays in a core's cache."""
(
    MARK, INVERSE, RATE, DEDUCTION, NEXT_BOUND, FEE, CLOSE_FEE, BACKSTOP, SIZE_RATE, AT_ENTRY,
    FIRST_TIER, LAST_TIER, BETA,
) = range(13)  # fmt: skip
"""Columns of the table of markets, (markets, `COLUMNS`). `RATE`, `DEDUCTION` and `NEXT_BOUND` are
the lowest tier's: nearly every position stands in it."""
COLUMNS = 16
"""Two cache lines a market."""
WARN_K = 1.25
OUT = BINS
"""The zone of what is not forced within reach."""
CODE_BITS = 10
"""A position's code: its zone at bankruptcy, at the backstop, under stress and at liquidation, each
in so many bits, then its group in four. −1 where nothing is known."""

F1 = types.float64[::1]
F2 = types.float64[:, ::1]
I4 = types.int32[::1]
I8 = types.int64[::1]
B1 = types.boolean[::1]
INT = types.int64
F = types.float64


@njit(inline="always", error_model="numpy")
def _tier(bound, first, last, notional):  # type: ignore[no-untyped-def]
    tier = first
    while tier + 1 < last and bound[tier + 1] <= notional:
        tier += 1
    return tier


@njit(inline="always", error_model="numpy")
def _slippage(row, notional):  # type: ignore[no-untyped-def]
    """Linear between powers of two, which are read from the number's own bits."""
    # No branch: half of all positions lie on either side of the lowest column.
    n = notional if notional >= _LEAST else _LEAST
    n = n if n < _MOST else _MOST
    bits = np.float64(n).view(np.int64)
    e = (bits >> 52) - (1023 + EXPONENT_LOW)
    part = np.int64((bits & 0xFFFFFFFFFFFFF) | 0x3FF0000000000000).view(np.float64) - 1.0
    return row[e] + (np.float64(row[e + 1]) - np.float64(row[e])) * part


@njit(F(F, F, F, F, F, F, INT, INT, F1, F1, F1), cache=True, nogil=True, error_model="numpy")
def root(q, price0, equity, other, k, costs, first, last, bound, rate, deduction):  # type: ignore[no-untyped-def]
    """The price at which equity meets k times the requirement; NaN where there is none.

    `costs`: fee, and the rise of the rate by size, as (fee + k·rise) of notional. The gap between
    equity and requirement is concave in price, so walking from the lowest tier to the tier of each
    new root closes in from one side and ends after at most one step a tier.
    """
    z = abs(q)
    free = k * other - equity + q * price0
    tier = first
    x = np.nan
    for _ in range(last - first + 1):
        slope = q - z * (k * rate[tier] + costs)
        if q > 0.0 and slope <= 0.0:
            return np.nan
        x = (free - k * deduction[tier]) / slope
        found = _tier(bound, first, last, z * x)
        if found == tier:
            break
        tier = found
    return x if x > 0.0 else np.nan


@njit(inline="always", error_model="numpy")
def _group(isolated, gross, equity):  # type: ignore[no-untyped-def]
    leverage = gross / equity if equity > 0.0 else 1e9
    tier = 0
    while tier < LEVERAGE_TIERS - 1 and leverage >= LEVERAGE_EDGES[tier]:
        tier += 1
    return (LEVERAGE_TIERS if isolated else 0) + tier


@njit(inline="always", error_model="numpy")
def _need(m, q, entry, bound, rate, deduction):  # type: ignore[no-untyped-def]
    """A position's maintenance at the mark."""
    z = abs(q)
    value = z * (entry if m[AT_ENTRY] != 0.0 else m[MARK])
    if value < m[NEXT_BOUND]:
        return (m[RATE] + m[SIZE_RATE] * z) * value - m[DEDUCTION]
    tier = _tier(bound, np.int64(m[FIRST_TIER]), np.int64(m[LAST_TIER]), value)
    return (rate[tier] + m[SIZE_RATE] * z) * value - deduction[tier]


@njit(inline="always", error_model="numpy")
def _gap(  # type: ignore[no-untyped-def]
    f, low, high, a0, fixed, market, quantity, table, bound, rate, deduction
):
    """Equity over maintenance after a factor move f, and its slope in f."""
    gap, slope = a0 - fixed, 0.0
    for i in range(low, high):
        m, q = table[market[i]], quantity[i]
        p = m[MARK]
        moved = max(1.0 + m[BETA] * f, 0.0)
        step = p * m[BETA] if moved > 0.0 else 0.0
        gap += q * p * (moved - 1.0)
        slope += q * step
        if m[AT_ENTRY] == 0.0:
            z = abs(q)
            first, last = np.int64(m[FIRST_TIER]), np.int64(m[LAST_TIER])
            tier = _tier(bound, first, last, z * p * moved)
            r = rate[tier] + m[SIZE_RATE] * z
            gap -= r * z * p * moved - deduction[tier]
            slope -= r * z * step
    return gap, slope


@njit(
    F(F, INT, INT, F, F, I4, F1, F2, F1, F1, F1),
    cache=True,
    nogil=True,
    error_model="numpy",
)
def factor_root(  # type: ignore[no-untyped-def]
    f, low, high, equity, fixed, market, quantity, table, bound, rate, deduction
):
    """The factor's move, on the side of `f` (its far end), at which a pool is due; NaN: none.

    Newton's steps from the far end: the gap is concave, so they close in from outside. `fixed`:
    the maintenance of the positions counted at entry value.
    """
    gap, slope = _gap(f, low, high, equity, fixed, market, quantity, table, bound, rate, deduction)
    if not gap < 0.0:
        return np.nan
    for _ in range(64):
        step = gap / slope if slope != 0.0 else 0.0
        if abs(step) <= 1e-15:
            break
        f -= step
        gap, slope = _gap(f, low, high, equity, fixed, market, quantity, table, bound, rate,
                          deduction)  # fmt: skip
        if gap >= 0.0:
            break
    return f


@njit(inline="always", error_model="numpy")
def _solve(n, q, free, worth, rise, calm, stress, backstop, x):  # type: ignore[no-untyped-def]
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


@njit(inline="always", error_model="numpy")
def _zones(n, q, x, inverse, out):  # type: ignore[no-untyped-def]
    """The zone of each price: how far the mark must move against the position; `OUT` for NaN."""
    for t in range(n):
        y = x[t] * inverse[t]
        v = (1.0 - y if q[t] > 0.0 else y - 1.0) * (1.0 / BIN_WIDTH)
        v = (v if v > 0.0 else 0.0) if y > 0.0 else float(OUT)
        out[t] = np.int32(v if v < OUT else float(OUT))


@njit(inline="always", error_model="numpy")
def _walk(  # type: ignore[no-untyped-def]
    t, q, free, worth, calm, stress, rise, backstop, m, x, bound, rate, deduction
):
    """The eight prices of a position that leaves the lowest tier on its way."""
    price, fixed = m[MARK], m[AT_ENTRY] != 0.0
    equity = q[t] * price - worth[t]
    other = free[t] if fixed else free[t] + m[DEDUCTION]
    for j in range(8):
        k = WARN_K if j & 3 == 0 else 1.0 if j & 3 == 1 else backstop[t] if j & 3 == 2 else 0.0
        cost = calm[t] if j < 4 else stress[t]
        if fixed:
            # Here by its costs alone: a fall cannot pay them.
            x[j, t] = np.nan if cost >= 1.0 else x[j, t]
            continue
        x[j, t] = root(q[t], price, equity, other, k, cost + k * m[SIZE_RATE] * abs(q[t]),
                       np.int64(m[FIRST_TIER]), np.int64(m[LAST_TIER]), bound, rate,
                       deduction)  # fmt: skip


@njit(
    types.void(
        INT, INT, I8, I4, I4, F1, F1, F1, B1, F2, F1, F1, F1, types.float32[:, :, ::1],
        F2, F1, F1, F1, F2, I8,
    ),
    cache=True,
    nogil=True,
    error_model="numpy",
)  # fmt: skip
def price_pools(  # type: ignore[no-untyped-def]
    low, high, start, count, market, quantity, entry, cash, isolated, table, bound, rate,
    deduction, slip, prices, equity, maintenance, gross_of, factor, code,
):  # fmt: skip
    """Equity, maintenance and factor roots of pools low … high − 1; prices and codes of theirs."""
    room = BLOCK
    for p in range(low, high):
        room = max(room, count[p])
    scratch = np.empty((10, room))
    q, free, worth, rise = scratch[0], scratch[1], scratch[2], scratch[3]
    calm, stress, backstop = scratch[4], scratch[5], scratch[6]
    upper, inverse, most = scratch[7], scratch[8], scratch[9]
    x = np.empty((8, room))
    zone = np.empty((4, room), np.int32)
    slot, group = np.empty(room, np.int64), np.empty(room, np.int64)
    beyond = np.empty(room, np.bool_)
    pool = low
    while pool < high:
        n = 0
        while pool < high and n + count[pool] <= room:
            first, last = start[pool], start[pool] + count[pool]
            factor[0, pool] = factor[1, pool] = np.nan
            a0, total, gross, fixed = cash[pool], 0.0, 0.0, 0.0
            gain, burden, plain = 0.0, 0.0, not isolated[pool]
            begin = n
            for i in range(first, last):
                m = table[market[i]]
                size = abs(quantity[i]) * m[MARK]
                need = _need(m, quantity[i], entry[i], bound, rate, deduction)
                at_entry = m[AT_ENTRY] != 0.0
                q[n], slot[n] = quantity[i], i
                worth[n] = quantity[i] * m[MARK]
                a0 += worth[n]
                gross += size
                total += need
                # At entry value the maintenance is the same at every price, whatever the tier.
                rise[n] = 0.0 if at_entry else m[RATE] + m[SIZE_RATE] * abs(quantity[i])
                free[n] = 0.0 if at_entry else need + m[DEDUCTION]
                fixed += need if at_entry else 0.0
                gain += worth[n] * m[BETA]
                burden += rise[n] * size * m[BETA]
                reach = FACTOR_REACH * m[BETA]
                plain = plain and not at_entry and 0.0 <= reach < 1.0
                plain = plain and size * (1.0 + reach) < m[NEXT_BOUND]
                calm[n] = m[FEE]
                side = 0 if quantity[i] > 0.0 else 1
                stress[n] = m[FEE] + m[CLOSE_FEE] + _slippage(slip[side, market[i]], size)
                backstop[n] = m[BACKSTOP]
                upper[n] = np.inf if at_entry else m[NEXT_BOUND]
                inverse[n] = m[INVERSE]
                n += 1
            equity[pool], maintenance[pool], gross_of[pool] = a0, total, gross
            due = a0 < total
            mine = -1
            if a0 == a0:
                mine = _group(isolated[pool], gross, a0) | (16 if due else 0)
            for t in range(begin, n):
                free[t] = total - free[t]
                worth[t] -= a0
                group[t] = mine
            if due and not isolated[pool]:
                factor[0, pool] = factor[1, pool] = 0.0
            elif plain:
                # All in the lowest tier as far as looked: the gap is a straight line.
                f = (total - a0) / (gain - burden)
                if abs(f) < FACTOR_REACH:
                    factor[0 if f < 0.0 else 1, pool] = f
            elif not isolated[pool] and mine >= 0:
                for side in range(2):
                    f = -FACTOR_REACH if side == 0 else FACTOR_REACH
                    factor[side, pool] = factor_root(f, first, last, a0, fixed, market, quantity,
                                                     table, bound, rate, deduction)  # fmt: skip
            pool += 1
        _solve(n, q, free, worth, rise, calm, stress, backstop, x)
        for t in range(n):
            most[t] = 0.0
        for j in range(8):
            row = x[j]
            for t in range(n):
                most[t] = row[t] if row[t] > most[t] else most[t]
        for t in range(n):
            over = most[t] * abs(q[t]) >= upper[t]
            beyond[t] = over | ((q[t] > 0.0) & (WARN_K * rise[t] + stress[t] >= 1.0))
        for t in range(n):
            if beyond[t]:
                _walk(t, q, free, worth, calm, stress, rise, backstop, table[market[slot[t]]], x,
                      bound, rate, deduction)  # fmt: skip
        _zones(n, q, x[1], inverse, zone[0])
        _zones(n, q, x[5], inverse, zone[1])
        _zones(n, q, x[2], inverse, zone[2])
        _zones(n, q, x[3], inverse, zone[3])
        for t in range(n):
            near, far = np.int64(zone[0, t]), np.int64(zone[1, t])
            if group[t] & 16 != 0:
                near = far = np.int64(0)
            if stress[t] != stress[t]:
                far = np.int64(OUT)
            word = (np.int64(zone[3, t]) << CODE_BITS) | np.int64(zone[2, t])
            word = (((word << CODE_BITS) | far) << CODE_BITS) | near
            told = group[t] >= 0 and q[t] != 0.0
            code[slot[t]] = (word << 4) | (group[t] & 15) if told else np.int64(-1)
        if prices.shape[1] < code.shape[0]:
            continue  # Nobody wants them kept.
        for j in range(8):
            row, out = x[j], prices[j]
            for t in range(n):
                out[slot[t]] = row[t] if (row[t] > 0.0) & (row[t] < np.inf) else np.nan
