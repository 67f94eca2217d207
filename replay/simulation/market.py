"""The simulated venue: its markets, its accounts, and the movement of prices and depth.

Prices are correlated random walks with stochastic volatility. Depth falls when prices move and
refills afterwards. Activity follows the time of day and a slow drift. All arrays have a row for
each second and a column for each market.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitor.core.contract.fixed_point import SCALE
from monitor.core.contract.units import DAY_S, SECOND_NS
from monitor.core.decode.batch import Int64, TextColumn
from replay.simulation.incidents.disturbances import Disturbances

Float64 = NDArray[np.float64]
Rng = np.random.Generator
Rows = NDArray[np.void]
"""A structured array: records of one kind."""

CYCLE_AMPLITUDE = 0.4
"""Amplitude of the daily cycle of activity, which peaks at 15:00 UTC."""
DRIFT_S, DRIFT_SIGMA = 300.0, 0.25
"""The slow drift of activity, one part shared by all markets and one of each market: time constant,
and standard deviation of the logarithm."""
CORRELATION = 0.6
"""Between the returns of two markets."""
VOLATILITY_S, VOLATILITY_SIGMA = 600.0, 0.5
"""The logarithm of volatility: time constant and standard deviation."""
REFILL_S = 20.0
"""Time constant with which the book refills."""
LEVELS = 20
DEPTH_FACTOR_MIN, DEPTH_FACTOR_MAX = 0.05, 5.0
BASIS_S, BASIS_SIGMA = 120.0, 3e-4
"""Mark over index, less one: time constant and standard deviation."""
NOISES = 5
"""Normal deviates of a market in a second: price, volatility, activity, depth and basis."""

# name, price, volatility a year, highest leverage
_NAMED_MARKETS = (
    ("BTC-PERP", 91_850.0, 0.55, 40),
    ("ETH-PERP", 3_012.0, 0.70, 25),
    ("SOL-PERP", 151.2, 0.85, 20),
    ("XRP-PERP", 2.214, 0.90, 20),
    ("DOGE-PERP", 0.1467, 1.00, 10),
    ("AVAX-PERP", 13.85, 1.05, 10),
    ("LINK-PERP", 12.94, 0.95, 10),
    ("SUI-PERP", 1.571, 1.10, 10),
)
_CALENDAR_YEAR_S = 365.25 * DAY_S
"""Of the volatilities above; `units.YEAR_S` has 365 days, and simulated days keep their bytes."""


@dataclass(frozen=True, slots=True)
class SimulatedMarkets:
    """The constants of the markets; arrays over markets, the busiest first.

    Prices at the opening are in quote currency, tick and lot in 1e-8. `sigma`: volatility of one
    second's log return. `share` of the venue's orders: sums to 1.
    """

    names: list[str]
    text: TextColumn
    price: Float64
    tick: Int64
    lot: Int64
    sigma: Float64
    share: Float64
    leverage_max: Int64


def make_markets(rng: Rng, count: int) -> SimulatedMarkets:
    """`count` markets: eight well-known names, then invented ones."""
    rows = list(_NAMED_MARKETS[:count])
    for number in range(len(rows), count):
        price = round(float(10 ** rng.uniform(-1, 2)), 4)
        rows.append((f"X{number}-PERP", price, float(rng.uniform(0.8, 1.4)), 5))
    names = [row[0] for row in rows]
    prices, volatility, leverage = np.array([row[1:] for row in rows]).T
    magnitude = np.floor(np.log10(prices)).astype(np.int64)
    share = 1 / (1 + np.arange(count)) ** 0.7
    return SimulatedMarkets(
        names,
        TextColumn.from_strings([*names]),
        prices,
        np.array([10 ** (8 - 4 + m) for m in magnitude.tolist()], np.int64),
        np.array([10 ** (8 - m) for m in magnitude.tolist()], np.int64),
        volatility / np.sqrt(_CALENDAR_YEAR_S),
        share / share.sum(),
        leverage.astype(np.int64),
    )


@dataclass(frozen=True, slots=True)
class Population:
    """The accounts: a few are very active and rich, most are hardly ever active.

    `wealth`: equity at the day's opening, quote currency. `makers`: indices of the market makers.
    """

    names: list[str]
    text: TextColumn
    wealth: Float64
    makers: Int64
    _cumulative_activity: Float64
    """Running sum of the accounts' shares of activity, up to 1; market makers have none."""

    def draw(self, rng: Rng, count: int) -> Int64:
        """`count` accounts at random, in proportion to their activity; no market makers."""
        draws = rng.random(count)
        return np.searchsorted(self._cumulative_activity, draws, side="right").astype(np.int64)


def make_population(rng: Rng, count: int) -> Population:
    """`count` accounts; one in a hundred, at least two, is a market maker."""
    rank = rng.permutation(count)
    makers = np.flatnonzero(rank < max(2, count // 100))
    weight: Float64 = 1 / (10.0 + rank)
    wealth: Float64 = np.asarray(
        5e5 * (1 + rank) ** -0.8 * np.exp(0.8 * rng.standard_normal(count)) + 500.0, np.float64
    )
    wealth[makers] = 2e7 * np.exp(0.5 * rng.standard_normal(len(makers)))
    weight[makers] = 0
    activity = np.cumsum(weight / weight.sum())
    activity[-1] = 1.0
    names = [f"a-{n}" for n in range(count)]
    return Population(names, TextColumn.from_strings([*names]), wealth.round(2), makers, activity)


@dataclass(frozen=True, slots=True)
class Stretch:
    """Some seconds of the market; arrays of shape (seconds, markets).

    In ticks: `mid`, and `spread` from the mid to the best price. As multiples of the usual: `depth`
    of the book and `activity`, the rate of events. `basis`: mark over index, less one.
    """

    start_ts: int
    mid: Int64
    spread: Int64
    depth: Float64
    activity: Float64
    basis: Float64

    @property
    def seconds(self) -> int:
        return len(self.mid)


def daily_cycle(start_ts: int, seconds: int) -> Float64:
    """Activity at each second from `start_ts` on, by the time of day; its mean over a day is 1."""
    clock = (start_ts // SECOND_NS + np.arange(seconds)) % DAY_S
    return 1 + CYCLE_AMPLITUDE * np.cos(2 * np.pi * (clock / DAY_S - 15 / 24))


class MarketWalk:
    """Prices, volatility, depth and activity from second to second."""

    def __init__(self, rng: Rng, markets: SimulatedMarkets) -> None:
        count = len(markets.names)
        self._rng, self._markets = rng, markets
        self._log_price = np.log(markets.price)
        self._volatility = VOLATILITY_SIGMA * rng.standard_normal(count + 1)
        self._activity = DRIFT_SIGMA * rng.standard_normal(count + 1)
        self._depth = np.zeros(count)
        self._basis = np.zeros(count)

    def price(self) -> Float64:
        """The present price of each market."""
        return np.exp(self._log_price)

    def step(self, start_ts: int, disturbed: Disturbances) -> Stretch:
        """The next seconds, as many as `disturbed` has."""
        markets, count = self._markets, len(self._markets.names)
        seconds = len(disturbed.depth_kept)
        # The last column of the noise is the part that all markets share.
        noise = self._rng.standard_normal((seconds, NOISES, count + 1))
        price, depth, activity, basis = (np.empty((seconds, count)) for _ in range(4))
        for second in range(seconds):
            move, volatility, drift, refill, premium = noise[second]
            _step_ou(self._volatility, volatility, VOLATILITY_S, VOLATILITY_SIGMA)
            _step_ou(self._activity, drift, DRIFT_S, DRIFT_SIGMA)
            _step_ou(self._basis, premium[:count], BASIS_S, BASIS_SIGMA)
            shock = np.sqrt(CORRELATION) * move[count] + np.sqrt(1 - CORRELATION) * move[:count]
            scale = np.exp((self._volatility[:count] + self._volatility[count]) / np.sqrt(2))
            self._log_price += markets.sigma * scale * shock + disturbed.index_return[second]
            self._depth -= self._depth / REFILL_S + 0.06 * (np.abs(scale * shock) - 0.8)
            self._depth += 0.06 * refill[:count]
            price[second] = self._log_price
            depth[second] = self._depth
            activity[second] = self._activity[:count] + self._activity[count]
            basis[second] = self._basis
        kept = disturbed.depth_kept
        wider = np.where(kept < 1, np.rint(0.5 / kept), 0).astype(np.int64)
        return Stretch(
            start_ts,
            np.maximum(np.rint(np.exp(price) * SCALE / markets.tick), 1000).astype(np.int64),
            1 + (depth < -0.5) + self._rng.poisson(0.3, depth.shape) + wider,
            np.clip(np.exp(depth), DEPTH_FACTOR_MIN, DEPTH_FACTOR_MAX) * kept,
            np.exp(activity - DRIFT_SIGMA**2) * daily_cycle(start_ts, seconds)[:, None],
            basis + disturbed.premium,
        )


def _step_ou(state: Float64, noise: Float64, time_s: float, sigma: float) -> None:
    """Advance an Ornstein-Uhlenbeck process by a second, in place; `sigma`: its long-run standard
    deviation."""
    keep = np.exp(-1 / time_s)
    state *= keep
    state += sigma * np.sqrt(1 - keep**2) * noise
