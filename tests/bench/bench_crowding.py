"""Which real unwinds did crowding tell beforehand, and how many false ones a month?

    python -m tests.bench.bench_crowding FOLDER

FOLDER has tables of funding rates, open interest and candles, as `brinkwatch import funding` reads
them (Hyperliquid's funding and open interest, and Bybit's closes, by the hour, March to September
2025, five coins). The rules were chosen before anything was looked at:

- An unwind is one of the five largest moves of a coin over a UTC day, of each half of the months,
  among the days in which its open interest, in coins, fell.
- An alert is the first hour at which a score is at its threshold, and any such hour a day later or
  more. It tells an unwind of its coin that begins within the horizon after it; with its side, where
  longs crowd before a fall and shorts before a rise. An alert that tells none within three days is
  false.
- The threshold is the lowest at which there are so many alerts a coin and month in March to June;
  July to September are judged with the same one.
- Chance: all alerts shifted in time together, around the end of the half, 400 times: what is told
  on average, and how often as much as was told.

`false` is a month and coin. The right half of the table asks for the side as well.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from detectors.arrays.types import Bool, Float64, Int64
from monitor.core.contract.units import SECOND_NS
from monitor.core.features import crowding
from monitor.core.features.crowding import Crowding

COINS = ("BTC", "ETH", "SOL", "DOGE", "HYPE")
YEAR_HOURS, DAY_HOURS, MONTH_HOURS = 8760, 24, 720
WARM_UP_HOURS = 14 * DAY_HOURS
TEST_FROM = datetime(2025, 7, 1, tzinfo=UTC)
UNWINDS_EACH = 5
HORIZONS = (24, 72)
ALERTS_A_MONTH = (2, 4)
SHIFTS = 400


class Market(NamedTuple):
    """Hours of all coins: arrays (coins, hours). `first_hour`: since 1970."""

    first_hour: int
    price: Float64
    funding_apr: Float64
    open_interest: Float64


class Events(NamedTuple):
    """Alerts, or unwinds: the coin's number, the hour at whose beginning it is known (or begins),
    and the side: of an alert 1 where longs crowd, of an unwind −1 where the price falls."""

    coin: Int64
    hour: Int64
    side: Float64


def read_market(folder: Path) -> Market:
    """The hours for which all coins have all three numbers."""
    columns = []
    for table, venue, name in (
        ("candles", "bybit", "c"),
        ("funding_rates", "hyperliquid", "funding_rate"),
        ("open_interest_old", "hyperliquid", "oi_usd"),
    ):
        rows = pq.read_table(folder / f"{table}.parquet", filters=[("venue", "=", venue)])
        ns = rows["timestamp"].cast(pa.timestamp("ns", "UTC")).cast(pa.int64()).to_numpy()
        # A candle is known an hour after it begins.
        hours = ns // (3600 * SECOND_NS) + (name == "c")
        coins, values = np.array(rows["coin"].to_pylist()), rows[name].to_numpy()
        by_coin = [dict(zip(hours[coins == c], values[coins == c], strict=True)) for c in COINS]
        columns.append(by_coin)
    common = sorted(set.intersection(*(set(by) for column in columns for by in column)))
    price, funding, dollars = (
        np.array([[by[hour] for hour in common] for by in column]) for column in columns
    )
    return Market(int(common[0]), price, funding * YEAR_HOURS, dollars / price)


def unwinds_of(market: Market, low: int, high: int) -> Events:
    """The unwinds whose days lie between the hours `low` and `high` of the arrays."""
    first = low + (-(market.first_hour + low)) % DAY_HOURS
    begins = np.arange(first, high - DAY_HOURS + 1, DAY_HOURS)
    ends = np.minimum(begins + DAY_HOURS, market.price.shape[1] - 1)
    moves = np.log(market.price[:, ends] / market.price[:, begins])
    falls = market.open_interest[:, ends] < market.open_interest[:, begins]
    sizes = np.where(falls, np.abs(moves), 0.0)
    days = np.argsort(-sizes, axis=1)[:, :UNWINDS_EACH]
    coin = np.repeat(np.arange(len(COINS)), UNWINDS_EACH)
    return Events(coin, begins[days].ravel(), np.sign(moves[coin, days.ravel()]))


def scores_of(market: Market) -> dict[str, Float64]:
    """By name: (coins, hours), signed where the score has a side."""
    crowded = []
    for c in range(len(COINS)):
        price, interest = market.price[c], market.open_interest[c]
        at = 3600.0 * (market.first_hour + np.arange(len(price)))
        nothing = np.full(len(price), np.nan)
        inputs = np.column_stack((at, price, market.funding_apr[c], nothing, interest))
        crowded.append(Crowding(1.0).step(inputs, np.zeros(len(price), np.int64)))
    return {
        "crowding": np.array(crowded),
        "funding a year": market.funding_apr,
        "funding beyond its past": np.array([_robust_z(row) for row in market.funding_apr]),
        "open interest beyond its past": np.maximum(
            [_robust_z(row) for row in np.log(market.open_interest)], 0.0
        ),
    }


def _robust_z(values: Float64) -> Float64:
    """Of each value against those before it, as crowding takes it."""
    state = np.zeros(3)
    return np.array([crowding._update_robust_z(state, 0, v, 3600.0) for v in values.tolist()])


def alerts_of(score: Float64, threshold: float, low: int, high: int) -> Events:
    rows = []
    for coin, row in enumerate(score):
        last = low - DAY_HOURS
        for hour in np.flatnonzero(np.abs(row[low:high]) >= threshold) + low:
            if hour - last >= DAY_HOURS:
                last = hour
                rows.append((coin, hour, np.sign(row[hour])))
    coin, hour, side = np.array(rows, float).reshape(-1, 3).T
    return Events(coin.astype(np.int64), hour.astype(np.int64), side)


def threshold_for(score: Float64, alerts: int, low: int, high: int) -> float:
    """The lowest threshold with so many alerts at most."""
    levels = np.unique(np.abs(score[:, low:high][~np.isnan(score[:, low:high])]))
    below, above = 0, len(levels) - 1
    while below < above:
        middle = (below + above) // 2
        if len(alerts_of(score, levels[middle], low, high).hour) <= alerts:
            above = middle
        else:
            below = middle + 1
    return float(levels[above])


def match(alerts: Events, unwinds: Events, horizon: int, with_side: bool) -> Bool:
    """(alerts, unwinds): whether this alert tells that unwind."""
    wait = unwinds.hour[None] - alerts.hour[:, None]
    same = (alerts.coin[:, None] == unwinds.coin[None]) & (wait >= 0) & (wait <= horizon)
    if with_side:
        same &= alerts.side[:, None] == -unwinds.side[None]
    return same


def figures(alerts: Events, unwinds: Events, low: int, high: int, with_side: bool) -> str:
    """Told within each horizon, by chance, and how often chance tells as much."""
    shifts = np.random.default_rng(1).integers(DAY_HOURS, high - low - DAY_HOURS, SHIFTS)
    shown = ""
    for horizon in HORIZONS:
        count = int(match(alerts, unwinds, horizon, with_side).any(axis=0).sum())
        chance = np.array(
            [
                match(
                    alerts._replace(hour=low + (alerts.hour - low + shift) % (high - low)),
                    unwinds, horizon, with_side,
                ).any(axis=0).sum()
                for shift in shifts
            ]
        )  # fmt: skip
        shown += f"{count:7}{chance.mean():8.1f}{(chance >= count).mean():6.2f}"
    return shown


def main() -> None:
    market = read_market(Path(sys.argv[1]))
    hours = market.price.shape[1]
    split = int(TEST_FROM.timestamp()) // 3600 - market.first_hour
    halves = {"March to June": (WARM_UP_HOURS, split), "July to September": (split, hours)}
    head = "".join(f"{f'{h} h':>7}{'chance':>8}{'p':>6}" for h in HORIZONS)
    print(f"{'':40}{'':18}{'alerts':>7}{'false':>7}{head}  |{head}")
    for a_month in ALERTS_A_MONTH:
        for name, score in scores_of(market).items():
            low, high = halves["March to June"]
            most = round(a_month * len(COINS) * (high - low) / MONTH_HOURS)
            threshold = threshold_for(score, most, low, high)
            for half, (low, high) in halves.items():
                unwinds = unwinds_of(market, low, high)
                alerts = alerts_of(score, threshold, low, high)
                false = ~match(alerts, unwinds, max(HORIZONS), False).any(axis=1)
                a_coin = false.sum() * MONTH_HOURS / (high - low) / len(COINS)
                sides = (False, True) if (score < 0).any() else (False,)
                shown = [figures(alerts, unwinds, low, high, side) for side in sides]
                label = f"{name} ≥ {threshold:.2f}"
                row = f"{label:40}{half:18}{len(alerts.hour):7}{a_coin:7.2f}"
                print(row + "  |".join(shown))


if __name__ == "__main__":
    main()
