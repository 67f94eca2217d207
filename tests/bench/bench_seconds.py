"""The cost of a second: processor time of the whole engine for each second of event time.

    python -m tests.bench.bench_seconds [--minutes 4] [--sizes 8x2000,64x20000]

A simulated day for each size (markets × accounts), replayed in a process of its own with everything
on by default. Its first half is not counted: there pools and streams begin. An event is taken to
cost `EVENT_US`, and the rest of the time is that of the seconds.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from monitor.core.engine import Engine
from monitor.core.settings import EngineSettings
from monitor.plugins import detector_factories
from replay.day import Day
from replay.run import WINDOWS_PER_CLOSE_MAX
from replay.simulation.settings import SimulationSettings
from replay.simulation.simulate import simulate

SIZES = "8x2000,64x20000,256x20000,1000x100000"
"""With a million accounts the opening positions alone take minutes to read: ask for it by name."""
GOALS_MS = {"8x2000": 0.6, "64x20000": 2.5, "256x20000": 8.0, "1000x1000000": 300.0}
EVENT_US = 1.0
"""What an event may cost, and is taken to cost, µs."""


class SecondsCost(NamedTuple):
    """What the counted part of a day took: processor time, and how much of the day it is."""

    cpu_s: float
    seconds: int
    records: int

    @property
    def ms_a_second(self) -> float:
        """Processor time for each second of event time, the events' own cost taken off, ms."""
        return (self.cpu_s * 1e3 - self.records * EVENT_US / 1e3) / self.seconds


def measure(day: Path) -> SecondsCost:
    """Replay a day; count from the first step after half of its seconds have had their bands."""
    settings, recorded = EngineSettings(), Day(day)
    batches = list(recorded.batches())
    engine = Engine(
        settings, detector_factories(settings.streams), backlog_windows=WINDOWS_PER_CLOSE_MAX
    )
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


def measure_size(markets: int, accounts: int, minutes: int, rate: float = 400.0) -> SecondsCost:
    """Simulate a day and measure it, in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        day = Path(folder) / "day"
        size = SimulationSettings(7, minutes, markets, accounts, rate, incidents="none")
        simulate(day, size)
        command = [sys.executable, "-m", "tests.bench.bench_seconds", "--day", str(day)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    return SecondsCost(*json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=int, default=4)
    parser.add_argument("--sizes", default=SIZES)
    parser.add_argument("--day", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.day:
        print(json.dumps(measure(asked.day)))
        return
    titles = ("markets", 8), ("accounts", 10), ("events/s", 10), ("ms a second", 13), ("asked", 7)
    print("".join(f"{title:>{width}}" for title, width in titles) + f"{'growth':>8}")
    former: tuple[int, float] | None = None
    for size in asked.sizes.split(","):
        markets, accounts = map(int, size.split("x"))
        cost = measure_size(markets, accounts, asked.minutes)
        ms, goal, growth = cost.ms_a_second, GOALS_MS.get(size), ""
        if former is not None:
            growth = f"{math.log(ms / former[1]) / math.log(markets / former[0]):.2f}"
        rate = cost.records / cost.seconds
        print(f"{markets:>8,}{accounts:>10,}{rate:>10,.0f}{ms:>13.2f}{goal or '':>7}{growth:>8}")
        former = markets, ms
    print("growth: exponent of the cost in markets from the line before; 1 is linear")


if __name__ == "__main__":
    main()
