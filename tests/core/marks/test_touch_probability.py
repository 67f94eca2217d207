"""The chance of touching a price: the formula against simulated paths, and its monotonicity."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.core.contract.units import YEAR_S
from monitor.core.marks.touch_probability import (
    BARRIER_SHIFT,
    FAT_TAILS,
    HORIZONS_S,
    NORMAL_TAILS,
    touch_chances,
)
from tests.bench.forecast_scores import reliability

DISTANCES = st.floats(0.0001, 0.5)
SIGMAS = st.floats(0.05, 3.0)


def touch_chance(
    distance: float,
    sigma: float,
    horizon_s: float,
    tails: Sequence[float] = FAT_TAILS,
    grain_s: float = 0.0,
) -> float:
    """Of one price."""
    return float(touch_chances(np.array([distance]), sigma, horizon_s, tails, grain_s)[0])


def test_a_price_five_percent_away_is_touched_in_a_day_with_the_published_chance() -> None:
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
    return lowest - BARRIER_SHIFT * sigma * math.sqrt(dt)


@pytest.mark.parametrize(("distance", "sigma"), [(-0.01, 0.6), (-0.03, 0.6), (-0.05, 1.2)])
def test_simulated_paths_touch_as_often_as_the_formula_says(distance: float, sigma: float) -> None:
    lowest = paths(sigma, 86_400, 20_000, 500, seed=3)
    expected = touch_chance(distance, sigma, 86_400, NORMAL_TAILS)
    error = math.sqrt(expected * (1 - expected) / 20_000)
    assert abs(float((lowest <= distance).mean()) - expected) < 4 * error + 0.003


@given(DISTANCES, SIGMAS, st.sampled_from(HORIZONS_S), st.sampled_from([NORMAL_TAILS, FAT_TAILS]))
def test_a_nearer_price_or_a_longer_horizon_never_lowers_the_chance(
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
def test_a_longer_horizon_or_more_volatility_never_lowers_the_chance_on_either_side(
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
def test_a_coarse_mark_touches_less_often_and_more_often_over_a_longer_horizon(
    distance: float, sigma: float, horizon: float, growth: float, grain: float
) -> None:
    here = touch_chance(distance, sigma, horizon, FAT_TAILS, grain)
    assert here <= touch_chance(distance, sigma, horizon, FAT_TAILS) + 1e-12
    assert touch_chance(distance, sigma, growth * horizon, FAT_TAILS, grain) >= here - 1e-12


@given(st.floats(3.5, 8.0))
def test_fat_tails_raise_the_chance_of_far_prices(deviations: float) -> None:
    sigma, horizon = 0.6, 3_600.0
    distance = -deviations * sigma * math.sqrt(horizon / YEAR_S)
    assert touch_chance(distance, sigma, horizon, FAT_TAILS) > touch_chance(
        distance, sigma, horizon, NORMAL_TAILS
    )


def test_the_mixture_keeps_the_variance() -> None:
    assert sum(FAT_TAILS) / len(FAT_TAILS) == pytest.approx(1.0)
    assert len(set(FAT_TAILS)) == len(FAT_TAILS)


def test_the_mark_itself_is_touched_and_nan_stays_nan() -> None:
    chances = touch_chances(np.array([0.0, np.nan, -0.01]), 0.6, 60.0)
    assert chances[0] == 1.0
    assert math.isnan(chances[1])
    assert chances[2] == touch_chance(-0.01, 0.6, 60.0)


def test_a_coarse_walk_touches_as_often_as_its_grain_says() -> None:
    sigma, horizon, steps = 0.6, 60.0, 6
    rng = np.random.default_rng(5)
    each = sigma * math.sqrt(horizon / YEAR_S / steps)
    lowest = np.cumsum(rng.normal(0, each, (40_000, steps)), axis=1).min(axis=1)
    for deviations in (0.5, 1.0, 2.0):
        distance = -deviations * sigma * math.sqrt(horizon / YEAR_S)
        forecast = touch_chance(distance, sigma, horizon, NORMAL_TAILS, horizon / steps)
        assert abs(float((lowest <= distance).mean()) - forecast) < 0.015
        assert touch_chance(distance, sigma, horizon, NORMAL_TAILS) > forecast + 0.01


def test_forecasts_of_simulated_paths_come_true_as_often_as_they_say() -> None:
    sigma = 0.6
    lowest = paths(sigma, 3_600, 20_000, 300, seed=9)
    spread = sigma * math.sqrt(3_600 / YEAR_S)
    distance = -spread * np.random.default_rng(4).uniform(0.1, 3.0, len(lowest))
    forecasts = touch_chances(distance, sigma, 3_600, NORMAL_TAILS)
    for row in reliability(forecasts, lowest <= distance):
        error = math.sqrt(row.forecast * (1 - row.forecast) / row.count)
        assert abs(row.true_share - row.forecast) < 4 * error + 0.01
