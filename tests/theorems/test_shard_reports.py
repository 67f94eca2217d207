"""Shards and a venue stage that share only a log of reports, and restart from old snapshots, give
the output of an engine in one process.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.core import snapshot
from monitor.core.contract.alert import alert_json
from monitor.core.decode.batch import Batch
from monitor.core.shard import SHARD_KINDS, Shard
from monitor.core.shard_report import ShardReport
from monitor.core.snapshot import SnapshotError
from monitor.core.venue.stage import VenueStage
from tests.theorems.cases import CASES, EXAMPLES, SEEDS
from tests.theorems.days import (
    FACTORIES,
    SETTINGS,
    Feed,
    Result,
    feed,
    feed_of_many_markets,
    run_in_order,
    slices,
)

PRINT = SETTINGS.fingerprint()
BOOK_NS = round(SETTINGS.accounts.bands_every_s * 1e9)


class Owner:
    """One shard over its own pieces of the day, with a log of its reports."""

    def __init__(self, day: Feed, partition: int, pieces: list[Batch]) -> None:
        self.day, self.partition, self.pieces = day, partition, pieces
        self.log: list[bytes] = []
        self.at = 0
        self.shard = self.fresh()
        self.kept: tuple[int, bytes] | None = None

    def fresh(self) -> Shard:
        shard = Shard(self.partition, self.day.partitions, SETTINGS, FACTORIES)
        shard.control(self.day.controls)
        return shard

    def read(self) -> None:
        """The next piece, or the end."""
        if self.at < len(self.pieces):
            self.shard.step(self.pieces[self.at])
            self.at += 1
        else:
            self.shard.finish()

    def report(self, keep: bool) -> None:
        """Write a report and, with `keep`, a snapshot."""
        self.log.append(self.shard.drain_report().pack(PRINT, BOOK_NS))
        if keep:
            self.kept = self.at, snapshot.pack(self.shard.snapshot(), PRINT)

    def crash(self) -> None:
        """What was not reported is lost; go on from the snapshot."""
        self.shard = self.fresh()
        self.at = 0
        if self.kept is not None:
            self.at, raw = self.kept
            self.shard.restore(snapshot.unpack(raw, PRINT))


class Stage:
    """The venue stage over the logs of all owners; alerts count once published."""

    def __init__(self, day: Feed, owners: list[Owner]) -> None:
        self.day, self.owners = day, owners
        self.alerts: list[bytes] = []
        self.stage = self.fresh()
        self.read = dict.fromkeys(range(len(owners)), 0)
        self.kept: tuple[dict[int, int], bytes] | None = None

    def fresh(self) -> VenueStage:
        stage = VenueStage(SETTINGS, FACTORIES, self.day.partitions)
        stage.control(self.day.controls)
        return stage

    def take(self, batch: Batch) -> None:
        self.publish(self.stage.step(batch).alerts)

    def read_report(self, partition: int) -> None:
        log = self.owners[partition].log
        if self.read[partition] < len(log):
            report = ShardReport.unpack(log[self.read[partition]], PRINT)
            self.read[partition] += 1
            if self.stage.shard_progress[partition].covers(report.until, report.high):
                return
            assert self.stage.accept_report(report)
            self.publish(self.stage.advance().alerts)

    def publish(self, alerts: list[dict[str, Any]]) -> None:
        """Alerts that come again after a restart are the same, and are not published again."""
        first = self.stage.alert_count - len(alerts)
        for i, alert in enumerate(alerts):
            if first + i < len(self.alerts):
                assert self.alerts[first + i] == alert_json(alert)
            else:
                self.alerts.append(alert_json(alert))


def run(day: Feed, seed: int, size: int = 20) -> Result:
    """A day in which shards and the stage crash and go on."""
    rng = np.random.default_rng(seed + 1)
    pieces = slices(day, rng, size)
    owners = [
        Owner(day, p, [b for b in pieces if b.partition == p and b.kind in SHARD_KINDS])
        for p in range(day.partitions)
    ]
    stage = Stage(day, owners)
    accounts = [b for b in pieces if b.kind not in SHARD_KINDS]
    given_to_stage = 0
    while given_to_stage < len(accounts) or any(o.at < len(o.pieces) for o in owners):
        owner = owners[int(rng.integers(len(owners)))]
        owner.read()
        if rng.random() < 0.5:
            owner.report(keep=rng.random() < 0.5)
        if rng.random() < 0.05:
            owner.crash()
        stage.read_report(int(rng.integers(len(owners))))
        if given_to_stage < len(accounts) and rng.random() < 0.5:
            stage.take(accounts[given_to_stage])
            given_to_stage += 1
        if rng.random() < 0.1:
            state = snapshot.pack({"stage": stage.stage.snapshot()}, PRINT)
            kept = dict(stage.read), given_to_stage, state
        elif rng.random() < 0.05 and "kept" in locals():
            read, given_to_stage, state = kept
            stage.read, stage.stage = dict(read), stage.fresh()
            stage.stage.restore(snapshot.unpack(state, PRINT)["stage"])
    for owner in owners:
        owner.read()
        owner.report(keep=False)
        while stage.read[owner.partition] < len(owner.log):
            stage.read_report(owner.partition)
    stage.stage.finish()
    stage.publish(stage.stage.advance().alerts)
    end = stage.stage
    return Result(end.digest(), stage.alerts, end.tally().reproducible_counts(), end.windows)


@CASES
@given(SEEDS)
def test_shard_reports_sent_again_after_owner_crashes_give_the_same_output(seed: int) -> None:
    day = feed(seed, per_part=60)
    assert run(day, seed) == run_in_order(day)


@settings(CASES, max_examples=max(4, EXAMPLES // 5))
@given(SEEDS)
def test_cross_market_output_survives_owner_crashes(seed: int) -> None:
    day = feed_of_many_markets(seed)
    assert run(day, seed, size=100) == run_in_order(day)


@settings(CASES, max_examples=30)
@given(SEEDS, st.integers(0, 3))
def test_a_report_after_a_gap_is_not_accepted(seed: int, lost: int) -> None:
    day = feed(seed, per_part=60)
    pieces = [b for b in slices(day, np.random.default_rng(seed), 10) if b.partition == 0]
    shard = Shard(0, day.partitions, SETTINGS, FACTORIES)
    shard.control(day.controls)
    reports = []
    for piece in (p for p in pieces if p.kind in SHARD_KINDS):
        shard.step(piece)
        reports.append(shard.drain_report())
    reports = [
        report for report in reports if report.low != report.high or report.since != report.until
    ]
    if lost >= len(reports) - 1:
        return
    stage = VenueStage(SETTINGS, FACTORIES, day.partitions)
    for report in reports[:lost]:
        assert stage.accept_report(report)
    assert not stage.accept_report(reports[lost + 1])
    assert stage.accept_report(reports[lost])
    assert stage.accept_report(reports[lost + 1])


def test_a_report_of_other_settings_is_refused() -> None:
    shard = Shard(0, 1, SETTINGS, FACTORIES)
    raw = shard.drain_report().pack(PRINT, BOOK_NS)
    assert ShardReport.unpack(raw, PRINT).partition == 0
    with pytest.raises(SnapshotError, match="settings"):
        ShardReport.unpack(raw, "0" * 12)
