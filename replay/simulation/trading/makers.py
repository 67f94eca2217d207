"""Market makers of the simulated venue.

Each quotes three ladders a side around its fair value: near, middle and far from the touch, each
`ratio` times as wide as the last. In its turn it takes back what is stale and fills what is
missing, nearest first. It skews its fair value by its inventory. When prices swing, or an incident
says so, it keeps less depth: it takes its quotes back, and quotes smaller sizes and a wider spread.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from detectors.arrays.types import UNCALLED
from replay.simulation.trading.book import (
    cancel_order,
    give_row,
    rest_order,
    take_row,
    tick_clock,
    write_order,
)
from replay.simulation.trading.draws import draw_below, draw_uniform
from replay.simulation.trading.state import (
    ASK,
    BID,
    CANCELS,
    FAIR,
    HALF,
    INVENTORY,
    KEPT,
    KEPT_SCALE,
    LADDERS,
    LEVEL_LOTS,
    LEVELS,
    MAKER_ACCOUNT,
    MAKERS,
    MAKERS_MAX,
    NO_ASK,
    ORDERS,
    QUOTE_KEPT,
    QUOTE_LEVEL,
    QUOTE_ROW,
    QUOTES,
    RATIO,
    STEP,
    USER,
)

LADDER_WEIGHTS = (1.0, 3.0, 8.0)
"""Size of a quote by ladder: depth grows away from the touch."""
LEVEL_GROWTH = 0.1
"""By so much of the nearest quote's size each further one of a ladder is larger; the nearest has
half of the ladder's weight."""
SKEW_LEVELS, SKEW_STEPS_MAX = 40.0, 6.0
"""Inventory, in near quotes, that moves a maker's fair value by a step; steps at most."""
QUOTES_A_TURN = 4
"""Quotes of a side that a maker places in one turn at most: depth that was taken comes back turn by
turn."""
KEPT_APART = 1.5
"""A quote whose size is of a share of depth that is so many times too large is taken back, one that
is so many times too small is replaced in its turn."""


@njit(nogil=True, **UNCALLED)
def fair_value(v: Any, market: Any, maker: Any) -> Any:
    """A market maker's fair value, skewed against its inventory, ticks."""
    carried = v.makers[market * MAKERS_MAX + maker, INVENTORY] / v.state[market, LEVEL_LOTS]
    skew = min(max(carried / SKEW_LEVELS, -SKEW_STEPS_MAX), SKEW_STEPS_MAX)
    return v.state[market, FAIR] - skew * v.market[market, STEP]


@njit(nogil=True, **UNCALLED)
def requote(v: Any, market: Any, maker: Any, ts: Any) -> Any:
    """A market maker's turn; how many messages it sent."""
    fair = fair_value(v, market, maker)
    first = (market * MAKERS_MAX + maker) * QUOTES
    before = v.counts[ORDERS] + v.counts[CANCELS]
    for side in range(2):
        sign = 1 - 2 * side
        step, away, left = v.market[market, STEP], v.state[market, HALF], QUOTES_A_TURN
        for ladder in range(LADDERS):
            phase = maker * step // v.market[market, MAKERS]
            edge = (fair - sign * away - phase) / step
            top = int(np.floor(edge)) if side == 0 else int(np.ceil(edge))
            base = first + (side * LADDERS + ladder) * LEVELS
            take_back(v, market, base, top, sign, ts)
            for behind in range(LEVELS):
                level = top - sign * behind
                if left == 0:
                    break
                tick = level * step + phase
                left -= fill_level(v, market, maker, base, level, tick, ts)
            away += LEVELS * step
            step *= v.market[market, RATIO]
    return v.counts[ORDERS] + v.counts[CANCELS] - before


@njit(nogil=True, **UNCALLED)
def take_back(v: Any, market: Any, base: Any, top: Any, sign: Any, ts: Any) -> None:
    """Cancel the quotes of a ladder that are better than `top`, or too large by now."""
    most = v.state[market, KEPT] * KEPT_SCALE * KEPT_APART
    for place in range(base, base + LEVELS):
        quote = v.quotes[place]
        is_better = (quote[QUOTE_LEVEL] - top) * sign > 0
        if quote[QUOTE_ROW] and (is_better or quote[QUOTE_KEPT] > most):
            cancel_order(v, quote[QUOTE_ROW], ts, USER)


@njit(nogil=True, **UNCALLED)
def fill_level(
    v: Any, market: Any, maker: Any, base: Any, level: Any, tick: Any,
    ts: Any,
) -> Any:  # fmt: skip
    """Quote a level where the maker does not yet, instead of the one that has its place; 1 if it
    does so now."""
    place = base + level % LEVELS
    quote = v.quotes[place]
    is_large_enough = quote[QUOTE_KEPT] * KEPT_APART >= v.state[market, KEPT] * KEPT_SCALE
    if quote[QUOTE_ROW] and quote[QUOTE_LEVEL] == level and is_large_enough:
        return 0
    side = 1 if (base // (LADDERS * LEVELS)) % 2 == 0 else -1
    touch = v.market[market, ASK if side > 0 else BID]
    if 0 < touch < NO_ASK and (tick - touch) * side >= 0:
        return 0  # it would take instead of rest
    if quote[QUOTE_ROW]:
        cancel_order(v, quote[QUOTE_ROW], ts, USER)
    quote[QUOTE_LEVEL] = level
    return place_quote(v, market, maker, place, tick, ts)


@njit(nogil=True, **UNCALLED)
def place_quote(v: Any, market: Any, maker: Any, place: Any, tick: Any, ts: Any) -> Any:
    """Rest a quote of a size at random; 1, or 0 where its price has no slot."""
    ladder = place // LEVELS % LADDERS
    side = 1 if (place // (LADDERS * LEVELS)) % 2 == 0 else -1
    size = v.state[market, LEVEL_LOTS] * LADDER_WEIGHTS[ladder] * v.state[market, KEPT]
    size *= 0.5 + draw_uniform(v.streams, market)
    size *= 0.5 + LEVEL_GROWTH * (place % LEVELS)
    row = take_row(v, market, v.makers[market * MAKERS_MAX + maker, MAKER_ACCOUNT], side)
    order = v.pool[row]
    order.size = order.left = max(1, int(size))
    if not rest_order(v, row, tick):
        give_row(v, row)
        return 0
    order.placed = tick_clock(v, market, ts)
    order.quote = place + 1
    v.quotes[place, QUOTE_ROW] = row
    v.quotes[place, QUOTE_KEPT] = int(v.state[market, KEPT] * KEPT_SCALE)
    write_order(v, row, tick, -1, 0)
    return 1


@njit(nogil=True, **UNCALLED)
def flicker(v: Any, market: Any, maker: Any, ts: Any) -> None:
    """A market maker replaces one of its near or middle quotes by another size."""
    first = (market * MAKERS_MAX + maker) * QUOTES
    side = draw_below(v.streams, market, 2)
    place = first + side * LADDERS * LEVELS + draw_below(v.streams, market, 2 * LEVELS)
    row = v.quotes[place, QUOTE_ROW]
    if row:
        tick = v.pool[row].tick
        cancel_order(v, row, ts, USER)
        place_quote(v, market, maker, place, tick, ts)
