"""Evidence across markets depends only on the set of records."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.theorems.cases import CASES, EXAMPLES, SEEDS
from tests.theorems.days import (
    engine,
    feed_of_many_markets,
    run_in_order,
    run_pieces,
    run_with_restart,
    slices,
)

FEW = settings(CASES, max_examples=max(4, EXAMPLES // 5))
"""These days are three times as long."""
SIZES = st.sampled_from([60, 300, 5000])


def test_generated_days_contain_cross_market_alerts() -> None:
    days = 0
    for seed in range(8):
        day = feed_of_many_markets(seed)
        machine = engine(day.partitions)
        judge, findings = machine.stage._cross_market.judge, []
        machine.stage._cross_market.judge = lambda moment, judge=judge, findings=findings: (
            findings.extend(now := judge(moment)) or now
        )
        machine.control(day.controls)
        for batch in day.parts:
            machine.step(batch)
        machine.finish()
        assert all(len({part.symbol for part in f.parts}) >= 2 for f in findings)
        days += bool(findings)
    assert days >= 5


@FEW
@given(SEEDS, SIZES)
def test_output_does_not_depend_on_slicing_and_interleaving(seed: int, size: int) -> None:
    day = feed_of_many_markets(seed)
    pieces = slices(day, np.random.default_rng(seed + 1), size)
    assert run_pieces(engine(day.partitions), day, pieces) == run_in_order(day)


@FEW
@given(SEEDS, st.floats(0, 1), st.integers(0, 50))
def test_a_restart_from_a_snapshot_anywhere_gives_the_same_output(
    seed: int, where: float, hold: int
) -> None:
    day = feed_of_many_markets(seed)
    pieces = slices(day, np.random.default_rng(seed + 1), 200)
    assert run_with_restart(day, pieces, int(where * len(pieces)), hold) == run_in_order(day)
