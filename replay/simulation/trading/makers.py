"""Market makers of the simulated venue.

Each quotes three ladders a side around its fair value: near, middle and far from the touch, each
`ratio` times as wide as the last. In its turn it takes back what is stale and fills what is
missing, nearest first. It skews its fair value by its inventory, and keeps less depth when prices
swing or an incident says so: a number that a level has for good decides whether it is kept.
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
from replay.simulation.trading.draws import chance_of, draw_below, draw_uniform
from replay.simulation.trading.state import (
    ASK,
    BID,
    CANCELS,
    FAIR,
    HALF,
    INVENTORY,
    KEPT,
    LADDERS,
    LEVEL_LOTS,
    LEVELS,
    MAKER_ACCOUNT,
    MAKERS,
    MAKERS_MAX,
    NO_ASK,
    ORDERS,
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
LEVEL_KEYS = 65_537
"""Between the numbers of two ladders' levels, in the keys of what is kept."""


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
    before = v.count[ORDERS] + v.count[CANCELS]
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
                if left == 0 or not is_kept(v, market, base, level):
                    continue
                tick = level * step + phase
                left -= fill_level(v, market, maker, base, level, tick, ts)
            away += LEVELS * step
            step *= v.market[market, RATIO]
    return v.count[ORDERS] + v.count[CANCELS] - before


@njit(nogil=True, **UNCALLED)
def is_kept(v: Any, market: Any, base: Any, level: Any) -> Any:
    """Whether a maker quotes a level while it keeps its present share of depth."""
    return chance_of(base * LEVEL_KEYS + level) < v.state[market, KEPT]


@njit(nogil=True, **UNCALLED)
def take_back(v: Any, market: Any, base: Any, top: Any, sign: Any, ts: Any) -> None:
    """Cancel the quotes of a ladder that are better than `top`, or no longer kept."""
    for place in range(base, base + LEVELS):
        row = v.quotes[place, QUOTE_ROW]
        if row:
            level = v.quotes[place, QUOTE_LEVEL]
            if (level - top) * sign > 0 or not is_kept(v, market, base, level):
                cancel_order(v, row, ts, USER)


@njit(nogil=True, **UNCALLED)
def fill_level(
    v: Any, market: Any, maker: Any, base: Any, level: Any, tick: Any,
    ts: Any,
) -> Any:  # fmt: skip
    """Quote a level where the maker does not yet, instead of the one that has its place; 1 if it
    does so now."""
    place = base + level % LEVELS
    if v.quotes[place, QUOTE_ROW] and v.quotes[place, QUOTE_LEVEL] == level:
        return 0
    side = 1 if (base // (LADDERS * LEVELS)) % 2 == 0 else -1
    touch = v.market[market, ASK if side > 0 else BID]
    if 0 < touch < NO_ASK and (tick - touch) * side >= 0:
        return 0  # it would take instead of rest
    if v.quotes[place, QUOTE_ROW]:
        cancel_order(v, v.quotes[place, QUOTE_ROW], ts, USER)
    v.quotes[place, QUOTE_LEVEL] = level
    return place_quote(v, market, maker, place, tick, ts)


@njit(nogil=True, **UNCALLED)
def place_quote(v: Any, market: Any, maker: Any, place: Any, tick: Any, ts: Any) -> Any:
    """Rest a quote of a size at random; 1, or 0 where its price has no slot."""
    ladder = place // LEVELS % LADDERS
    side = 1 if (place // (LADDERS * LEVELS)) % 2 == 0 else -1
    size = v.state[market, LEVEL_LOTS] * LADDER_WEIGHTS[ladder]
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
