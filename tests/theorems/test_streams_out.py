"""Streams that break are taken out in the same window, however the records arrive."""

from __future__ import annotations

import json
from unittest import mock

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tests.core.detection.frail import FrailDetector
from tests.theorems import days
from tests.theorems.cases import CASES, SEEDS
from tests.theorems.days import engine, feed, run_in_order, run_pieces, run_with_restart, slices


def frail(fault: str) -> mock._patch[list[object]]:
    """Streams of cancels and orders that break at a busy window."""
    made = [lambda name=name: FrailDetector(name, fault, 6.0) for name in ("cancels", "orders")]
    return mock.patch.object(days, "FACTORIES", [*made, *days.FACTORIES[2:]])


def test_generated_days_break_streams() -> None:
    with frail("judge"):
        alerts = [json.loads(a) for seed in range(10) for a in run_in_order(feed(seed)).alerts]
    assert sum(alert["kind"] == "stream_out" for alert in alerts) >= 10


@CASES
@given(SEEDS, st.sampled_from([1, 17, 1000]), st.sampled_from(["judge", "learn", "evidence"]))
def test_what_is_out_does_not_depend_on_slicing_interleaving_and_restarts(
    seed: int, size: int, fault: str
) -> None:
    day = feed(seed)
    rng = np.random.default_rng(seed + 1)
    with frail(fault):
        whole = run_in_order(day)
        pieces = slices(day, rng, size)
        assert run_pieces(engine(day.partitions), day, pieces) == whole
        assert run_with_restart(day, pieces, int(rng.integers(len(pieces) + 1))) == whole
