"""What a run of benches measured, where and when: as JSON and as lines of a table."""

from __future__ import annotations

import json
import math
import os
import platform
import subprocess
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from typing import Any

from tests.bench.figures import Result

LIBRARIES = ("numba", "numpy", "pyarrow")


@dataclass
class Report:
    """All figures of one run, and the machine that they are true of."""

    commit: str
    """The whole id; with `+` at its end where files differ from it."""
    size: str
    date: str
    """When the run began, ISO 8601 in UTC."""
    machine: dict[str, Any]
    versions: dict[str, str]
    figures: list[Result] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    @classmethod
    def of_this_machine(cls, root: Path, size: str, commit: str = "") -> Report:
        """An empty report; `commit`: by default what is checked out at `root`."""
        model = next(
            (
                line.split(":", 1)[1].strip()
                for line in Path("/proc/cpuinfo").read_text().splitlines()
                if line.startswith("model name")
            ),
            platform.machine(),
        )
        memory_gb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
        machine = {"cores": os.cpu_count(), "processor": model, "memory_gb": round(memory_gb)}
        versions = {name: version(name) for name in LIBRARIES}
        return cls(
            commit or checked_out(root),
            size,
            datetime.now(UTC).isoformat(timespec="seconds"),
            {**machine, "load": os.getloadavg()[0]},
            {"python": platform.python_version(), **versions},
        )

    def heading(self) -> str:
        """One line on what the figures are true of."""
        versions = ", ".join(f"{name} {number}" for name, number in self.versions.items())
        return (
            f"{self.commit[:12]}{self.commit[40:]}, {self.size} size, {self.date[:16]} UTC: "
            f"{self.machine['cores']} cores, load {self.machine['load']:.1f}; {versions}"
        )

    def write(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        whole = {**asdict(self), "figures": [figure.to_json() for figure in self.figures]}
        path.write_text(json.dumps(whole, indent=1, ensure_ascii=False) + "\n", "utf-8")

    @classmethod
    def read(cls, path: Path) -> Report:
        whole = json.loads(path.read_text("utf-8"))
        whole["figures"] = [Result.from_json(figure) for figure in whole["figures"]]
        return cls(**whole)


def checked_out(root: Path) -> str:
    """The commit at `root`, with `+` where files differ from it; "unknown" outside of git."""
    try:
        commit = git(root, "rev-parse", "HEAD")
        return commit + ("+" if git(root, "status", "--porcelain") else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def git(root: Path, *arguments: str) -> str:
    """What git prints."""
    done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def number(value: float) -> str:
    """Three digits that count.

    >>> number(0.01234), number(12.34), number(123456.0)
    ('0.0123', '12.3', '123,456')
    """
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def print_results(figures: list[Result]) -> None:
    """A line for each figure; what misses its goal is marked."""
    if figures:
        print(
            f"\n{figures[0].bench:44}{'median':>10} {'unit':14}{'spread':>8}{'runs':>6}{'goal':>8}"
        )
    for one in figures:
        goal = "" if one.goal is None else number(one.goal)
        mark = f"  MISSED {one.beyond:.3g}×" if one.beyond else ""
        print(
            f"  {one.name:42}{number(one.median):>10} {one.unit:14}{one.spread:>8.0%}"
            f"{len(one.values):>6}{goal:>8}{mark}",
            flush=True,
        )
    if powers := growth(figures):
        print(f"  {powers}", flush=True)


def growth(figures: list[Result]) -> str:
    """By which power of the markets the cost of a second grows from each size to the next.

    Empty where the bench of seconds was not asked for two sizes.
    """
    points = markets_and_ms(figures)
    powers = [
        f"{low[0]:g} to {high[0]:g}: {math.log(high[1] / low[1]) / math.log(high[0] / low[0]):.2f}"
        for low, high in pairwise(points)
    ]
    return f"growth in markets, 1 is linear: {', '.join(powers)}" if powers else ""


def markets_and_ms(figures: list[Result]) -> list[tuple[float, float]]:
    """Markets and ms a second of the bench of seconds, whose figures are called 64x20000."""
    return [
        (float(one.name.split("x")[0]), one.median) for one in figures if one.bench == "seconds"
    ]


def print_goals(figures: list[Result]) -> None:
    """Which goals are missed, by how much."""
    asked = [one for one in figures if one.goal is not None]
    missed = [one for one in asked if one.beyond]
    print(f"\ngoals: {len(asked) - len(missed)} of {len(asked)} are met")
    for one in missed:
        print(
            f"  MISSED {one.bench}, {one.name}: {number(one.median)} {one.unit}, "
            f"asked {number(one.goal or 0.0)}: {one.beyond:.3g}× its goal"
        )
