"""The cost of a second: processor time of the whole engine for each second of event time.

A simulated day for each size (markets × accounts), replayed with everything on by default. Its
first half is not counted: there pools and streams begin. An event is taken to cost `EVENT_US`, and
the rest of the time is that of the seconds.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from monitor.core.engine import Engine
from monitor.core.settings import EngineSettings
from monitor.plugins import detector_factories
from replay.day import Day
from replay.simulation.settings import SimulationSettings
from replay.simulation.simulate import simulate
from tests.bench.figures import Figure

GOALS_MS = {"8x2000": 0.6, "64x20000": 2.5, "256x20000": 8.0, "1000x1000000": 300.0}
EVENT_US = 1.0
"""What an event may cost, and is taken to cost, µs."""
BACKLOG_WINDOWS = 60
"""As a replay has it; the bench's own number, so that it runs on commits that keep it elsewhere."""


def _case(markets: int, accounts: int, minutes: int, rate: float = 400.0) -> dict[str, Any]:
    return {"markets": markets, "accounts": accounts, "minutes": minutes, "rate": rate}


CASES = {
    "full": (
        _case(8, 2_000, 12),
        _case(64, 20_000, 8),
        _case(256, 20_000, 5),
        _case(1_000, 1_000_000, 3),
    ),
    "quick": (_case(8, 2_000, 6), _case(64, 20_000, 4), _case(256, 20_000, 3)),
    "tiny": (_case(2, 20, 3, 20.0),),
}


class SecondsCost(NamedTuple):
    """What the counted part of a day took: processor time, and how much of the day it is."""

    cpu_s: float
    seconds: int
    records: int

    @property
    def ms_a_second(self) -> float:
        """Processor time for each second of event time, the events' own cost taken off, ms."""
        return (self.cpu_s * 1e3 - self.records * EVENT_US / 1e3) / self.seconds


def replay_second_half(day: Path) -> SecondsCost:
    """Replay a day of some minutes; count from the first step after half of its seconds have had
    their bands. A step is about a minute."""
    settings, recorded = EngineSettings(), Day(day)
    batches = list(recorded.batches())
    factories = detector_factories(settings.streams)
    engine = Engine(settings, factories, backlog_windows=BACKLOG_WINDOWS)
    engine.control(recorded.controls())
    marks = [(0.0, 0, 0)]
    records = 0
    for batch in batches:
        engine.step(batch)
        records += len(batch)
        marks.append((time.process_time(), engine.stage.cells, records))
    end_s, seconds, records = marks[-1]
    begin = next(mark for mark in marks if mark[1] >= seconds / 2)
    return SecondsCost(end_s - begin[0], seconds - begin[1], records - begin[2])


def simulated_day(scratch: Path, settings: SimulationSettings) -> Path:
    """A day of these settings, made where an earlier round has not."""
    name = f"{settings.symbols}x{settings.accounts}-{settings.minutes}-{settings.rate:g}"
    day = scratch / f"{name}-{settings.partitions}"
    if not day.exists():
        simulate(day, settings)
    return day


def measure(
    scratch: Path, markets: int, accounts: int, minutes: int, rate: float
) -> Iterator[Figure]:
    settings = SimulationSettings(7, minutes, markets, accounts, rate, incidents="none")
    cost = replay_second_half(simulated_day(scratch, settings))
    size = f"{markets}x{accounts}"
    yield Figure(size, cost.ms_a_second, "ms a second", cost.seconds, goal=GOALS_MS.get(size))
