"""From Parquet to features, and polars reading and grouping the same files, in turn.

A simulated day over 64 symbols: one shard, no detectors.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import polars as pl

from monitor.core.contract.units import SECOND_NS
from monitor.core.event_time.watermark import apply_controls
from monitor.core.settings import AccountBurstSettings, EngineSettings, JointSettings
from monitor.core.shard import SHARD_KINDS, Shard
from replay.day import Day
from replay.day.prefetch import prefetch
from replay.simulation.settings import SimulationSettings
from tests.bench.bench_memory import peak_mb
from tests.bench.bench_seconds import BACKLOG_WINDOWS, simulated_day
from tests.bench.figures import Figure

CASES = {
    "full": ({"minutes": 20, "rate": 2_700.0, "turns": 3},),
    "quick": ({"minutes": 5, "rate": 2_700.0, "turns": 3},),
    "tiny": ({"minutes": 1, "rate": 100.0, "turns": 1},),
}
GOAL = 5.0
"""M events a second."""


class Pass(NamedTuple):
    """One reading of a day."""

    records: int
    wall_s: float
    cpu_s: float
    windows: int = 0

    @property
    def millions_a_second(self) -> float:
        return self.records / self.wall_s / 1e6


def features(day: Path) -> Pass:
    """Parquet, columns, watermark, accumulators, windows, features: one shard, no detectors."""
    recorded = Day(day)
    nothing = AccountBurstSettings(streams=()), JointSettings(streams=())
    settings = EngineSettings(streams=(), account_bursts=nothing[0], joint=nothing[1])
    shard = Shard(0, 1, settings, [], BACKLOG_WINDOWS)
    apply_controls(shard.clocks, recorded.controls())
    began, spent = time.perf_counter(), time.process_time()
    records = windows = 0
    for batch in prefetch(recorded.batches()):
        if batch.kind in SHARD_KINDS:
            records += len(batch)
            windows += sum(len(part.features.window) for part in shard.step(batch))
    windows += sum(len(part.features.window) for part in shard.advance())
    return Pass(records, time.perf_counter() - began, time.process_time() - spent, windows)


def polars(day: Path) -> Pass:
    """What a data frame does at its best: read the same files, count and sum by symbol and second.

    It joins no ages, counts no accounts and measures no books, and holds no order of time.
    """
    began, spent = time.perf_counter(), time.process_time()
    records = 0
    for kind in ("order", "cancel", "fill", "leverage", "book", "mark"):
        for file in sorted((day / kind).glob("*.parquet")):
            frame = pl.read_parquet(file)
            records += len(frame)
            sums = [pl.len()]
            if "quantity" in frame.columns and "price" in frame.columns:
                value = pl.col("price").cast(pl.Float64) * pl.col("quantity").cast(pl.Float64)
                sums.append(value.sum().alias("notional"))
            keys = ["symbol", (pl.col("ts") // SECOND_NS).alias("second")]
            if "side" in frame.columns:
                keys.append("side")
            frame.group_by(keys).agg(sums)
    return Pass(records, time.perf_counter() - began, time.process_time() - spent)


def measure(scratch: Path, minutes: int, rate: float, turns: int) -> Iterator[Figure]:
    sizes = SimulationSettings(7, minutes, symbols=64, accounts=20_000, rate=rate)
    day = simulated_day(scratch, sizes)
    features(day)  # the files' cache
    peak = peak_mb()
    for _ in range(turns):
        ours, frames = features(day), polars(day)
        speed, work = ours.millions_a_second, ours.windows
        yield Figure("Parquet → features", speed, "M events/s", work, "more", GOAL)
        cpu_us = ours.cpu_s / ours.records * 1e6
        yield Figure("Parquet → features, processor", cpu_us, "µs an event", ours.records)
        speed, work = frames.millions_a_second, frames.records
        yield Figure("polars: read and group", speed, "M events/s", work, "more")
        beside = ours.millions_a_second / speed
        yield Figure("features, as many times as fast as polars", beside, "×", work, "more", 1.0)
    yield Figure("peak memory of Parquet → features", peak, "MB", ours.records)
