"""Who trades at the simulated venue, and what each does when its turn comes.

Market makers quote three ladders a side around their fair value (near, middle and far from the
touch), take back what is stale, fill what is missing, skew by inventory, and keep less depth when
prices swing. Noise traders place limit orders behind the touch, or take. Trend followers take in
the direction of the last minute. Arbitrageurs take what is wrong against the index. All prices are
ticks, all quantities lots; distances are multiples of a market's step, the grid of the near ladder.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba.extending import register_jitable
from numpy.typing import NDArray

from detectors.arrays.types import Float64, Int64
from monitor.core.contract.units import MILLISECOND_NS, SECOND_NS
from replay.simulation.book import (
    BY_VENUE,
    NO_ASK,
    POST_ONLY,
    RESTING,
    SELF_TRADE,
    TRADE,
    USER,
    cancel_order,
    give_row,
    match_order,
    rest_order,
    take_out,
    take_row,
    tick_clock,
    write_cancel,
    write_order,
)
from replay.simulation.clearing.accounts import largest_order
from replay.simulation.draws import (
    DISTANCE,
    EXPONENTIAL,
    LIFETIME,
    SIZE,
    chance_of,
    draw_below,
    draw_from,
    draw_uniform,
)

MAKER, LIMIT, TAKE, TREND, ARBITRAGE, CROWD, PLANTED = range(7)
"""Who acts. `CROWD`: takers of an incident; `PLANTED`: an incident's own orders."""
MAKERS_MAX, LADDERS, LEVELS = 5, 3, 8
"""Market makers of a market at most; ladders a side of each; quotes of a ladder."""
QUOTES = 2 * LADDERS * LEVELS
"""Of a market maker in one market."""
LADDER_WEIGHTS = (1.0, 3.0, 8.0)
"""Size of a quote by ladder: depth grows away from the touch."""
MIX = (0.50, 0.87, 0.96, 1.0)
"""Running shares of makers, limit orders, takers and trend followers among arrivals."""
BRANCHING, SAME_KIND, SAME_ACCOUNT, SAME_SIDE = 0.6, 0.8, 0.6, 0.8
"""Arrivals that one excites, on average; shares of these that are alike."""
BRANCHING_SHARES = (0.548812, 0.878099, 0.976885, 0.996642, 0.999606)
"""Running shares of 0, 1, … arrivals excited (Poisson)."""
EXCITE_S = (0.15, 3.0)
"""Mean delays of a fast and of a slow reaction."""
REPLACED_SHARE, IMPROVING_SHARE, MARKET_SHARE, REDUCING_SHARE = 0.05, 0.05, 0.5, 0.1
"""Limit orders replaced at the end of their life; limit orders one tick better than the touch;
takers without a limit; orders that only reduce a position."""
LIMIT_WEALTH, TAKE_WEALTH = 0.003, 0.006
"""Typical notional of an order as a share of the account's wealth."""
COLLAR = 0.05
"""An order without a limit takes at most so far from the touch, as venues bound it."""
TREND_STEPS = 3.0
"""A trend follower acts where the price is so many steps from its mean of the last minute."""
ARBITRAGE_RATE = 3e-4
"""An arbitrageur acts where a price is wrong by more than this and a step."""
ARBITRAGE_LEVELS = 20.0
"""Most that it takes at once, in near quotes of one maker."""
SKEW_LEVELS, SKEW_STEPS_MAX = 40.0, 6.0
"""Inventory, in near quotes, that moves a maker's fair value by a step; steps at most."""
REQUOTE_MOST = 4
"""Quotes of a side that a maker places in one turn at most."""
FAIR, HALF, KEPT, PREMIUM, TREND_MEAN, SWING, INDEX, MARK, TAKEN = range(9)
"""Columns of `state`, of each market: the makers' fair value and half spread (ticks); the share of
their depth that they keep; fair value over index, less one; mean price of the last minute; swing
of the price as a multiple of the usual; index and mark (ticks); lots that takers bought in this
second, less those sold."""


class Agents(NamedTuple):
    """Of each market: random streams; the ladders' step (ticks) and the ratio of one ladder's step
    to the last one's; lots of a near quote; value of one lot at one tick (quote currency); how many
    makers, and their accounts; the arbitrageur's account. Of each quote: the level at which it is.
    Of each account: wealth, and what draws accounts by their activity (`draw_account`).
    """

    streams: NDArray[np.uint64]
    tables: Float64
    step: Int64
    ratio: Int64
    level_lots: Float64
    lot_value: Float64
    makers: Int64
    maker_account: NDArray[np.int32]
    arbitrageur: NDArray[np.int32]
    quote_level: Int64
    wealth: Float64
    activity: Float64
    guide: NDArray[np.int32]
    state: Float64


@register_jitable
def draw_account(agents: Any, market: Any) -> Any:
    """An account in proportion to its activity; no market maker, no arbitrageur."""
    draw = draw_uniform(agents.streams, market)
    account = agents.guide[int(draw * (len(agents.guide) - 1))]
    while agents.activity[account] <= draw:
        account += 1
    return account


@register_jitable
def draw_lots(agents: Any, market: Any, account: Any, share: Any) -> Any:
    """The lots of an order of about `share` of the account's wealth, at least one."""
    notional = agents.wealth[account] * share * draw_from(agents.tables, SIZE, agents.streams, market)
    return max(1, int(notional / (agents.lot_value[market] * agents.state[market, INDEX])))


@register_jitable
def middle_of(books: Any, market: Any) -> Any:
    """The middle of the book, ticks; the last price where a side is empty."""
    bid, ask = books.touch[market, 0], books.touch[market, 1]
    return (bid + ask) / 2 if bid > 0 and ask < NO_ASK else float(books.last[market])


@register_jitable
def requote(books: Any, tape: Any, agents: Any, market: Any, maker: Any, ts: Any, most: Any) -> Any:
    """A market maker takes back what is stale and places at most `most` quotes a side; how many
    messages that were."""
    state = agents.state[market]
    first = (market * MAKERS_MAX + maker) * QUOTES
    held_levels = books.inventory[market * MAKERS_MAX + maker] / agents.level_lots[market]
    skew = min(max(held_levels / SKEW_LEVELS, -SKEW_STEPS_MAX), SKEW_STEPS_MAX)
    fair = state[FAIR] - skew * agents.step[market]
    account = agents.maker_account[market, maker]
    before = tape.count[0] + tape.count[1]
    for side in range(2):
        sign = 1 - 2 * side
        step, away, placed = agents.step[market], state[HALF], 0
        for ladder in range(LADDERS):
            phase = maker * step // agents.makers[market]
            edge = (fair - sign * away - phase) / step
            top = int(np.floor(edge)) if side == 0 else int(np.ceil(edge))
            base = first + (side * LADDERS + ladder) * LEVELS
            weight = agents.level_lots[market] * LADDER_WEIGHTS[ladder]
            for place in range(LEVELS):
                row = books.quotes[base + place]
                level = agents.quote_level[base + place]
                stale = (level - top) * sign > 0 or chance_of(base * 65_537 + level) >= state[KEPT]
                if row and stale:
                    cancel_order(books, tape, row, ts, USER)
            for away_levels in range(LEVELS):
                level = top - sign * away_levels
                place = base + level % LEVELS
                if placed >= most or (books.quotes[place] and agents.quote_level[place] == level):
                    continue
                if chance_of(base * 65_537 + level) >= state[KEPT]:
                    continue
                tick = level * step + phase
                if (tick - books.touch[market, 1 - side]) * sign >= 0 and (
                    0 < books.touch[market, 1 - side] < NO_ASK
                ):
                    continue
                if books.quotes[place]:
                    cancel_order(books, tape, books.quotes[place], ts, USER)
                size = weight * (0.5 + 0.1 * away_levels)
                size *= 0.5 + draw_uniform(agents.streams, market)
                placed += place_quote(
                    books, tape, account, market, sign, tick, max(1, int(size)), place, ts
                )
                agents.quote_level[place] = level
            away += LEVELS * step
            step *= agents.ratio[market]
    return tape.count[0] + tape.count[1] - before


@register_jitable
def place_quote(
    books: Any, tape: Any, account: Any, market: Any, side: Any, tick: Any, lots: Any, place: Any,
    ts: Any,
) -> Any:  # fmt: skip
    """Rest an order that stands in `books.quotes` at `place`; 1, or 0 where its price has no
    slot."""
    row = take_row(books, market, account, side)
    order = books.pool[row]
    order.size = order.left = lots
    if not rest_order(books, row, tick):
        give_row(books, row)
        return 0
    order.placed = tick_clock(books, market, ts)
    order.quote = place + 1
    books.quotes[place] = row
    write_order(books, tape, row, tick, -1, 0)
    return 1


@register_jitable
def flicker(books: Any, tape: Any, agents: Any, market: Any, maker: Any, ts: Any) -> None:
    """A market maker replaces one of its near quotes, or middle ones, by another size."""
    first = (market * MAKERS_MAX + maker) * QUOTES
    side = draw_below(agents.streams, market, 2)
    at = draw_below(agents.streams, market, 2 * LEVELS)
    place = first + side * LADDERS * LEVELS + at
    row = books.quotes[place]
    if not row:
        return
    order = books.pool[row]
    tick, account, sign = order.tick, order.account, order.side
    weight = agents.level_lots[market] * LADDER_WEIGHTS[at // LEVELS]
    cancel_order(books, tape, row, ts, USER)
    size = weight * (0.5 + 0.1 * (at % LEVELS)) * (0.5 + draw_uniform(agents.streams, market))
    place_quote(books, tape, account, market, sign, tick, max(1, int(size)), place, ts)


@register_jitable
def submit(
    books: Any, tape: Any, agents: Any, row: Any, limit: Any, shown: Any, cause: Any
) -> Any:
    """Write an order and match it up to `limit` (ticks); the lots filled.

    `shown`: the limit that its record has; 0: none.
    """
    order = books.pool[row]
    market = order.market
    write_order(
        books, tape, row, shown, -1,
        1 if draw_uniform(agents.streams, market) < REDUCING_SHARE else 0,
    )  # fmt: skip
    filled = match_order(books, tape, row, limit, cause, QUOTES)
    agents.state[market, TAKEN] += filled * order.side
    return filled


@register_jitable
def end_at_once(books: Any, tape: Any, row: Any, reason: Any) -> None:
    """End an order that does not rest: what is left of it is cancelled."""
    order = books.pool[row]
    if order.left > 0:
        write_cancel(books, tape, row, order.placed, reason)
    give_row(books, row)


@register_jitable
def take(
    books: Any, tape: Any, agents: Any, ledger: Any, marks: Any, row: Any, lots: Any, reach: Any
) -> None:
    """An immediate-or-cancel order of `lots` up to `reach` ticks beyond the touch; below 0: a
    market order."""
    order = books.pool[row]
    market, side = order.market, order.side
    lots = min(lots, largest_order(ledger, order.account, market, side, marks))
    touch = books.touch[market, 1 if side > 0 else 0]
    if lots <= 0 or not 0 < touch < NO_ASK:
        give_row(books, row)
        return
    order.size = order.left = lots
    limit = touch + side * reach
    if reach < 0:
        limit = touch + side * int(touch * COLLAR)
    order.tick = max(1, limit)
    submit(books, tape, agents, row, order.tick, 0 if reach < 0 else order.tick, TRADE)
    end_at_once(books, tape, row, BY_VENUE if reach < 0 else USER)


@register_jitable
def place_limit(
    books: Any, tape: Any, agents: Any, row: Any, lots: Any, distance: Any, replaces: Any
) -> Any:
    """A limit order `distance` ticks behind the touch of its side; true where it rests then."""
    order = books.pool[row]
    market, side = order.market, order.side
    touch = books.touch[market, 0 if side > 0 else 1]
    if not 0 < touch < NO_ASK:
        touch = int(agents.state[market, FAIR])
    tick = max(1, touch - side * distance)
    order.size = order.left = lots
    order.tick = tick
    if replaces < 0:
        submit(books, tape, agents, row, tick, tick, TRADE)
    else:
        write_order(books, tape, row, tick, replaces, 0)
        match_order(books, tape, row, tick, TRADE, QUOTES)
    if order.left > 0 and rest_order(books, row, tick):
        return True
    end_at_once(books, tape, row, BY_VENUE)
    return False
