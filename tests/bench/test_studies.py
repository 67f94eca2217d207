"""Studies of quality start, on little data."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from monitor.core.contract.units import SECOND_NS
from tests.bench import bench_timing
from tests.bench.bench_detect import PARTS
from tests.bench.detect.ablation import accounts, calibration
from tests.bench.detect.ablation.mechanisms import ROOT, Mechanism


@pytest.mark.parametrize("part", PARTS)
def test_a_part_of_the_table_of_detectors_can_be_asked(part: str) -> None:
    assert callable(importlib.import_module(f"tests.bench.detect.{part}").rows)


@pytest.mark.parametrize(
    ("folder", "mechanism"),
    [(part.FOLDER, one) for part in (accounts, calibration) for one in part.MECHANISMS],
    ids=lambda one: one.name,
)
def test_each_mechanism_of_an_ablation_is_in_the_detector(
    folder: Path, mechanism: Mechanism
) -> None:
    source = (ROOT / folder / mechanism.file).read_text()
    assert mechanism.remove(source) != source


def test_forecasts_of_a_random_walk_are_scored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    seconds = np.arange(0, 3 * 3_600, 10)
    steps = np.random.default_rng(3).normal(0, 2e-4, len(seconds))
    times = ((1_764_000_000 + seconds) * SECOND_NS).astype("datetime64[ns]")
    table = pa.table({"timestamp": times, "mid_price": 100 * np.exp(np.cumsum(steps))})
    pq.write_table(table, tmp_path / "orderbook_1.parquet")
    monkeypatch.setattr(bench_timing, "PATHS", 500)
    monkeypatch.setattr(sys, "argv", ["bench_timing", str(tmp_path)])
    bench_timing.main()
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"{len(seconds):,} mids over 3.0 h"
    scores = [line.split("Brier normal ")[1] for line in lines if ": Brier normal" in line]
    assert len(scores) == 8
    for score in scores:
        normal, fat = score.split(", fat ")
        assert 0 < float(normal) < 0.25
        assert 0 < float(fat) < 0.25
