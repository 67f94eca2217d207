"""Compiling from an empty cache, by kernel: processor time, all in one process.

    python -m tests.bench compile

A kernel's time is without that of the functions that it has compiled on the way, ours or numba's;
`work` says for how many types it was compiled. A first start does the same on all cores
(`python -m tests.bench start` has its wall time).
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from numba.core import event

from monitor.commands.compile_ahead import find_kernels
from tests.bench.figures import Figure

CASES = {"full": ({"folders": None},), "quick": ({"folders": 4},), "tiny": ({"folders": 1},)}
"""How many of the folders with kernels; the smallest ones where it is not all."""
DEAREST = 20
"""Kernels with a line of their own."""


class KernelTimes(event.Listener):
    """Processor time of each function that numba compiles, by its full name."""

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()
        self.types: Counter[str] = Counter()
        self._running: list[tuple[float, float]] = []
        """When each function under way was begun, and what those within it took."""

    def on_start(self, event: event.Event) -> None:
        self._running.append((time.process_time(), 0.0))

    def on_end(self, event: event.Event) -> None:
        began, within = self._running.pop()
        took = time.process_time() - began
        if self._running:
            outer, others = self._running[-1]
            self._running[-1] = outer, others + took
        function = event.data["dispatcher"].py_func
        name = f"{function.__module__}.{function.__qualname__}"
        self.seconds[name] += took - within
        self.types[name] += 1


def compile_times(modules: list[str]) -> tuple[dict[str, float], dict[str, int]]:
    """Seconds and number of types by function, from importing modules with an empty cache."""
    with tempfile.TemporaryDirectory() as cache:
        done = subprocess.run(
            [sys.executable, "-m", "tests.bench.bench_compile", *modules],
            env={**os.environ, "NUMBA_CACHE_DIR": cache},
            capture_output=True,
            check=True,
        )
    seconds, types = json.loads(done.stdout)
    return seconds, types


def measure(scratch: Path, folders: int | None) -> Iterator[Figure]:
    chosen = find_kernels()[-folders:] if folders else find_kernels()
    seconds, types = compile_times([name for folder in chosen for name in folder.modules])
    numbas = [name for name in seconds if name.startswith("numba.")]
    ours = sorted(seconds.keys() - set(numbas), key=lambda name: -seconds[name])
    for name, group in (("all kernels", ours), ("functions of numba's in them", numbas)):
        if group:
            work = sum(types[each] for each in group)
            yield Figure(name, sum(seconds[each] for each in group), "s", work)
    for name in ours[:DEAREST]:
        yield Figure(name, seconds[name], "s", types[name])


def main() -> None:
    times = KernelTimes()
    event.register("numba:compile", times)  # type: ignore[no-untyped-call]
    for module in sys.argv[1:]:
        importlib.import_module(module)
    print(json.dumps([times.seconds, times.types]))


if __name__ == "__main__":
    main()
