"""Judges of closed windows: one more is one more entry of the tuple."""

from __future__ import annotations

from typing import Any

import pytest

from monitor.core.detection.account_bursts import AccountBursts
from monitor.core.detection.cross_market_evidence import CrossMarketEvidence
from monitor.core.detection.drift.market_drift import MarketDrift
from monitor.core.detection.feed_times import FeedTimes
from monitor.core.detection.joint_evidence import JointEvidence
from monitor.core.detection.judge import ClosedSpan, Judge, PassedTime
from monitor.core.detection.log_changes import LogChanges
from monitor.core.detection.market_quality import MarketQuality
from monitor.core.detection.market_silences import MarketSilences
from monitor.core.detection.repeated_records import RepeatedRecords
from monitor.core.detection.single_streams import SingleStreams
from monitor.core.finding import Finding
from monitor.core.shard import SHARD_KINDS, Shard
from monitor.core.venue.critical_shocks import CriticalShocks
from monitor.core.venue.stage import VenueStage
from monitor.core.venue.streams import VenueStreams
from tests.theorems.days import FACTORIES, SETTINGS, Feed, feed


class Silent:
    """A stranger's judge: it reports each symbol in the first window in which it has no orders."""

    def __init__(self) -> None:
        self.reported: list[str] = []

    def judge(self, closed: ClosedSpan) -> list[Finding]:
        findings = []
        orders = closed.windows.sums[:, 0]
        for window, symbol, count in zip(
            closed.windows.window, closed.windows.symbol, orders, strict=True
        ):
            name = closed.names[int(symbol)]
            if not count and name not in self.reported:
                self.reported.append(name)
                at = int(window)
                findings.append(Finding(at, at, 0, name, "orders", "silent", 0.0, 1.0, 1e-9))
        return findings

    def snapshot(self) -> Any:
        return list(self.reported)

    def restore(self, state: Any) -> None:
        self.reported = list(state)


def test_the_judges_of_shard_and_stage() -> None:
    shard, stage = Shard(0, 1, SETTINGS, FACTORIES), VenueStage(SETTINGS, FACTORIES, 1)
    kinds = [type(judge) for judge in shard._judges]
    assert kinds == [
        SingleStreams, JointEvidence, AccountBursts, MarketQuality, MarketSilences, MarketDrift,
    ]  # fmt: skip
    log_judges = [type(judge) for judge in shard._log_judges]
    assert log_judges == [FeedTimes, RepeatedRecords, LogChanges]
    kinds = [type(judge) for judge in stage._judges]
    assert kinds == [
        CrossMarketEvidence, VenueStreams, FeedTimes, RepeatedRecords, LogChanges, CriticalShocks,
    ]  # fmt: skip


def shard_with(judge: Judge[ClosedSpan], day: Feed) -> Shard:
    shard = Shard(0, day.partitions, SETTINGS, FACTORIES)
    shard._judges = (*shard._judges, judge)
    shard.control(day.controls)
    return shard


@pytest.mark.parametrize("restart", [False, True])
def test_a_strangers_judge_is_asked_and_its_state_is_part_of_the_snapshot(restart: bool) -> None:
    day = feed(1, partitions=1)
    shard = shard_with(Silent(), day)
    spans = []
    for batch in (b for b in day.parts if b.kind in SHARD_KINDS):
        spans += shard.step(batch)
        if restart:
            shard.drain_report()
            state, shard = shard.snapshot(), shard_with(Silent(), day)
            shard.restore(state)
    spans += shard.finish()
    symbols = [f.symbol for span in spans for f in span.findings if f.detector == "silent"]
    assert sorted(symbols) == ["s-0", "s-1"]


def test_time_alone_is_enough_for_a_judge_of_time() -> None:
    judges: list[Judge[PassedTime]] = [FeedTimes({}, 0, 1), CrossMarketEvidence(SETTINGS)]
    assert [judge.judge(PassedTime(until=5)) for judge in judges] == [[], []]
