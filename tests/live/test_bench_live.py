"""The bench of the latency, at a tiny size."""

from __future__ import annotations

import math
from pathlib import Path

from tests.bench.bench_live import CASES, GOALS_MS, measure


def test_alerts_of_planted_bursts_are_timed(kafka: str, tmp_path: Path) -> None:
    figures = [f for case in CASES["tiny"] for f in measure(tmp_path, **case, address=kafka)]
    assert len(figures) == len(GOALS_MS)
    assert all(math.isfinite(figure.value) and figure.value > 0 for figure in figures)
    assert all(figure.work > 0 for figure in figures)
