"""Simulated days of some minutes, with a cascade or without: everything drawn from one seed."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass

import numpy as np

from detectors.arrays.types import Bool, Float64, Int64
from tests.bench.cascades.population import Crowd, enter_crowd
from tests.bench.cascades.state import LOT_USD, START_TICKS, UNITS_PER_USD, Rules
from tests.bench.cascades.venue import SimulatedVenue

YEAR_S = 365 * 86_400
MARKETS = 3
NAMES = tuple(f"M{i}-PERP" for i in range(MARKETS))
CALM_S, SHOCK_S, AFTER_S = 900, 120, 480
"""Seconds before the shock, the longest shock, and seconds after it."""
SURVIVES_MEDIAN, SURVIVES_P90 = 1 / 3.4, 1 / 17
"""Depth that survives in the median event and at the 90th percentile of 639 (October 2025)."""
DEPTH_OF_LONGS = 0.01
"""Depth within 1 % of a side, calm, over the notional of longs: a market of 1.8 bn shows 18 M."""


TRADERS = 400
FORCED_BEFORE_MAX = 0.25
"""Of the depth within 1 %: more than that forced before the shock is a cascade of its own."""
DRAWS_MAX = 20


@dataclass(slots=True)
class SimulatedDay:
    """`shock`: log distance of the outside move, 0: none; it begins at second `CALM_S` and takes
    `shock_s`. `isolated`: by row of the accounts. `outside`: (seconds, markets), ticks."""

    venue: SimulatedVenue
    isolated: Bool
    outside: Int64
    shock: float
    shock_s: int

    def copy_venue(self) -> SimulatedVenue:
        """The venue as it stands, to try out what comes."""
        return copy.deepcopy(self.venue)


def market_rules(long_usd: Float64, survives: float, resilience: float) -> Rules:
    """Three markets of 40, 20 and 10 times leverage, whose depth goes with their size."""
    rate = np.array([0.0125, 0.025, 0.05])[: len(long_usd)]
    return Rules(
        rate,
        2.0 * rate,
        np.full(len(rate), 100e6 * UNITS_PER_USD),
        np.maximum(long_usd * DEPTH_OF_LONGS, 2e5) / LOT_USD,
        np.full(len(rate), survives),
        np.full(len(rate), 4e-4),
        np.full(len(rate), resilience),
        np.zeros(len(rate), np.int64),
    )


def draw_survives(rng: np.random.Generator) -> float:
    """Log-normal through the two percentiles, at most 1."""
    spread = math.log(SURVIVES_MEDIAN / SURVIVES_P90) / 1.2816
    return min(1.0, SURVIVES_MEDIAN * math.exp(rng.normal(0.0, spread)))


def draw_day(seed: int, shocked: bool, traders: int = TRADERS) -> SimulatedDay:
    """`shocked`: whether the outside price falls by 1 to 8 % within half to two minutes.

    A day whose accounts run into each other before the shock is drawn again.
    """
    for draw in range(DRAWS_MAX):
        day = _draw(np.random.default_rng([seed, int(shocked), draw]), shocked, traders)
        calm = day.copy_venue().advance(day.outside[:CALM_S])
        depth = day.venue.rules.depth * START_TICKS
        if np.all(calm.total().sum(axis=0) < FORCED_BEFORE_MAX * depth):
            return day
    raise AssertionError(f"seed {seed}: no day in {DRAWS_MAX} is calm before its shock")


def _draw(rng: np.random.Generator, shocked: bool, traders: int) -> SimulatedDay:
    long_usd = 2e9 * np.array([0.6, 0.3, 0.1]) * math.exp(rng.normal(0.0, 0.5))
    survives, resilience = draw_survives(rng), math.exp(rng.uniform(math.log(0.01), math.log(0.1)))
    rules = market_rules(long_usd, survives, resilience)
    crowd = Crowd(traders, long_usd, rng.uniform(0.5, 1.0), math.exp(rng.uniform(0, math.log(4))))
    vault = crowd.long_usd.sum() * 0.002
    venue = SimulatedVenue.open(rules, (vault, vault), traders)
    isolated = enter_crowd(venue, crowd, rng)
    shock = rng.uniform(0.01, 0.08) if shocked else 0.0
    shock_s = int(rng.integers(30, SHOCK_S))
    return SimulatedDay(venue, isolated, draw_outside(rng, shock, shock_s), shock, shock_s)


def draw_outside(rng: np.random.Generator, shock: float, shock_s: int) -> Int64:
    """A common factor and each market's own walk, both with volatility that wanders by itself."""
    seconds = CALM_S + SHOCK_S + AFTER_S
    a_second = math.exp(rng.normal(math.log(0.5), 0.4)) / math.sqrt(YEAR_S)
    # Volatility reverts within some 5 minutes, with a deviation of its log of .5.
    noise, level = rng.normal(0.0, 1.0, seconds), rng.normal(0.0, 0.5)
    logs = np.empty(seconds)
    keep = math.exp(-1.0 / 300.0)
    for t in range(seconds):
        level = keep * level + 0.5 * math.sqrt(1.0 - keep * keep) * noise[t]
        logs[t] = level
    sigma = a_second * np.exp(logs)
    factor = np.cumsum(sigma * rng.normal(0.0, 1.0, seconds))
    own = np.cumsum(sigma[:, None] * rng.normal(0.0, 0.5, (seconds, MARKETS)), axis=0)
    fall = np.interp(np.arange(seconds), [0, CALM_S, CALM_S + shock_s], [0.0, 0.0, -shock])
    beta = np.array([1.0, 1.2, 1.5])
    path = beta * (factor + fall)[:, None] + own
    ticks: Int64 = np.rint(START_TICKS * np.exp(path)).astype(np.int64)
    return ticks
