"""The compiled loop that prices positions: eight prices, roots along the common factor, records.

The formulas are those of `monitor/core/margin/liquidation_price.py` in floats. The loop runs over a
range of pools, writes only its own rows and sums in a fixed order: any split over threads gives the
same bits. It works on blocks of positions that fit a core's cache, one step (`blocks.py`) after the
other; positions that leave the lowest tier are solved one by one afterwards (`roots.py`).
"""

from __future__ import annotations

import numpy as np
from numba import njit, types

from detectors.arrays.types import F2, FLOAT, FLOAT32_1, I1, I2, INT
from monitor.core.bands.kernels import arrays, blocks
from monitor.core.bands.kernels.arrays import BLOCK, MARKET_TABLE, POSITIONS, RECORDS, inner_njit
from monitor.core.bands.kernels.roots import factor_moves
from monitor.core.bands.layout import BIN_WIDTH, LEVERAGE_EDGES, LEVERAGE_TIERS, OUT_OF_REACH

POOL_COUNTS = ("records", "unknown", "open")
RECORD_COUNT, UNKNOWN_POOLS, OPEN_POOLS = range(len(POOL_COUNTS))
"""What `price_pools` counts: records, pools whose prices are unknown, and pools with positions."""
SUMS = 5
EQUITY, TOTAL, GROSS, DRIFT, BENT = range(SUMS)
"""What is summed of a pool: its equity at the marks, and its positions' requirement, notional,
drift and bent."""
_OF_POOL = types.UniTuple(FLOAT, 4)  # type: ignore[no-untyped-call]


@njit(inline="always", error_model="numpy")
def leverage_group(isolated, gross, equity):  # type: ignore[no-untyped-def]
    leverage = gross / equity if equity > 0.0 else 1e9
    tier = 0
    for edge in LEVERAGE_EDGES:
        tier += leverage >= edge
    return (LEVERAGE_TIERS if isolated else 0) + tier


@inner_njit(arrays.INT_PAIR(arrays.INT_PAIR, _OF_POOL, BLOCK, MARKET_TABLE))
def _bent_zones(span, sums, block, markets):  # type: ignore[no-untyped-def]
    """The zones of the fall and the rise at which a pool is due whose gap is no straight line.

    `span`: its positions in the block; `sums`: as of `factor_moves`.
    """
    fall, rise = factor_moves(
        span, sums, block.requirement, block.drift, block.bent, block.market, block.quantity,
        markets.rows, markets.tiers,
    )  # fmt: skip
    a = np.int64(-fall * (1.0 / BIN_WIDTH)) if fall > -arrays.FACTOR_REACH else OUT_OF_REACH
    b = np.int64(rise * (1.0 / BIN_WIDTH)) if rise < arrays.FACTOR_REACH else OUT_OF_REACH
    return a, b


@inner_njit(types.void(INT, INT, BLOCK, F2))
def _add_up(n, low, block, sums):  # type: ignore[no-untyped-def]
    """Add the positions of a block to the sums of their pools. By position and not by pool: where
    a short loop for each pool would end is hard to predict.
    """
    pool, value, requirement = block.pool, block.value, block.requirement
    notional, drift, bent = block.notional, block.drift, block.bent
    for t in range(n):
        p = np.uint32(pool[t] - low)
        sums[EQUITY, p] += value[t]
        sums[TOTAL, p] += requirement[t]
        sums[GROSS, p] += notional[t]
        sums[DRIFT, p] += drift[t]
        sums[BENT, p] += bent[t]


@inner_njit(INT(INT, INT, INT, POSITIONS, BLOCK, MARKET_TABLE, I2))
def _sum_pools(low, high, n, positions, block, markets, by_factor):  # type: ignore[no-untyped-def]
    """Sum the pools of a block, and give each of its n positions what its pool leaves to it.

    `by_factor`: (2, zones + 1), gross notional (1e-6) by the pool's move, fall and rise. Returns
    how many pools are unknown.
    """
    length, is_isolated, pools = positions.length, positions.isolated, high - low
    sums, zones = np.zeros((SUMS, pools)), np.empty((2, pools), np.int32)
    groups = np.empty(pools, np.int32)
    equity, total, gross, drift = sums[EQUITY], sums[TOTAL], sums[GROSS], sums[DRIFT]
    for p in range(pools):
        equity[p] = positions.cash[low + p]
    _add_up(n, low, block, sums)
    for p in range(pools):
        due, isolated = equity[p] < total[p], is_isolated[low + p]
        group = leverage_group(isolated, gross[p], equity[p]) | (arrays.DUE_FLAG if due else 0)
        groups[p] = group if equity[p] == equity[p] else -1
        # As if all were in the lowest tier as far as looked: the gap is a straight line.
        f = 0.0 if due else (total[p] - equity[p]) / drift[p]
        counts = (length[low + p] > 0) & (not isolated) & (abs(f) < arrays.FACTOR_REACH)
        # What is out of reach goes to a zone of its own, so that there is nothing to branch on.
        zone = np.int32(abs(f) * (1.0 / BIN_WIDTH) if counts else float(OUT_OF_REACH))
        zones[0, p] = zone if due | (f < 0.0) else OUT_OF_REACH
        zones[1, p] = zone if due | (f >= 0.0) else OUT_OF_REACH
    unknown, end = np.int64(0), 0
    for p in range(pools):
        begin, end = end, end + length[low + p]
        unknown += np.int64(groups[p] < 0)
        fall, rise = np.int64(zones[0, p]), np.int64(zones[1, p])
        if sums[BENT, p] != 0.0 and not is_isolated[low + p]:
            of_pool = equity[p], total[p], drift[p], sums[BENT, p]
            fall, rise = _bent_zones((begin, end), of_pool, block, markets)
        units = blocks.units_of(gross[p])
        by_factor[0, np.uint32(fall)] += units
        by_factor[1, np.uint32(rise)] += units
    value, others, group_of, holder = block.value, block.others, block.group, block.pool
    for t in range(n):
        of = np.uint32(holder[t] - low)
        others[t] = total[of] - others[t]
        value[t] -= equity[of]
        group_of[t] = groups[of]
    return unknown


@inner_njit(arrays.INT_PAIR(INT, INT, POSITIONS, MARKET_TABLE, FLOAT32_1, BLOCK, I2))
def price_block(low, high, positions, markets, slip, block, by_factor):  # type: ignore[no-untyped-def]
    """The prices of the positions of pools low to high − 1; the block must have room for them.

    Returns how many positions they are, and how many of the pools are unknown.
    """
    table = markets.rows
    n = blocks.gather_positions(low, high, positions, table.shape[1], block)
    blocks.value_positions(n, block, table)
    blocks.apply_higher_tiers(n, positions.entry, block, markets)
    blocks.closing_costs(n, block, table, slip)
    unknown = _sum_pools(low, high, n, positions, block, markets, by_factor)
    blocks.solve_lowest_tier(n, block)
    blocks.solve_beyond_lowest_tier(n, block, markets)
    return n, unknown


@njit(
    types.void(INT, INT, POSITIONS, MARKET_TABLE, FLOAT32_1, I2, RECORDS, I1, I1),
    cache=True, nogil=True, error_model="numpy",
)  # fmt: skip
def price_pools(low, high, positions, markets, slip, by_factor, records, per_bucket, counts):  # type: ignore[no-untyped-def]
    """Write records of pools low to high − 1; add to `by_factor`, `per_bucket` and `counts`.

    `slip`: slippage of longs and shorts by market and power of two, flat. `counts`: `POOL_COUNTS`.
    """
    length = positions.length
    room, pool = arrays.BLOCK_POSITIONS, low
    for p in range(low, high):
        room = max(room, length[p])
        counts[OPEN_POOLS] += np.int64(length[p] > 0)
    block = blocks.new_block(room)
    prices = block.prices
    while pool < high:
        end, size = pool, 0
        while end < high and size + length[end] <= room:
            size += length[end]
            end += 1
        n, unknown = price_block(pool, end, positions, markets, slip, block, by_factor)
        for zone, row in enumerate(arrays.ZONE_PRICES):
            blocks.zones_of(n, block.quantity, prices[row], block.inverse_mark, block.zones[zone])
        chosen, first = blocks.pick_forced(n, block), counts[RECORD_COUNT]
        blocks.write_records(chosen, block, markets.rows, first, records, per_bucket)
        counts[RECORD_COUNT] += chosen
        counts[UNKNOWN_POOLS] += unknown
        pool = end
