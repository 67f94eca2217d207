"""Price, trades, depth and spread over some seconds, on made markets."""

from __future__ import annotations

import numpy as np
import pytest

from detectors.arrays.types import Float64
from monitor.core.features.moments import IN, INPUT_COLUMNS, OUT, READY_S, Moments

SECOND_NS = 1_000_000_000
READY = int(READY_S)


def market(seconds: int, seed: int = 1, bps: float = 1.0) -> Float64:
    """A price that wanders by `bps` a second, two trades a second of 100 each, a depth of about
    1e5, and a spread of 0.1 bps that now and then is one of 5 bps for a moment."""
    rng = np.random.default_rng(seed)
    inputs = np.full((seconds, len(INPUT_COLUMNS)), np.nan)
    inputs[:, IN.mid] = 100 * np.exp(np.cumsum(bps * 1e-4 * rng.standard_normal(seconds)))
    inputs[:, IN.trades] = rng.poisson(2.0, seconds)
    inputs[:, IN.trade_notional] = 100 * inputs[:, IN.trades]
    inputs[:, IN.depth] = 1e5 * np.exp(0.3 * rng.standard_normal(seconds))
    inputs[:, IN.spread] = rng.choice([0.1, 0.2, 5.0], seconds, p=[0.7, 0.27, 0.03])
    return inputs


def moments_of(inputs: Float64, window_ns: int = SECOND_NS) -> Float64:
    return Moments(window_ns).step(inputs, np.zeros(len(inputs), np.int64))


def test_a_jump_is_a_move_over_all_spans_of_fewer_deviations_over_longer_ones() -> None:
    inputs = market(2000)
    inputs[1500:, IN.mid] *= 1.002
    out = moments_of(inputs)
    assert out[1500, OUT.price_move_1s] == pytest.approx(20, abs=4)
    assert out[1509, OUT.price_move_10s] == pytest.approx(20, abs=12)
    assert out[1510, OUT.price_move_1s] < 5
    deviations = [out[1500, getattr(OUT, f"price_move_{s}s_sd")] for s in (1, 10, 60)]
    assert deviations[0] == pytest.approx(20, rel=0.25)
    assert deviations[0] > 2 * deviations[1] > 2 * deviations[2]
    assert np.nanmax(out[:1500, OUT.price_move_1s_sd]) < 5


def test_a_young_market_has_no_moves_and_no_rushes() -> None:
    out = moments_of(market(READY + 100))
    assert np.isnan(out[:READY, OUT.price_move_10s_sd]).all()
    assert not np.isnan(out[READY + 2 :, OUT.price_move_10s_sd]).any()
    assert np.isnan(out[:READY, OUT.trades_10s_ratio]).all()
    assert not np.isnan(out[READY:, OUT.trades_10s_ratio]).any()


def test_nothing_is_known_of_the_future() -> None:
    inputs = market(1500)
    other = inputs.copy()
    other[1200:, IN.mid] *= 1.05
    other[1200:, IN.trades] += 50
    assert np.array_equal(moments_of(inputs)[:1200], moments_of(other)[:1200], equal_nan=True)


def test_one_jump_does_not_hide_the_next() -> None:
    inputs = market(2400)
    inputs[1500:, IN.mid] *= 1.01  # a hundred deviations
    inputs[1530:, IN.mid] *= 1.002
    assert moments_of(inputs)[1530, OUT.price_move_1s_sd] > 12


def test_what_comes_after_a_lack_of_books_is_no_move() -> None:
    inputs = market(1500)
    inputs[1200:1260, IN.mid] = np.nan
    inputs[1260:, IN.mid] *= 1.01
    out = moments_of(inputs)
    assert np.isnan(out[1200:1261, OUT.price_move_1s]).all()
    assert np.isnan(out[1260:1270, OUT.price_move_10s]).all()
    assert np.nanmax(out[1260:, OUT.price_move_60s_sd]) < 5


def test_without_books_the_price_is_that_of_the_trades_and_stands_until_the_next() -> None:
    inputs = market(1500)
    inputs[:, IN.trade_price] = np.where(np.arange(1500) % 3 == 0, inputs[:, IN.mid], np.nan)
    inputs[:, [IN.mid, IN.depth, IN.spread]] = np.nan
    inputs[1200:, IN.trade_price] *= 1.002
    out = moments_of(inputs)
    assert out[1200, OUT.price_move_1s] == pytest.approx(20, abs=6)
    assert out[1201, OUT.price_move_1s] == 0.0


def test_prices_that_bounce_move_no_farther_in_a_minute_than_in_a_second() -> None:
    """In deviations of such moves: those of a minute are not √60 of those of a second there."""
    rng = np.random.default_rng(4)
    inputs = market(9000)
    inputs[:, IN.mid] = 100 * (1 + 5e-4 * rng.choice([-1, 1], 9000))
    inputs[8000:, IN.mid] *= 1.005
    out = moments_of(inputs)
    assert out[8000, OUT.price_move_60s_sd] > 5
    assert np.nanmax(out[:8000, OUT.price_move_60s_sd]) < 3


def test_a_rush_is_of_ten_seconds_against_the_usual_by_number_and_by_notional() -> None:
    inputs = market(2000)
    inputs[1500:1510, IN.trades] = 20
    inputs[1500:1510, IN.trade_notional] = 100_000
    out = moments_of(inputs)
    assert out[1509, OUT.trades_10s] == 200
    assert out[1509, OUT.trades_10s_ratio] == pytest.approx(201 / 21, rel=0.1)
    assert out[1509, OUT.trade_notional_10s] == 1_000_000
    assert out[1509, OUT.trade_notional_10s_ratio] == pytest.approx(1_000_100 / 2_100, rel=0.2)
    assert np.nanmax(out[:1500, OUT.trades_10s_ratio]) < 2.5


def test_quiet_minutes_make_no_rush_of_what_is_usual_at_other_times() -> None:
    """Nor does a lively hour: the higher of both usual rates counts."""
    inputs = market(8000)
    columns = [IN.trades, IN.trade_notional]
    inputs[6000:7000, columns] = inputs[6000:7000, columns] // 20
    inputs[7000:7010, columns] = [2, 200]
    out = moments_of(inputs)
    assert out[7009, OUT.trades_10s_ratio] < 1.5
    assert out[7009, OUT.trade_notional_10s_ratio] < 1.5


def test_one_trade_in_a_market_without_many_is_no_rush() -> None:
    inputs = market(6000)
    inputs[:, [IN.trades, IN.trade_notional]] = 0
    inputs[::1000, IN.trades], inputs[::1000, IN.trade_notional] = 1, 5_000
    out = moments_of(inputs)
    assert np.nanmax(out[:, OUT.trades_10s_ratio]) < 2.5
    assert np.nanmax(out[:, OUT.trade_notional_10s_ratio]) < 2.5


@pytest.mark.parametrize("cut", [1, 599, 1203])
def test_a_market_goes_on_from_its_snapshot_and_beside_others(cut: int) -> None:
    inputs = market(1500)
    whole = moments_of(inputs)
    first = Moments(SECOND_NS)
    begun = first.step(inputs[:cut], np.zeros(cut, np.int64))
    second = Moments(SECOND_NS)
    second.restore(first.snapshot())
    both = np.repeat(inputs[cut:], 2, axis=0)
    both[1::2, IN.mid] = 7.0
    rest = second.step(both, np.tile([0, 1], 1500 - cut))[::2]
    assert np.array_equal(np.vstack((begun, rest)), whole, equal_nan=True)


@pytest.mark.parametrize("window_ms", [100, 5_000])
def test_the_spans_are_seconds_whatever_the_window(window_ms: int) -> None:
    windows = 2 * READY * 1000 // window_ms
    inputs = market(max(windows, 700))
    at = len(inputs) - 61_000 // window_ms
    inputs[at:, IN.mid] *= 1.01
    moved = moments_of(inputs, window_ms * 1_000_000)[:, OUT.price_move_10s] > 50
    assert moved.sum() == 10_000 // window_ms


def test_a_lack_of_depth_is_over_ten_seconds_and_one_book_without_is_none() -> None:
    inputs = market(1500)
    inputs[1200:1230, IN.depth] *= 0.1
    inputs[1400, IN.depth] = 0.0
    lack = moments_of(inputs)[:, OUT.depth_lack_10s]
    assert lack[1209] == pytest.approx(10, rel=0.3)
    assert lack[1229] > 5
    assert lack[1400] < 4
    assert np.nanmax(lack[:1200]) < 2


def test_a_wide_spread_lasts_for_half_of_ten_seconds() -> None:
    inputs = market(1500)
    inputs[1200:1210, IN.spread] = 3.0
    inputs[1300:1303, IN.spread] = 50.0
    out = moments_of(inputs)
    assert out[1209, OUT.spread_10s] == 3.0
    assert out[1209, OUT.spread_10s_above] == pytest.approx(2.85, abs=0.1)
    assert np.nanmax(out[1250:, OUT.spread_10s_above]) < 1.0


def test_one_step_of_a_price_that_mostly_stands_still_is_no_extreme_move() -> None:
    rng = np.random.default_rng(5)
    inputs = market(4000)
    steps = np.where(rng.random(4000) < 0.01, rng.choice([-5e-4, 5e-4], 4000), 0.0)
    steps[3900] = 3e-3
    inputs[:, IN.mid] = 100 * np.exp(np.cumsum(steps))
    score = moments_of(inputs)[:, OUT.price_move_1s_sd]
    assert np.nanmax(score[:3900]) < 3.5
    assert score[3900] > 15
    # A price that has hardly moved so far has no usual step.
    assert np.isnan(moments_of(inputs)[: np.flatnonzero(steps)[4], OUT.price_move_1s_sd]).all()
