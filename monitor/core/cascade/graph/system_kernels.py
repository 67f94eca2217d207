"""The compiled loops over a venue's pools when several markets move at once.

All marks move one way, so a pool that is far from due need not be looked at: from its equity, its
requirement and what it holds on the losing side follows how far the marks may move before it can be
due. A *clock* adds up how far the marks have moved, and each pool stands in a calendar under the
reading at which it has to be looked at again.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit, types

from detectors.arrays.types import B1, BOOL, F1, FLOAT, I1, I2, INT, INT32_1, Float64, Int64
from monitor.core.bands.kernels.arrays import (
    FEE,
    FIRST_TIER,
    LAST_TIER,
    MARK,
    MARKET_TABLE,
    POSITIONS,
    SIZE_RATE,
    TIER_BOUND,
    TIER_RATE,
    WHOLE,
    Int32,
    inner_njit,
    rules_column,
    tuple_type,
)
from monitor.core.bands.kernels.roots import maintenance_of, tier_of
from monitor.core.cascade.shock_kernels import displacement

PAGE = 5e-4
"""A page of the calendar: this much of the clock (log distance)."""
PAGES = 8_192
"""What is due behind the last page stands on it, and is looked at in every round from there on."""
READ_AHEAD = 64
"""Pools whose positions are read before the first of them is looked at: one by one, each waits for
memory, which took half of the time."""
ABSENT_POOL = -2
"""In `Calendar.following`: not in the calendar yet."""
_SLACK = 1.0 - 1e-9
"""Part of a distance that is relied on: the rest is rounding."""
_TRIPLE = types.UniTuple(FLOAT, 3)  # type: ignore[no-untyped-call]


class Calendar(NamedTuple):
    """When each pool has to be looked at again.

    `first`: by page, a pool, −1: none; `following`: by pool, the next on its page. `order`: pools
    by `reach`; those from `place[1]` on have not been looked at and are not in the calendar.
    `reach`: by pool, see `measure_reach`. `place`: the page that is open, and the place in `order`.
    `ahead`: a sum of what was read ahead, which nobody needs.
    """

    first: Int32
    following: Int32
    order: Int32
    reach: Float64
    place: Int64
    ahead: Float64


CALENDAR = tuple_type(Calendar, INT32_1, INT32_1, INT32_1, F1, I1, F1)


class SideBooks(NamedTuple):
    """One side of every market's book. The levels of market m are `first[m]` to `first[m + 1] − 1`
    of `distance` and `total` (see `BookLevels`). `unit`: of a sold quantity, by market."""

    first: Int64
    distance: Float64
    total: Float64
    unit: Float64


SIDE_BOOKS = tuple_type(SideBooks, I1, F1, F1, F1)


@inner_njit(_TRIPLE(INT, POSITIONS, MARKET_TABLE, F1, BOOL))
def _look(pool, positions, markets, pace, falls):  # type: ignore[no-untyped-def]
    """A pool's equity less what it must not fall to (NaN where a mark is not known), the latter,
    and how far the clock can go before the pool can be due; ∞: it never can.

    While the clock goes on by c, no mark moves further than c · `pace`. A fall takes from longs
    what they are worth, and no requirement rises. A rise takes from shorts, and requirements rise
    by the rate of the last tier at most, or at once where a tier's rate holds for the whole.
    """
    equity, need, exposure, room = positions.cash[pool], 0.0, 0.0, np.inf
    fastest, longs = 0.0, 0.0
    rows, tiers = markets
    first = positions.start[pool]
    for i in range(first, first + positions.length[pool]):
        m, q = positions.market[i], positions.quantity[i]
        own = rules_column(i, positions, markets)
        notional = abs(q) * rows[MARK, m]
        equity += q * rows[MARK, m]
        need += maintenance_of(own, q, positions.entry[i], rows, tiers) + rows[FEE, own] * notional
        if falls:
            if q > 0.0:
                exposure += notional * pace[m]
                longs += notional
            continue
        last = np.int64(rows[LAST_TIER, own])
        rate = tiers[TIER_RATE, last - 1] + rows[SIZE_RATE, own] * abs(q) + rows[FEE, own]
        loses = 1.0 + rate if q < 0.0 else max(rate - 1.0, 0.0)
        if loses > 0.0:
            exposure += notional * pace[m] * loses
            fastest = max(fastest, pace[m])
        if rows[WHOLE, own] != 0.0:
            tier = tier_of(tiers, np.int64(rows[FIRST_TIER, own]), last, notional)
            if tier + 1 < last:
                room = min(room, math.log(tiers[TIER_BOUND, tier + 1] / notional) / pace[m])
    gap = equity - need
    if not gap > 0.0:
        return gap, need, 0.0 if gap == gap else np.inf
    if falls:
        # 1 − e^(−c·pace) is concave, so its mean is at most what it is at the mean pace.
        if gap < longs:
            room = -math.log1p(-gap / longs) * longs / exposure
    elif exposure > 0.0:
        # e^(c·pace) − 1 is convex, so it is at most the straight line to the fastest market's.
        room = min(room, math.log1p(gap * fastest / exposure) / fastest)
    return gap, need, room * _SLACK


@njit(
    types.void(INT, INT, POSITIONS, MARKET_TABLE, F1, BOOL, B1, F1), cache=True, nogil=True,
    error_model="numpy",
)  # fmt: skip
def measure_reach(low, high, positions, markets, pace, falls, forced, reach):  # type: ignore[no-untyped-def]
    """Set `reach` of pools low to high − 1: how far the clock can go from the marks of `markets`
    before one can be due, 0 where it is; ∞: it cannot be, or is in `forced` already.
    """
    for pool in range(low, high):
        reach[pool] = np.inf
        if not forced[pool] and positions.length[pool] > 0:
            reach[pool] = _look(pool, positions, markets, pace, falls)[2]


@inner_njit(INT(FLOAT))
def _page_of(clock):  # type: ignore[no-untyped-def]
    return np.int64(min(clock / PAGE, PAGES - 1.0))


@njit(INT(F1, INT32_1), cache=True, nogil=True, error_model="numpy")
def order_pools(reach, order):  # type: ignore[no-untyped-def]
    """Fill `order` with the pools that can be due, nearest first; how many they are."""
    places = np.zeros(PAGES + 1, np.int64)
    for pool in range(reach.size):
        if reach[pool] < np.inf:
            places[_page_of(reach[pool]) + 1] += 1
    for page in range(PAGES):
        places[page + 1] += places[page]
    for pool in range(reach.size):
        if reach[pool] < np.inf:
            page = _page_of(reach[pool])
            order[places[page]] = pool
            places[page] += 1
    return places[PAGES]


@njit(
    types.void(INT32_1, POSITIONS, I1, POSITIONS, I1), cache=True, nogil=True, error_model="numpy"
)
def gather_pools(pools, positions, sent, out, out_sent):  # type: ignore[no-untyped-def]
    """Copy these pools into `out`, one behind the other (its `start` and `length` are set already),
    and what their positions send.
    """
    for k in range(pools.size):
        pool, at = pools[k], out.start[k]
        out.cash[k] = positions.cash[pool]
        first = positions.start[pool]
        for i in range(first, first + positions.length[pool]):
            out.market[at], out.quantity[at] = positions.market[i], positions.quantity[i]
            out.entry[at], out_sent[at] = positions.entry[i], sent[i]
            out.rules[at] = positions.rules[i]
            at += 1


@njit(INT(POSITIONS, BOOL, I1, INT32_1), cache=True, nogil=True, error_model="numpy")
def index_pools(positions, falls, first, pools):  # type: ignore[no-untyped-def]
    """The pools that lose with each market: those of m are `pools[first[m]]` to
    `pools[first[m + 1] − 1]`; how many entries there are. `first`: zeros, one more than markets.
    """
    for turn in range(2):
        for pool in range(positions.length.size):
            begin = positions.start[pool]
            for i in range(begin, begin + positions.length[pool]):
                if (positions.quantity[i] > 0.0) == falls and positions.quantity[i] != 0.0:
                    m = positions.market[i]
                    if turn:
                        pools[first[m]] = pool
                    first[m] += 1
        if turn == 0:
            # From counts to where each market's begin.
            total = np.int64(0)
            for m in range(first.size):
                count = first[m]
                first[m] = total
                total += count
    for m in range(first.size - 1, 0, -1):
        first[m] = first[m - 1]
    first[0] = 0
    return first[first.size - 1]


@njit(
    INT(FLOAT, FLOAT, CALENDAR, POSITIONS, MARKET_TABLE, F1, BOOL, I1, B1, I1), cache=True,
    nogil=True, error_model="numpy",
)  # fmt: skip
def force_pools(clock, entered, calendar, positions, markets, pace, falls, sent, forced, sold):  # type: ignore[no-untyped-def]
    """Force every pool that is due at these marks and was not before; how many they are.

    `clock`: how far the marks have moved; pools whose reach is below `entered` come into the
    calendar. `sent`: by slot, the part of a position that goes to the book at once, in its market's
    unit. `forced`: by pool. `sold`: by market, what was sent on the losing side; added to.
    """
    first, following, order, reach, place, _ = calendar
    page = _page_of(clock)
    batch, ahead = np.empty(READ_AHEAD, np.int32), 0.0
    while place[1] < order.size and _page_of(reach[order[place[1]]]) * PAGE <= entered:
        pool = order[place[1]]
        place[1] += 1
        if following[pool] == ABSENT_POOL and not forced[pool]:
            following[pool] = first[page]
            first[page] = pool
    count = np.int64(0)
    for turn in range(place[0], page + 1):
        pool = first[turn]
        first[turn] = -1
        while pool >= 0:
            some = 0
            while pool >= 0 and some < READ_AHEAD:
                batch[some] = pool
                at = positions.start[pool]
                ahead += positions.quantity[at] + positions.entry[at] + positions.market[at]
                ahead += positions.cash[pool] + positions.length[pool]
                pool = following[pool]
                some += 1
            for k in range(some):
                one = batch[k]
                gap, need, room = _look(one, positions, markets, pace, falls)
                following[one] = -1
                if gap <= 0.0 and need > 0.0:
                    forced[one] = True
                    count += 1
                    begin = positions.start[one]
                    for i in range(begin, begin + positions.length[one]):
                        if (positions.quantity[i] > 0.0) == falls:
                            sold[positions.market[i]] += sent[i]
                elif room < np.inf:
                    again = max(page, _page_of(clock + room))
                    following[one] = first[again]
                    first[again] = one
    place[0] = page
    calendar.ahead[0] = ahead
    return count


@njit(types.void(I1, I1, SIDE_BOOKS, FLOAT, I1, F1), cache=True, nogil=True, error_model="numpy")
def push_books(sold, before, books, survives, levels, pushed):  # type: ignore[no-untyped-def]
    """Set `pushed`, how far each book gives way (log distance from the mark), where `sold` differs
    from `before`, which becomes the same. `levels`: where the search begins; it only rises.
    """
    first, distance, total, unit = books
    for m in range(sold.size):
        if sold[m] == before[m]:
            continue
        before[m] = sold[m]
        quantity, high = sold[m] * unit[m] / survives, first[m + 1]
        while levels[m] + 1 < high and total[levels[m]] < quantity:
            levels[m] += 1
        pushed[m] = displacement(quantity, distance, total, first[m], high, levels[m])


@inner_njit(BOOL(FLOAT, INT, POSITIONS, MARKET_TABLE, FLOAT))
def _is_due_after(gap, j, positions, markets, growth):  # type: ignore[no-untyped-def]
    """Whether a pool with this gap is due once the mark of its position j alone grows so."""
    rows, tiers = markets
    n, q, entry = rules_column(j, positions, markets), positions.quantity[j], positions.entry[j]
    mark = rows[MARK, n]
    before = maintenance_of(n, q, entry, rows, tiers) + rows[FEE, n] * abs(q) * mark
    rows[MARK, n] = mark * growth
    after = maintenance_of(n, q, entry, rows, tiers) + rows[FEE, n] * abs(q) * rows[MARK, n]
    rows[MARK, n] = mark
    return gap + q * mark * (growth - 1.0) <= after - before


@njit(
    types.void(INT32_1, POSITIONS, MARKET_TABLE, F1, I1, FLOAT, I2, I2), cache=True, nogil=True,
    error_model="numpy",
)  # fmt: skip
def spread_moves(pools, positions, markets, pace, sent, growth, flow, accounts):  # type: ignore[no-untyped-def]
    """What each market's own small move forces in every market, of these pools.

    `growth`: of the mark that moves; below 1 it falls. `flow[n, m]`: what is sent in market m, in
    its unit, when market n alone moves; `accounts[n, m]`: of how many pools. Both are added to.
    """
    falls = growth < 1.0
    for k in range(pools.size):
        pool = pools[k]
        first = positions.start[pool]
        last = first + positions.length[pool]
        gap = _look(pool, positions, markets, pace, falls)[0]
        for j in range(first, last):
            if (positions.quantity[j] > 0.0) != falls:
                continue
            if _is_due_after(gap, j, positions, markets, growth):
                n = positions.market[j]
                for i in range(first, last):
                    if (positions.quantity[i] > 0.0) == falls:
                        m = positions.market[i]
                        flow[n, m] += sent[i]
                        accounts[n, m] += 1


@njit(
    INT(INT32_1, POSITIONS, MARKET_TABLE, F1, I1, FLOAT, INT, INT, I1), cache=True, nogil=True,
    error_model="numpy",
)  # fmt: skip
def flow_by_pool(pools, positions, markets, pace, sent, growth, source, target, out):  # type: ignore[no-untyped-def]
    """Set `out`, what each of these pools sends in market `target` when `source` alone moves."""
    falls, count = growth < 1.0, np.int64(0)
    for k in range(pools.size):
        pool = pools[k]
        out[k] = 0
        first = positions.start[pool]
        last = first + positions.length[pool]
        for j in range(first, last):
            if positions.market[j] != source or (positions.quantity[j] > 0.0) != falls:
                continue
            gap = _look(pool, positions, markets, pace, falls)[0]
            if not _is_due_after(gap, j, positions, markets, growth):
                continue
            for i in range(first, last):
                if positions.market[i] == target and (positions.quantity[i] > 0.0) == falls:
                    out[k] = sent[i]
                    count += 1
    return count
