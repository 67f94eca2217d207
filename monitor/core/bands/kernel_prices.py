"""The compiled loop of `refresh.py` that prices positions: eight prices, factor roots, zones.

The formulas are those of `monitor/core/margin/formulas.py` in floats. The loop runs over a range of pools given to it,
writes only its own rows and sums in a fixed order, so any split over threads gives the same bits.
It works on blocks of positions that fit a core's cache, one small loop (`kernel_blocks.py`) after
the other; what leaves the lowest tier is gone after alone (`kernel_roots.py`).
"""

from __future__ import annotations

import numpy as np
from numba import njit, types

from monitor.core.bands.kernel_blocks import (
    apply_higher_tiers,
    closing_costs,
    gather_positions,
    pick_forced,
    solve_beyond_lowest_tier,
    solve_lowest_tier,
    units_of,
    value_positions,
    write_records,
    zones_of,
)
from monitor.core.bands.kernel_roots import factor_line, factor_root
from monitor.core.bands.layout import (
    B1,
    BIN_WIDTH,
    BLOCK_POSITIONS,
    DUE_FLAG,
    F1,
    F2,
    FACTOR_REACH,
    I4,
    I8,
    INT,
    LEVERAGE_EDGES,
    LEVERAGE_TIERS,
    OUT_OF_REACH,
)


@njit(inline="always", error_model="numpy")
def _leverage_group(isolated, gross, equity):  # type: ignore[no-untyped-def]
    leverage = gross / equity if equity > 0.0 else 1e9
    tier = 0
    for edge in LEVERAGE_EDGES:
        tier += leverage >= edge
    return (LEVERAGE_TIERS if isolated else 0) + tier


@njit(
    types.int64(
        INT, INT, I4, F1, B1, F1, I4, F2, F1, F1, F1, F1, F1, F1, F1, F1, F1, I4,
        F1, F1, F1, F2, types.int64[:, ::1],
    ),
    cache=True,
    nogil=True,
    error_model="numpy",
)  # fmt: skip
def _sum_pools(  # type: ignore[no-untyped-def]
    low, high, count, cash, isolated, q, at, table, bound, rate, deduction, size, need, drift, odd,
    free, worth, group, equity, maintenance, gross_of, factor, by_factor,
):  # fmt: skip
    """The pools' sums and factor roots; what is left to each of their positions by the others.
    Returns how many are not known.
    """
    keep = len(equity) > 0
    unknown, end = np.int64(0), 0
    for pool in range(low, high):
        begin, end = end, end + count[pool]
        a0, total, gross, away, bent = cash[pool], 0.0, 0.0, 0.0, 0.0
        for t in range(begin, end):
            a0 += worth[t]
            total += need[t]
            gross += size[t]
            away += drift[t]
            bent += odd[t]
        if keep:
            equity[pool], maintenance[pool], gross_of[pool] = a0, total, gross
        due = a0 < total
        mine = -1
        if a0 == a0:
            mine = _leverage_group(isolated[pool], gross, a0) | (DUE_FLAG if due else 0)
        for t in range(begin, end):
            free[t] = total - free[t]
            worth[t] -= a0
            group[t] = mine
        unknown += np.int64(mine < 0)
        fall = rise = np.nan
        if isolated[pool] or begin == end:
            pass
        elif due:
            fall = rise = 0.0
        elif bent == 0.0:
            # All in the lowest tier as far as looked: the gap is a straight line.
            f = (total - a0) / away
            fall = f if (f < 0.0) & (f > -FACTOR_REACH) else np.nan
            rise = f if (f >= 0.0) & (f < FACTOR_REACH) else np.nan
        elif mine >= 0:
            base, line = factor_line(begin, end, a0, need, drift, odd, at, table)
            fall = factor_root(-FACTOR_REACH, begin, end, base, line, odd, at, q, table, bound,
                               rate, deduction)  # fmt: skip
            rise = factor_root(FACTOR_REACH, begin, end, base, line, odd, at, q, table, bound,
                               rate, deduction)  # fmt: skip
        if keep:
            factor[0, pool], factor[1, pool] = fall, rise
        units = units_of(gross)
        # What is out of reach goes to a zone of its own, so that there is nothing to branch on.
        a = np.int64(-fall * (1.0 / BIN_WIDTH)) if fall > -FACTOR_REACH else OUT_OF_REACH
        b = np.int64(rise * (1.0 / BIN_WIDTH)) if rise < FACTOR_REACH else OUT_OF_REACH
        by_factor[0, a] += units
        by_factor[1, b] += units
    return unknown


@njit(
    types.void(
        INT, INT, I8, I4, I4, F1, F1, F1, B1, F2, F1, F1, F1, types.float32[::1],
        F2, F1, F1, F1, F2, types.int64[:, ::1], I8, I8, I4, I4, I8, I8,
    ),
    cache=True,
    nogil=True,
    error_model="numpy",
)  # fmt: skip
def price_pools(  # type: ignore[no-untyped-def]
    low, high, start, count, market, quantity, entry, cash, isolated, table, bound, rate,
    deduction, slip, prices, equity, maintenance, gross_of, factor, by_factor, code, units, owner,
    bucket, told, made,
):  # fmt: skip
    """Equity, maintenance and factor roots of pools low … high − 1; prices and records of theirs.

    `told[bucket]` counts the records, `made[0]` all of them; `by_factor` sums what a common move
    makes due.
    """
    room = BLOCK_POSITIONS
    for p in range(low, high):
        room = max(room, count[p])
    scratch = np.empty((12, room))
    q, free, worth, rise = scratch[0], scratch[1], scratch[2], scratch[3]
    calm, stress, backstop = scratch[4], scratch[5], scratch[6]
    size, inverse, need, drift, odd = scratch[7], scratch[8], scratch[9], scratch[10], scratch[11]
    x = np.empty((8, room))
    whole = np.empty((9, room + 1), np.int32)
    at, slot, holder, group, chosen, zone = (
        whole[0],
        whole[1],
        whole[2],
        whole[3],
        whole[4],
        whole[5:],
    )
    markets = table.shape[1]
    done = unknown = 0
    pool = low
    while pool < high:
        end, n = pool, 0
        while end < high and n + count[end] <= room:
            n += count[end]
            end += 1
        gather_positions(pool, end, start, count, market, quantity, q, at, slot, holder)
        value_positions(n, q, at, table, worth, size, rise, need, free, inverse, drift, odd)
        apply_higher_tiers(
            n, q, at, slot, entry, table, size, rise, need, free, odd, bound, rate, deduction
        )
        closing_costs(n, q, at, size, table, slip, calm, stress, backstop)
        unknown += _sum_pools(pool, end, count, cash, isolated, q, at, table, bound, rate, deduction,
                          size, need, drift, odd, free, worth, group, equity, maintenance,
                          gross_of, factor, by_factor)  # fmt: skip
        solve_lowest_tier(n, q, free, worth, rise, calm, stress, backstop, x)
        solve_beyond_lowest_tier(n, q, at, table, free, worth, rise, calm, stress, backstop, x, bound, rate,
               deduction)  # fmt: skip
        for part, row in enumerate((1, 5, 2, 3)):
            zones_of(n, q, x[row], inverse, zone[part])
        found = pick_forced(n, q, group, stress, zone, chosen)
        write_records(found, q, at, holder, size, group, zone, chosen, markets, code[done:], units[done:],
              owner[done:], bucket[done:], told)  # fmt: skip
        done += found
        pool = end
        if prices.shape[1] < quantity.shape[0]:
            continue  # Nobody wants them kept.
        for j in range(8):
            row, out = x[j], prices[j]
            for t in range(n):
                out[slot[t]] = row[t] if (row[t] > 0.0) & (row[t] < np.inf) else np.nan
    made[0], made[1] = done, unknown
