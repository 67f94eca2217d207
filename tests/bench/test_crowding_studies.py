"""The rules by which `bench_crowding` judges, on made months."""

from __future__ import annotations

import numpy as np

from tests.bench.bench_crowding import (
    COINS,
    Events,
    Market,
    alerts_of,
    match,
    threshold_for,
    unwinds_of,
)

DAYS = 40


def month_with(fall_day: int, interest_after: float) -> Market:
    """Flat prices from a midnight on, but for one fall of the first coin by a fifth."""
    hours = 24 * DAYS
    noise = 1e-4 * np.random.default_rng(1).standard_normal((len(COINS), hours))
    price, interest = 100 * np.exp(noise), np.linspace(2e6, 1e6, hours)[None].repeat(5, axis=0)
    price[0, 24 * fall_day + 5 :] *= 0.8
    interest[0, 24 * fall_day + 5 :] *= interest_after
    return Market(24 * 20_000, price, np.zeros_like(price), interest)


def test_the_largest_fall_with_falling_open_interest_is_an_unwind() -> None:
    for after, is_unwind in ((0.9, True), (1.5, False)):
        unwinds = unwinds_of(month_with(30, after), 0, 24 * DAYS)
        assert len(unwinds.hour) == 5 * len(COINS)
        of_first = unwinds.hour[unwinds.coin == 0]
        assert (24 * 30 in of_first) == is_unwind
        if is_unwind:
            assert unwinds.side[list(unwinds.hour).index(24 * 30)] == -1


def test_alerts_lie_a_day_apart_and_the_threshold_gives_no_more_than_asked() -> None:
    score = np.abs(np.random.default_rng(3).standard_normal((len(COINS), 24 * DAYS)))
    threshold = threshold_for(score, 12, 0, 24 * DAYS)
    alerts = alerts_of(score, threshold, 0, 24 * DAYS)
    assert 10 <= len(alerts.hour) <= 12
    many = alerts_of(score, 0.0, 0, 24 * DAYS)
    assert len(many.hour) == len(COINS) * DAYS


def test_an_alert_tells_what_begins_within_the_horizon_on_its_coin_and_side() -> None:
    unwinds = Events(np.array([0]), np.array([100]), np.array([-1.0]))
    coin, hour = np.array([0, 0, 0, 1, 0]), np.array([100, 76, 75, 90, 101])
    alerts = Events(coin, hour, np.ones(5))
    assert match(alerts, unwinds, 24, True)[:, 0].tolist() == [True, True, False, False, False]
    shorts = alerts._replace(side=-alerts.side)
    assert not match(shorts, unwinds, 24, True).any()
    assert match(shorts, unwinds, 24, False).any()
