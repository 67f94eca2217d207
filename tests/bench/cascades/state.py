"""What a simulated venue is, as arrays that its compiled steps read and change.

All amounts are integers, so that a sum says exactly whether anything was lost: prices in ticks (a
market begins at `START_TICKS`), quantities in lots (one is `LOT_USD` at the start), money in ticks
times lots. Nothing here or in the steps imports the engine: the venue is the judge.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from detectors.arrays.types import Float64, Int64

START_TICKS = 100_000
LOT_USD = 10.0
UNITS_PER_USD = START_TICKS / LOT_USD
LEVEL_TICKS = 50
"""One level of the book: 5 bp of the first price."""
LEVELS = 4_000
"""Up to twice the first price."""
MAKERS, VAULTS, FIRST_TRADER = 0, 1, 3
"""Rows of accounts: the makers behind every resting order, then one backstop vault for each of two
groups of markets, then the traders."""


class Rules(NamedTuple):
    """By market. `rate`, `high_rate`: maintenance below and above `bound` (money); `depth`: lots
    that rest within 1 % of a side when nothing is withdrawn; `survives`: the least share of it that
    makers leave in turmoil; `turmoil`: mean move a second (log) at which they leave no more than
    that, and begin to withdraw at a third of it; `resilience`: part of what is missing that comes
    back in a second, of the resting quantities and of the distance from the outside price;
    `group`: 0 or 1, whose vault takes over.
    """

    rate: Float64
    high_rate: Float64
    bound: Float64
    depth: Float64
    survives: Float64
    turmoil: Float64
    resilience: Float64
    group: Int64


class Accounts(NamedTuple):
    """`quantity` (accounts, markets) lots, signed; `entry`: average entry price, ticks; `cash`:
    money, less what the positions cost, so that equity is cash + Σ quantity · mark; `last_order`:
    second of the last forced order. An isolated position is an account of its own."""

    quantity: Int64
    entry: Float64
    cash: Int64
    last_order: Int64


class Market(NamedTuple):
    """By market: the book (`bid`, `ask`: lots by level), `fair`: around which makers quote, ticks,
    and `fair_before`, a second ago; `share`: of the depth that is there now; `motion`: mean move a
    second (log) of late; `premium`: average of the book's middle less the outside price, ticks;
    `outside`, `mark`, `previous_mark`, `last`: ticks."""

    bid: Int64
    ask: Int64
    fair: Float64
    fair_before: Float64
    share: Float64
    motion: Float64
    premium: Float64
    outside: Int64
    mark: Int64
    previous_mark: Int64
    last: Int64


class History(NamedTuple):
    """By second and market. `outside`, `mark`, `low`, `high` (mark, and the last prices touched in
    the second): ticks. Money forced: `sold`, `bought` by orders in the book, `taken` over by the
    vaults at the mark, `deleveraged`; `adl_fills`: how many counterparties. `depth_bid`,
    `depth_ask`: lots within 1 % at the second's begin."""

    outside: Int64
    mark: Int64
    low: Int64
    high: Int64
    sold: Int64
    bought: Int64
    taken: Int64
    deleveraged: Int64
    adl_fills: Int64
    depth_bid: Int64
    depth_ask: Int64

    @classmethod
    def empty(cls, seconds: int, markets: int) -> History:
        return cls(*(np.zeros((seconds, markets), np.int64) for _ in cls._fields))

    def total(self) -> Int64:
        """Money that was forced out of its owners' hands, by second and market: each once, though
        what a vault took over may be deleveraged later."""
        return self.sold + self.bought + self.taken

    def joined(self, other: History) -> History:
        return History(*(np.concatenate(pair) for pair in zip(self, other, strict=True)))
