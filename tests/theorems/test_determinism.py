"""The output depends on the set of records, not on how they arrive."""

from __future__ import annotations

import json
from unittest import mock

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.core import shard
from monitor.core.decode.batch import Batch
from monitor.core.engine import Engine
from monitor.core.windows import contributors
from monitor.core.windows.columns import MINIMA, NEAR_TOUCH_COLUMNS, SUMS
from tests.theorems.cases import CASES, SEEDS
from tests.theorems.days import (
    AHEAD_OF_ALL_NS,
    FACTORIES,
    SETTINGS,
    START,
    end_offset,
    engine,
    feed,
    result,
    run_in_order,
    run_pieces,
    run_with_restart,
    slice_offsets,
    slices,
    sparse_feed,
)

SIZES = st.sampled_from([1, 3, 17, 1000])


def test_generated_days_contain_alerts_and_late_and_refused_records() -> None:
    results = [run_in_order(feed(seed)) for seed in range(20)]
    assert sum(bool(day.alerts) for day in results) >= 10
    for part in (b'"account_burst"', b'"raised_notional"', b'"unexplained"'):
        assert any(part in alert for day in results for alert in day.alerts)
    assert all(day.facts["late"] and day.facts["refused"] for day in results)
    assert sum("time_jump" in day.facts["refused"] for day in results) >= 10
    assert any(b'"time_jump"' in alert for day in results for alert in day.alerts)
    assert len({day.digest for day in results}) == len(results)
    kinds = {json.loads(alert)["kind"] for day in results for alert in day.alerts}
    assert kinds >= {"outlying_mark", "outlying_index", "outlying_source", "stale_source"}


def test_generated_days_contain_bands() -> None:
    """The digest covers the bands: a day without bands would prove nothing about them."""
    markets = 0
    for seed in range(10):
        day = feed(seed)
        machine = engine(day.partitions)
        machine.control(day.controls)
        outputs = [machine.step(batch) for batch in day.parts] + [machine.finish()]
        markets += sum(len(bands.markets) for output in outputs for bands in output.bands)
    assert markets >= 50


def test_generated_days_contain_pending_rows() -> None:
    counts = dict.fromkeys(("near", "late", "mode_switches", "takers", "behind"), 0)
    for seed in range(10):
        day = feed(seed)
        machine = engine(day.partitions)
        machine.control(day.controls)
        parts = [part for batch in day.parts for part in machine.step(batch).closed]
        for windows in [part.windows for part in [*parts, *machine.finish().closed]]:
            counts["near"] += int(windows.near_touch[:, NEAR_TOUCH_COLUMNS.index("near_top")].sum())
            counts["behind"] += int((windows.minima[:, MINIMA.index("behind")] < 0).sum())
            for name in ("late", "mode_switches", "takers"):
                counts[name] += int(windows.sums[:, SUMS.index(name)].sum())
    assert all(counts.values()), counts


@CASES
@given(SEEDS, SIZES)
def test_output_does_not_depend_on_slicing_and_interleaving(seed: int, size: int) -> None:
    day = feed(seed)
    pieces = slices(day, np.random.default_rng(seed + 1), size)
    assert run_pieces(engine(day.partitions), day, pieces) == run_in_order(day)


@CASES
@given(SEEDS, st.integers(0, 50))
def test_closing_windows_together_gives_the_same_output(seed: int, hold: int) -> None:
    day = feed(seed)
    machine = Engine(SETTINGS, FACTORIES, day.partitions, hold)
    pieces = slices(day, np.random.default_rng(seed + 1), 25)
    assert run_pieces(machine, day, pieces) == run_in_order(day)


@settings(CASES, max_examples=30)
@given(SEEDS, st.integers(0, 50))
def test_closing_windows_together_keeps_the_oldest_evidence(seed: int, hold: int) -> None:
    with mock.patch.object(contributors, "WINDOWS_KEPT", 3):
        day = feed(seed)
        machine = Engine(SETTINGS, FACTORIES, day.partitions, hold)
        pieces = slices(day, np.random.default_rng(seed + 1), 25)
        alone = slices(day, np.random.default_rng(seed + 2), 3)
        assert run_pieces(machine, day, pieces) == run_pieces(engine(day.partitions), day, alone)


@CASES
@given(SEEDS, st.integers(0, 50), st.sampled_from([0.5, 2.0, 5.0]))
def test_a_shard_rests_in_the_same_windows(seed: int, hold: int, after_s: float) -> None:
    """Closed one by one, together, and across a restart."""
    with mock.patch.object(shard, "REST_AFTER_S", after_s):
        day = sparse_feed(seed)
        expected = run_in_order(day)
        pieces = slices(day, np.random.default_rng(seed + 1), 25)
        together = Engine(SETTINGS, FACTORIES, day.partitions, hold)
        assert run_pieces(together, day, pieces) == expected
        assert run_with_restart(day, pieces, seed % len(pieces)) == expected


def test_sparse_days_have_rests() -> None:
    rests = 0
    with mock.patch.object(shard, "REST_AFTER_S", 0.5):
        for seed in range(5):
            day = sparse_feed(seed)
            machine = engine(day.partitions)
            run_pieces(machine, day, day.parts)
            rests += sum(len(s.snapshot()["rests"]["rests"]) for s in machine.shards)
    assert rests >= 10


@CASES
@given(SEEDS)
def test_records_read_twice_count_once(seed: int) -> None:
    day = feed(seed)
    rng = np.random.default_rng(seed + 1)
    machine = engine(day.partitions)
    alerts = list(machine.control(day.controls).alerts)
    read: list[Batch] = []
    for batch in slices(day, rng, 20):
        alerts += machine.step(batch).alerts
        read.append(batch)
        if rng.random() < 0.3:
            alerts += machine.step(read[int(rng.integers(len(read)))]).alerts
            # And an overlap: from any earlier offset up to the current one of this topic partition.
            name = batch.kind, batch.partition
            whole = next(p for p in day.parts if (p.kind, p.partition) == name)
            high = end_offset(batch)
            alerts += machine.step(
                slice_offsets(whole, int(rng.integers(0, high + 1)), high)
            ).alerts
    assert machine.tally().duplicates > 0 or len(read) < 10
    assert result(machine, alerts) == run_in_order(day)


@CASES
@given(SEEDS, st.floats(0, 1))
def test_a_restart_from_a_snapshot_anywhere_gives_the_same_output(seed: int, where: float) -> None:
    day = feed(seed)
    pieces = slices(day, np.random.default_rng(seed + 1), 20)
    assert run_with_restart(day, pieces, int(where * len(pieces))) == run_in_order(day)


@CASES
@given(SEEDS)
def test_output_does_not_depend_on_when_a_control_record_is_read(seed: int) -> None:
    """Live, a control record is read at its offset; in a replay, before all records."""
    day = feed(seed, per_part=30)
    machine = engine(day.partitions)
    due = {(c.topic, c.partition, c.offset): c for c in day.controls}
    alerts = []
    for batch in slices(day, np.random.default_rng(seed + 1), 1):
        first = min([*batch.offset.tolist(), *(r.offset for r in batch.refused)], default=None)
        if first is not None:
            reached = [k for k in due if k[:2] == (batch.topic, batch.partition) and k[2] <= first]
            alerts += machine.control([due.pop(k) for k in sorted(reached)]).alerts
        alerts += machine.step(batch).alerts
    alerts += machine.control([due[k] for k in sorted(due)]).alerts
    assert result(machine, alerts) == run_in_order(day)


@CASES
@given(SEEDS)
def test_lateness_after_a_control_record_does_not_depend_on_batches(seed: int) -> None:
    day = feed(seed)
    for batch in day.parts:  # without records that claim the future: some of them are believed
        ts = batch.numbers["ts"]
        batch.numbers["ts"] = np.where(ts > START + min(AHEAD_OF_ALL_NS) // 2, START, ts)
    rng = np.random.default_rng(seed + 1)
    late = dict.fromkeys((0, 1), 0)
    for partition in late:
        for batch in (p for p in day.parts if p.partition == partition):
            rules = [c for c in day.controls if (c.topic, c.partition) == (batch.topic, partition)]
            high = -(2**62)
            for offset, ts in zip(batch.offset.tolist(), batch.numbers["ts"].tolist(), strict=True):
                floor = max((c.ts for c in rules if c.offset <= offset), default=-(2**62))
                if ts < max(high - SETTINGS.time.lateness_ns, floor):
                    late[partition] += 1
                else:
                    high = max(high, ts)
    machine = engine(day.partitions)
    machine.control(day.controls)
    for batch in slices(day, rng, 9):
        machine.step(batch)
    assert sum(machine.tally().late.values()) == sum(late.values())
