"""Who would be deleveraged: the other side of a market, in its venue's order, at a mark."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from detectors.arrays.types import Float64, Int64
from monitor.core.bands.inputs import RuleArrays
from monitor.core.bands.kernels.arrays import PositionArrays
from monitor.core.cascade.standing_kernels import value_pools
from monitor.core.margin.paths.ranking import SCORES, Ranking, Standing

LARGEST = 10
"""Accounts that are shown, those that lose the most notional."""


class DeleveragedPosition(NamedTuple):
    """`quantity` (base units, positive) of an account's position that is closed against those that
    nobody else took; `notional` at today's mark. `rank`: 1 for the first in the venue's order."""

    account: str
    quantity: float
    notional: float
    rank: int


class RankedPositions(NamedTuple):
    """Positions in the venue's order: their pools, and their quantities, positive."""

    pools: Int64
    size: Float64


@dataclass(frozen=True, slots=True)
class OtherSide:
    """A venue's positions as those who may be deleveraged, sorted by market and side.

    `mark`: today's, by market. Those of bucket b (longs of market b, then shorts of market
    b − markets) are `slots[first[b] : first[b + 1]]`, and `pools` theirs.
    """

    positions: PositionArrays
    rules: RuleArrays
    mark: Float64
    first: Int64
    slots: Int64
    pools: Int64

    @classmethod
    def sort(cls, positions: PositionArrays, rules: RuleArrays, mark: Float64) -> OtherSide:
        p, markets = positions, len(mark)
        pools = np.repeat(np.arange(len(p.length)), p.length)
        before = np.cumsum(p.length) - p.length
        slots = np.arange(len(pools)) + np.repeat(p.start - before, p.length)
        bucket = p.market[slots] + np.where(p.quantity[slots] > 0.0, 0, markets)
        order = np.argsort(bucket, kind="stable")
        first = np.searchsorted(bucket[order], np.arange(2 * markets + 1))
        return cls(p, rules, mark, first.astype(np.int64), slots[order], pools[order])

    def rank(self, market: int, side: int, price: float, ranking: Ranking) -> RankedPositions:
        """The positions of `side` (1 long, −1 short) in a market when its mark is at `price`.

        Whose equity is below 0 there, or not known, has no place. Of equal ones the account whose
        hash is lower comes first, and where the venue draws lots, hashes are the lots.
        """
        p = self.positions
        bucket = market if side > 0 else len(self.mark) + market
        part = slice(self.first[bucket], self.first[bucket + 1])
        slots, pools = self.slots[part], self.pools[part]
        marks = self.mark.copy()
        marks[self.rules.market == market] = price
        equity, need = np.empty(len(pools)), np.empty(len(pools))
        value_pools(pools, p, self.rules.at_marks(marks), equity, need)
        sound = equity > 0.0
        pools, slots, equity, need = pools[sound], slots[sound], equity[sound], need[sound]
        size = np.abs(p.quantity[slots])
        if ranking is Ranking.BY_LOT:
            order = np.argsort(p.key[pools], kind="stable")
        else:
            sides, prices = np.full(len(pools), float(side)), np.full(len(pools), price)
            standing = Standing(sides, p.entry[slots], prices, size * price, equity, need)
            order = np.lexsort((p.key[pools], -SCORES[ranking](standing)))
        return RankedPositions(pools[order], size[order])


def close_against(ranked: RankedPositions, quantity: float) -> tuple[Int64, Float64]:
    """How a quantity is spread: the ranks that lose the most, and what each loses."""
    before = np.cumsum(ranked.size) - ranked.size
    lost = np.clip(quantity - before, 0.0, ranked.size)
    order = np.argsort(-lost, kind="stable")[:LARGEST]
    order = order[lost[order] > 0.0]
    return order, lost[order]
