"""The leverage that accounts have set: of real accounts where a venue shows it, and simulated."""

from __future__ import annotations

import json
from collections.abc import Iterator

import numpy as np
import pyarrow.parquet as pq

from detectors.arrays.types import Float64
from replay.day import Day
from tests.bench.detect.counts import DATA
from tests.bench.flow.statistics import quantile

SHARES = (10, 50, 90, 99)
LEVERAGE = {
    f"leverage_p{share}": f"leverage set for a position, {share}th percentile" for share in SHARES
}
LARGE = "Hyperliquid, large accounts"
SNAPSHOTS = DATA / "hyperliquid-positions-2026-02/positions.parquet"


def leverage_of_accounts() -> Iterator[tuple[str, dict[str, float]]]:
    """Name and numbers of the positions that a venue shows, where the recording is here."""
    if SNAPSHOTS.exists():
        table = pq.read_table(SNAPSHOTS, columns=["leverage"])
        yield LARGE, _quantiles(table["leverage"].to_numpy())


def leverage_of_day(day: Day) -> dict[str, float]:
    """Of the positions with which a recorded day begins; NaN where it names none."""
    rows = map(json.loads, day.to_arrow("reference")["payload"].to_pylist())
    chosen = [float(row["leverage"]) for row in rows if row["about"] == "position"]
    return _quantiles(np.array(chosen))


def _quantiles(leverage: Float64) -> dict[str, float]:
    return {f"leverage_p{share}": quantile(leverage, share / 100) for share in SHARES}
