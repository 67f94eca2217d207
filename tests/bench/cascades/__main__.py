"""What the engine says of cascades beside what a simulated venue then does.

    python -m tests.bench.cascades [--seeds N] [--only october,range,exponent] [--data FOLDER]

October: 10 October 2025 rebuilt from its sums, which FOLDER holds (skipped without them). Range:
days with a shock and without, one of each for a seed; is the true lowest mark inside what the
engine says, and how long before the first forced fill is an alarm there? Exponent: how displacement
grows with forced flow.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from tests.bench.cascades.exponent import exponent_lines
from tests.bench.cascades.october import Known, Setting, october_lines
from tests.bench.cascades.tables import lead_lines, range_lines
from tests.bench.cascades.trials import run_trial
from tests.support import SHARED

PARTS = ("october", "range", "exponent")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.cascades", description=__doc__)
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--only", default="", help="some of " + ", ".join(PARTS))
    parser.add_argument("--data", type=Path, default=SHARED / "data")
    asked = parser.parse_args()
    parts = asked.only.split(",") if asked.only else PARTS
    if unknown := [part for part in parts if part not in PARTS]:
        parser.error(f"no part {unknown[0]!r}: take some of {', '.join(PARTS)}")
    for part in parts:
        print(f"\n{part}")
        for line in part_lines(part, asked.seeds, asked.data):
            print(line, flush=True)


def part_lines(part: str, seeds: int, data: Path) -> Iterator[str]:
    """The table of one part."""
    if part == "october":
        if not (data / "adl-2025-10-10").is_dir():
            yield f"{data} has no adl-2025-10-10: name the folder of recordings with --data"
            return
        yield from october_lines(Known.read(data), Setting(), range(1, 1 + min(seeds, 5)))
    elif part == "exponent":
        yield from exponent_lines(range(seeds))
    else:
        trials = [run_trial(seed, shocked) for seed in range(seeds) for shocked in (True, False)]
        yield from range_lines([trial for trial in trials if trial.shock])
        yield ""
        yield from lead_lines(trials)


if __name__ == "__main__":
    main()
