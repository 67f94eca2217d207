"""Drift by the hour: recall and delay on simulated weeks, and false alarms on real months.

Protocol. A venue has eight markets with six numbers each, and one false alarm in two days is
allowed for all of them: that is what drift has of ten a day. *Simulated* are hourly values: a daily
cycle (up to 40 % either way), a part that remembers two hours and one that remembers a day and a
half (their innovations Student's with 4 degrees of freedom), together 6 to 20 % of the level. False
alarms are counted over whole runs, from nothing. Changes begin after four weeks, of fresh series
each, last for three days and are found when a drift is told to their side within them; the delay
includes the hour in which they begin. Deviations are those of the series without its cycle. *Real
months* are hourly volume, range and funding of perpetuals of four venues, March to September 2025:
nobody has marked what was worth an alert, and every alarm counts as false. *Recordings* are depth
and spread of books, by the hour from their seconds.

Beside it stands ADWIN with the δ of `detection.md` (.75 false alarms a day on independent numbers):
on the same hours, and on the seconds of recordings; and with one so small that its false alarms on
real months of volume and range are as many. "Independent" is the protocol of such tables:
seconds are independent normal numbers, of which an hour shows the mean.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from math import log, sqrt
from typing import Any, NamedTuple

import numpy as np
import pyarrow.parquet as pq
from river import drift

from detectors.arrays.types import Float64
from detectors.drift import DriftLevels
from tests.bench.detect.counts import DATA
from tests.bench.detect.levels import FEEDS, features

SEED = 40
DAY = 24
PER_DAY, MARKETS, NUMBERS = 0.5, 8, 6
P_LIMIT = PER_DAY / DAY / (MARKETS * NUMBERS)
LEAST = log(1.2)
LEARNT_DAYS, LASTS_DAYS = 28, 3
MONTHS = "perp-funding-oi-2025"
DELTA, STRICT_DELTA = 3e-5, 1e-20
"""Of ADWIN: as in `detection.md`, and as real months of volume and range need it."""


class Alarm(NamedTuple):
    hour: int
    market: int
    side: int


def hourly(values: Float64, least: float = LEAST, first_hour: int = 0) -> list[Alarm]:
    """The drifts that begin in series of hourly values (hours, markets) of one number."""
    model = DriftLevels(np.array([least]), np.array([0]))
    model.grow(values.shape[1])
    going: set[int] = set()
    alarms = []
    for hour, row in enumerate(values):
        for event in model.judge(first_hour + hour, row[:, None], P_LIMIT):
            if event.end:
                going.discard(event.market)
            elif event.market not in going:
                going.add(event.market)
                alarms.append(Alarm(hour, event.market, 1 if event.change > 0 else -1))
    return alarms


def adwin(values: Float64, learnt: int, delta: float = DELTA) -> list[Alarm]:
    """ADWIN on each series, standardised by what it is up to `learnt`."""
    alarms = []
    for market, series in enumerate(values.T):
        series = series[np.isfinite(series)]
        centre, spread = series[:learnt].mean(), series[:learnt].std() or 1.0
        model = drift.ADWIN(delta=delta, clock=1)
        for hour, z in enumerate(np.clip((series - centre) / spread, -6, 6).tolist()):
            before = model.estimation
            model.update(z)
            if model.drift_detected:
                alarms.append(Alarm(hour, market, 1 if model.estimation > before else -1))
    return alarms


DETECTORS: dict[str, Callable[[Float64, int], list[Alarm]]] = {
    "drift": lambda values, learnt: hourly(values),
    "ADWIN on hours": adwin,
    "ADWIN on hours, δ 1e-20": partial(adwin, delta=STRICT_DELTA),
}


class Weeks(NamedTuple):
    values: Float64
    """(hours, markets)"""
    deviation: Float64
    """(markets,): without the daily cycle."""


def simulated(days: int, seed: Sequence[int]) -> Weeks:
    rng = np.random.default_rng(seed)
    hours = days * DAY
    values = np.zeros((hours, MARKETS))
    for memory, weight in ((0.5, 0.7), (0.97, 0.5)):
        steps = weight * sqrt((1 - memory**2) / 2) * rng.standard_t(4, (hours, MARKETS))
        for t in range(1, hours):
            steps[t] += memory * steps[t - 1]
        values += steps
    values *= rng.uniform(0.06, 0.2, MARKETS)
    phase, size = rng.random(MARKETS), rng.uniform(0, 0.4, MARKETS)
    cycle = np.sin(2 * np.pi * (np.arange(hours)[:, None] / DAY + phase))
    return Weeks(values + size * cycle, values.std(axis=0))


def independent(days: int, seed: Sequence[int]) -> Weeks:
    """Hours of independent seconds of variance 1: an hour is the median of twelve means."""
    rng = np.random.default_rng(seed)
    values = np.median(rng.normal(0, sqrt(1 / 300), (days * DAY, MARKETS, 12)), axis=-1)
    return Weeks(values, np.ones(MARKETS))


SHIFTS = {
    ".5 sd": 0.5, "1 sd": 1.0, "2 sd": 2.0, "x .7": log(0.7), "x .5": log(0.5),
    "x .5 within a day": log(0.5),
}  # fmt: skip


def shifted(weeks: Weeks, kind: str) -> Float64:
    """The same series with a change that begins after `LEARNT_DAYS`."""
    size = SHIFTS[kind] * (weeks.deviation if "sd" in kind else np.ones(MARKETS))
    hours = np.arange(len(weeks.values)) - LEARNT_DAYS * DAY
    part = np.clip((hours + 1) / DAY, 0, 1) if "within" in kind else (hours >= 0).astype(float)
    return weeks.values + part[:, None] * size


def recall(label: str, name: str, kinds: Sequence[str], places: int) -> Iterator[dict[str, Any]]:
    make = independent if name == "independent seconds" else simulated
    days = LEARNT_DAYS + LASTS_DAYS
    for kind in kinds:
        delays: list[int] = []
        for place in range(places):
            values = shifted(make(days, (SEED, place)), kind)
            alarms = DETECTORS[label](values, LEARNT_DAYS * DAY)
            side = 1 if SHIFTS[kind] > 0 else -1
            begin = LEARNT_DAYS * DAY
            first: dict[int, int] = {}
            for hour, market, to in alarms:
                if hour >= begin and to == side:
                    first.setdefault(market, hour - begin + 1)
            delays += first.values()
        yield {
            "table": "drift: changes that last three days, at one false alarm in two days",
            "background": f"{name}, {kind}",
            "detector": label,
            "recall_at_1": len(delays) / (places * MARKETS),
            "recall_at_01": None,
            "delay_p50_s": float(np.median(delays)) * 3600 if delays else None,
            "delay_p95_s": float(np.percentile(delays, 95)) * 3600 if delays else None,
            "false_a_day": None,
            "note": f"{sum(d <= 6 for d in delays) / (places * MARKETS):.2f} within six hours",
        }


def false_alarms(name: str, label: str, alarms: int, series_days: float) -> dict[str, Any]:
    allowed = P_LIMIT * DAY * series_days
    times = f", {alarms / allowed:.2f} times" if label == "drift" else ""
    return {
        "table": "drift: false alarms of one number, a market and day",
        "background": name,
        "detector": label,
        "false_a_day": alarms / series_days,
        "note": f"{alarms} alarms, {allowed:.1f} allowed{times}",
    }


def months() -> Iterator[tuple[str, Float64, float, int]]:
    """Name, hourly values (hours, markets), the least change, and the first hour."""
    folder = DATA / MONTHS
    if not folder.exists():
        return
    candles = pq.read_table(folder / "candles.parquet").to_pydict()
    funding = pq.read_table(folder / "funding_rates.parquet").to_pydict()
    low, high = np.array(candles["l"]), np.array(candles["h"])
    with np.errstate(divide="ignore", invalid="ignore"):
        volume, span = np.log(np.array(candles["v"])), np.log(high / low - 1)
    apr = np.array(funding["funding_rate"]) * DAY * 365
    for name, table, numbers, least in (
        ("hourly volume", candles, volume, LEAST), ("hourly range", candles, span, LEAST),
        ("hourly funding", funding, apr, 0.05),
    ):  # fmt: skip
        hours = np.array([int(ts.timestamp()) // 3600 for ts in table["timestamp"]])
        names = np.array(list(map("/".join, zip(table["venue"], table["coin"], strict=True))))
        every, column = np.unique(names, return_inverse=True)
        grid = np.full((hours.max() - hours.min() + 1, len(every)), np.nan)
        grid[hours - hours.min(), column] = np.where(np.isfinite(numbers), numbers, np.nan)
        whole = np.isfinite(grid).mean(axis=0) > 0.9
        yield f"{name}, {whole.sum()} markets", grid[:, whole], least, int(hours.min())


def by_hour(seconds: Float64) -> Float64:
    """(hours, 1): as `hourly_numbers.py` makes them."""
    pieces = seconds[: len(seconds) // 3600 * 3600].reshape(-1, 12, 300)
    return np.median(np.nanmean(pieces, axis=-1), axis=-1)[:, None]


def rows(quick: bool = False) -> Iterator[dict[str, Any]]:
    places = 2 if quick else 10
    for label in DETECTORS:
        for name in ("simulated", "independent seconds"):
            kinds = [k for k in SHIFTS if name == "simulated" or "sd" in k]
            yield from recall(label, name, kinds, places)
    venues, days = (3, 60) if quick else (12, 120)
    for label, detect in DETECTORS.items():
        count = 0
        for venue in range(venues):
            values = simulated(days, (SEED + 1, venue)).values
            count += len(detect(values, 7 * DAY))
        yield false_alarms(
            f"simulated, {venues} x {days} days", label, count, venues * days * MARKETS
        )
    for name, values, least, first_hour in months():
        days_all = values.size / DAY
        yield false_alarms(name, "drift", len(hourly(values, least, first_hour)), days_all)
        for label in list(DETECTORS)[1:]:
            yield false_alarms(name, label, len(DETECTORS[label](values, 7 * DAY)), days_all)
    for name, feed in FEEDS.items():
        seconds = None if quick and name == "StandX" else features(*feed)
        for feature in ("depth_25bps_least", "spread_bps") if seconds is not None else ():
            with np.errstate(divide="ignore", invalid="ignore"):
                value = seconds[feature]
                value = np.log(value) if feature != "spread_bps" else np.log1p(value)
            value = np.where(np.isfinite(value), value, np.nan)
            days_all = len(value) / DAY / 3600
            label = f"{name}, {feature}"
            yield false_alarms(label, "drift", len(hourly(by_hour(value))), days_all)
            told = adwin(value[:, None], 600)
            yield false_alarms(label, "ADWIN on seconds", len(told), days_all)
