"""The simulated venue as it opens: how its market makers and traders are set up for its size."""

from __future__ import annotations

import numpy as np

from detectors.arrays.types import Float64, Int64
from replay.simulation.market import Population, Rng, SimulatedMarkets
from replay.simulation.trading import state as s
from replay.simulation.trading.arrivals import BRANCHING
from replay.simulation.trading.draws import make_tables
from replay.simulation.trading.makers import LADDER_WEIGHTS, LEVEL_GROWTH
from replay.simulation.trading.state import TradingState

MAKERS_FROM = (2.0, 10.0, 60.0, 300.0)
"""Records a second of a market from which it has one market maker more than one."""
TRACKING_SHARE = 0.4
"""Share of a market's records that its makers' quotes may take to follow the index: the less is
going on, the wider their step."""
USUAL_MOVE = 0.9
"""Mean size of the index's move in a second, of its volatility: 0.8 of a normal one, and more for
regimes."""
FAR_RATE = 0.03
"""The far ladders reach so far from the touch, about; depth within it is what a cascade meets."""
DEPTH_WEALTH = 0.04
"""Usual depth of a side within 25 bps, of a market with all orders of the venue, as a share of all
traders' wealth; open interest is about half of that wealth."""
NEAR_RATE = 25e-4
STEP_RATE_MAX = 1e-3
"""No step is wider than this part of the price: where that is not enough, there are more records
than asked for."""
QUOTES_MOVED = 3.0
"""Records with which a market maker follows the index by one step: a quote is cancelled and one
placed on each side, less what comes back within the second."""
FOLLOWING_MAX = 64.0
"""Records a second of one market maker that follows the index, at most: all its quotes move."""
EVENTS_PER_ARRIVAL = 2.1
"""Records (orders, cancels, fills) for each arrival, those that it causes at others included."""


def open_trading(
    rng: Rng, markets: SimulatedMarkets, population: Population, rate: float
) -> TradingState:
    """Empty books, and who will trade in them; `rate`: records of the venue a second.

    There are no incidents' orders yet, and no rows in pool and tape (`SimulatedVenue`).
    """
    count = len(markets.names)
    own_rate = rate * markets.share
    makers = 1 + np.searchsorted(np.array(MAKERS_FROM), own_rate, side="right")
    makers = np.minimum(makers, len(population.makers))
    swing = markets.sigma * markets.ticks * USUAL_MOVE
    step = np.maximum(np.rint(QUOTES_MOVED * makers * swing / (TRACKING_SHARE * own_rate)), 1)
    step = np.minimum(step, np.maximum(np.rint(markets.ticks * STEP_RATE_MAX), 1))
    ratio = np.clip(np.rint(np.sqrt(FAR_RATE * markets.ticks / (s.LEVELS * step))), 2, 24)
    traders = np.ones(len(population.wealth), bool)
    traders[population.makers] = traders[population.arbitrageurs] = False
    wealth = float(np.cumsum(population.wealth[traders])[-1])
    wanted = DEPTH_WEALTH * wealth * markets.share / (markets.lot_value * markets.ticks)
    quoted = makers * _near_depth(markets, step, ratio)
    level_lots = np.maximum(wanted / quoted, 1.0)
    market = np.zeros((count, s.MARKET_WIDTH), np.int64)
    for column, values in (
        (s.ASK, s.NO_ASK), (s.LAST_PRICE, markets.ticks), (s.STEP, step), (s.RATIO, ratio),
        (s.MAKERS, makers),
        (s.ARBITRAGEUR, population.arbitrageurs[np.arange(count) % len(population.arbitrageurs)]),
    ):  # fmt: skip
        market[:, column] = values
    state = np.zeros((count, s.STATE_WIDTH))
    for column, values in (
        (s.FAIR, markets.ticks), (s.TREND_MEAN, markets.ticks), (s.INDEX, markets.ticks),
        (s.KEPT, 1.0), (s.SWING, 1.0), (s.LEVEL_LOTS, level_lots),
        (s.LOT_VALUE, markets.lot_value), (s.USUAL_SWING, swing),
        (s.DEPTH_LOTS, level_lots * quoted),
    ):  # fmt: skip
        state[:, column] = values
    maker = np.zeros((count * s.MAKERS_MAX, 2), np.int64)
    place = np.arange(s.MAKERS_MAX)[None, :] + np.arange(count)[:, None]
    maker[:, s.MAKER_ACCOUNT] = population.makers[place % len(population.makers)].ravel()
    accounts = np.zeros((len(population.names) + 2, 2), np.int64)
    accounts[: len(population.names), s.GUIDE] = population.guide()
    return TradingState(
        pool=np.zeros(1, s.POOL_ROW), free=np.zeros(0, np.int32),
        slots=np.zeros((count, s.SLOTS, 2), np.int32), market=market, state=state,
        quotes=np.zeros((len(maker) * s.QUOTES, 3), np.int64), makers=maker,
        traders=np.stack([population.wealth, population.activity], axis=1), accounts=accounts,
        streams=rng.integers(2**63, size=count, dtype=np.uint64), tables=make_tables(),
        lists=np.zeros((count, s.AHEAD_S), np.int32), heap=np.zeros((0, 2), np.int64),
        planted=np.zeros(0, s.PLANTED_ORDER), orders=np.zeros(0, s.ORDER_ROW),
        cancels=np.zeros(0, s.CANCEL_ROW), fills=np.zeros(0, s.FILL_ROW),
        moves=np.zeros(0, s.MOVE_ROW), leverages=np.zeros(0, s.LEVERAGE_ROW),
        counts=np.zeros(s.COUNTS, np.int64),
    )  # fmt: skip


def _near_depth(markets: SimulatedMarkets, step: Float64, ratio: Float64) -> Float64:
    """What one market maker quotes of a side within 25 bps, in its near quotes' weight."""
    reach, away, depth = markets.ticks * NEAR_RATE, np.zeros(len(step)), np.zeros(len(step))
    width = step
    mean = 0.5 + LEVEL_GROWTH * (s.LEVELS - 1) / 2
    for weight in LADDER_WEIGHTS:
        levels = np.clip((reach - away) / width, 0.5 if weight == 1.0 else 0.0, s.LEVELS)
        depth = depth + weight * mean * levels
        away, width = away + s.LEVELS * width, width * ratio
    return depth


def spontaneous_rate(v: TradingState, markets: SimulatedMarkets, rate: float) -> Float64:
    """Arrivals of each market a second that nothing excites, so that with all that they cause, and
    the quotes that follow the index, there are `rate` records a second."""
    makers = v.market[:, s.MAKERS]
    following = QUOTES_MOVED * makers * v.state[:, s.USUAL_SWING] / v.market[:, s.STEP]
    following = np.minimum(following, FOLLOWING_MAX * makers)
    own = rate * markets.share
    left = np.maximum(own - following, 0.2 * own)
    arrivals: Float64 = left / EVENTS_PER_ARRIVAL * (1 - BRANCHING)
    return arrivals


def open_interest(positions: Int64, markets: int) -> Int64:
    """Long lots of each market, from the clearing house's positions."""
    long = positions[positions[:, 2] > 0]
    total = np.zeros(markets, np.int64)
    np.add.at(total, long[:, 1], long[:, 2])
    return total
