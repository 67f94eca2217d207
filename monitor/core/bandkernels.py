"""The compiled loops of `bands.py`: prices, factor roots, zones, and the book's slippage.

The formulas are those of `margin.py` in floats. Every loop runs over a range given to it, writes
only its own rows and sums in a fixed order, so any split over threads gives the same bits; sums
across pools are integers of 1e-6, so the order of positions gives the same bits too.
"""

from __future__ import annotations

import math

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
TOP = 5
"""Largest holders kept for each market and side."""
EXPONENTS = 45
"""The slippage table has a column for each notional 2^0 … 2^44."""
IMPACT_EXPONENT = 0.86
"""Displacement against notional beyond the visible depth: a power law with this exponent."""
SLIPPAGE_MAX = 0.5
UNITS_MAX = 1e15
"""A position counts in zones with at most 1e9 quote units (as 1e-6): sums stay in 64 bits."""
FACTOR_REACH = 0.5
K = np.array([1.25, 1.0, np.nan, 0.0])
"""Warn, liquidation, backstop (the market's own), bankruptcy: as in `margin.py`."""

F = types.float64
F1 = types.float64[::1]
F2 = types.float64[:, ::1]
F3 = types.float64[:, :, ::1]
I4 = types.int32[::1]
I8 = types.int64[::1]
B1 = types.boolean[::1]
INT = types.int64
_TABLE = (I4, F1, F1, F1)
_MARKET = (F1, B1, F1)


@njit(inline="always", error_model="numpy")
def _tier(bound, first, last, notional):  # type: ignore[no-untyped-def]
    tier = first
    while tier + 1 < last and bound[tier + 1] <= notional:
        tier += 1
    return tier


@njit(inline="always", error_model="numpy")
def _slippage(row, notional):  # type: ignore[no-untyped-def]
    """Linear between powers of two."""
    if not notional > 1.0:
        return row[0]
    mantissa, exponent = math.frexp(notional)
    if exponent >= row.shape[0]:
        return row[row.shape[0] - 1]
    return row[exponent - 1] + (row[exponent] - row[exponent - 1]) * (2.0 * mantissa - 1.0)


@njit(
    types.float64(F, F, F, F, F, F, INT, INT, F1, F1, F1),
    cache=True,
    nogil=True,
    error_model="numpy",
)
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
def _cell(side, market, markets, y, group, due):  # type: ignore[no-untyped-def]
    bin_ = 0 if due or y < 0.0 else int(y / BIN_WIDTH) if y < BINS * BIN_WIDTH else -1
    return -1 if bin_ < 0 else ((side * markets + market) * BINS + bin_) * GROUPS + group


@njit(inline="always", error_model="numpy")
def _distance(q, x, mark):  # type: ignore[no-untyped-def]
    """How far the mark must move against the position; beyond reach where x is NaN."""
    y = 1.0 - x / mark if q > 0.0 else x / mark - 1.0
    return y if y == y else 1e9


@njit(inline="always", error_model="numpy")
def _group(isolated, gross, equity):  # type: ignore[no-untyped-def]
    leverage = gross / equity if equity > 0.0 else 1e9
    tier = 0
    while tier < LEVERAGE_TIERS - 1 and leverage >= LEVERAGE_EDGES[tier]:
        tier += 1
    return (LEVERAGE_TIERS if isolated else 0) + tier


@njit(
    types.void(
        INT, INT, I8, I4, F1, F1, F1, B1, F1, *_TABLE, *_MARKET, F1, F1, F1, F3,
        F2, F1, F1, F1, I4, I4, I8,
    ),
    cache=True,
    nogil=True,
    error_model="numpy",
)  # fmt: skip
def price_pools(  # type: ignore[no-untyped-def]
    low, high, start, market, quantity, entry, cash, isolated, mark,
    tier_start, bound, rate, deduction, fee, at_entry, size_rate, close_fee, backstop, factor_k,
    slip, prices, need, equity, maintenance, cell, cell_stressed, units,
):  # fmt: skip
    """Equity, maintenance, eight prices and the zone of every position of pools low … high − 1."""
    markets = mark.shape[0]
    for pool in range(low, high):
        a0, total, gross = cash[pool], 0.0, 0.0
        for i in range(start[pool], start[pool + 1]):
            m, q = market[i], quantity[i]
            z = abs(q)
            value = z * (entry[i] if at_entry[m] else mark[m])
            tier = _tier(bound, tier_start[m], tier_start[m + 1], value)
            need[i] = (rate[tier] + size_rate[m] * z) * value - deduction[tier]
            a0 += q * mark[m]
            gross += z * mark[m]
            total += need[i]
        equity[pool], maintenance[pool] = a0, total
        group = _group(isolated[pool], gross, a0)
        due = a0 < total
        for i in range(start[pool], start[pool + 1]):
            m, q, p = market[i], quantity[i], mark[market[i]]
            z = abs(q)
            side = 0 if q > 0.0 else 1
            stress = fee[m] + close_fee[m] + _slippage(slip[side, m], z * p)
            first, last = tier_start[m], tier_start[m + 1]
            fixed = at_entry[m]
            rise = 0.0 if fixed else size_rate[m] * z
            r0 = 0.0 if fixed else rate[first] + rise
            d0 = -need[i] if fixed else deduction[first]
            up = np.inf if fixed or last == first + 1 else bound[first + 1]
            other, worth = total - need[i], q * p - a0
            for j in range(8):
                k = backstop[m] if (j & 3) == 2 else factor_k[j & 3]
                cost = fee[m] if j < 4 else stress
                # Nearly every position ends in the lowest tier: try it before the walk.
                x = (k * (other - d0) + worth) / (q - z * (k * r0 + cost))
                if q > 0.0 and fixed and cost >= 1.0:
                    x = np.nan
                elif z * x >= up or (q > 0.0 and k * r0 + cost >= 1.0):
                    x = root(q, p, a0, other, k, cost + k * rise, first, last,
                             bound, rate, deduction)  # fmt: skip
                prices[j, i] = x if x > 0.0 else np.nan
            known = a0 == a0 and q != 0.0
            near = _distance(q, prices[1, i], p)
            far = _distance(q, prices[5, i], p)
            cell[i] = _cell(side, m, markets, near, group, due) if known else -1
            cell_stressed[i] = (
                _cell(side, m, markets, far, group, due) if known and stress == stress else -1
            )
            units[i] = np.int64(np.rint(min(z * p * 1e6, UNITS_MAX))) if known else 0


@njit(inline="always", error_model="numpy")
def _gap(  # type: ignore[no-untyped-def]
    f, low, high, a0, fixed, market, quantity, mark, beta, at_entry, size_rate,
    tier_start, bound, rate, deduction,
):  # fmt: skip
    """Equity over maintenance after a factor move f, and its slope in f."""
    gap, slope = a0 - fixed, 0.0
    for i in range(low, high):
        m, q = market[i], quantity[i]
        p = mark[m]
        moved = max(1.0 + beta[m] * f, 0.0)
        step = p * beta[m] if moved > 0.0 else 0.0
        gap += q * p * (moved - 1.0)
        slope += q * step
        if not at_entry[m]:
            z = abs(q)
            tier = _tier(bound, tier_start[m], tier_start[m + 1], z * p * moved)
            r = rate[tier] + size_rate[m] * z
            gap -= r * z * p * moved - deduction[tier]
            slope -= r * z * step
    return gap, slope


@njit(
    types.void(INT, INT, I8, I4, F1, F1, F1, F1, F1, B1, B1, F1, *_TABLE, F2),
    cache=True,
    nogil=True,
    error_model="numpy",
)
def factor_roots(  # type: ignore[no-untyped-def]
    low, high, start, market, quantity, mark, beta, need, equity, isolated, at_entry, size_rate,
    tier_start, bound, rate, deduction, roots,
):  # fmt: skip
    """How far a common factor must fall (row 0) and rise (row 1) until a cross pool is due.

    Newton's steps from the far end: the gap is concave, so they close in from outside. NaN: not
    within `FACTOR_REACH`; 0: due already. Isolated pools have no factor of their own: NaN.
    """
    for pool in range(low, high):
        first, last = start[pool], start[pool + 1]
        roots[0, pool] = roots[1, pool] = np.nan
        if isolated[pool] or first == last:
            continue
        fixed, total = 0.0, 0.0
        for i in range(first, last):
            total += need[i]
            if at_entry[market[i]]:
                fixed += need[i]
        if equity[pool] < total:
            roots[0, pool] = roots[1, pool] = 0.0
            continue
        for side in range(2):
            f = -FACTOR_REACH if side == 0 else FACTOR_REACH
            gap, slope = _gap(f, first, last, equity[pool], fixed, market, quantity, mark, beta,
                              at_entry, size_rate, tier_start, bound, rate, deduction)  # fmt: skip
            if not gap < 0.0:
                continue
            for _ in range(64):
                step = gap / slope if slope != 0.0 else 0.0
                if abs(step) <= 1e-15:
                    break
                f -= step
                gap, slope = _gap(f, first, last, equity[pool], fixed, market, quantity, mark,
                                  beta, at_entry, size_rate, tier_start, bound, rate,
                                  deduction)  # fmt: skip
                if gap >= 0.0:
                    break
            roots[side, pool] = f


@njit(
    types.void(INT, INT, F1, I4, I4, I8, I8, I8, I8, types.int64[:, ::1], types.int64[:, ::1]),
    cache=True,
    nogil=True,
    error_model="numpy",
)
def add_zones(  # type: ignore[no-untyped-def]
    side, reach, quantity, cell, cell_stressed, units, pool, zones, stressed, top, top_pool
):
    """Sum one side's notional into its zones, and keep its largest holders within `reach` bins."""
    for i in range(cell.shape[0]):
        if (0 if quantity[i] > 0.0 else 1) != side:
            continue
        if cell_stressed[i] >= 0:
            stressed[cell_stressed[i] // GROUPS] += units[i]
        if cell[i] < 0:
            continue
        zones[cell[i]] += units[i]
        place = cell[i] // GROUPS
        row = place // BINS
        if place % BINS >= reach or units[i] < top[row, TOP - 1]:
            continue
        j = TOP - 1
        if units[i] == top[row, j] and not (0 <= pool[i] < top_pool[row, j]):
            continue
        while j > 0 and (
            units[i] > top[row, j - 1]
            or (units[i] == top[row, j - 1] and pool[i] < top_pool[row, j - 1])
        ):
            top[row, j], top_pool[row, j] = top[row, j - 1], top_pool[row, j - 1]
            j -= 1
        top[row, j], top_pool[row, j] = units[i], pool[i]


@njit(types.void(F1, F3, F3, F3, F3), cache=True, nogil=True, error_model="numpy")
def read_books(mark, price, size, slip, depth):  # type: ignore[no-untyped-def]
    """Average slippage by notional, and resting notional by distance, from each market's ladder.

    `price`, `size`: (2, markets, levels), bids in row 0 as a long closes into them; size 0: no
    level. `slip`: (2, markets, EXPONENTS); `depth`: (2, markets, BINS), cumulative, quote currency.
    """
    for side in range(2):
        sign = 1.0 if side == 0 else -1.0
        for m in range(mark.shape[0]):
            levels = price.shape[2]
            seen, cost, far = 0.0, 0.0, 1e-4
            e, b = 0, 0
            for j in range(levels):
                if not size[side, m, j] > 0.0 or not mark[m] > 0.0:
                    break
                y = max(sign * (1.0 - price[side, m, j] / mark[m]), 0.0)
                notional = size[side, m, j] * mark[m]
                while e < EXPONENTS and 2.0**e <= seen + notional:
                    slip[side, m, e] = min((cost + (2.0**e - seen) * y) / 2.0**e, SLIPPAGE_MAX)
                    e += 1
                while b < BINS and (b + 1) * BIN_WIDTH < y:
                    depth[side, m, b] = seen
                    b += 1
                seen += notional
                cost += notional * y
                far = max(y, far)
            power = 1.0 + IMPACT_EXPONENT
            for rest in range(e, EXPONENTS):
                n = 2.0**rest
                if seen > 0.0:
                    tail = far * seen / power * ((n / seen) ** power - 1.0)
                    slip[side, m, rest] = min((cost + tail) / n, SLIPPAGE_MAX)
                else:
                    slip[side, m, rest] = np.nan
            for rest in range(b, BINS):
                y = (rest + 1) * BIN_WIDTH
                grown = max(y / far, 1.0) ** (1.0 / IMPACT_EXPONENT)
                depth[side, m, rest] = seen * grown if seen > 0.0 else np.nan
