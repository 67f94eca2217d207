"""The compiled roots of `kernel_prices.py`: of a position along its own market, tier by tier, and of
a pool along a common factor. Few need them: nearly all positions stand in the lowest tier.
"""

from __future__ import annotations

import numpy as np
from numba import njit, types

from monitor.core.bands.layout import (
    AT_ENTRY,
    BETA,
    DEDUCTION,
    F1,
    F2,
    FIRST_TIER,
    I4,
    INT,
    LAST_TIER,
    LOWEST_TIER_TOP,
    MARK,
    RATE,
    SIZE_RATE,
    WARN_K,
    F,
)


@njit(inline="always", error_model="numpy")
def tier_of(bound, first, last, notional):  # type: ignore[no-untyped-def]
    tier = first
    while tier + 1 < last and bound[tier + 1] <= notional:
        tier += 1
    return tier


@njit(inline="always", error_model="numpy")
def price_root(q, free, other, k, costs, tier, first, last, bound, rate, deduction):  # type: ignore[no-untyped-def]
    """The price at which equity meets k times the requirement (NaN where there is none), and its
    tier.

    `free`: what the position would be worth at its root if it needed nothing. `costs`: fee, and the
    rise of the rate by size, as (fee + k·rise) of notional. The gap between equity and requirement
    is concave in price, so walking from tier `tier` to the tier of each new root closes in from one
    side after the first step and ends after at most one step a tier.
    """
    z = abs(q)
    free += k * other
    if q > 0.0 and q - z * (k * rate[tier] + costs) <= 0.0:
        tier = first
    x = np.nan
    for _ in range(last - first + 2):
        slope = q - z * (k * rate[tier] + costs)
        if q > 0.0 and slope <= 0.0:
            x = np.nan
            break
        x = (free - k * deduction[tier]) / slope
        found = tier_of(bound, first, last, z * x)
        if found == tier:
            break
        tier = found
    return x if x > 0.0 else np.nan, tier


@njit(F(INT, F, F, F2, F1, F1, F1), cache=True, nogil=True, error_model="numpy")
def maintenance_of(m, q, entry, table, bound, rate, deduction):  # type: ignore[no-untyped-def]
    """A position's maintenance at the mark, whatever its tier."""
    z = abs(q)
    value = z * (entry if table[AT_ENTRY, m] != 0.0 else table[MARK, m])
    if value < table[LOWEST_TIER_TOP, m] and table[AT_ENTRY, m] == 0.0:
        return (table[RATE, m] + table[SIZE_RATE, m] * z) * value - table[DEDUCTION, m]
    first, last = np.int64(table[FIRST_TIER, m]), np.int64(table[LAST_TIER, m])
    tier = tier_of(bound, first, last, value)
    return (rate[tier] + table[SIZE_RATE, m] * z) * value - deduction[tier]


@njit(
    "Tuple((f8, f8))(i8, i8, f8, f8[::1], f8[::1], f8[::1], i4[::1], f8[:, ::1])",
    cache=True,
    nogil=True,
    error_model="numpy",
)
def factor_line(low, high, a0, need, drift, odd, at, table):  # type: ignore[no-untyped-def]
    """Gap and slope, at the marks, of a pool's equity less what its plain positions and those at
    entry value need; what the others (`odd`) hold and need at the marks is left out of the gap.
    """
    base, line = a0, 0.0
    for t in range(low, high):
        if odd[t] == 0.0:
            base -= need[t]
            line += drift[t]
        elif table[AT_ENTRY, at[t]] != 0.0:
            base -= need[t]
    return base, line


@njit(inline="always", error_model="numpy")
def _factor_gap(f, low, high, base, line, odd, at, q, table, bound, rate, deduction):  # type: ignore[no-untyped-def]
    """Equity over maintenance after a factor move f, and its slope in f."""
    gap, slope = base + line * f, line
    for t in range(low, high):
        if odd[t] == 0.0:
            continue
        m = at[t]
        p, beta = table[MARK, m], table[BETA, m]
        moved = max(1.0 + beta * f, 0.0)
        step = p * beta if moved > 0.0 else 0.0
        gap += q[t] * p * (moved - 1.0)
        slope += q[t] * step
        if table[AT_ENTRY, m] == 0.0:
            z = abs(q[t])
            first, last = np.int64(table[FIRST_TIER, m]), np.int64(table[LAST_TIER, m])
            tier = tier_of(bound, first, last, z * p * moved)
            r = rate[tier] + table[SIZE_RATE, m] * z
            gap -= r * z * p * moved - deduction[tier]
            slope -= r * z * step
    return gap, slope


@njit(F(F, INT, INT, F, F, F1, I4, F1, F2, F1, F1, F1), cache=True, nogil=True, error_model="numpy")
def factor_root(f, low, high, base, line, odd, at, q, table, bound, rate, deduction):  # type: ignore[no-untyped-def]
    """The factor's move, on the side of `f` (its far end), at which a pool is due; NaN: none.

    Newton's steps from the far end: the gap is concave, so they close in from outside. `base` and
    `line`: from `factor_line`.
    """
    gap, slope = _factor_gap(f, low, high, base, line, odd, at, q, table, bound, rate, deduction)
    if not gap < 0.0:
        return np.nan
    for _ in range(64):
        step = gap / slope if slope != 0.0 else 0.0
        if abs(step) <= 1e-15:
            break
        f -= step
        gap, slope = _factor_gap(
            f, low, high, base, line, odd, at, q, table, bound, rate, deduction
        )
        if gap >= 0.0:
            break
    return f


@njit(
    types.void(INT, F, F, F, F, F, F, INT, F2, F2, F1, F1, F1),
    cache=True,
    nogil=True,
    error_model="numpy",
)
def solve_tier_by_tier(  # type: ignore[no-untyped-def]
    t, q, free, worth, calm, stress, backstop, m, table, x, bound, rate, deduction
):
    """x[:, t]: the eight prices of a position that leaves the lowest tier on its way."""
    if table[AT_ENTRY, m] != 0.0:
        # Here by its costs alone: a fall cannot pay them.
        for j in range(8):
            if (calm if j < 4 else stress) >= 1.0:
                x[j, t] = np.nan
        return
    other = free + table[DEDUCTION, m]
    first, last = np.int64(table[FIRST_TIER, m]), np.int64(table[LAST_TIER, m])
    rise = table[SIZE_RATE, m] * abs(q)
    # Most roots lie in the tier of today's notional, or in that of the root before.
    tier = tier_of(bound, first, last, abs(q) * table[MARK, m])
    for j in range(8):
        k = WARN_K if j & 3 == 0 else 1.0 if j & 3 == 1 else backstop if j & 3 == 2 else 0.0
        cost = calm if j < 4 else stress
        x[j, t], tier = price_root(q, worth, other, k, cost + k * rise, tier, first, last, bound, rate,
                             deduction)  # fmt: skip
