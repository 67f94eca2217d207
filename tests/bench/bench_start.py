"""From nothing to the first result: kernels' cache empty, kernels' cache warm; and `--help`.

Wall time of whole processes, as whoever waits for them has it.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from replay.simulation.settings import SimulationSettings
from tests.bench.bench_seconds import simulated_day
from tests.bench.figures import Figure

CASES = {"full": ({"cold": True},), "quick": ({"cold": False},), "tiny": ({"cold": False},)}
PROGRAM = [sys.executable, "-m", "monitor.cli"]
DAY = SimulationSettings(minutes=7, symbols=2, rate=100.0, incidents="none")


def seconds(arguments: list[str], cache: str | None = None) -> float:
    """Wall time of one run of the program; `cache`: the folder of its kernels' cache."""
    environment = {**os.environ, "NUMBA_CACHE_DIR": cache} if cache else None
    began = time.perf_counter()
    subprocess.run([*PROGRAM, *arguments], env=environment, capture_output=True, check=True)
    return time.perf_counter() - began


def _cpu_s_of_children() -> float:
    """Processor time of the processes that have ended, with those that they started."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def measure(scratch: Path, cold: bool) -> Iterator[Figure]:
    replay = ["replay", str(simulated_day(scratch, DAY)), "--json"]
    with tempfile.TemporaryDirectory() as folder:
        cache = folder if cold else None
        if cold:
            before = _cpu_s_of_children()
            wall_s = seconds(replay, cache)
            cpu_s = _cpu_s_of_children() - before
            yield Figure("replay of 7 minutes, cache empty", wall_s, "s", 1, goal=20.0)
            yield Figure("the same, processor time of all its processes", cpu_s, "s", 1)
        for _ in range(3 if cold else 1):
            yield Figure("replay of 7 minutes, cache warm", seconds(replay, cache), "s", 1)
    for _ in range(5 if cold else 1):
        yield Figure("--help", seconds(["--help"]), "s", 1, goal=0.3)
