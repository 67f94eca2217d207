"""Crowding of simulated and of recorded funding."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from monitor.core.features import crowding
from tests.support import recording


def crowding_series(seconds: float, rows: np.ndarray) -> np.ndarray:
    """Crowding after each row: funding a year, premium, volatility; `seconds` lie between rows."""
    state = np.zeros(crowding.WIDTH)
    return np.array([crowding.step(state, seconds, *row) for row in rows.tolist()])


def test_crowding_needs_one_sign_a_past_and_usual_volatility() -> None:
    rng = np.random.default_rng(2)
    past = np.stack(
        [0.1 + 0.02 * rng.standard_normal(240), 1e-4 * rng.standard_normal(240),
         0.6 * np.exp(0.2 * rng.standard_normal(240))], axis=1,
    )  # fmt: skip

    def last(*now: float) -> float:
        return float(crowding_series(3600.0, np.vstack((past, [now])))[-1])

    assert last(0.5, 5e-4, 0.6) > 3
    assert last(-0.5, -5e-4, 0.6) < -3
    assert last(0.5, -5e-4, 0.6) == 0
    assert last(0.5, 5e-4, 6.0) == 0
    assert np.isnan(crowding_series(3600.0, past)[:23]).all()
    assert not np.isnan(crowding_series(3600.0, past)[23:]).any()


def hourly(folder: Path, coin: str) -> np.ndarray:
    """Funding a year on Hyperliquid, its perp's price over Binance's (for want of an index), and
    realised volatility with a memory of a day, by the hour.
    """
    where = [("coin", "=", coin), ("venue", "in", ["hyperliquid", "binance"])]
    candles = pq.read_table(folder / "candles.parquet", filters=where).to_pylist()
    rates = pq.read_table(folder / "funding_rates.parquet", filters=where).to_pylist()
    close = {(r["venue"], r["timestamp"]): r["c"] for r in candles}
    funding = {r["timestamp"]: r["funding_rate"] for r in rates if r["venue"] == "hyperliquid"}
    rows, before, variance = [], 0.0, 0.0
    for hour in sorted(funding):
        here, there = close.get(("hyperliquid", hour)), close.get(("binance", hour))
        if here is None or there is None:
            continue
        if before:
            variance += (math.log(here / before) ** 2 - variance) / 24
            volatility = math.sqrt(variance * 24 * 365)
            rows.append((funding[hour] * 24 * 365, here / there - 1, volatility))
        before = here
    return np.array(rows)


@pytest.mark.parametrize("coin", ["BTC", "ETH", "SOL", "DOGE"])
def test_crowding_on_recorded_funding_is_rare_and_lasts(coin: str) -> None:
    rows = hourly(recording("perp-funding-oi-2025"), coin)
    assert len(rows) > 500
    values = crowding_series(3600.0, rows)[24 * 7 :]
    assert np.isfinite(values).all()
    crowded = np.abs(values) > 1
    assert 0.005 < crowded.mean() < 0.1
    # More than chance: an hour after a crowded one is crowded three times as often as any other.
    assert crowded[1:][crowded[:-1]].mean() > 3 * crowded.mean()
