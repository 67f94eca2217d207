"""Who would be deleveraged: arrays of a whole venue against exact rationals, account by account."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from monitor.core.bands.inputs import RuleArrays
from monitor.core.cascade.deleveraging import LARGEST, OtherSide, RankedPositions, close_against
from monitor.core.margin.paths.ranking import SCORES, Ranking, Standing
from monitor.core.margin.regimes import REGIMES
from tests.core.bands.position_arrays import sort_positions
from tests.core.margin.paths.liquidations import tiers

MARK = np.array([100.0, 40.0])
TABLES = tiers((0, "0.03125"), (4_096, "0.0625")), tiers((0, "0.125"))


@pytest.mark.parametrize("ranking", list(Ranking))
def test_the_other_side_stands_in_the_venues_order(ranking: Ranking) -> None:
    rng = np.random.default_rng(5)
    count, price = 60, 84.0
    quantity = rng.integers(1, 90, (count, 2)) * rng.choice([-1, 1], (count, 2))
    entry = rng.choice([64.0, 80.0, 96.0, 112.0, 128.0], (count, 2))
    cash = rng.integers(-3_000, 15_000, count).astype(float)
    positions = sort_positions(
        np.repeat(np.arange(count), 2), np.tile([0, 1], count), quantity.ravel().astype(float),
        entry.ravel(), cash, np.zeros(count, np.int64),
    )  # fmt: skip
    generic = REGIMES["generic"]
    rules = RuleArrays.from_markets([(generic, table) for table in TABLES])
    ranked = OtherSide.sort(positions, rules, MARK).rank(0, -1, price, ranking)
    expected = []
    for pool in range(count):
        values = [Fraction(price), Fraction(MARK[1])]
        q = [Fraction(int(one)) for one in quantity[pool]]
        equity = Fraction(cash[pool]) + sum(a * b for a, b in zip(q, values, strict=True))
        need = sum(
            max(row.rate * abs(a) * b - row.deduction for row in table.rows)
            for a, b, table in zip(q, values, TABLES, strict=True)
        )
        if q[0] < 0 and equity > 0:
            standing = Standing(
                -1, Fraction(entry[pool, 0]), values[0], -q[0] * values[0], equity, need
            )
            score = 0 if ranking is Ranking.BY_LOT else SCORES[ranking](standing)
            expected.append((-score, pool))
    assert len(expected) > 10
    assert ranked.pools.tolist() == [pool for _, pool in sorted(expected)]
    assert ranked.size.tolist() == [-float(quantity[pool, 0]) for _, pool in sorted(expected)]


def test_a_quantity_is_spread_in_that_order_and_the_largest_are_shown() -> None:
    ranked = RankedPositions(np.arange(4), np.array([3.0, 10.0, 5.0, 2.0]))
    order, lost = close_against(ranked, 16.0)
    assert (order.tolist(), lost.tolist()) == ([1, 0, 2], [10.0, 3.0, 3.0])
    many = RankedPositions(np.arange(30), np.ones(30))
    assert len(close_against(many, 25.0)[0]) == LARGEST
    order, lost = close_against(many, 1e9)
    assert lost.sum() == LARGEST


def test_a_market_of_an_unknown_mark_makes_its_holders_unfit() -> None:
    """Their equity is not known, so nobody says that they would be deleveraged."""
    positions = sort_positions(
        np.array([0, 0, 1]), np.array([0, 1, 0]), np.array([-5.0, 1.0, -5.0]),
        np.full(3, 100.0), np.array([900.0, 900.0]), np.zeros(2, np.int64),
    )  # fmt: skip
    rules = RuleArrays.from_markets([(REGIMES["generic"], table) for table in TABLES])
    other = OtherSide.sort(positions, rules, np.array([100.0, np.nan]))
    assert other.rank(0, -1, 90.0, Ranking.PROFIT).pools.tolist() == [1]
