"""Whose turn it is in a market of the simulated venue, and when.

Arrivals excite further arrivals, at a fast and at a slow rate: a Hawkes process with exponential
kernels, drawn as a branching process. Each market has random numbers of its own.

References: Hawkes, Spectra of some self-exciting and mutually exciting point processes, Biometrika
1971; Bacry, Mastromatteo, Muzy, Hawkes processes in finance, 2015 (branching ratios of order flow).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from detectors.arrays.types import UNCALLED
from monitor.core.contract.units import MILLISECOND_NS, SECOND_NS
from replay.simulation.trading.agenda import enter
from replay.simulation.trading.book import (
    ROWS_KEPT,
    cancel_order,
    give_row,
    take_out,
    take_row,
    tick_clock,
)
from replay.simulation.trading.draws import EXPONENTIAL, draw_below, draw_from, draw_uniform
from replay.simulation.trading.makers import flicker, requote
from replay.simulation.trading.state import (
    AHEAD_S,
    ARBITRAGE,
    ARBITRAGEUR,
    ARRIVALS,
    ASK,
    BEGUN,
    BID,
    CROWD,
    CROWD_LOTS,
    DEPTH_KEPT,
    EXPIRED,
    FAIR,
    FREE_ROWS,
    HALF,
    INDEX,
    KEPT,
    LIMIT,
    MAKER,
    MAKERS,
    NO_ASK,
    OUTSIDE_INDEX,
    OUTSIDE_PREMIUM,
    PLANTED,
    PREMIUM,
    STEP,
    SWING,
    TREND,
    USER,
    USUAL_SWING,
)
from replay.simulation.trading.takers import (
    correct_price,
    draw_account,
    draw_limit_order,
    draw_place,
    place_limit,
    take,
    tolerance,
    trade_at_once,
)

MIX = (0.50, 0.87, 0.96)
"""Running shares of market makers, limit orders and takers among arrivals; the others follow
trends."""
BRANCHING = 0.6
"""Arrivals that one excites, on average."""
BRANCHING_SHARES = (0.548812, 0.878099, 0.976885, 0.996642, 0.999606)
"""Running shares of 0, 1, … arrivals excited (Poisson)."""
SAME_KIND, SAME_ACCOUNT, SAME_SIDE = 0.8, 0.6, 0.8
"""Shares of excited arrivals that are like the one that excites them."""
EXCITE_S = (0.15, 3.0)
"""Mean delays of a fast and of a slow reaction."""
REPLACED_SHARE, EXPIRED_SHARE = 0.05, 0.03
"""Limit orders that another replaces at the end of their life; of the others, those that expire."""
LATENCY_NS = (5 * MILLISECOND_NS, 100 * MILLISECOND_NS)
"""How soon market makers and arbitrageurs act on a second's index: from and to."""
SWING_S, SWING_WITHDRAWS, KEPT_MIN = 20.0, 2.0, 0.1
"""Time constant of the price's swing; swing (of the usual) from which market makers keep less
depth; share that they always keep."""
HALF_STEPS, HALF_SWING = 0.3, 0.2
"""Half spread of the market makers in steps: without swing, and for a usual swing more; it is wider
by the root of the depth that they do not keep."""
CROWD_ORDERS = 8
"""Orders in which the takers of an incident come in a second."""


@njit(nogil=True, **UNCALLED)
def arrive(v: Any, market: Any, agent: Any, due: Any) -> Any:
    """An arrival of somebody at random; its row, which is not in the agenda yet."""
    if agent == MAKER:
        account = draw_below(v.streams, market, v.market[market, MAKERS])
    else:
        account = draw_account(v, market)
    side = 1 - 2 * draw_below(v.streams, market, 2)
    row = take_row(v, market, account, side)
    v.pool[row].agent, v.pool[row].due = agent, due
    return row


@njit(nogil=True, **UNCALLED)
def draw_agent(v: Any, market: Any) -> Any:
    """What kind of arrival comes."""
    draw = draw_uniform(v.streams, market)
    agent = MAKER
    for share in MIX:
        if draw < share:
            break
        agent += 1
    return agent


@njit(nogil=True, **UNCALLED)
def excite(v: Any, row: Any, until: Any) -> None:
    """Enter the arrivals that an arrival excites."""
    order = v.pool[row]
    market, due = order.market, order.due
    draw = draw_uniform(v.streams, market)
    for share in BRANCHING_SHARES:
        if draw < share:
            break
        mean_s = EXCITE_S[draw_below(v.streams, market, 2)]
        wait_s = mean_s * draw_from(v.tables, EXPONENTIAL, v.streams, market)
        at = due + MILLISECOND_NS + int(wait_s * SECOND_NS)
        agent = order.agent
        if draw_uniform(v.streams, market) >= SAME_KIND:
            agent = draw_agent(v, market)
        new = arrive(v, market, agent, at)
        child = v.pool[new]
        is_same = draw_uniform(v.streams, market) < SAME_ACCOUNT
        if is_same and agent == order.agent and agent != MAKER:
            child.account = order.account
        if draw_uniform(v.streams, market) < SAME_SIDE:
            child.side = order.side
        enter(v, new, until)


@njit(nogil=True, **UNCALLED)
def act(v: Any, ledger: Any, marks: Any, row: Any, until: Any) -> None:
    """Whoever arrives has its turn."""
    order = v.pool[row]
    market, agent = order.market, order.agent
    order.queued = -1
    if agent <= TREND:
        excite(v, row, until)
    if agent == MAKER:
        maker, follows_index, ts = order.account, order.life, order.due
        give_row(v, row)
        if requote(v, market, maker, ts) == 0 and not follows_index:
            flicker(v, market, maker, ts)
        return
    order.placed = tick_clock(v, market, order.due)
    if agent in (LIMIT, PLANTED):
        if agent == LIMIT:
            draw_limit_order(v, ledger, marks, order)
        if place_limit(v, row, -1):
            order.due = order.placed + order.life
            enter(v, row, until)
    elif agent == ARBITRAGE:
        correct_price(v, row)
    elif agent == CROWD:
        take(v, row, -1)
    else:
        trade_at_once(v, ledger, marks, row)


@njit(nogil=True, **UNCALLED)
def end_life(v: Any, row: Any, until: Any) -> None:
    """An order's life is over: it is cancelled, or another one replaces it."""
    order = v.pool[row]
    market, ts = order.market, order.due
    order.queued = -1
    if order.agent != LIMIT or draw_uniform(v.streams, market) >= REPLACED_SHARE:
        expires = draw_uniform(v.streams, market) < EXPIRED_SHARE
        cancel_order(v, row, ts, EXPIRED if expires else USER)
        return
    new = take_row(v, market, order.account, order.side)
    replaced, lots = order.id, order.left
    take_out(v, row)
    order = v.pool[new]
    order.agent, order.placed = LIMIT, tick_clock(v, market, ts)
    draw_place(v, order)
    order.size = order.left = lots
    if place_limit(v, new, replaced):
        order.due = order.placed + order.life
        enter(v, new, until)


@njit(nogil=True, **UNCALLED)
def observe_index(v: Any, world: Any, market: Any) -> Any:
    """Market makers see a second's index: their fair value, spread and depth. Whether they have to
    move their quotes for it."""
    state, step = v.state[market], v.market[market, STEP]
    change = world[OUTSIDE_INDEX] - state[INDEX]
    state[SWING] += (abs(change) / v.state[market, USUAL_SWING] - state[SWING]) / SWING_S
    state[INDEX] += change
    fair, kept = state[FAIR], state[KEPT]
    state[FAIR] = state[INDEX] * (1 + state[PREMIUM] + world[OUTSIDE_PREMIUM])
    withdrawn = min(1.0, max(KEPT_MIN, SWING_WITHDRAWS / max(state[SWING], KEPT_MIN)))
    state[KEPT] = withdrawn * world[DEPTH_KEPT]
    state[HALF] = step * (HALF_STEPS + HALF_SWING * state[SWING]) / np.sqrt(state[KEPT])
    return abs(state[FAIR] - fair) > 0.5 * step or state[KEPT] < kept


@njit(nogil=True, **UNCALLED)
def begin_second(v: Any, world: Any, market: Any, ts: Any) -> None:
    """Enter what comes in a second of a market."""
    until, state, streams = ts + SECOND_NS, v.state[market], v.streams
    slot = (ts // SECOND_NS) % AHEAD_S
    row = v.lists[market, slot]
    v.lists[market, slot] = 0
    while row:
        following = v.pool[row].queued
        enter(v, row, until)
        row = following
    low, high = LATENCY_NS
    if observe_index(v, world, market):
        for maker in range(v.market[market, MAKERS]):
            row = take_row(v, market, maker, 1)
            order = v.pool[row]
            order.agent, order.life = MAKER, 1
            order.due = ts + low + draw_below(streams, market, high - low)
            enter(v, row, until)
    for side in (1, -1):
        touch = v.market[market, ASK if side > 0 else BID]
        wrong = (state[FAIR] - touch) * side
        if 0 < touch < NO_ASK and wrong > tolerance(v, market):
            row = take_row(v, market, v.market[market, ARBITRAGEUR], side)
            v.pool[row].agent = ARBITRAGE
            v.pool[row].due = ts + low + draw_below(streams, market, 2 * high)
            enter(v, row, until)
    enter_crowd(v, world, market, ts)
    mean_ns = SECOND_NS / max(world[ARRIVALS], 1e-9)
    at = ts
    while v.counts[FREE_ROWS] > ROWS_KEPT:
        at += int(draw_from(v.tables, EXPONENTIAL, streams, market) * mean_ns) + 1
        if at >= until:
            break
        row = arrive(v, market, draw_agent(v, market), at)
        enter(v, row, until)


@njit(nogil=True, **UNCALLED)
def enter_crowd(v: Any, world: Any, market: Any, ts: Any) -> None:
    """Enter the market orders of an incident's takers, spread over the second."""
    wanted = world[CROWD_LOTS]
    if wanted == 0.0:
        return
    for _ in range(CROWD_ORDERS):
        at = ts + draw_below(v.streams, market, SECOND_NS)
        row = arrive(v, market, CROWD, at)
        order = v.pool[row]
        order.side = 1 if wanted > 0 else -1
        order.size = order.left = max(1, int(abs(wanted) / CROWD_ORDERS))
        enter(v, row, ts + SECOND_NS)


@njit(nogil=True, **UNCALLED)
def enter_planted(v: Any, ts: Any) -> None:
    """Enter the orders of incidents that come in the second from `ts` on."""
    while v.counts[BEGUN] < len(v.planted):
        planted = v.planted[v.counts[BEGUN]]
        if planted.ts >= ts + SECOND_NS or v.counts[FREE_ROWS] <= ROWS_KEPT:
            break
        v.counts[BEGUN] += 1
        row = take_row(v, planted.symbol, planted.account, planted.side)
        order = v.pool[row]
        order.agent = PLANTED
        order.due, order.life = max(ts, planted.ts), planted.life
        order.tick = planted.distance * v.market[planted.symbol, STEP]
        order.size = order.left = planted.lots
        # Its market has not begun the second: the list of that second is the place for it.
        enter(v, row, ts)
