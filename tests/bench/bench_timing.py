"""Forecasts of touching a price, scored on a recorded day of prices: fat tails beside the normal.

    python -m tests.bench.bench_timing [folder of order-book Parquet files]

Each minute, at 0.5, 1, 2 and 3 standard deviations either side, for each horizon the day is long
enough for (24 h is not). The volatility is measured online, from what came before.
"""

from __future__ import annotations

import math
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from monitor.core.timing import FAT, NORMAL, YEAR_S, Volatility, brier, reliability, touch_all
from tests.support import SHARED

FOLDER = SHARED / "data/standx-btc-perp-2026-01"
HORIZONS = (60, 600, 3_600)
SPREADS = np.array([-3.0, -2.0, -1.0, -0.5, 0.5, 1.0, 2.0, 3.0])


def prices(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Times (ns) and mids, repeats dropped."""
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
    """Normal forecasts, fat-tailed forecasts, and what happened."""
    measure = Volatility(half_life, step)
    plain, fat, came = [], [], []
    ask = time[0] + 1_800 * 10**9
    for i, (now, price) in enumerate(zip(time.tolist(), mid.tolist(), strict=True)):
        measure.update(now, price)
        if now < ask:
            continue
        ask = now + 60 * 10**9
        end = np.searchsorted(time, now + horizon * 10**9)
        if measure.sigma is None or end >= len(time):
            continue
        distance = SPREADS * measure.sigma * math.sqrt(horizon / YEAR_S)
        ahead = np.log(mid[i + 1 : end + 1] / price)
        plain.append(touch_all(distance, measure.sigma, horizon, NORMAL))
        fat.append(touch_all(distance, measure.sigma, horizon, FAT))
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
        _, fat, came = forecasts(time, mid, horizon, 1_800.0, 60.0)
        print(f"reliability, fat tails, {horizon} s")
        for row in reliability(fat, came):
            print(f"  {row.low:.1f}–{row.high:.1f}  {row.count:6d}  said {row.forecast:.3f}  "
                  f"came true {row.came_true:.3f}")  # fmt: skip


if __name__ == "__main__":
    main()
