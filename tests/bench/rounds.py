"""Benches in processes of their own, one round after the other; of several trees in turn."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench.figures import Figure, cases

ROOT = Path(__file__).parents[2]


class BenchFailure(Exception):
    """A bench ended with an error; the text is the last line that it printed."""


@dataclass(frozen=True)
class Tree:
    """A state of the sources, and the Python that has what it needs."""

    name: str
    root: Path
    python: Path
    scratch: Path

    def measure(self, bench: str, size: str, case: int) -> list[Figure]:
        """Measure one case in a process of its own."""
        paths = os.pathsep.join(map(str, (self.root, self.root / "monitor" / "launcher")))
        given = [bench, size, str(case), str(self.scratch)]
        done = subprocess.run(
            [str(self.python), "-m", "tests.bench.one_case", *given],
            cwd=self.root,
            env={**os.environ, "PYTHONPATH": paths},
            capture_output=True,
            text=True,
        )
        if done.returncode:
            last = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1:]
            raise BenchFailure(f"{bench} ends with status {done.returncode}: {''.join(last)}")
        return [Figure(*row) for row in json.loads(done.stdout.splitlines()[-1])]


@dataclass
class Measurements:
    """What was measured of one bench, and what could not be."""

    runs: list[list[Figure]] = field(default_factory=list)
    """The figures of each process."""
    failure: str = ""

    def figures(self) -> list[Figure]:
        """All of them, one run after the other."""
        return [figure for run in self.runs for figure in run]


def measure_rounds(
    trees: list[Tree], bench: str, size: str, rounds: int, budget_s: float
) -> list[Measurements]:
    """Measure a bench in each tree: every case once a round, the trees in turn.

    A case on which `budget_s` have been spent is measured no further. Before the first round each
    tree runs the tiny size, which fills its kernels' cache and is not counted.
    """
    taken = [Measurements() for _ in trees]

    def measure(at: str, case: int, backwards: bool) -> None:
        for tree, measurements in [*zip(trees, taken, strict=True)][:: -1 if backwards else 1]:
            if measurements.failure:
                continue
            try:
                figures = tree.measure(bench, at, case)
            except BenchFailure as failure:
                measurements.failure = str(failure)
            else:
                measurements.runs += [figures]

    if size != "tiny":
        for case in range(len(cases(bench, "tiny"))):
            measure("tiny", case, backwards=False)
        for measurements in taken:
            measurements.runs.clear()
    spent_s = [0.0] * len(cases(bench, size))
    for number in range(rounds):
        for case, spent in enumerate(spent_s):
            if spent < budget_s:
                began = time.monotonic()
                measure(size, case, backwards=number % 2 == 1)
                spent_s[case] += time.monotonic() - began
    return taken


def working_tree(scratch: Path) -> Tree:
    """The sources as they lie here."""
    return Tree("here", ROOT, Path(sys.executable), scratch)
