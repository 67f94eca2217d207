"""The whole engine, everything on: events a second, and what an event costs beside the seconds.

Two simulated days of one venue, of which the second has ten times the orders, cancels and fills.
The difference of their processor times by that of their records is the cost of an event.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from monitor.core.engine import Engine
from monitor.core.settings import EngineSettings
from monitor.plugins import detector_factories
from replay.day import Day
from replay.day.prefetch import prefetch
from replay.simulation.settings import SimulationSettings
from replay.workers.shard_task import WINDOWS_PER_CLOSE_MAX
from tests.bench.bench_features import Pass
from tests.bench.bench_seconds import EVENT_US, simulated_day
from tests.bench.figures import Figure

CASES = {
    "full": ({"minutes": 6, "symbols": 64, "rate": 400.0},),
    "quick": ({"minutes": 3, "symbols": 8, "rate": 400.0},),
    "tiny": ({"minutes": 2, "symbols": 2, "rate": 50.0},),
}


def replay_day(day: Path) -> Pass:
    """Read and replay a day in this process."""
    settings, recorded = EngineSettings(), Day(day)
    engine = Engine(
        settings, detector_factories(settings.streams), backlog_windows=WINDOWS_PER_CLOSE_MAX
    )
    began, spent = time.perf_counter(), time.process_time()
    records = 0
    engine.control(recorded.controls())
    for batch in prefetch(recorded.batches()):
        records += len(batch)
        engine.step(batch)
    engine.finish()
    wall_s, cpu_s = time.perf_counter() - began, time.process_time() - spent
    return Pass(records, wall_s, cpu_s, engine.windows)


def measure(scratch: Path, minutes: int, symbols: int, rate: float) -> Iterator[Figure]:
    few, many = (
        replay_day(
            simulated_day(
                scratch,
                SimulationSettings(7, minutes, symbols, 2_000, traffic, incidents="none"),
            )
        )
        for traffic in (rate, 10 * rate)
    )
    speed, records = many.millions_a_second, many.records
    yield Figure(f"{records / minutes / 60:,.0f} events/s", speed, "M events/s", records, "more")
    added = many.records - few.records
    cost = (many.cpu_s - few.cpu_s) / added * 1e6
    yield Figure("an event, beside the seconds", cost, "µs", added, goal=EVENT_US)
