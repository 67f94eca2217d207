"""The simulated venue: its markets and its accounts.

Everything is the same on every machine: of functions only the square root is used, which IEEE 754
fixes, or the result is rounded so that a last bit cannot matter.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitor.core.contract.fixed_point import MONEY_SCALE, SCALE
from monitor.core.contract.units import DAY_S, SECOND_NS
from monitor.core.decode.batch import Int64, TextColumn
from replay.simulation.trading.draws import draw_array, log_normal_quantiles

Float64 = NDArray[np.float64]
Rng = np.random.Generator
Rows = NDArray[np.void]
"""A structured array: records of one kind."""

CYCLE_AMPLITUDE = 0.4
"""Amplitude of the daily cycle of activity, which peaks at 15:00 UTC."""
GRID = float(1 << 40)
"""What no unit gives a grid is a multiple of 1 over this."""
VAULT, FUND = "venue-vault", "venue-fund"
"""Accounts of the venue's own, behind all others: backstop vault and insurance fund."""

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
"""Of the volatilities above."""


def round_to_grid(values: Float64) -> Float64:
    """`values` without what lies below `GRID`."""
    rounded: Float64 = np.rint(values * GRID) / GRID
    return rounded


@dataclass(frozen=True, slots=True)
class SimulatedMarkets:
    """The constants of the markets; arrays over markets, the busiest first.

    Prices at the opening are in quote currency, tick and lot in 1e-8. `sigma`: volatility of one
    second's return. `share` of the venue's orders: sums to 1.
    """

    names: list[str]
    text: TextColumn
    price: Float64
    tick: Int64
    lot: Int64
    sigma: Float64
    share: Float64
    leverage_max: Int64

    @property
    def ticks(self) -> Float64:
        """Prices at the opening, in ticks."""
        ticks: Float64 = np.rint(self.price * SCALE / self.tick)
        return ticks

    @property
    def lot_value(self) -> Float64:
        """The value of one lot at a price of one tick, quote currency."""
        value: Float64 = self.tick / SCALE * (self.lot / SCALE)
        return value


def make_markets(rng: Rng, count: int) -> SimulatedMarkets:
    """`count` markets: eight well-known names, then invented ones."""
    rows = list(_NAMED_MARKETS[:count])
    for number in range(len(rows), count):
        price = round(float(10 ** rng.uniform(-1, 2)), 4)
        rows.append((f"X{number}-PERP", price, round(float(rng.uniform(0.8, 1.4)), 3), 5))
    names = [row[0] for row in rows]
    prices, volatility, leverage = np.array([row[1:] for row in rows]).T
    magnitude = [len(str(int(p))) - 1 if p >= 1 else -1 for p in prices.tolist()]
    share = round_to_grid(1 / (1 + np.arange(count)) ** 0.7)
    return SimulatedMarkets(
        names,
        TextColumn.from_strings([*names]),
        prices,
        np.array([10 ** (8 - 4 + m) for m in magnitude], np.int64),
        np.array([10 ** (8 - m) for m in magnitude], np.int64),
        volatility / np.sqrt(_CALENDAR_YEAR_S),
        share / np.cumsum(share)[-1],
        leverage.astype(np.int64),
    )


@dataclass(frozen=True, slots=True)
class Population:
    """The accounts: a few are very active and rich, most are hardly ever active.

    `names`: of all accounts but the venue's own two, which `text` has at its end. `wealth`: equity
    at the day's opening, quote currency. `makers`, `arbitrageurs`: indices of the market makers and
    of those who trade against the index. `activity`: running sum of the accounts' shares of
    activity, up to 1; makers and arbitrageurs have none.
    """

    names: list[str]
    text: TextColumn
    wealth: Float64
    makers: Int64
    arbitrageurs: Int64
    activity: Float64

    def draw(self, rng: Rng, count: int) -> Int64:
        """`count` accounts at random, in proportion to their activity."""
        draws = rng.random(count)
        return np.searchsorted(self.activity, draws, side="right").astype(np.int64)

    def guide(self) -> Int64:
        """For each equal part of 0 to 1 the first account in it: where the search for a draw
        begins."""
        count = len(self.activity)
        return np.searchsorted(self.activity, np.arange(count) / count, side="right")


def make_population(rng: Rng, count: int) -> Population:
    """`count` accounts; one in a hundred, at least two, is a market maker, and one in four hundred,
    at least one, an arbitrageur."""
    rank = rng.permutation(count)
    roles = max(2, count // 100), max(1, count // 400)
    makers = np.flatnonzero(rank < roles[0])
    arbitrageurs = np.flatnonzero((rank >= roles[0]) & (rank < sum(roles)))
    spread = draw_array(rng, log_normal_quantiles(0.8), (count,))
    wealth: Float64 = 5e5 * spread / np.sqrt((1.0 + rank) * np.sqrt(1.0 + rank)) + 500.0
    for rich in (makers, arbitrageurs):
        wealth[rich] = 2e7 * draw_array(rng, log_normal_quantiles(0.5), (len(rich),))
    weight: Float64 = 1 / (10.0 + rank)
    weight[makers] = weight[arbitrageurs] = 0
    running = np.cumsum(weight)
    activity: Float64 = running / running[-1]
    activity[np.flatnonzero(weight)[-1] :] = 1.0
    names = [f"a-{n}" for n in range(count)]
    text = TextColumn.from_strings([*names, VAULT, FUND])
    cents = np.rint(wealth * 100) / 100
    return Population(names, text, cents, makers, arbitrageurs, activity)


def daily_cycle(start_ts: int, seconds: int) -> Float64:
    """Activity at each second from `start_ts` on, by the time of day; its mean over a day is 1."""
    clock = (start_ts // SECOND_NS + np.arange(seconds)) % DAY_S
    return round_to_grid(1 + CYCLE_AMPLITUDE * np.cos(2 * np.pi * (clock / DAY_S - 15 / 24)))


def to_money(amounts: Float64) -> Int64:
    """Amounts in quote currency as 1e-6 of it."""
    return np.rint(amounts * MONEY_SCALE).astype(np.int64)
