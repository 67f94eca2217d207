"""From Parquet to features: events a second, beside polars; peak memory; a million accounts.

    python -m tests.bench.bench_features [--minutes 60] [--rate 2700]

A simulated day over 64 symbols is made once in a temporary folder. Each figure comes from a
process of its own; the ones that are compared take turns, and the median is printed.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

TURNS = 3


def _peak_mb() -> float:
    """This program's own: `ru_maxrss` would begin with that of the process it was forked from."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def features(day: Path) -> dict[str, Any]:
    """Parquet, columns, watermark, accumulators, windows, features: one shard, no detectors."""
    from monitor.core.event_time.watermark import apply_controls
    from monitor.core.settings import EngineSettings
    from monitor.core.shard import SHARD_KINDS, Shard
    from replay.day import Day
    from replay.day.prefetch import prefetch
    from replay.workers.shard_task import WINDOWS_PER_CLOSE_MAX

    recorded = Day(day)
    shard = Shard(0, 1, EngineSettings(streams=()), [], WINDOWS_PER_CLOSE_MAX)
    apply_controls(shard.clocks, recorded.controls())
    began = time.perf_counter()
    records = windows = 0
    for batch in prefetch(recorded.batches()):
        if batch.kind in SHARD_KINDS:
            records += len(batch)
            windows += sum(len(part.features.window) for part in shard.step(batch))
    windows += sum(len(part.features.window) for part in shard.advance())
    seconds = time.perf_counter() - began
    return {"records": records, "seconds": seconds, "windows": windows, "peak_mb": _peak_mb()}


def engine(day: Path) -> dict[str, Any]:
    """The whole engine: detectors, accounts and bands too."""
    from monitor.core.engine import Engine
    from monitor.core.settings import EngineSettings
    from monitor.plugins import detector_factories
    from replay.day import Day
    from replay.day.prefetch import prefetch
    from replay.workers.shard_task import WINDOWS_PER_CLOSE_MAX

    settings = EngineSettings()
    recorded = Day(day)
    machine = Engine(
        settings, detector_factories(settings.streams), backlog_windows=WINDOWS_PER_CLOSE_MAX
    )
    began = time.perf_counter()
    records = 0
    machine.control(recorded.controls())
    for batch in prefetch(recorded.batches()):
        records += len(batch)
        machine.step(batch)
    machine.finish()
    seconds = time.perf_counter() - began
    return {
        "records": records,
        "seconds": seconds,
        "windows": machine.windows,
        "peak_mb": _peak_mb(),
    }


def polars(day: Path) -> dict[str, Any]:
    """What a data frame does at its best: read the same files, count and sum by symbol and second.

    It joins no ages, counts no accounts and measures no books, and holds no order of time.
    """
    import polars as pl

    began = time.perf_counter()
    records = 0
    for kind in ("order", "cancel", "fill", "leverage", "book", "mark"):
        for file in sorted((day / kind).glob("*.parquet")):
            frame = pl.read_parquet(file)
            records += len(frame)
            sums = [pl.len()]
            if "quantity" in frame.columns and "price" in frame.columns:
                value = pl.col("price").cast(pl.Float64) * pl.col("quantity").cast(pl.Float64)
                sums.append(value.sum().alias("notional"))
            keys = ["symbol", (pl.col("ts") // 1_000_000_000).alias("second")]
            if "side" in frame.columns:
                keys.append("side")
            frame.group_by(keys).agg(sums)
    return {"records": records, "seconds": time.perf_counter() - began, "peak_mb": _peak_mb()}


def accounts(number: int) -> dict[str, Any]:
    """Cancels of so many accounts in ten minutes, and what memory that takes."""
    import numpy as np

    from monitor.core.contract.events import TOPICS, Control
    from monitor.core.decode.batch import ABSENT, Batch, TextColumn
    from monitor.core.engine import Engine
    from monitor.core.settings import EngineSettings

    settings = EngineSettings(streams=())
    machine = Engine(settings, [])
    start, second = 1_764_000_000_000_000_000, 1_000_000_000
    others = [t for t in TOPICS.values() if t != "cancels"]
    machine.control(
        [Control(topic=t, partition=0, offset=0, ts=start + 10_000 * second) for t in others]
    )
    done, rows = 0, 20_000
    began = time.perf_counter()
    while done < 1_000_000:
        index = np.arange(done, done + rows)
        absent = np.full(rows, ABSENT)
        numbers = dict.fromkeys(("seq", "side", "price", "quantity", "placed_ts", "reason"), absent)
        numbers["ts"] = start + index * (600 * second // 1_000_000)
        names = [f"0x{i * 2_654_435_761 % number:040x}" for i in index.tolist()]
        texts = {
            "symbol": TextColumn.from_strings(["BTC-PERP"] * rows),
            "account": TextColumn.from_strings(names),
        }
        texts["order_id"] = TextColumn.from_strings([f"{i}" for i in index.tolist()])
        machine.step(Batch("cancel", "cancels", 0, index, numbers, texts))
        done += rows
    return {"accounts": number, "seconds": time.perf_counter() - began, "peak_mb": _peak_mb()}


def _in_process(*arguments: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "tests.bench.bench_features", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=int, default=60)
    parser.add_argument("--rate", type=float, default=2_700.0)
    parser.add_argument("--one", nargs="*", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        name, value = asked.one
        run = {
            "features": lambda: features(Path(value)),
            "engine": lambda: engine(Path(value)),
            "polars": lambda: polars(Path(value)),
            "accounts": lambda: accounts(int(value)),
        }[name]
        print(json.dumps(run()))
        return
    with tempfile.TemporaryDirectory() as folder:
        from replay.simulation.settings import SimulationSettings
        from replay.simulation.simulate import simulate

        day = Path(folder) / "day"
        size = SimulationSettings(7, asked.minutes, symbols=64, accounts=20_000, rate=asked.rate)
        simulate(day, size)
        _in_process("--one", "features", str(day))  # the kernels' cache, the files' cache
        seen: dict[str, list[dict[str, Any]]] = {"features": [], "engine": [], "polars": []}
        for _ in range(TURNS):
            for name, results in seen.items():
                results.append(_in_process("--one", name, str(day)))
    print(f"{'':34}{'records':>12}{'seconds':>10}{'M events/s':>12}{'peak MB':>10}")
    seconds = {}
    for name, words in (
        ("features", "Parquet → features"),
        ("engine", "the whole engine, with accounts"),
        ("polars", "polars: read and group"),
    ):
        results = seen[name]
        seconds[name] = statistics.median(r["seconds"] for r in results)
        rate = results[0]["records"] / seconds[name] / 1e6
        peak = max(r["peak_mb"] for r in results)
        print(f"{words:34}{results[0]['records']:12,}{seconds[name]:10.2f}{rate:12.2f}{peak:10.0f}")
    print(f"features take {seconds['features'] / seconds['polars']:.2f} of polars' time")
    few, many = (_in_process("--one", "accounts", str(n)) for n in (1_000, 1_000_000))
    print(
        f"a million cancels of 1,000 accounts: peak {few['peak_mb']:.0f} MB; of a million "
        f"accounts: {many['peak_mb']:.0f} MB, {many['peak_mb'] - few['peak_mb']:+.0f} MB"
    )


if __name__ == "__main__":
    main()
