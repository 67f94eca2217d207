"""The volatility estimator: what it measures, and what it leaves out."""

from __future__ import annotations

import math

import numpy as np
import pytest

from monitor.core.contract.units import SECOND_NS, YEAR_S
from monitor.core.marks.volatility import Volatility


def walk(sigma: float, seconds: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    prices: np.ndarray = 100 * np.exp(np.cumsum(rng.normal(0, sigma / math.sqrt(YEAR_S), seconds)))
    return prices


@pytest.mark.parametrize("sigma", [0.2, 0.6, 1.5])
def test_the_estimate_is_the_volatility_of_the_walk(sigma: float) -> None:
    volatility = Volatility(half_life_s=7_200, step_s=10.0)
    for second, price in enumerate(walk(sigma, 36_000, seed=5)):
        volatility.update(second * SECOND_NS, float(price))
    assert volatility.sigma == pytest.approx(sigma, rel=0.08)


def test_there_is_no_estimate_before_enough_returns() -> None:
    volatility = Volatility(step_s=10.0)
    for second in range(300):
        volatility.update(second * SECOND_NS, 100.0 + second % 2)
    assert volatility.sigma is None
    for second in range(300, 320):
        volatility.update(second * SECOND_NS, 100.0 + second % 2)
    assert volatility.sigma is not None


def test_a_jump_over_a_gap_is_no_return() -> None:
    volatility = Volatility(step_s=10.0)
    for second in range(600):
        volatility.update(second * SECOND_NS, 100.0)
    for second in range(2_000, 2_600):
        volatility.update(second * SECOND_NS, 200.0)
    assert volatility.sigma == 0.0


def test_only_the_last_mark_of_a_step_counts_for_the_volatility() -> None:
    sparse, dense = Volatility(step_s=10.0), Volatility(step_s=10.0)
    for step, price in enumerate(walk(0.6, 500, seed=1)):
        end = (step * 10 + 9) * SECOND_NS
        for early in range(5):
            dense.update(end - (6 - early) * SECOND_NS, float(price) * (1 + 0.01 * early))
        dense.update(end, float(price))
        sparse.update(end, float(price))
    assert dense.sigma == sparse.sigma


def volatility_of(prices: np.ndarray, apart_s: float = 1.0) -> Volatility:
    volatility = Volatility(half_life_s=36_000)
    for i, price in enumerate(prices.tolist()):
        volatility.update(round(i * apart_s * SECOND_NS), price)
    return volatility


@pytest.mark.parametrize(("every_s", "low", "high"), [(1, 0.0, 3.0), (10, 5.0, 17.0)])
def test_the_grain_of_a_walk_is_the_time_between_its_steps(
    every_s: int, low: float, high: float
) -> None:
    prices = np.repeat(walk(0.6, 86_400 // every_s, seed=8), every_s)
    assert low <= volatility_of(prices).grain_s <= high


def test_a_mark_that_jumps_once_a_minute_has_a_grain_of_half_a_minute() -> None:
    assert volatility_of(np.repeat(walk(0.6, 1_440, seed=8), 60)).grain_s == pytest.approx(
        32.5, abs=2
    )
    assert volatility_of(np.full(7_200, 100.0)).grain_s == 0.0


def test_an_estimate_continues_from_a_snapshot() -> None:
    prices = walk(0.6, 7_200, seed=2)
    whole, first = volatility_of(prices), volatility_of(prices[:3_000])
    resumed = Volatility(half_life_s=36_000)
    resumed.restore(first.snapshot())
    for second, price in enumerate(prices[3_000:].tolist(), 3_000):
        resumed.update(second * SECOND_NS, price)
    assert resumed.snapshot() == whole.snapshot()
