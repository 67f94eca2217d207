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

    figures: list[Figure] = field(default_factory=list)
    failure: str = ""


def measure_rounds(
    trees: list[Tree], bench: str, size: str, rounds: int, budget_s: float
) -> list[Measurements]:
    """Measure a bench in each tree: every case once a round, the trees in turn.

    A round that would begin after `budget_s` is left out, but never the first. Before that each
    tree runs the tiny size, which fills its kernels' cache and is not counted.
    """
    taken = [Measurements() for _ in trees]
    for number in range(0 if size == "tiny" else -1, rounds):
        if number <= 0:
            began = time.monotonic()
        if number > 0 and time.monotonic() - began > budget_s:
            break
        at = "tiny" if number < 0 else size
        for case in range(len(cases(bench, at))):
            order = range(len(trees)) if number % 2 else reversed(range(len(trees)))
            for place in order:
                if taken[place].failure:
                    continue
                try:
                    figures = trees[place].measure(bench, at, case)
                except BenchFailure as failure:
                    taken[place].failure = str(failure)
                else:
                    taken[place].figures += figures if number >= 0 else []
    return taken


def working_tree(scratch: Path) -> Tree:
    """The sources as they lie here."""
    return Tree("here", ROOT, Path(sys.executable), scratch)
