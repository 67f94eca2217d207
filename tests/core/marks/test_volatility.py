"""The volatility estimator: what it measures, and what it leaves out."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
import pytest

from monitor.core.contract.units import SECOND_NS, YEAR_S
from monitor.core.marks.volatility import VolatilityBank

MARKET = 1


def fresh(**settings: float) -> VolatilityBank:
    bank = VolatilityBank(**settings)
    bank.grow(MARKET + 1)
    return bank


def take(
    bank: VolatilityBank, prices: Iterable[float], apart_s: float = 1.0, at_s: float = 0.0
) -> None:
    """Give prices that are so far apart, from a time on."""
    values = np.array(list(prices), np.float64)
    seconds = at_s + np.arange(len(values)) * apart_s
    times = np.rint(seconds * SECOND_NS).astype(np.int64)
    bank.update(np.full(len(values), MARKET), times, values)


def walk(sigma: float, seconds: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    prices: np.ndarray = 100 * np.exp(np.cumsum(rng.normal(0, sigma / math.sqrt(YEAR_S), seconds)))
    return prices


@pytest.mark.parametrize("sigma", [0.2, 0.6, 1.5])
def test_the_estimate_is_the_volatility_of_the_walk(sigma: float) -> None:
    bank = fresh(half_life_s=7_200, step_s=10.0)
    take(bank, walk(sigma, 36_000, seed=5))
    assert bank.sigma[MARKET] == pytest.approx(sigma, rel=0.08)


def test_there_is_no_estimate_before_enough_returns() -> None:
    bank = fresh(step_s=10.0)
    take(bank, [100.0, 101.0] * 150)
    assert math.isnan(bank.sigma[MARKET])
    take(bank, [100.0, 101.0] * 10, at_s=300.0)
    assert bank.sigma[MARKET] == 0.0, "the last of each step is the same"


def test_a_jump_over_a_gap_is_no_return() -> None:
    bank = fresh(step_s=10.0)
    take(bank, np.full(600, 100.0))
    take(bank, np.full(600, 200.0), at_s=2_000.0)
    assert bank.sigma[MARKET] == 0.0


def test_only_the_last_mark_of_a_step_counts_for_the_volatility() -> None:
    sparse, dense = fresh(step_s=10.0), fresh(step_s=10.0)
    for step, price in enumerate(walk(0.6, 500, seed=1)):
        end_s = step * 10 + 9.0
        take(dense, float(price) * (1 + 0.01 * np.arange(5)), at_s=end_s - 6)
        take(dense, [price], at_s=end_s)
        take(sparse, [price], at_s=end_s)
    assert dense.sigma[MARKET] == sparse.sigma[MARKET]


def test_prices_that_are_no_numbers_above_0_or_come_too_early_are_ignored() -> None:
    plain, with_others = fresh(step_s=10.0), fresh(step_s=10.0)
    for bank in (plain, with_others):
        take(bank, walk(0.6, 600, seed=3))
    take(with_others, [math.nan, 0.0, -1.0], at_s=600.0)
    take(with_others, [1.0], at_s=580.0)
    assert with_others.snapshot() == plain.snapshot()


def test_markets_together_are_what_each_is_alone() -> None:
    alone, together = fresh(step_s=10.0), fresh(step_s=10.0)
    prices = walk(0.6, 900, seed=6)
    take(alone, prices)
    times = np.repeat(np.arange(900), 2) * SECOND_NS
    together.update(np.tile([0, MARKET], 900), times, np.repeat(prices, 2))
    assert together.snapshot()[MARKET] == alone.snapshot()[MARKET]
    assert together.snapshot()[0] == alone.snapshot()[MARKET]


def volatility_of(prices: np.ndarray, apart_s: float = 1.0) -> VolatilityBank:
    bank = fresh(half_life_s=36_000)
    take(bank, prices, apart_s)
    return bank


@pytest.mark.parametrize(("every_s", "low", "high"), [(1, 0.0, 3.0), (10, 5.0, 17.0)])
def test_the_grain_of_a_walk_is_the_time_between_its_steps(
    every_s: int, low: float, high: float
) -> None:
    prices = np.repeat(walk(0.6, 86_400 // every_s, seed=8), every_s)
    assert low <= volatility_of(prices).grain_s[MARKET] <= high


def test_a_mark_that_jumps_once_a_minute_has_a_grain_of_half_a_minute() -> None:
    jumps = volatility_of(np.repeat(walk(0.6, 1_440, seed=8), 60))
    assert jumps.grain_s[MARKET] == pytest.approx(32.5, abs=2)
    assert volatility_of(np.full(7_200, 100.0)).grain_s[MARKET] == 0.0


def test_an_estimate_continues_from_a_snapshot() -> None:
    prices = walk(0.6, 7_200, seed=2)
    whole, first = volatility_of(prices), volatility_of(prices[:3_000])
    resumed = fresh(half_life_s=36_000)
    resumed.restore(first.snapshot())
    take(resumed, prices[3_000:], at_s=3_000.0)
    assert resumed.snapshot() == whole.snapshot()
    assert resumed.sigma[MARKET] == whole.sigma[MARKET]
