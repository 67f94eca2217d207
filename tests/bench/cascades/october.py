"""10 October 2025 at Hyperliquid, rebuilt from its public sums with the simulated venue.

Given: open interest by coin at the end of September 2025, the tier tables, the prices at which the
venue deleveraged as the path of the outside price, how much of the depth survived (BTC 1/114, SOL
1/561; ETH is taken as BTC, HYPE as SOL), and how far liquidation prices of large accounts lie.
The free parameters are the fields of `Setting`: they were fitted on BTC's amounts, ADL over
liquidated and lowest mark and on the times of the first deleveragings; the second vault was then
set by hand, with HYPE in sight. So only ETH, SOL, the waves and the minutes show their worth.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from detectors.arrays.types import Float64, Int64
from tests.bench.cascades.population import (
    MAINTENANCE_PERCENTILES,
    Crowd,
    enter_crowd,
    maintenance_over_equity,
)
from tests.bench.cascades.state import LOT_USD, START_TICKS, UNITS_PER_USD, Rules
from tests.bench.cascades.venue import SimulatedVenue

COINS = ("BTC", "ETH", "SOL", "HYPE")
LEVERAGE = ((40, 20), (25, 15), (20, 10), (10, 5))
BOUND_USD = (150e6, 100e6, 70e6, 20e6)
BETA = (1.0, 1.7, 2.2, 3.1)
"""Hourly volatility over BTC's in September 2025, at the two largest other venues."""
SURVIVES = (1 / 114, 1 / 114, 1 / 561, 1 / 561)
GROUP = (0, 0, 0, 1)
"""Waves come in two kinds: of BTC, ETH, SOL and XRP together, and of all others together. Each is
taken to be one vault."""
FIRST_MS = 1_760_130_903_127
"""The first liquidation."""
SECONDS = 714
"""Of the record."""
TRADERS = 3_000


@dataclass(frozen=True, slots=True)
class Setting:
    """`closer`: by how much liquidation prices are nearer than four months later. `vault_usd`: what
    each of the two vaults can lose. `fall_before`: log distance that BTC fell between the first
    liquidation and its first known price, the others by their beta. `resilience`: what comes back
    in a second. `turmoil`: see `Rules`. `depth`: within 1 % of a side, calm, over open interest.
    `outside`: the part of the known fall that the outside price makes."""

    closer: float = 4.2
    vault_usd: tuple[float, float] = (35e6, 3e6)
    fall_before: float = 0.025
    resilience: float = 0.2
    turmoil: float = 1.5e-4
    depth: float = 0.01
    outside: float = 0.78


@dataclass(frozen=True, slots=True)
class Known:
    """What the files say. `prices`: by coin, seconds and prices of its deleveragings; `adl_usd` by
    coin; `waves`: second and amount of each; `market_fills`, `adl_fills`: by second."""

    prices: dict[str, tuple[Float64, Float64]]
    adl_usd: Float64
    waves: Float64
    market_fills: Float64
    open_interest_usd: Float64

    @classmethod
    def read(cls, data: Path) -> Known:
        """From the folder of recordings."""
        adl = data / "adl-2025-10-10"
        points = _rows(adl / "adl_prices.csv")
        prices = {}
        for coin in COINS:
            mine = [row for row in points if row["coin"] == coin]
            seconds = [(int(row["time_ms"]) - FIRST_MS) / 1e3 for row in mine]
            prices[coin] = np.array(seconds), np.array([float(row["adl_price"]) for row in mine])
        sums = {row["coin"]: float(row["adl_notional_usd"]) for row in _rows(adl / "coins.csv")}
        waves = [
            ((int(row["time_ms"]) - FIRST_MS) / 1e3, float(row["adl_notional_usd"]))
            for row in _rows(adl / "waves.csv")
        ]
        fills = np.zeros(SECONDS + 1)
        for row in _rows(adl / "fills_by_second.csv"):
            second, every, ours = (int(value) for value in row.values())
            fills[second] += every - ours
        return cls(
            prices, np.array([sums[coin] for coin in COINS]), np.array(waves), fills,
            _open_interest(data / "perp-funding-oi-2025/open_interest_old.parquet"),
        )  # fmt: skip


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _open_interest(path: Path) -> Float64:
    """The last of each coin at the venue."""
    last = {}
    for row in pq.read_table(path).to_pylist():
        if row["venue"] == "hyperliquid":
            last[row["coin"]] = row["oi_usd"]
    return np.array([last[coin] for coin in COINS])


def outside_path(known: Known, setting: Setting) -> Int64:
    """(seconds, coins), ticks: straight lines in the log between the known prices."""
    first = {coin: known.prices[coin][1][0] for coin in COINS}
    columns = []
    for coin, beta in zip(COINS, BETA, strict=True):
        seconds, price = known.prices[coin]
        knots = np.concatenate(([0.0], seconds))
        before = np.concatenate(([0.0], np.full(len(price), setting.fall_before * beta)))
        move = np.concatenate(([0.0], np.log(price / first[coin]))) - before
        columns.append(setting.outside * np.interp(np.arange(SECONDS + 1), knots, move))
    ticks: Int64 = np.rint(START_TICKS * np.exp(np.array(columns).T)).astype(np.int64)
    return ticks


def rebuild(known: Known, setting: Setting, seed: int) -> SimulatedVenue:
    """The venue as the 12 minutes begin."""
    rate = np.array([1 / (2 * first) for first, _ in LEVERAGE])
    high = np.array([1 / (2 * second) for _, second in LEVERAGE])
    markets = len(COINS)
    rules = Rules(
        rate, high, np.array(BOUND_USD) * UNITS_PER_USD,
        known.open_interest_usd * setting.depth / LOT_USD, np.array(SURVIVES),
        setting.turmoil * np.array(BETA), np.full(markets, setting.resilience), np.array(GROUP),
    )  # fmt: skip
    venue = SimulatedVenue.open(rules, setting.vault_usd, TRADERS)
    crowd = Crowd(TRADERS, known.open_interest_usd, 0.8, setting.closer)
    enter_crowd(venue, crowd, np.random.default_rng(seed))
    return venue


def october_lines(known: Known, setting: Setting, seeds: Sequence[int]) -> Iterator[str]:
    """Simulated beside real: the median, least and most over the seeds."""
    runs = [simulated_figures(known, setting, seed) for seed in seeds]
    yield f"{setting}; {len(runs)} seeds"
    yield f"{'':52}{'simulated':>26}{'real':>14}"
    for name, real in real_figures(known).items():
        low, middle, high = np.nanpercentile([run[name] for run in runs], [0, 50, 100])
        shown = f"{middle:.3g} ({low:.3g} to {high:.3g})"
        yield f"{name:52}{shown:>26}{real:>14}"


def real_figures(known: Known) -> dict[str, str]:
    """By name, as `simulated_figures` has them; empty where the files do not say."""
    at, amounts = known.waves[:, 0], known.waves[:, 1]
    figures = {
        f"maintenance over equity, % (real: 2026), {q} %": f"{value}"
        for q, value in MAINTENANCE_PERCENTILES.items()
    }
    figures |= {FIRST_ADL: f"{min(s[0] for s, _ in known.prices.values()):.1f}"}
    figures |= {name: f"{known.prices[coin][0][0]:.1f}" for name, coin in FIRST_OF.items()}
    figures |= {
        "waves": f"{len(at)}",
        "seconds between waves, median": f"{np.median(np.diff(at)):.1f}",
        "the five largest waves' part of all ADL": f"{_largest(amounts):.2f}",
    }
    for c, coin in enumerate(COINS):
        price = known.prices[coin][1]
        figures |= {
            f"{coin}: ADL, M": f"{known.adl_usd[c] / 1e6:.0f}",
            f"{coin}: liquidated, M": "",
            f"{coin}: ADL over liquidated": ".32 to .45",
            f"{coin}: lowest mark below the first ADL price, %": f"{_fall(price, price[0]):.1f}",
            f"{coin}: the mark below the outside price at most, %": "",
        }
    minutes = _by_minute(known.market_fills[:480])
    return figures | {
        f"part of the forced flow in minute {k + 1}": f"{m:.2f}" for k, m in enumerate(minutes)
    }


def simulated_figures(known: Known, setting: Setting, seed: int) -> dict[str, float]:
    """Of one run; NaN where it has none."""
    venue = rebuild(known, setting, seed)
    stretched = 100.0 * maintenance_over_equity(venue.accounts, venue.rules)
    history = venue.advance(outside_path(known, setting))
    usd = UNITS_PER_USD * 1e6
    forced, adl = history.total() / usd, history.deleveraged / usd
    begin = _first_second(forced)
    figures = {
        f"maintenance over equity, % (real: 2026), {q} %": float(np.percentile(stretched, q))
        for q in MAINTENANCE_PERCENTILES
    }
    figures[FIRST_ADL] = _first_second(adl) - begin
    figures |= {
        name: _first_wave(adl[:, np.array(GROUP) == GROUP[COINS.index(coin)]]) - begin
        for name, coin in FIRST_OF.items()
    }
    waves = adl.sum(axis=1)
    at = np.flatnonzero(waves)
    figures |= {
        "waves": float(len(at)),
        "seconds between waves, median": float(np.median(np.diff(at))) if len(at) > 1 else np.nan,
        "the five largest waves' part of all ADL": _largest(waves),
    }
    for c, coin in enumerate(COINS):
        total = forced[:, c].sum()
        first = START_TICKS * np.exp(-setting.fall_before * BETA[c] * setting.outside)
        figures |= {
            f"{coin}: ADL, M": adl[:, c].sum(),
            f"{coin}: liquidated, M": total,
            f"{coin}: ADL over liquidated": adl[:, c].sum() / total if total else np.nan,
            f"{coin}: lowest mark below the first ADL price, %": _fall(history.mark[:, c], first),
            f"{coin}: the mark below the outside price at most, %": 100.0
            * float(np.log(history.outside[:, c] / history.mark[:, c]).max()),
        }
    minutes = _by_minute((history.sold + history.taken).sum(axis=1)[:480])
    return figures | {
        f"part of the forced flow in minute {k + 1}": float(m) for k, m in enumerate(minutes)
    }


FIRST_ADL = "first ADL of any size after the first fill, s"
FIRST_OF = {
    "first wave of BTC, ETH, SOL of ≥ 1 % of their ADL, s": "BTC",
    "first wave of HYPE of ≥ 1 % of its ADL, s": "HYPE",
}
FIRST_PART = 0.01
"""A first wave is of this part of all that is deleveraged, or more, as the real ones were; single
accounts below zero come before it here."""


def _first_wave(adl: Float64) -> float:
    waves = adl.sum(axis=1)
    seconds = np.flatnonzero(waves >= max(FIRST_PART * waves.sum(), 1e-9))
    return float(seconds[0]) if len(seconds) else np.nan


def _first_second(amounts: Float64) -> float:
    seconds = np.flatnonzero(amounts.any(axis=1))
    return float(seconds[0]) if len(seconds) else np.nan


def _largest(waves: Float64) -> float:
    """The part of the five largest."""
    return float(np.sort(waves)[-5:].sum() / waves.sum()) if waves.any() else np.nan


def _fall(prices: Float64 | Int64, first: float) -> float:
    return 100.0 * (1.0 - float(prices.min()) / first)


def _by_minute(series: Float64 | Int64) -> Float64:
    sums = np.add.reduceat(series.astype(float), np.arange(0, len(series), 60))
    parts: Float64 = sums / max(sums.sum(), 1.0)
    return parts
