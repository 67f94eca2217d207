"""A replay, everything on: events a second, and what an event costs beside the seconds.

Two simulated days of one venue, of which the second has ten times the orders, cancels and fills.
The difference of their processor times by that of their records is the cost of an event.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from monitor.core.settings import EngineSettings
from monitor.plugins import detector_factories
from replay.day import Day
from replay.run import ReplaySummary, replay
from replay.simulation.settings import SimulationSettings
from tests.bench.bench_seconds import EVENT_US, simulated_day
from tests.bench.figures import Figure

CASES = {
    "full": ({"minutes": 6, "symbols": 64, "rate": 400.0},),
    "quick": ({"minutes": 3, "symbols": 8, "rate": 400.0},),
    "tiny": ({"minutes": 2, "symbols": 2, "rate": 50.0},),
}


class ReplayCost(NamedTuple):
    """A replay, and the processor time of this process and of those that it began."""

    summary: ReplaySummary
    cpu_s: float


def replay_day(day: Path) -> ReplayCost:
    """Replay a day as `brinkwatch replay` does."""
    settings, began_s = EngineSettings(), _cpu_s()
    summary = replay(Day(day), settings, detector_factories(settings.streams))
    return ReplayCost(summary, _cpu_s() - began_s)


def _cpu_s() -> float:
    """User and system time, with that of children that have ended."""
    return sum(os.times()[:4])


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
    records = many.summary.records
    speed = records / many.summary.seconds / 1e6
    name = f"{records / minutes / 60:,.0f} events in a second of event time"
    yield Figure(name, speed, "M events/s", records, "more")
    added = records - few.summary.records
    cost = (many.cpu_s - few.cpu_s) / added * 1e6
    yield Figure("an event, beside the seconds", cost, "µs", added, goal=EVENT_US)
