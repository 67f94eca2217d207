"""What worker processes gain: a replay of a day of several partitions, on one core and on all."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from monitor.core.settings import EngineSettings
from monitor.plugins import detector_factories
from replay.day import Day
from replay.run import ReplayOptions, ReplaySummary, replay
from replay.simulation.settings import SimulationSettings
from tests.bench.bench_seconds import simulated_day
from tests.bench.figures import Figure

CASES = {
    "full": ({"minutes": 10, "symbols": 64, "rate": 2_700.0},),
    "quick": ({"minutes": 3, "symbols": 64, "rate": 2_700.0},),
    "tiny": ({"minutes": 1, "symbols": 2, "rate": 20.0},),
}
WORKERS = 2
GOAL = 1.7
"""Times as fast in two workers as in one process, on two cores."""


def measure(scratch: Path, minutes: int, symbols: int, rate: float) -> Iterator[Figure]:
    sizes = SimulationSettings(
        7, minutes, symbols, 2_000, rate, incidents="none", partitions=WORKERS
    )
    day = simulated_day(scratch, sizes)
    one, two = (_replay(day, workers) for workers in (1, WORKERS))
    assert one.digest == two.digest
    records = one.records
    yield Figure("in one process", one.seconds, "s", records)
    yield Figure(f"in {WORKERS} workers", two.seconds, "s", records)
    gain = one.seconds / two.seconds
    yield Figure("times as fast", gain, "×", records, "more", GOAL)


def _replay(day: Path, workers: int) -> ReplaySummary:
    settings = EngineSettings()
    options = ReplayOptions(workers=workers)
    return replay(Day(day), settings, detector_factories(settings.streams), options)
