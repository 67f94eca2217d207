"""Everybody at the simulated venue but its market makers: limit orders, orders that take at once,
and what each kind of trader does in its turn."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from detectors.arrays.types import UNCALLED
from monitor.core.contract.units import SECOND_NS
from replay.simulation.clearing.margin import largest_order
from replay.simulation.trading.book import (
    give_row,
    match_order,
    middle_of,
    rest_order,
    write_cancel,
    write_order,
)
from replay.simulation.trading.draws import (
    DISTANCE,
    LIFETIME,
    SIZE,
    draw_below,
    draw_from,
    draw_uniform,
)
from replay.simulation.trading.state import (
    ACTIVITY,
    ASK,
    BID,
    BY_VENUE,
    FAIR,
    GUIDE,
    INDEX,
    LEVEL_LOTS,
    LOT_VALUE,
    NO_ASK,
    STEP,
    TAKEN,
    TRADE,
    TREND,
    TREND_MEAN,
    USER,
    WEALTH,
)

LIMIT_WEALTH, TAKER_WEALTH = 0.003, 0.006
"""Median notional of an order as a share of its account's wealth."""
IMPROVING_SHARE = 0.05
"""Share of limit orders that are a tick better than the touch."""
MARKET_SHARE, REACH_STEPS = 0.5, 3
"""Share of takers without a limit; the others reach fewer steps than this beyond the touch."""
REDUCING_SHARE = 0.1
"""Share of orders that only reduce a position."""
COLLAR = 0.05
"""An order without a limit takes at most so far from the touch, as venues bound it."""
TREND_STEPS = 3.0
"""A trend follower goes with the price where it is so many steps from its mean of a minute."""
WRONG_RATE = 3e-4
"""A price is wrong, for an arbitrageur, by more than this and a step: its costs."""
ARBITRAGE_QUOTES = 20.0
"""What an arbitrageur takes at most, in near quotes of one market maker."""


@njit(nogil=True, **UNCALLED)
def draw_account(v: Any, market: Any) -> Any:
    """An account in proportion to its activity; no market maker, no arbitrageur."""
    draw = draw_uniform(v.streams, market)
    account = v.accounts[int(draw * len(v.traders)), GUIDE]
    while v.traders[account, ACTIVITY] <= draw:
        account += 1
    return account


@njit(nogil=True, **UNCALLED)
def draw_lots(v: Any, ledger: Any, marks: Any, order: Any, share: Any) -> Any:
    """The lots of an order of about `share` of its account's wealth, as far as its margin allows;
    0: not one."""
    market, account = order.market, np.int64(order.account)
    notional = v.traders[account, WEALTH] * share
    notional *= draw_from(v.tables, SIZE, v.streams, market)
    lots = max(1, int(notional / (v.state[market, LOT_VALUE] * v.state[market, INDEX])))
    allowed = largest_order(ledger, account, np.int64(market), np.int64(order.side), marks)
    return min(lots, allowed)


@njit(nogil=True, **UNCALLED)
def submit(v: Any, row: Any, shown: Any, cause: Any) -> None:
    """Write an order, and match it up to its price; `shown`: the limit in its record, 0: none."""
    order = v.pool[row]
    reduces = 1 if draw_uniform(v.streams, order.market) < REDUCING_SHARE else 0
    write_order(v, row, shown, -1, reduces)
    filled = match_order(v, row, order.tick, cause)
    v.state[order.market, TAKEN] += filled * order.side


@njit(nogil=True, **UNCALLED)
def end_at_once(v: Any, row: Any, reason: Any) -> None:
    """End an order that does not rest: what is left of it is cancelled."""
    if v.pool[row].left > 0:
        write_cancel(v, row, v.pool[row].placed, reason)
    give_row(v, row)


@njit(nogil=True, **UNCALLED)
def take(v: Any, row: Any, reach: Any) -> None:
    """Take at once up to `reach` ticks beyond the touch; below 0: without a limit."""
    order = v.pool[row]
    touch = v.market[order.market, ASK if order.side > 0 else BID]
    if order.left <= 0 or not 0 < touch < NO_ASK:
        give_row(v, row)
        return
    most = int(touch * COLLAR) if reach < 0 else reach
    order.tick = max(1, touch + order.side * most)
    submit(v, row, 0 if reach < 0 else order.tick, TRADE)
    end_at_once(v, row, BY_VENUE if reach < 0 else USER)


@njit(nogil=True, **UNCALLED)
def draw_place(v: Any, order: Any) -> None:
    """How far behind the touch a limit order will rest (its `tick`, for now), and how long."""
    streams, market = v.streams, order.market
    steps = draw_from(v.tables, DISTANCE, streams, market)
    order.tick = int(steps * v.market[market, STEP])
    if draw_uniform(streams, market) < IMPROVING_SHARE:
        order.tick = -1
    order.life = int(draw_from(v.tables, LIFETIME, streams, market) * SECOND_NS)


@njit(nogil=True, **UNCALLED)
def draw_limit_order(v: Any, ledger: Any, marks: Any, order: Any) -> None:
    """Size, distance and lifetime of a noise trader's limit order."""
    order.size = order.left = draw_lots(v, ledger, marks, order, LIMIT_WEALTH)
    draw_place(v, order)


@njit(nogil=True, **UNCALLED)
def place_limit(v: Any, row: Any, replaces: Any) -> Any:
    """Place an order its `tick` ticks behind the touch of its side; whether it rests then.

    `replaces`: the id of the order in whose stead it comes; below 0: none.
    """
    order = v.pool[row]
    market, side = order.market, order.side
    if order.left <= 0:
        give_row(v, row)
        return False
    touch = v.market[market, BID if side > 0 else ASK]
    if not 0 < touch < NO_ASK:
        touch = int(v.state[market, FAIR])
    order.tick = max(1, touch - side * order.tick)
    if replaces < 0:
        submit(v, row, order.tick, TRADE)
    else:
        write_order(v, row, order.tick, replaces, 0)
        match_order(v, row, order.tick, TRADE)
    if order.left > 0 and rest_order(v, row, order.tick):
        return True
    end_at_once(v, row, BY_VENUE)
    return False


@njit(nogil=True, **UNCALLED)
def tolerance(v: Any, market: Any) -> Any:
    """By how many ticks a price may be wrong before an arbitrageur acts."""
    return v.state[market, FAIR] * WRONG_RATE + v.market[market, STEP]


@njit(nogil=True, **UNCALLED)
def correct_price(v: Any, row: Any) -> None:
    """An arbitrageur takes what is wrong, if it still is."""
    order = v.pool[row]
    market = order.market
    touch = v.market[market, ASK if order.side > 0 else BID]
    wrong = (v.state[market, FAIR] - touch) * order.side
    order.size = order.left = max(1, int(ARBITRAGE_QUOTES * v.state[market, LEVEL_LOTS]))
    if wrong <= tolerance(v, market):
        order.left = 0
    take(v, row, int(wrong - tolerance(v, market) / 2))


@njit(nogil=True, **UNCALLED)
def trade_at_once(v: Any, ledger: Any, marks: Any, row: Any) -> None:
    """A noise trader, or a trend follower, takes."""
    order = v.pool[row]
    market = order.market
    if order.agent == TREND:
        trend = middle_of(v, market) - v.state[market, TREND_MEAN]
        if abs(trend) > TREND_STEPS * v.market[market, STEP]:
            order.side = 1 if trend > 0 else -1
    order.size = order.left = draw_lots(v, ledger, marks, order, TAKER_WEALTH)
    reach = -1
    if draw_uniform(v.streams, market) >= MARKET_SHARE:
        reach = draw_below(v.streams, market, REACH_STEPS) * v.market[market, STEP]
    take(v, row, reach)
