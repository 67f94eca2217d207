"""A simulated venue: its accounts, books and marks, second by second."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from detectors.arrays.types import Int64
from tests.bench.cascades.state import (
    FIRST_TRADER,
    LEVELS,
    MAKERS,
    START_TICKS,
    UNITS_PER_USD,
    Accounts,
    History,
    Market,
    Rules,
)
from tests.bench.cascades.steps import run_seconds

CALM_SECONDS = 30
"""In which the books fill before the first second."""


@dataclass(slots=True)
class SimulatedVenue:
    """`now`: the second that comes next."""

    rules: Rules
    accounts: Accounts
    market: Market
    now: int = 0

    @classmethod
    def open(cls, rules: Rules, vault_usd: tuple[float, float], traders: int) -> SimulatedVenue:
        """Full books around the first price, and traders without money or positions."""
        markets, rows = len(rules.rate), FIRST_TRADER + traders
        accounts = Accounts(
            np.zeros((rows, markets), np.int64),
            np.full((rows, markets), float(START_TICKS)),
            np.zeros(rows, np.int64),
            np.full(rows, -1),
        )
        accounts.cash[1:3] = np.rint(np.array(vault_usd) * UNITS_PER_USD).astype(np.int64)
        start, fair = np.full(markets, START_TICKS), np.full(markets, float(START_TICKS))
        book = np.zeros((markets, LEVELS), np.int64)
        market = Market(
            book, book.copy(), fair, fair.copy(), np.ones(markets), np.zeros(markets),
            np.zeros(markets), start.copy(), start.copy(), start.copy(), start,
        )  # fmt: skip
        venue = cls(rules._replace(resilience=np.ones(markets)), accounts, market)
        venue.advance(np.full((CALM_SECONDS, markets), START_TICKS))
        venue.rules, venue.now = rules, 0
        return venue

    def enter(self, row: int, market: int, lots: int, equity_usd: float = 0.0) -> None:
        """A trader gets a position at the mark, the makers its other side, and money from outside.

        `row`: its number among the accounts. `lots`: signed."""
        price = int(self.market.mark[market])
        self.accounts.quantity[[row, MAKERS], market] += [lots, -lots]
        self.accounts.cash[[row, MAKERS]] += [-lots * price, lots * price]
        self.accounts.cash[row] += round(equity_usd * UNITS_PER_USD)

    def advance(self, outside: Int64) -> History:
        """Run as many seconds as `outside` (seconds, markets; ticks) has rows."""
        history = History.empty(*outside.shape)
        run_seconds(self.now, outside, self.rules, self.accounts, self.market, history)
        self.now += len(outside)
        return history
