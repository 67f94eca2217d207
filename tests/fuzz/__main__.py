"""`python -m tests.fuzz --seconds 600`: changed inputs into everything that reads bytes.

It ends with 1 and shows the input where one makes a traceback, takes over two seconds, or where the
memory keeps growing. The same seed gives the same inputs.
"""

from __future__ import annotations

import argparse
import logging
import random
import resource
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import Any

from tests.fuzz.mutations import mutate
from tests.fuzz.target import Target
from tests.fuzz.targets import BATCH, all_targets

INPUT_SECONDS_MAX = 2.0
MEMORY_GROWTH_MAX_KB = 1_500_000


class HangError(Exception):
    """An input took too long."""


def _stop_hang(*_: Any) -> None:
    raise HangError(f"over {INPUT_SECONDS_MAX} s for one input")


def _memory_kb() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def fault_of(target: Target, inputs: list[bytes]) -> str | None:
    """What goes wrong with these inputs; None where nothing does."""
    signal.setitimer(signal.ITIMER_REAL, INPUT_SECONDS_MAX * len(inputs))
    try:
        target.read(inputs)
    except Exception:
        return traceback.format_exc()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    return None


def fuzz(targets: list[Target], inputs: int, seconds: float, seed: int) -> dict[str, int]:
    """Feed at least `inputs` inputs, or for `seconds`, whichever comes first, in turns; returns
    how many each target got. Exits with 1 at the first fault, which it shows.
    """
    signal.signal(signal.SIGALRM, _stop_hang)
    chance = random.Random(seed)
    counts = dict.fromkeys((target.name for target in targets), 0)
    for target in targets:  # what is compiled and loaded at first use is no hang
        target.read(target.seeds[:BATCH])
    begin, memory = time.monotonic(), _memory_kb()
    while sum(counts.values()) < inputs and time.monotonic() - begin < seconds:
        for target in targets:
            batch = [mutate(chance, target.seeds) for _ in range(BATCH)]
            fault = fault_of(target, batch)
            counts[target.name] += len(batch)
            if fault is not None:
                guilty = next((raw for raw in batch if fault_of(target, [raw])), None)
                shown = batch if guilty is None else guilty
                sys.exit(f"{fault}\n{target.name} fails on {shown!r:.3000}")
        if _memory_kb() - memory > MEMORY_GROWTH_MAX_KB:
            sys.exit(f"memory grew from {memory} kB to {_memory_kb()} kB: {counts}")
    return counts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=10**9)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help="targets whose name contains this")
    asked = parser.parse_args()
    logging.disable()
    with tempfile.TemporaryDirectory() as folder:
        targets = [t for t in all_targets(Path(folder)) if asked.only in t.name]
        begin = time.monotonic()
        counts = fuzz(targets, asked.inputs, asked.seconds, asked.seed)
    for name, count in counts.items():
        print(f"{name:<24}{count:>10}")
    took = time.monotonic() - begin
    print(f"{sum(counts.values())} inputs in {took:.0f} s, {_memory_kb() // 1000} MB, no fault")


if __name__ == "__main__":
    main()
