"""Crowding of simulated and of recorded funding."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from monitor.core.features.crowding import INPUT_COLUMNS, Crowding
from tests.support import recording

DAY_HOURS = 24
NAN = float("nan")


def crowding_of(rows: np.ndarray, seconds: float = 3600.0, window_s: float = 1.0) -> np.ndarray:
    """Crowding of one market after each row: price, funding a year, premium, open interest; the
    rows' windows end `seconds` apart."""
    at = 1e9 + seconds * np.arange(len(rows))
    inputs = np.column_stack((at, rows))
    assert inputs.shape[1] == len(INPUT_COLUMNS)
    return Crowding(window_s).step(inputs, np.zeros(len(rows), np.int64))


def ordinary_hours(hours: int, seed: int = 2) -> np.ndarray:
    """Rows of an ordinary market: 60 % volatility, funding near 10 %, the rest near its mean."""
    rng = np.random.default_rng(seed)
    price = 100 * np.exp(np.cumsum(0.6 / np.sqrt(8760) * rng.standard_normal(hours)))
    funding = 0.1 + 0.02 * rng.standard_normal(hours)
    premium = 1e-4 * rng.standard_normal(hours)
    interest = 1e6 * np.exp(0.02 * rng.standard_normal(hours))
    return np.column_stack((price, funding, premium, interest))


def last_crowding(funding: float, premium: float, interest: float, move: float = 0.0) -> float:
    """Crowding of the hour after ten ordinary days."""
    past = ordinary_hours(10 * DAY_HOURS)
    if np.isnan(interest):
        past[:, 3] = NAN
    now = past[-1, 0] * np.exp(move), funding, premium, interest
    return float(crowding_of(np.vstack((past, now)))[-1])


def test_crowding_is_funding_beyond_its_past_with_open_interest_beyond_its_own() -> None:
    assert last_crowding(0.5, 0.0, 1.2e6) > 3
    assert last_crowding(-0.5, 0.0, 1.2e6) < -3
    assert last_crowding(0.5, 0.0, 0.8e6) == 0
    assert abs(last_crowding(0.1, 0.0, 1.2e6)) < 1


def test_without_open_interest_the_premium_has_to_agree_in_sign() -> None:
    assert last_crowding(0.5, 5e-4, NAN) > 3
    assert last_crowding(-0.5, -5e-4, NAN) < -3
    assert last_crowding(0.5, -5e-4, NAN) == 0


def test_a_rush_of_the_price_makes_the_same_funding_no_crowding() -> None:
    assert last_crowding(0.3, 0.0, 1.2e6) > 2
    assert last_crowding(0.3, 0.0, 1.2e6, move=0.15) < 1


def test_there_is_no_crowding_before_a_day_of_funding_and_a_quarter_of_prices() -> None:
    values = crowding_of(ordinary_hours(60))
    ready = int(np.flatnonzero(~np.isnan(values))[0])
    assert DAY_HOURS <= ready <= DAY_HOURS + 8
    assert not np.isnan(values[ready:]).any()


def test_an_hourly_feed_learns_as_much_in_a_day_as_one_of_every_minute() -> None:
    hourly = ordinary_hours(12 * DAY_HOURS)
    hourly[-6:, 1], hourly[-6:, 3] = 0.3, 1.1e6
    by_the_minute = np.repeat(hourly, 60, axis=0)
    slow = crowding_of(hourly)[-6:]
    fast = crowding_of(by_the_minute, 60.0)[59::60][-6:]
    assert np.abs(slow).min() > 1
    assert fast == pytest.approx(slow, rel=0.25)


def test_after_a_break_of_weeks_the_past_is_what_it_was() -> None:
    past = ordinary_hours(10 * DAY_HOURS)
    rows = np.vstack((past, past[-1], (past[-1, 0], 0.5, 0.0, 1.2e6)))

    def last_after(break_days: float) -> float:
        at = 1e9 + 3600.0 * np.arange(len(rows))
        at[-2:] += break_days * 86_400.0
        inputs = np.column_stack((at, rows))
        return float(Crowding(1.0).step(inputs, np.zeros(len(rows), np.int64))[-1])

    assert last_after(0) > 3
    assert last_after(30) == pytest.approx(last_after(0), rel=0.05)


def test_slices_give_what_the_whole_gives() -> None:
    rows = ordinary_hours(200)
    at = 1e9 + 3600.0 * np.arange(200)
    inputs, symbol = np.column_stack((at, rows)), np.arange(200) % 2
    whole, parts = Crowding(1.0).step(inputs, symbol), Crowding(1.0)
    pieces = [parts.step(inputs[low : low + 7], symbol[low : low + 7]) for low in range(0, 200, 7)]
    np.testing.assert_array_equal(np.concatenate(pieces), whole)


def recorded_hours(folder: Path, coin: str) -> np.ndarray:
    """Hyperliquid's funding and open interest, with Bybit's price, by the hour."""

    def column(table: str, venue: str, name: str) -> dict[object, float]:
        where = [("coin", "=", coin), ("venue", "=", venue)]
        rows = pq.read_table(folder / f"{table}.parquet", filters=where).to_pylist()
        return {row["timestamp"]: row[name] for row in rows}

    price = column("candles", "bybit", "c")
    funding = column("funding_rates", "hyperliquid", "funding_rate")
    interest = column("open_interest_old", "hyperliquid", "oi_usd")
    hours = [hour for hour in sorted(funding) if hour in price and hour in interest]
    return np.array(
        [(price[h], funding[h] * 8760, NAN, interest[h] / price[h]) for h in hours]  # type: ignore[index]
    )


@pytest.mark.parametrize("coin", ["BTC", "ETH", "SOL", "DOGE", "HYPE"])
def test_crowding_on_recorded_months_is_rare_and_lasts(coin: str) -> None:
    rows = recorded_hours(recording("perp-funding-oi-2025"), coin)
    assert len(rows) > 4_000
    values = crowding_of(rows)[24 * 7 :]
    assert np.isfinite(values).all()
    crowded = np.abs(values) > 1
    assert 0.005 < crowded.mean() < 0.1
    # More than chance: an hour after a crowded one is crowded three times as often as any other.
    assert crowded[1:][crowded[:-1]].mean() > 3 * crowded.mean()
