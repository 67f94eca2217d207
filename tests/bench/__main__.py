"""`make bench`: what brinkwatch costs, as a table and as JSON.

    python -m tests.bench [BENCH ...] [--quick] [--rounds N] [--out FILE]

Without names: all of `BENCHES`. A figure that misses its goal is marked and listed at the end;
a bench that fails makes the whole end with status 1.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.bench.figures import results
from tests.bench.report import Report, print_goals, print_results
from tests.bench.rounds import ROOT, measure_rounds, working_tree

BENCHES = (
    "seconds", "engine", "cores", "layers", "features", "start", "compile", "decode", "sources",
    "accounts", "bands", "cascade", "memory", "page",
)  # fmt: skip
"""In the order of the table: the whole comes first."""
OUT = ROOT / "bench-out"
ROUNDS = 3
BUDGET_S = 60.0
"""A case that has taken so long is measured no further."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("bench", nargs="*", help="some of " + ", ".join(BENCHES))
    parser.add_argument("--quick", action="store_true", help="smaller sizes")
    parser.add_argument("--tiny", action="store_true", help="the sizes of the tests")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--out", type=Path, help="the JSON file; by default in bench-out/")
    asked = parser.parse_args()
    size = "tiny" if asked.tiny else "quick" if asked.quick else "full"
    missing = [n for n in asked.bench if not (Path(__file__).parent / f"bench_{n}.py").exists()]
    if missing:
        parser.error(f"no bench {missing[0]!r}: take some of {', '.join(BENCHES)}")
    report = Report.of_this_machine(ROOT, size)
    print(report.heading(), flush=True)
    with tempfile.TemporaryDirectory() as scratch:
        tree = working_tree(Path(scratch))
        for bench in asked.bench or BENCHES:
            (taken,) = measure_rounds([tree], bench, size, asked.rounds, BUDGET_S)
            figures = results(bench, taken.figures())
            print_results(figures)
            report.figures += figures
            if taken.failure:
                report.failures.append(taken.failure)
                print(f"  not measured: {taken.failure}", flush=True)
    path = asked.out or OUT / f"{report.commit[:12]}-{size}.json"
    report.write(path)
    print_goals(report.figures)
    print(f"written to {path}")
    sys.exit(1 if report.failures else 0)


if __name__ == "__main__":
    main()
