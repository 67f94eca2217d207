"""Forecasts of touching a price, with fat and with normal tails: scored on a recorded day of prices
and on simulated paths whose distribution is known.

    python -m tests.bench.bench_timing [folder of order-book Parquet files]

Forecasts are made each minute, for prices 0.5, 1, 2 and 3 standard deviations to either side, and
for each horizon for which the day is long enough (24 h is too long). Volatility and grain are
measured online from the marks before. No number of the formula was fitted to this day, but the
grain was added after seeing it, so both halves are shown. Two kinds of paths are simulated: a
geometric Brownian motion, for which the normal formula is exact, and one with a new variance for
each path so that its returns are Student's t, for which the fat-tailed formula is. Both use the
true volatility, so that the score is of the tails alone.
"""

from __future__ import annotations

import math
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from monitor.core.contract.units import SECOND_NS, YEAR_S
from monitor.core.marks.touch_probability import (
    BARRIER_SHIFT,
    FAT_TAILS,
    NORMAL_TAILS,
    touch_chances,
)
from monitor.core.marks.volatility import VolatilityBank
from tests.bench.forecast_scores import brier, reliability
from tests.support import SHARED

FOLDER = SHARED / "data/standx-btc-perp-2026-01"
HORIZONS = (60, 600, 3_600)
FREEDOM = 4
"""Degrees of freedom that `FAT_TAILS` stands for."""
SPREADS = np.array([-3.0, -2.0, -1.0, -0.5, 0.5, 1.0, 2.0, 3.0])
PATHS, STEPS, SIGMA = 40_000, 360, 0.6
"""Simulated paths: an hour in steps of ten seconds, at 60 % a year."""


def prices(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Times (ns) and mids, without repetitions."""
    times, mids = [], []
    for path in sorted(folder.glob("orderbook_*.parquet")):
        table = pq.read_table(path, columns=["timestamp", "mid_price"])
        times.append(table["timestamp"].to_numpy().astype("datetime64[ns]").astype(np.int64))
        mids.append(table["mid_price"].to_numpy())
    time, mid = np.concatenate(times), np.concatenate(mids)
    order = np.argsort(time, kind="stable")
    time, mid = time[order], mid[order]
    fresh = np.concatenate([[True], np.diff(time) > 0]) & (mid > 0)
    return time[fresh], mid[fresh]


def forecasts(
    time: np.ndarray, mid: np.ndarray, horizon: int, half_life: float, step: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Normal forecasts, those of the engine, and whether the price was touched."""
    bank, done = VolatilityBank(half_life, step), 0
    bank.grow(1)
    plain, fat, came = [], [], []
    ask = time[0] + 1_800 * SECOND_NS
    for i, (now, price) in enumerate(zip(time.tolist(), mid.tolist(), strict=True)):
        if now < ask:
            continue
        new = slice(done, i + 1)
        bank.update(np.zeros(i + 1 - done, np.int64), time[new], mid[new])
        done, sigma, grain_s = i + 1, float(bank.sigma[0]), float(bank.grain_s[0])
        ask = now + 60 * SECOND_NS
        end = np.searchsorted(time, now + horizon * SECOND_NS)
        if math.isnan(sigma) or end >= len(time):
            continue
        distance = SPREADS * sigma * math.sqrt(horizon / YEAR_S)
        ahead = np.log(mid[i + 1 : end + 1] / price)
        plain.append(touch_chances(distance, sigma, horizon, NORMAL_TAILS))
        fat.append(touch_chances(distance, sigma, horizon, FAT_TAILS, grain_s))
        came.append(np.where(distance < 0, ahead.min() <= distance, ahead.max() >= distance))
    return np.concatenate(plain), np.concatenate(fat), np.concatenate(came)


def main() -> None:
    time, mid = prices(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER)
    print(f"{len(time):,} mids over {(time[-1] - time[0]) / 3.6e12:.1f} h")
    print(
        "horizon  half-life  step  forecasts  Brier normal  Brier fat   3σ: came true, normal, fat"
    )
    for horizon in HORIZONS:
        for half_life in (600.0, 1_800.0, 7_200.0):
            for step in (10.0, 60.0):
                plain, fat, came = forecasts(time, mid, horizon, half_life, step)
                far = np.tile(np.abs(SPREADS) == 3.0, len(plain) // len(SPREADS))
                threes = "  ".join(f"{x[far].mean():.4f}" for x in (came, plain, fat))
                print(
                    f"{horizon:6d} s {half_life:8.0f} s {step:4.0f} s {len(plain):9,d} "
                    f"{brier(plain, came):12.4f} {brier(fat, came):11.4f}   {threes}"
                )
    for horizon in HORIZONS:
        columns = forecasts(time, mid, horizon, 1_800.0, 60.0)
        half = len(columns[0]) // 2
        for name, part in (("first half", slice(half)), ("second half", slice(half, None))):
            table(f"StandX, {horizon} s, {name}", *(column[part] for column in columns))
    for name, freedom in (("geometric Brownian", None), ("Student's t", FREEDOM)):
        table(f"simulated {name}, 3600 s", *simulated(freedom, seed=7))


def simulated(freedom: int | None, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Normal and fat-tailed forecasts for simulated paths, and whether they touched.

    `freedom`: degrees of freedom of the returns of whole paths; None: normal.
    """
    rng = np.random.default_rng(seed)
    variance = np.full(PATHS, SIGMA**2 * 3_600 / YEAR_S)
    if freedom is not None:
        variance *= (freedom - 2) / rng.chisquare(freedom, PATHS)
    each = np.sqrt(variance / STEPS)
    low, high, at = np.zeros(PATHS), np.zeros(PATHS), np.zeros(PATHS)
    for _ in range(STEPS):
        at += each * rng.standard_normal(PATHS) - 0.5 * each**2
        np.minimum(low, at, out=low)
        np.maximum(high, at, out=high)
    distance = SPREADS * SIGMA * math.sqrt(3_600 / YEAR_S)
    # Broadie, Glasserman and Kou 1997: a barrier seen at steps only acts 0.5826 of one further off.
    reach = BARRIER_SHIFT * each[:, None]
    came = np.where(
        distance < 0, low[:, None] - reach <= distance, high[:, None] + reach >= distance
    )
    chances = [
        np.tile(touch_chances(distance, SIGMA, 3_600.0, tails), PATHS)
        for tails in (NORMAL_TAILS, FAT_TAILS)
    ]
    return chances[0], chances[1], came.ravel()


def table(title: str, plain: np.ndarray, fat: np.ndarray, came: np.ndarray) -> None:
    """Print the Brier scores and reliability tables of both."""
    print(f"{title}: Brier normal {brier(plain, came):.5f}, fat {brier(fat, came):.5f}")
    for name, chances in (("normal", plain), ("fat", fat)):
        for row in reliability(chances, came):
            print(f"  {name:6s} {row.low:.1f}–{row.high:.1f}  {row.count:7d}  "
                  f"said {row.forecast:.4f}  came true {row.true_share:.4f}")  # fmt: skip


if __name__ == "__main__":
    main()
