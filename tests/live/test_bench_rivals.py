"""The bench of those who read the same records: `run` and aiokafka alone, at a tiny size."""

from __future__ import annotations

import math
from pathlib import Path

from tests.bench.bench_rivals import CASES, RUNS, measure


def test_run_and_a_bare_consumer_read_the_same_records(kafka: str, tmp_path: Path) -> None:
    figures = [f for case in CASES["tiny"] for f in measure(tmp_path, **case, address=kafka)]
    assert {figure.name.split(":")[0] for figure in figures} == {*RUNS, "aiokafka"}
    assert len({figure.work for figure in figures}) == 1
    assert all(math.isfinite(figure.value) and figure.value > 0 for figure in figures)
