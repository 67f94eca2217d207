"""Every bench runs, at a tiny size."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from tests.bench.__main__ import BENCHES
from tests.bench.bench_seconds import SecondsCost
from tests.bench.figures import SIZES, cases, measure, results

STUDIES = {
    "detect": "quality; `test_first_bursts.py` and the detectors' tests run its parts",
    "live": "needs a broker; `tests/live/test_bench_live.py` runs it",
    "rivals": "needs a broker; `tests/live/test_bench_rivals.py` runs it",
    "outcomes": "quality; `tests/replay/test_liquidation_outcomes.py` runs it",
    "timing": "quality; it reads a recording",
    "crowding": "quality; `test_crowding_studies.py` runs its rules",
    "printed_prices": "quality; `tests/vectors/test_printed_prices.py` runs it",
}
"""Modules that do not belong to `make bench`, and why."""


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bench")


@pytest.mark.parametrize("bench", BENCHES)
def test_a_bench_measures_what_it_says(bench: str, scratch: Path) -> None:
    figures = [f for case in cases(bench, "tiny") for f in measure(bench, case, scratch)]
    assert figures
    for figure in figures:
        assert math.isfinite(figure.value), figure
        assert figure.value > 0, figure
        assert figure.work > 0, figure
        assert figure.goal is None or figure.goal > 0, figure
    assert len({one.name for one in results(bench, figures)}) > 0


def test_every_bench_is_measured_or_says_why_not() -> None:
    modules = {
        path.stem.removeprefix("bench_") for path in Path(__file__).parent.glob("bench_*.py")
    }
    assert modules == {*BENCHES, *STUDIES}
    assert all(cases(bench, size) for bench in BENCHES for size in SIZES)


def test_the_cost_of_events_is_no_cost_of_seconds() -> None:
    assert SecondsCost(cpu_s=0.5, seconds=100, records=100_000).ms_a_second == 4.0
