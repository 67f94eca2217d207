"""The compiled roots that few positions need: along its own market where a position leaves the
lowest tier, and along a common factor where a pool's gap is no straight line.
"""

from __future__ import annotations

import numpy as np
from numba import njit, types

from detectors.arrays.types import F1, F2, FLOAT, INT, INT32_1
from monitor.core.bands.kernels.arrays import (
    AT_ENTRY,
    BETA,
    DEDUCTION,
    FACTOR_REACH,
    FIRST_TIER,
    FLOAT_PAIR,
    INT_PAIR,
    LAST_TIER,
    LOWEST_TIER_TOP,
    MARK,
    MARKET_TABLE,
    OF_ENTRY,
    PRICE_BACKSTOP,
    PRICE_LIQUIDATION,
    PRICE_WARN,
    PRICES,
    RATE,
    SIZE_RATE,
    STRESS,
    TIER_BOUND,
    TIER_DEDUCTION,
    TIER_RATE,
    WARN_K,
    WHOLE,
    inner_njit,
)


@njit(inline="always", error_model="numpy")
def tier_of(tiers, first, last, notional):  # type: ignore[no-untyped-def]
    tier = first
    while tier + 1 < last and tiers[TIER_BOUND, tier + 1] <= notional:
        tier += 1
    return tier


@njit(inline="always", error_model="numpy")
def price_root(q, value, others, k, costs, tier, span, tiers):  # type: ignore[no-untyped-def]
    """The price at which equity meets k times the requirement (NaN: there is none), and its tier.

    `value`: what the position would be worth at its root if nothing were required. `others`: what
    the rest of its pool requires. `costs`: fee and rise of the rate by size, as (fee + k · rise) of
    notional. `span`: the market's columns of `tiers`. The gap between equity and requirement is
    concave in price: a walk from tier `tier` to the tier of each new root closes in from one side
    after the first step, and ends after at most one step a tier.
    """
    first, last = span
    z = abs(q)
    value += k * others
    if q > 0.0 and q - z * (k * tiers[TIER_RATE, tier] + costs) <= 0.0:
        tier = first
    x = np.nan
    for _ in range(last - first + 2):
        slope = q - z * (k * tiers[TIER_RATE, tier] + costs)
        if q > 0.0 and slope <= 0.0:
            x = np.nan
            break
        x = (value - k * tiers[TIER_DEDUCTION, tier]) / slope
        at_root = tier_of(tiers, first, last, z * x)
        if at_root == tier:
            break
        tier = at_root
    return x if x > 0.0 else np.nan, tier


@inner_njit(FLOAT(INT, FLOAT, FLOAT, F2, F2))
def maintenance_of(m, q, entry, table, tiers):  # type: ignore[no-untyped-def]
    """Maintenance of a position at the mark, whatever its tier."""
    z = abs(q)
    value = z * (entry if table[AT_ENTRY, m] == OF_ENTRY else table[MARK, m])
    whole = table[WHOLE, m] != 0.0
    if value < table[LOWEST_TIER_TOP, m] and table[AT_ENTRY, m] == 0.0 and not whole:
        rate = table[RATE, m] + table[SIZE_RATE, m] * z
        return rate * value - table[DEDUCTION, m]
    first, last = np.int64(table[FIRST_TIER, m]), np.int64(table[LAST_TIER, m])
    tier = tier_of(tiers, first, last, z * table[MARK, m] if whole else value)
    rate = tiers[TIER_RATE, tier] + table[SIZE_RATE, m] * z
    return rate * value - tiers[TIER_DEDUCTION, tier]


@inner_njit(FLOAT_PAIR(INT_PAIR, FLOAT, F1, F1, F1, INT32_1, F2))
def factor_line(span, equity, requirement, drift, bent, market, table):  # type: ignore[no-untyped-def]
    """Gap between a pool's equity and requirement at the marks, and its slope along the factor.

    Bent positions count in neither, but for the requirement of those counted at entry value.
    """
    gap, slope = equity, 0.0
    for t in range(span[0], span[1]):
        if bent[t] == 0.0:
            gap -= requirement[t]
            slope += drift[t]
        elif table[AT_ENTRY, market[t]] != 0.0:
            gap -= requirement[t]
    return gap, slope


@njit(inline="always", error_model="numpy")
def _factor_gap(f, span, line, bent, market, quantity, table, tiers):  # type: ignore[no-untyped-def]
    """Equity less requirement of a pool after a move f of the factor, and its slope in f."""
    base, slope = line
    gap = base + slope * f
    for t in range(span[0], span[1]):
        if bent[t] == 0.0:
            continue
        q, m = quantity[t], market[t]
        p, beta = table[MARK, m], table[BETA, m]
        moved = max(1.0 + beta * f, 0.0)
        step = p * beta if moved > 0.0 else 0.0
        gap += q * p * (moved - 1.0)
        slope += q * step
        if table[AT_ENTRY, m] == 0.0:
            z = abs(q)
            first = np.int64(table[FIRST_TIER, m])
            tier = tier_of(tiers, first, np.int64(table[LAST_TIER, m]), z * p * moved)
            r = tiers[TIER_RATE, tier] + table[SIZE_RATE, m] * z
            gap -= r * z * p * moved - tiers[TIER_DEDUCTION, tier]
            slope -= r * z * step
    return gap, slope


@inner_njit(FLOAT(FLOAT, INT_PAIR, FLOAT_PAIR, F1, INT32_1, F1, F2, F2))
def factor_root(f, span, line, bent, market, quantity, table, tiers):  # type: ignore[no-untyped-def]
    """The move of the factor, on the side of `f` (its far end), at which a pool is due; NaN: none.

    `span`: the pool's positions in the block; `line`: of `factor_line`. Newton's steps from the far
    end: the gap is concave, so they close in from outside.
    """
    gap, slope = _factor_gap(f, span, line, bent, market, quantity, table, tiers)
    if not gap < 0.0:
        return np.nan
    for _ in range(64):
        step = gap / slope if slope != 0.0 else 0.0
        if abs(step) <= 1e-15:
            break
        f -= step
        gap, slope = _factor_gap(f, span, line, bent, market, quantity, table, tiers)
        if gap >= 0.0:
            break
    return f


@njit(inline="always", error_model="numpy")
def factor_moves(span, sums, requirement, drift, bent, market, quantity, table, tiers):  # type: ignore[no-untyped-def]
    """The fall and the rise of the common factor at which a cross pool is due; NaN: none.

    `span`: the pool's positions in the block; `sums`: the pool's equity, and the sums of their
    requirement, drift and bent.
    """
    equity, total, slope, all_bent = sums
    fall = rise = np.nan
    if equity < total:
        fall = rise = 0.0
    elif all_bent == 0.0:
        # All in the lowest tier as far as looked: the gap is a straight line.
        f = (total - equity) / slope
        fall = f if (f < 0.0) & (f > -FACTOR_REACH) else np.nan
        rise = f if (f >= 0.0) & (f < FACTOR_REACH) else np.nan
    elif equity == equity:
        line = factor_line(span, equity, requirement, drift, bent, market, table)
        fall = factor_root(-FACTOR_REACH, span, line, bent, market, quantity, table, tiers)
        rise = factor_root(FACTOR_REACH, span, line, bent, market, quantity, table, tiers)
    return fall, rise


@inner_njit(types.void(INT, FLOAT, INT, FLOAT, FLOAT, FLOAT_PAIR, FLOAT, MARKET_TABLE, F2))
def solve_tier_by_tier(t, q, m, value, others, costs, backstop, markets, x):  # type: ignore[no-untyped-def]
    """Set `x[:, t]`, the eight prices of a position that leaves the lowest tier on its way.

    `costs`: its `fee` and `stress_cost` in the block; the other arguments are its entries too. The
    block is not given whole: a call copies what it is given, and there is one a position.
    """
    table, tiers = markets
    fee, stress_cost = costs
    if table[AT_ENTRY, m] != 0.0:
        # Here by its costs alone: a fall cannot pay them.
        for row in range(PRICES):
            if (fee if row < STRESS else stress_cost) >= 1.0:
                x[row, t] = np.nan
        return
    others += table[DEDUCTION, m]
    first, last = np.int64(table[FIRST_TIER, m]), np.int64(table[LAST_TIER, m])
    rise = table[SIZE_RATE, m] * abs(q)
    # Most roots lie in the tier of today's notional, or in that of the root before.
    tier = tier_of(tiers, first, last, abs(q) * table[MARK, m])
    if table[WHOLE, m] != 0.0:
        first, last = tier, tier + 1
    for row in range(PRICES):
        kind = row % STRESS
        k = 0.0
        if kind == PRICE_WARN:
            k = WARN_K
        elif kind == PRICE_LIQUIDATION:
            k = 1.0
        elif kind == PRICE_BACKSTOP:
            k = backstop
        cost = (fee if row < STRESS else stress_cost) + k * rise
        x[row, t], tier = price_root(q, value, others, k, cost, tier, (first, last), tiers)
