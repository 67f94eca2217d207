"""Theorems about the chance of touching a price, its volatility and its score."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.core.marks.volatility import (
    FAT_TAILS,
    HORIZONS_S,
    NORMAL_TAILS,
    YEAR_S,
    Volatility,
    brier,
    reliability,
    touch_chance,
    touch_chances,
)

DISTANCES = st.floats(0.0001, 0.5)
SIGMAS = st.floats(0.05, 3.0)


def test_five_percent_away_at_sixty_percent_a_year_is_touched_in_a_day_once_in_ten() -> None:
    assert touch_chance(math.log(0.95), 0.6, 86_400, NORMAL_TAILS) == pytest.approx(
        0.1051, abs=5e-5
    )


def paths(sigma: float, horizon_s: float, count: int, steps: int, seed: int) -> np.ndarray:
    """The lowest log-price of each path, corrected for looking only at the steps' ends."""
    rng = np.random.default_rng(seed)
    dt = horizon_s / YEAR_S / steps
    moves = rng.normal(-0.5 * sigma**2 * dt, sigma * math.sqrt(dt), (count, steps))
    lowest: np.ndarray = np.cumsum(moves, axis=1).min(axis=1)
    # Broadie, Glasserman and Kou 1997: a barrier seen at steps only acts 0.5826 σ√dt further off.
    return lowest - 0.5826 * sigma * math.sqrt(dt)


@pytest.mark.parametrize(("distance", "sigma"), [(-0.01, 0.6), (-0.03, 0.6), (-0.05, 1.2)])
def test_simulated_paths_touch_as_often_as_the_formula_says(distance: float, sigma: float) -> None:
    lowest = paths(sigma, 86_400, 20_000, 500, seed=3)
    expected = touch_chance(distance, sigma, 86_400, NORMAL_TAILS)
    error = math.sqrt(expected * (1 - expected) / 20_000)
    assert abs(float((lowest <= distance).mean()) - expected) < 4 * error + 0.003


@given(DISTANCES, SIGMAS, st.sampled_from(HORIZONS_S), st.sampled_from([NORMAL_TAILS, FAT_TAILS]))
def test_a_nearer_price_or_a_longer_wait_never_lowers_the_chance(
    distance: float, sigma: float, horizon: float, tails: tuple[float, ...]
) -> None:
    here = touch_chance(-distance, sigma, horizon, tails)
    assert 0.0 <= here <= 1.0
    assert touch_chance(-distance / 2, sigma, horizon, tails) >= here - 1e-12
    assert touch_chance(-distance, sigma, 2 * horizon, tails) >= here - 1e-12


@given(
    st.one_of(DISTANCES, DISTANCES.map(lambda d: -d)),
    SIGMAS,
    st.floats(1.0, 86_400.0),
    st.floats(1.0, 10.0),
    st.sampled_from([NORMAL_TAILS, FAT_TAILS]),
)
def test_on_either_side_neither_a_longer_wait_nor_more_volatility_lowers_the_chance(
    distance: float, sigma: float, horizon: float, growth: float, tails: tuple[float, ...]
) -> None:
    here = touch_chance(distance, sigma, horizon, tails)
    assert touch_chance(distance, sigma, growth * horizon, tails) >= here - 1e-12
    assert touch_chance(distance, growth * sigma, horizon, tails) >= here - 1e-12


@given(
    st.one_of(DISTANCES, DISTANCES.map(lambda d: -d)),
    SIGMAS,
    st.sampled_from(HORIZONS_S),
    st.floats(1.0, 10.0),
    st.floats(0.0, 60.0),
)
def test_a_coarse_mark_reaches_less_far_and_further_the_longer_one_waits(
    distance: float, sigma: float, horizon: float, growth: float, grain: float
) -> None:
    here = touch_chance(distance, sigma, horizon, FAT_TAILS, grain)
    assert here <= touch_chance(distance, sigma, horizon, FAT_TAILS) + 1e-12
    assert touch_chance(distance, sigma, growth * horizon, FAT_TAILS, grain) >= here - 1e-12


@given(st.floats(3.5, 8.0))
def test_fat_tails_make_the_far_likelier(deviations: float) -> None:
    sigma, horizon = 0.6, 3_600.0
    distance = -deviations * sigma * math.sqrt(horizon / YEAR_S)
    assert touch_chance(distance, sigma, horizon, FAT_TAILS) > touch_chance(
        distance, sigma, horizon, NORMAL_TAILS
    )


def test_the_mixture_keeps_the_variance() -> None:
    assert sum(FAT_TAILS) / len(FAT_TAILS) == pytest.approx(1.0)
    assert len(set(FAT_TAILS)) == len(FAT_TAILS)


def test_the_mark_itself_is_touched_and_an_unknown_price_stays_unknown() -> None:
    found = touch_chances(np.array([0.0, np.nan, -0.01]), 0.6, 60.0)
    assert found[0] == 1.0
    assert math.isnan(found[1])
    assert found[2] == touch_chance(-0.01, 0.6, 60.0)


def walk(sigma: float, seconds: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    prices: np.ndarray = 100 * np.exp(np.cumsum(rng.normal(0, sigma / math.sqrt(YEAR_S), seconds)))
    return prices


@pytest.mark.parametrize("sigma", [0.2, 0.6, 1.5])
def test_the_measured_volatility_is_that_of_the_walk(sigma: float) -> None:
    measure = Volatility(half_life_s=7_200, step_s=10.0)
    for second, price in enumerate(walk(sigma, 36_000, seed=5)):
        measure.update(second * 10**9, float(price))
    assert measure.sigma == pytest.approx(sigma, rel=0.08)


def test_volatility_is_not_known_before_enough_returns() -> None:
    measure = Volatility(step_s=10.0)
    for second in range(300):
        measure.update(second * 10**9, 100.0 + second % 2)
    assert measure.sigma is None
    for second in range(300, 320):
        measure.update(second * 10**9, 100.0 + second % 2)
    assert measure.sigma is not None


def test_a_jump_across_a_gap_is_no_return() -> None:
    measure = Volatility(step_s=10.0)
    for second in range(600):
        measure.update(second * 10**9, 100.0)
    for second in range(2_000, 2_600):
        measure.update(second * 10**9, 200.0)
    assert measure.sigma == 0.0


def test_more_marks_inside_a_step_change_nothing() -> None:
    sparse, dense = Volatility(step_s=10.0), Volatility(step_s=10.0)
    for step, price in enumerate(walk(0.6, 500, seed=1)):
        end = (step * 10 + 9) * 10**9
        for early in range(5):
            dense.update(end - (6 - early) * 10**9, float(price) * (1 + 0.01 * early))
        dense.update(end, float(price))
        sparse.update(end, float(price))
    assert dense.sigma == sparse.sigma


def measured(prices: np.ndarray, apart_s: float = 1.0) -> Volatility:
    measure = Volatility(half_life_s=36_000)
    for i, price in enumerate(prices.tolist()):
        measure.update(round(i * apart_s * 1e9), price)
    return measure


@pytest.mark.parametrize(("every_s", "low", "high"), [(1, 0.0, 3.0), (10, 5.0, 17.0)])
def test_the_grain_of_a_walk_is_how_far_apart_its_steps_are(
    every_s: int, low: float, high: float
) -> None:
    prices = np.repeat(walk(0.6, 86_400 // every_s, seed=8), every_s)
    assert low <= measured(prices).grain_s <= high


def test_a_mark_that_jumps_once_a_minute_has_a_grain_of_half_a_minute() -> None:
    assert measured(np.repeat(walk(0.6, 1_440, seed=8), 60)).grain_s == pytest.approx(32.5, abs=2)
    assert measured(np.full(7_200, 100.0)).grain_s == 0.0


def test_a_coarse_walk_touches_as_often_as_its_grain_says() -> None:
    sigma, horizon, steps = 0.6, 60.0, 6
    rng = np.random.default_rng(5)
    each = sigma * math.sqrt(horizon / YEAR_S / steps)
    lowest = np.cumsum(rng.normal(0, each, (40_000, steps)), axis=1).min(axis=1)
    for deviations in (0.5, 1.0, 2.0):
        distance = -deviations * sigma * math.sqrt(horizon / YEAR_S)
        said = touch_chance(distance, sigma, horizon, NORMAL_TAILS, horizon / steps)
        assert abs(float((lowest <= distance).mean()) - said) < 0.015
        assert touch_chance(distance, sigma, horizon, NORMAL_TAILS) > said + 0.01


def test_the_score_and_the_table_are_exact_on_a_small_case() -> None:
    forecasts = np.array([0.1, 0.1, 0.8, 1.0])
    outcomes = np.array([False, True, True, True])
    assert brier(forecasts, outcomes) == pytest.approx((0.01 + 0.81 + 0.04 + 0.0) / 4)
    rows = reliability(forecasts, outcomes)
    assert [(r.low, r.count, r.true_share) for r in rows] == [
        (0.1, 2, 0.5),
        (0.8, 1, 1.0),
        (0.9, 1, 1.0),
    ]


def test_forecasts_of_simulated_paths_come_true_as_often_as_they_say() -> None:
    sigma = 0.6
    lowest = paths(sigma, 3_600, 20_000, 300, seed=9)
    spread = sigma * math.sqrt(3_600 / YEAR_S)
    distance = -spread * np.random.default_rng(4).uniform(0.1, 3.0, len(lowest))
    forecasts = touch_chances(distance, sigma, 3_600, NORMAL_TAILS)
    for row in reliability(forecasts, lowest <= distance):
        error = math.sqrt(row.forecast * (1 - row.forecast) / row.count)
        assert abs(row.true_share - row.forecast) < 4 * error + 0.01
