"""From nothing to the first result: kernels' cache empty, kernels' cache warm; and `--help`.

python -m tests.bench.bench_start
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def seconds(command: list[str], **environment: str) -> float:
    """Wall time of a whole process."""
    began = time.perf_counter()
    subprocess.run(command, env={**os.environ, **environment}, capture_output=True, check=True)
    return time.perf_counter() - began


def main() -> None:
    program = [sys.executable, "-m", "monitor.cli"]
    with tempfile.TemporaryDirectory() as folder:
        day = str(Path(folder) / "day")
        size = ["--minutes", "7", "--symbols", "2", "--rate", "100", "--incidents", "none"]
        subprocess.run([*program, "simulate", day, *size], capture_output=True, check=True)
        replay = [*program, "replay", day, "--json"]
        cache = str(Path(folder) / "cache")
        cold = seconds(replay, NUMBA_CACHE_DIR=cache)
        warm = statistics.median(seconds(replay, NUMBA_CACHE_DIR=cache) for _ in range(3))
    help_ = statistics.median(seconds([*program, "--help"]) for _ in range(5))
    print(f"replay of a short day, cache empty: {cold:.1f} s (to stay under 20)")
    print(f"replay of a short day, cache warm:  {warm:.1f} s")
    print(f"--help:                             {help_:.2f} s (to stay under 0.3)")


if __name__ == "__main__":
    main()
