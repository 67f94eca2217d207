"""The compiled loop that prices pools which settle in coin.

An inverse position is a linear one in the coordinate 1/price, and a quanto position is one in the
price itself: the steps of `blocks.py` solve both in the pool's own currency. What leaves this loop
is turned back to prices and quote currency. `MarketTable` stands in coordinates here.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit, types

from detectors.arrays.types import B1, F1, FLOAT, FLOAT32_1, I1, I2, INT, Bool, Float64
from monitor.core.bands.kernels import arrays, blocks
from monitor.core.bands.kernels.arrays import (
    AT_ENTRY,
    BETA,
    BLOCK,
    FIRST_TIER,
    LAST_TIER,
    MARK,
    MARKET_TABLE,
    POSITIONS,
    RECORDS,
    SIZE_RATE,
    TIER_DEDUCTION,
    TIER_RATE,
    inner_njit,
    tuple_type,
)
from monitor.core.bands.kernels.prices import (
    OPEN_POOLS,
    RECORD_COUNT,
    UNKNOWN_POOLS,
    leverage_group,
)
from monitor.core.bands.kernels.roots import tier_of
from monitor.core.bands.layout import BIN_WIDTH, OUT_OF_REACH
from monitor.core.margin.contract_types import SETTLEMENT_UNITS

MIXED_STEPS = 50
"""A pool with contracts of both kinds may be due, and no longer due further on: its common factor
is looked at in so many steps on each side. Else the gap is concave, and one is enough."""


class CoinTable(NamedTuple):
    """By market: whether its coordinate is 1/price, the mark, and what one unit of a position's
    quantity is worth at the mark, quote currency.
    """

    is_inverse: Bool
    mark: Float64
    quote_value: Float64


COIN_TABLE = tuple_type(CoinTable, B1, F1, F1)


@inner_njit(types.void(INT, BLOCK, COIN_TABLE))
def _turn(n, block, coin):  # type: ignore[no-untyped-def]
    """Turn the quantities of inverse contracts round, so that a long is above 0 or, the second
    time, is as it was; notional in quote currency."""
    q, market, notional = block.quantity, block.market, block.notional
    for t in range(n):
        m = market[t]
        notional[t] = abs(q[t]) * coin.quote_value[m]
        q[t] = -q[t] if coin.is_inverse[m] else q[t]


@inner_njit(types.void(INT, BLOCK, COIN_TABLE))
def _turn_prices(n, block, coin):  # type: ignore[no-untyped-def]
    """From coordinates to prices, and to the inverse of the mark."""
    for t in range(n):
        m = block.market[t]
        block.inverse_mark[t] = 1.0 / coin.mark[m]
        if coin.is_inverse[m]:
            for row in range(arrays.PRICES):
                y = block.prices[row, t]
                block.prices[row, t] = SETTLEMENT_UNITS / y if y > 0.0 else np.nan


@inner_njit(FLOAT(FLOAT, arrays.INT_PAIR, FLOAT, BLOCK, MARKET_TABLE, COIN_TABLE))
def _factor_gap(f, span, gap, block, markets, coin):  # type: ignore[no-untyped-def]
    """Equity less requirement of a pool after a move f of the common factor; `gap`: before it."""
    table, tiers = markets
    for t in range(span[0], span[1]):
        m, q = block.market[t], block.quantity[t]
        y, z = table[MARK, m], abs(q)
        grown = max(1.0 + table[BETA, m] * f, 1e-12)
        moved = y / grown if coin.is_inverse[m] else y * grown
        gap += q * (moved - y)
        if table[AT_ENTRY, m] != 0.0:
            continue
        if block.bent[t] == 0.0:
            gap -= block.rate[t] * z * (moved - y)
        else:
            first, last = np.int64(table[FIRST_TIER, m]), np.int64(table[LAST_TIER, m])
            tier = tier_of(tiers, first, last, z * moved)
            rate = tiers[TIER_RATE, tier] + table[SIZE_RATE, m] * z
            gap += block.requirement[t] - (rate * z * moved - tiers[TIER_DEDUCTION, tier])
    return gap


@inner_njit(INT(FLOAT, INT, arrays.INT_PAIR, FLOAT, BLOCK, MARKET_TABLE, COIN_TABLE))
def _factor_zone(sign, steps, span, gap, block, markets, coin):  # type: ignore[no-untyped-def]
    """The zone of the common factor in which a pool is due first, falling (`sign` −1.0) or rising.

    `gap`: its equity less requirement at the marks, not below 0.
    """
    near = np.int64(0)
    for step in range(1, steps + 1):
        far = OUT_OF_REACH * step // steps
        if _factor_gap(sign * BIN_WIDTH * far, span, gap, block, markets, coin) < 0.0:
            while far - near > 1:
                middle = (near + far) // 2
                f = sign * BIN_WIDTH * middle
                if _factor_gap(f, span, gap, block, markets, coin) < 0.0:
                    far = middle
                else:
                    near = middle
            return near
        near = far
    return OUT_OF_REACH


@inner_njit(arrays.INT_PAIR(arrays.INT_PAIR, FLOAT, BLOCK, MARKET_TABLE, COIN_TABLE))
def _factor_zones(span, gap, block, markets, coin):  # type: ignore[no-untyped-def]
    """The zones of the fall and the rise of the common factor at which a cross pool is due."""
    if gap < 0.0:
        return 0, 0
    inverse = np.int64(0)
    for t in range(span[0], span[1]):
        inverse += np.int64(coin.is_inverse[block.market[t]])
    steps = 1 if inverse == 0 or inverse == span[1] - span[0] else MIXED_STEPS
    fall = _factor_zone(-1.0, steps, span, gap, block, markets, coin)
    return fall, _factor_zone(1.0, steps, span, gap, block, markets, coin)


@inner_njit(INT(INT, INT, POSITIONS, BLOCK, MARKET_TABLE, COIN_TABLE, I2))
def _sum_pools(low, high, positions, block, markets, coin, by_factor):  # type: ignore[no-untyped-def]
    """As `prices._sum_pools`, in coin; `by_factor` in quote currency. Returns how many pools are
    unknown."""
    value, others, group = block.value, block.others, block.group
    unknown, end = np.int64(0), 0
    for pool in range(low, high):
        begin, end = end, end + positions.length[pool]
        equity, total, gross, quote = positions.cash[pool], 0.0, 0.0, 0.0
        for t in range(begin, end):
            equity += value[t]
            total += block.requirement[t]
            gross += block.notional[t]
            quote += abs(block.quantity[t]) * coin.quote_value[block.market[t]]
        of_pool, isolated = -1, positions.isolated[pool]
        if equity == equity:
            due = arrays.DUE_FLAG if equity < total else 0
            of_pool = leverage_group(isolated, gross, equity) | due
            if not isolated:
                a, b = _factor_zones((begin, end), equity - total, block, markets, coin)
                by_factor[0, a] += blocks.units_of(quote)
                by_factor[1, b] += blocks.units_of(quote)
        else:
            unknown += 1
        for t in range(begin, end):
            others[t] = total - others[t]
            value[t] -= equity
            group[t] = of_pool
    return unknown


@inner_njit(
    arrays.INT_PAIR(INT, INT, POSITIONS, MARKET_TABLE, COIN_TABLE, FLOAT32_1, BLOCK, I2)
)  # fmt: skip
def price_coin_block(low, high, positions, markets, coin, slip, block, by_factor):  # type: ignore[no-untyped-def]
    """The prices of the positions of pools low to high − 1, as `prices.price_block` gives them; in
    the block a long is above 0 afterwards, and notional is in quote currency.
    """
    table = markets.rows
    n = blocks.gather_positions(low, high, positions, table.shape[1], block)
    _turn(n, block, coin)
    blocks.closing_costs(n, block, table, slip)
    _turn(n, block, coin)
    blocks.value_positions(n, block, table)
    blocks.apply_higher_tiers(n, positions.entry, block, markets)
    unknown = _sum_pools(low, high, positions, block, markets, coin, by_factor)
    blocks.solve_lowest_tier(n, block)
    blocks.solve_beyond_lowest_tier(n, block, markets)
    _turn(n, block, coin)
    _turn_prices(n, block, coin)
    return n, unknown


@njit(
    types.void(
        INT, INT, POSITIONS, MARKET_TABLE, COIN_TABLE, FLOAT32_1, I2, RECORDS, I1, I1
    ),
    cache=True, nogil=True, error_model="numpy",
)  # fmt: skip
def price_coin_pools(  # type: ignore[no-untyped-def]
    low, high, positions, markets, coin, slip, by_factor, records, per_bucket, counts
):
    """As `prices.price_pools`, of pools that settle in coin."""
    length = positions.length
    room, pool = arrays.BLOCK_POSITIONS, low
    for p in range(low, high):
        room = max(room, length[p])
        counts[OPEN_POOLS] += np.int64(length[p] > 0)
    block = blocks.new_block(room)
    while pool < high:
        end, size = pool, 0
        while end < high and size + length[end] <= room:
            size += length[end]
            end += 1
        n, unknown = price_coin_block(pool, end, positions, markets, coin, slip, block, by_factor)
        for zone, row in enumerate(arrays.ZONE_PRICES):
            prices, zones = block.prices[row], block.zones[zone]
            blocks.zones_of(n, block.quantity, prices, block.inverse_mark, zones)
        chosen, first = blocks.pick_forced(n, block), counts[RECORD_COUNT]
        blocks.write_records(chosen, block, markets.rows, first, records, per_bucket)
        counts[RECORD_COUNT] += chosen
        counts[UNKNOWN_POOLS] += unknown
        pool = end
