"""`make bench-compare REV`: two commits measured in one run, in turn; figure by figure the ratio.

    python -m tests.bench.compare REV [BENCH ...] [--full] [--rounds N]

The sources of REV are put into `bench-out/trees`, with the benches of this checkout: one yardstick
for both. They run with this Python, and so with the same libraries, where these are within REV's
bounds and its plug-ins are the same; otherwise with an environment that is made beside them. What
is measured here are the files as they lie, committed or not.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
import tomllib
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from packaging.requirements import Requirement

from tests.bench.__main__ import BENCHES, OUT
from tests.bench.figures import Result, medians, results
from tests.bench.report import Report, git, number
from tests.bench.rounds import ROOT, Tree, measure_rounds, working_tree

ROUNDS = 5
MEASUREMENTS_MIN = 4
"""Of four and four that differ by chance alone, all of one lie beyond all of the other in 3 % of
cases; of five and five in 0.8 %."""


@dataclass(frozen=True)
class Comparison:
    """One figure at another commit and here."""

    before: Result
    after: Result

    @property
    def ratio(self) -> float:
        """The median here by that before."""
        return self.after.median / self.before.median

    @property
    def range(self) -> tuple[float, float]:
        """Lowest and highest ratio of measurements that were taken one after the other."""
        ratios = [
            here / there for here, there in zip(self.after.values, self.before.values, strict=False)
        ]
        return min(ratios), max(ratios)

    @property
    def verdict(self) -> str:
        """Better or worse where all measurements of one lie beyond all of the other; else empty."""
        before, after = self.before.values, self.after.values
        if min(len(before), len(after)) < MEASUREMENTS_MIN:
            return ""
        if max(after) < min(before):
            return "better" if self.after.better == "less" else "worse"
        if min(after) > max(before):
            return "worse" if self.after.better == "less" else "better"
        return ""

    def line(self) -> str:
        low, high = self.range
        one = self.after
        work = "" if one.work == self.before.work else f"  work {self.before.work:,} → {one.work:,}"
        return (
            f"{self.verdict:7}{one.bench + ', ' + one.name:52}{number(self.before.median):>10}"
            f"{number(one.median):>10} {one.unit:12}{self.ratio:>7.3f}  "
            f"({low:.3f} to {high:.3f}){work}"
        )


def comparisons(before: list[Result], after: list[Result]) -> list[Comparison]:
    """The figures that both have: what differs beyond noise first, the largest change first."""
    there = {(one.bench, one.name): one for one in before}
    pairs = [
        Comparison(there[one.bench, one.name], one)
        for one in after
        if (one.bench, one.name) in there
    ]

    def change(pair: Comparison) -> float:
        return max(pair.ratio, 1 / pair.ratio) if pair.ratio > 0 else float("inf")

    beyond = sorted((p for p in pairs if p.verdict), key=change, reverse=True)
    return beyond + [pair for pair in pairs if not pair.verdict]


def tree_at(root: Path, revision: str, folder: Path) -> Path:
    """The sources of a commit of `root` in `folder`, with the benches as they lie in `root`."""
    tree = folder / git(root, "rev-parse", f"{revision}^{{commit}}")[:12]
    if not tree.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as partial:
            packed = Path(partial) / "sources.tar"
            git(root, "archive", "--output", str(packed), f"{revision}^{{commit}}")
            sources = Path(partial) / "sources"
            shutil.unpack_archive(packed, sources)
            sources.rename(tree)
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.rmtree(tree / "tests" / "bench", ignore_errors=True)
    shutil.copytree(root / "tests" / "bench", tree / "tests" / "bench", ignore=ignored)
    return tree


def python_for(tree: Path) -> Path:
    """This Python where it has what `tree` asks for; otherwise one of its own, made there."""
    if _fits(tree):
        return Path(sys.executable)
    base = Path(sys.base_prefix) / "bin" / "python3"
    subprocess.run(["make", ".venv/.ready", f"PYTHON={base}"], cwd=tree, check=True)
    return tree / ".venv" / "bin" / "python"


def _fits(tree: Path) -> bool:
    here, there = (
        tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]
        for root in (ROOT, tree)
    )
    return here["entry-points"] == there["entry-points"] and all(
        _installed(Requirement(text)) for text in there["dependencies"]
    )


def _installed(wanted: Requirement) -> bool:
    try:
        return wanted.specifier.contains(version(wanted.name), prereleases=True)
    except PackageNotFoundError:
        return False


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.compare", description=__doc__)
    parser.add_argument("revision")
    parser.add_argument("bench", nargs="*", help="some of " + ", ".join(BENCHES))
    parser.add_argument("--full", action="store_true", help="the sizes of `make bench`")
    parser.add_argument("--tiny", action="store_true", help="the sizes of the tests")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    asked = parser.parse_args()
    size = "full" if asked.full else "tiny" if asked.tiny else "quick"
    try:
        commit = git(ROOT, "rev-parse", f"{asked.revision}^{{commit}}")
    except subprocess.CalledProcessError:
        parser.error(f"git knows no commit {asked.revision!r}: name one that `git log` shows")
    tree = tree_at(ROOT, commit, OUT / "trees")
    python = python_for(tree)
    reports = [Report.of_this_machine(ROOT, size, commit), Report.of_this_machine(ROOT, size)]
    for name, report in zip(("before", "after"), reports, strict=True):
        print(f"{name}: {report.heading()}", flush=True)
    with tempfile.TemporaryDirectory() as there, tempfile.TemporaryDirectory() as here:
        trees = [Tree("before", tree, python, Path(there)), working_tree(Path(here))]
        for bench in asked.bench or BENCHES:
            print(f"measuring {bench}", file=sys.stderr, flush=True)
            measured = measure_rounds(trees, bench, size, asked.rounds, budget_s=float("inf"))
            for side, report, taken in zip(trees, reports, measured, strict=True):
                figures = [figure for run in taken.runs for figure in medians(run)]
                report.figures += results(bench, figures)
                if taken.failure:
                    report.failures.append(f"{side.name}: {taken.failure}")
    print_comparisons(comparisons(reports[0].figures, reports[1].figures))
    names = [report.commit[:12] for report in reports]
    for report, name in zip(reports, (names, names[::-1]), strict=True):
        print(f"  not measured, {'; '.join(report.failures)}") if report.failures else None
        report.write(OUT / f"{name[0]}-beside-{name[1]}.json")
    print(f"written to {OUT}/{names[0]}-beside-{names[1]}.json, and the other way round")
    sys.exit(1 if reports[1].failures else 0)


def print_comparisons(pairs: list[Comparison]) -> None:
    """A line for each figure."""
    print(f"{'':7}{'':52}{'before':>10}{'after':>10} {'':12}{'ratio':>7}  (of single measurements)")
    for pair in pairs:
        print(pair.line())
    ratios = [pair.ratio for pair in pairs if pair.verdict]
    better = sum(pair.verdict == "better" for pair in pairs)
    print(
        f"beyond noise: {better} better, {len(ratios) - better} worse of {len(pairs)} figures"
        + (f"; the median of these ratios is {statistics.median(ratios):.2f}" if ratios else "")
    )


if __name__ == "__main__":
    main()
