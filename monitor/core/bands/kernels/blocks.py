"""The compiled steps of a block of positions, each a small loop.

Branches are avoided where they can be, so that the compiler turns the loops into vector
instructions.
"""

from __future__ import annotations

import numpy as np
from numba import njit, types

from detectors.arrays.types import F1, F2, FLOAT32_1, I1, INT, INT32_1
from monitor.core.bands.kernels.arrays import (
    AT_ENTRY,
    BACKSTOP,
    BETA,
    BLOCK,
    CLOSE_FEE,
    CODE_BITS,
    DEDUCTION,
    DUE_FLAG,
    EXPONENT_LOW,
    EXPONENTS,
    FACTOR_GROWTH,
    FEE,
    GROUP_BITS,
    INVERSE_MARK,
    LOWEST_TIER_TOP,
    MARK,
    MARKET,
    MARKET_TABLE,
    NEXT_BOUND,
    NOTIONAL_MAX,
    NOTIONAL_MIN,
    POSITIONS,
    PRICE_BACKSTOP,
    PRICE_BANKRUPTCY,
    PRICE_WARN,
    PRICES,
    RATE,
    RECORDS,
    SIZE_RATE,
    STRESS,
    UNITS_MAX,
    WARN_K,
    WHOLE,
    ZONE_BACKSTOP,
    ZONE_BANKRUPTCY,
    ZONE_LIQUIDATION,
    ZONE_STRESSED,
    PositionBlock,
    inner_njit,
)
from monitor.core.bands.kernels.roots import maintenance_of, solve_tier_by_tier
from monitor.core.bands.layout import BIN_WIDTH, OUT_OF_REACH
from monitor.core.contract.fixed_point import MONEY_SCALE


@njit(inline="always", error_model="numpy")
def units_of(notional):  # type: ignore[no-untyped-def]
    return np.int64(np.rint(min(notional * float(MONEY_SCALE), UNITS_MAX)))


@inner_njit(BLOCK(INT))
def new_block(room):  # type: ignore[no-untyped-def]
    """Scratch for `room` positions; what it holds is undefined."""
    # One more integer each: `pick_forced` writes before it counts.
    floats, integers = np.empty((12, room)), np.empty((9, room + 1), np.int32)
    return PositionBlock(
        floats[0], integers[0], integers[1], integers[2], floats[1], floats[2], floats[3],
        floats[4], floats[5], floats[6], floats[7], floats[8], floats[9], floats[10],
        floats[11], integers[3], integers[4], integers[5:], np.empty((PRICES, room)),
    )  # fmt: skip


@inner_njit(INT(INT, INT, POSITIONS, INT, BLOCK))
def gather_positions(low, high, positions, columns, block):  # type: ignore[no-untyped-def]
    """Fill a block with the positions of pools low to high − 1; how many they are.

    `columns`: those of the table of rules.
    """
    q, market, slot, holder = block.quantity, block.market, block.slot, block.pool
    quantity, rules = positions.quantity, positions.rules
    n = 0
    for pool in range(low, high):
        first = positions.start[pool]
        for i in range(first, first + positions.length[pool]):
            column = rules[i] if rules[i] >= 0 else columns + rules[i]
            q[n], market[n], slot[n], holder[n] = quantity[i], column, i, pool
            n += 1
    return n


@inner_njit(types.void(INT, BLOCK, F2))
def value_positions(n, block, table):  # type: ignore[no-untyped-def]
    """What a position is worth and requires in the lowest tier. `table`: `MarketTable.rows`."""
    mark, rate_of, grows = table[MARK], table[RATE], table[SIZE_RATE]
    less, inverse_of = table[DEDUCTION], table[INVERSE_MARK]
    beta = table[BETA]
    growth, next_bound = table[FACTOR_GROWTH], table[NEXT_BOUND]
    q, market, value, notional = block.quantity, block.market, block.value, block.notional
    rate, requirement, others = block.rate, block.requirement, block.others
    inverse, drift, bent = block.inverse_mark, block.drift, block.bent
    for t in range(n):
        m = np.uint32(market[t])
        value[t] = q[t] * mark[m]
        notional[t] = abs(q[t]) * mark[m]
        rate[t] = rate_of[m] + grows[m] * abs(q[t])
        requirement[t] = rate[t] * notional[t] - less[m]
        others[t] = requirement[t] + less[m]
    for t in range(n):
        m = np.uint32(market[t])
        inverse[t] = inverse_of[m]
        drift[t] = (value[t] - rate[t] * notional[t]) * beta[m]
        bent[t] = 0.0 if notional[t] * growth[m] < next_bound[m] else 1.0


@inner_njit(types.void(INT, F1, BLOCK, MARKET_TABLE))
def apply_higher_tiers(n, entry, block, markets):  # type: ignore[no-untyped-def]
    """The requirement in a higher tier, or at the entry price (`entry`: by slot)."""
    table, tiers = markets
    q, market, slot, notional = block.quantity, block.market, block.slot, block.notional
    bent, requirement, others, rate = block.bent, block.requirement, block.others, block.rate
    value, drift = block.value, block.drift
    for t in range(n):
        if bent[t] != 0.0 and notional[t] >= table[NEXT_BOUND, market[t]]:
            m = market[t]
            requirement[t] = maintenance_of(m, q[t], entry[slot[t]], table, tiers)
            others[t] = requirement[t] + table[DEDUCTION, m]
            if table[AT_ENTRY, m] != 0.0:
                # The maintenance is the same at every price, whatever the tier.
                rate[t] = others[t] = 0.0
            elif table[WHOLE, m] != 0.0:
                # Its tier stays, so all its lines are straight.
                rate[t] = requirement[t] / notional[t]
                drift[t] = (value[t] - requirement[t]) * table[BETA, m]
                bent[t] = 0.0


@inner_njit(types.void(INT, BLOCK, F2, FLOAT32_1))
def closing_costs(n, block, table, slip):  # type: ignore[no-untyped-def]
    """What a close costs: as the venue counts it, and into today's book. Slippage is linear between
    powers of two, which are read from the bits of the notional.
    """
    q, market, notional_of = block.quantity, block.market, block.notional
    fee, stress_cost, backstop = block.fee, block.stress_cost, block.backstop
    fee_of, close_fee_of = table[FEE], table[CLOSE_FEE]
    backstop_of, shorts = table[BACKSTOP], np.uint64(table.shape[1] * EXPONENTS)
    for t in range(n):
        m = np.uint64(np.uint32(market[t]))
        # No branch: half of all positions lie on either side of the lowest column.
        notional = notional_of[t] if notional_of[t] >= NOTIONAL_MIN else NOTIONAL_MIN
        notional = notional if notional < NOTIONAL_MAX else NOTIONAL_MAX
        bits = np.float64(notional).view(np.uint64)
        e = (bits >> np.uint64(52)) - np.uint64(1023 + EXPONENT_LOW)
        bits = (bits & np.uint64(0xFFFFFFFFFFFFF)) | np.uint64(0x3FF0000000000000)
        part = np.uint64(bits).view(np.float64) - 1.0
        place = m * np.uint64(EXPONENTS) + e + (np.uint64(0) if q[t] > 0.0 else shorts)
        lower = np.float64(slip[place])
        slipped = lower + (np.float64(slip[place + np.uint64(1)]) - lower) * part
        stress_cost[t] = fee_of[m] + close_fee_of[m] + slipped
    for t in range(n):
        fee[t], backstop[t] = fee_of[np.uint32(market[t])], backstop_of[np.uint32(market[t])]


@inner_njit(types.void(INT, BLOCK))
def solve_lowest_tier(n, block):  # type: ignore[no-untyped-def]
    """The eight prices of n positions, as if all stayed in the lowest tier."""
    q, others, value, rate = block.quantity, block.others, block.value, block.rate
    backstop = block.backstop
    for row in range(PRICES):
        out, kind = block.prices[row], row % STRESS
        cost = block.fee if row < STRESS else block.stress_cost
        if kind == PRICE_BACKSTOP:
            for t in range(n):
                k = backstop[t]
                out[t] = (k * others[t] + value[t]) / (q[t] - abs(q[t]) * (k * rate[t] + cost[t]))
        elif kind == PRICE_BANKRUPTCY:
            for t in range(n):
                out[t] = value[t] / (q[t] - abs(q[t]) * cost[t])
        else:
            k = WARN_K if kind == PRICE_WARN else 1.0
            for t in range(n):
                out[t] = (k * others[t] + value[t]) / (q[t] - abs(q[t]) * (k * rate[t] + cost[t]))


@inner_njit(types.void(INT, BLOCK, MARKET_TABLE))
def solve_beyond_lowest_tier(n, block, markets):  # type: ignore[no-untyped-def]
    """The prices of those that leave the lowest tier on their way."""
    q, market, value, others = block.quantity, block.market, block.value, block.others
    rate, fee, stress_cost, backstop = block.rate, block.fee, block.stress_cost, block.backstop
    upper, x = markets.rows[LOWEST_TIER_TOP], block.prices
    most, beyond = np.zeros(n), np.empty(n, np.bool_)
    for half in range(0, PRICES, STRESS):
        x0, x1, x2, x3 = x[half], x[half + 1], x[half + 2], x[half + 3]
        for t in range(n):
            a = most[t]
            a = x0[t] if x0[t] > a else a
            a = x1[t] if x1[t] > a else a
            a = x2[t] if x2[t] > a else a
            most[t] = x3[t] if x3[t] > a else a
    for t in range(n):
        over = most[t] * abs(q[t]) >= upper[np.uint32(market[t])]
        beyond[t] = over | ((q[t] > 0.0) & (WARN_K * rate[t] + stress_cost[t] >= 1.0))
    for t in range(n):
        if beyond[t]:
            costs = fee[t], stress_cost[t]
            solve_tier_by_tier(
                t, q[t], market[t], value[t], others[t], costs, backstop[t], markets, x
            )


@inner_njit(types.void(INT, F1, F1, F1, INT32_1))
def zones_of(n, q, x, inverse, out):  # type: ignore[no-untyped-def]
    """The zone of each price x: how far the mark must move against the position; may be too far."""
    for t in range(n):
        y = x[t] * inverse[t]
        v = (1.0 - y if q[t] > 0.0 else y - 1.0) * (1.0 / BIN_WIDTH)
        v = (v if v > 0.0 else 0.0) if y > 0.0 else float(OUT_OF_REACH)
        out[t] = np.int32(v if v < OUT_OF_REACH else float(OUT_OF_REACH))


@inner_njit(INT(INT, BLOCK))
def pick_forced(n, block):  # type: ignore[no-untyped-def]
    """Choose the positions that are forced within reach at any stage; how many they are.

    What is due already stands in the first zone. Without a book the zone under stress is not known.
    """
    q, group, stress_cost, chosen = block.quantity, block.group, block.stress_cost, block.chosen
    near, far = block.zones[ZONE_LIQUIDATION], block.zones[ZONE_STRESSED]
    back, broke = block.zones[ZONE_BACKSTOP], block.zones[ZONE_BANKRUPTCY]
    for t in range(n):
        due = group[t] & DUE_FLAG != 0
        near[t] = 0 if due else near[t]
        far[t] = OUT_OF_REACH if stress_cost[t] != stress_cost[t] else 0 if due else far[t]
    for t in range(n):
        a = near[t] if near[t] < far[t] else far[t]
        b = back[t] if back[t] < broke[t] else broke[t]
        a = a if a < b else b
        group[t] = group[t] if (a < OUT_OF_REACH) & (q[t] != 0.0) else -1
    count = np.int64(0)
    for t in range(n):
        # Written and then counted or not: whether it is forced is hard to predict.
        chosen[count] = t
        count += np.int64(group[t] >= 0)
    return count


@inner_njit(types.void(INT, BLOCK, F2, INT, RECORDS, I1))
def write_records(count, block, table, first, records, per_bucket):  # type: ignore[no-untyped-def]
    """Records of the `count` chosen positions, from place `first` on; `per_bucket` counts them.

    `table`: `MarketTable.rows`.
    """
    market_of, columns = table[MARKET], table.shape[1]
    q, market, group, notional = block.quantity, block.market, block.group, block.notional
    near, far = block.zones[ZONE_LIQUIDATION], block.zones[ZONE_STRESSED]
    back, broke = block.zones[ZONE_BACKSTOP], block.zones[ZONE_BANKRUPTCY]
    code, units, pool = records.code[first:], records.units[first:], records.pool[first:]
    bucket_of, chosen, holder = records.bucket[first:], block.chosen, block.pool
    for i in range(count):
        t = chosen[i]
        zones = np.int64(broke[t]) << CODE_BITS | np.int64(back[t])
        zones = zones << CODE_BITS | np.int64(far[t])
        zones = zones << CODE_BITS | np.int64(near[t])
        code[i] = zones << GROUP_BITS | np.int64(group[t] & (DUE_FLAG - 1))
        units[i] = units_of(notional[t])
        pool[i] = holder[t]
        bucket = np.int32(market_of[market[t]]) + (0 if q[t] > 0.0 else columns)
        bucket_of[i] = bucket
        per_bucket[bucket] += 1
