"""The compiled loop that prices positions: eight prices, roots along the common factor, records.

The formulas are those of `monitor/core/margin/liquidation_price.py` in floats. The loop runs over a
range of pools, writes only its own rows and sums in a fixed order: any split over threads gives the
same bits. It works on blocks of positions that fit a core's cache, one step (`blocks.py`) after the
other; positions that leave the lowest tier are solved one by one afterwards (`roots.py`).
"""

from __future__ import annotations

import numpy as np
from numba import njit, types

from detectors.arrays.types import FLOAT32_1, I1, I2, INT
from monitor.core.bands.kernels import arrays, blocks
from monitor.core.bands.kernels.arrays import BLOCK, MARKET_TABLE, POSITIONS, RECORDS, inner_njit
from monitor.core.bands.kernels.roots import factor_moves
from monitor.core.bands.layout import BIN_WIDTH, LEVERAGE_EDGES, LEVERAGE_TIERS, OUT_OF_REACH

POOL_COUNTS = ("records", "unknown", "open")
RECORD_COUNT, UNKNOWN_POOLS, OPEN_POOLS = range(len(POOL_COUNTS))
"""What `price_pools` counts: records, pools whose prices are unknown, and pools with positions."""


@njit(inline="always", error_model="numpy")
def _leverage_group(isolated, gross, equity):  # type: ignore[no-untyped-def]
    leverage = gross / equity if equity > 0.0 else 1e9
    tier = 0
    for edge in LEVERAGE_EDGES:
        tier += leverage >= edge
    return (LEVERAGE_TIERS if isolated else 0) + tier


@inner_njit(INT(INT, INT, POSITIONS, BLOCK, MARKET_TABLE, I2))
def _sum_pools(low, high, positions, block, markets, by_factor):  # type: ignore[no-untyped-def]
    """Sum the pools of a block, and give each position what its pool leaves to it.

    `by_factor`: (2, zones + 1), gross notional (1e-6) by the pool's move, fall and rise. Returns
    how many pools are unknown.
    """
    value, requirement, notional = block.value, block.requirement, block.notional
    drift_of, bent_of, others, group_of = block.drift, block.bent, block.others, block.group
    length, cash, is_isolated = positions.length, positions.cash, positions.isolated
    q, market, table, tiers = block.quantity, block.market, markets.rows, markets.tiers
    unknown, end = np.int64(0), 0
    for pool in range(low, high):
        begin, end = end, end + length[pool]
        isolated = is_isolated[pool]
        equity, total, gross, drift, bent = cash[pool], 0.0, 0.0, 0.0, 0.0
        for t in range(begin, end):
            equity += value[t]
            total += requirement[t]
            gross += notional[t]
            drift += drift_of[t]
            bent += bent_of[t]
        group = -1
        if equity == equity:
            due = equity < total
            group = _leverage_group(isolated, gross, equity) | (arrays.DUE_FLAG if due else 0)
        for t in range(begin, end):
            others[t] = total - others[t]
            value[t] -= equity
            group_of[t] = group
        unknown += np.int64(group < 0)
        fall = rise = np.nan
        if not isolated and begin < end:
            fall, rise = factor_moves(
                (begin, end), (equity, total, drift, bent), requirement, drift_of, bent_of, market,
                q, table, tiers,
            )  # fmt: skip
        units = blocks.units_of(gross)
        # What is out of reach goes to a zone of its own, so that there is nothing to branch on.
        a = np.int64(-fall * (1.0 / BIN_WIDTH)) if fall > -arrays.FACTOR_REACH else OUT_OF_REACH
        b = np.int64(rise * (1.0 / BIN_WIDTH)) if rise < arrays.FACTOR_REACH else OUT_OF_REACH
        by_factor[0, a] += units
        by_factor[1, b] += units
    return unknown


@inner_njit(arrays.INT_PAIR(INT, INT, POSITIONS, MARKET_TABLE, FLOAT32_1, BLOCK, I2))
def price_block(low, high, positions, markets, slip, block, by_factor):  # type: ignore[no-untyped-def]
    """The prices of the positions of pools low to high − 1; the block must have room for them.

    Returns how many positions they are, and how many of the pools are unknown.
    """
    table = markets.rows
    n = blocks.gather_positions(low, high, positions, block)
    blocks.value_positions(n, block, table)
    blocks.apply_higher_tiers(n, positions.entry, block, markets)
    blocks.closing_costs(n, block, table, slip)
    unknown = _sum_pools(low, high, positions, block, markets, by_factor)
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
    length, number_of_markets = positions.length, markets.rows.shape[1]
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
        blocks.write_records(chosen, block, number_of_markets, first, records, per_bucket)
        counts[RECORD_COUNT] += chosen
        counts[UNKNOWN_POOLS] += unknown
        pool = end
