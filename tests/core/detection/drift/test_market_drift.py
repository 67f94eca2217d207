"""Findings of drift: the same however time is cut, hourly at most, and silent without a budget."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from detectors.arrays.types import Float64
from monitor.core.alerts.incidents import Incidents
from monitor.core.contract.feature_catalogue import FEATURE_NAMES
from monitor.core.detection.drift.market_drift import MarketDrift
from monitor.core.features.compute import FEATURE_COLUMN
from monitor.core.finding import Finding
from monitor.core.settings import EngineSettings
from tests.core.alerts.findings import finding

SETTINGS = EngineSettings(time={"window_ms": 60_000})
HOUR, DAY = 60, 24 * 60
"""In windows of a minute."""
FALL = 20 * DAY + 7 * HOUR
NAMES = {0: "BTC", 1: "SOL"}


def minutes(seed: int, days: int = 21) -> Float64:
    """(windows, markets, features): depth and spread around a daily cycle; on the 20th day the
    depth of SOL falls to half for nine hours."""
    rng = np.random.default_rng(seed)
    windows = days * DAY
    noise = rng.normal(0, 0.3, (windows, 2, 2))
    cycle = 0.3 * np.sin(2 * np.pi * np.arange(windows) / DAY)[:, None]
    values = np.full((windows, 2, len(FEATURE_NAMES)), np.nan)
    values[..., FEATURE_COLUMN["depth_25bps"]] = np.exp(14 + cycle + noise[..., 0])
    values[..., FEATURE_COLUMN["spread_bps"]] = np.exp(noise[..., 1])
    values[FALL : FALL + 9 * HOUR, 1, FEATURE_COLUMN["depth_25bps"]] *= 0.5
    return values


def new(settings: EngineSettings = SETTINGS) -> MarketDrift:
    history = SimpleNamespace(record_ranges=lambda *_: [])
    return MarketDrift(settings, 0, 1, history)  # type: ignore[arg-type]


def judge(drift: MarketDrift, values: Float64, low: int, until: int) -> list[Finding]:
    rows = values[low:until]
    features = SimpleNamespace(
        window=np.repeat(np.arange(low, until), 2), symbol=np.tile([0, 1], until - low),
        values=rows.reshape(-1, rows.shape[-1]),
    )  # fmt: skip
    span: Any = SimpleNamespace(low=low, until=until, features=features, names=NAMES)
    return drift.judge(span)


def test_a_fall_of_depth_is_told_hourly_at_most_with_its_usual_and_when_it_began() -> None:
    findings = [f for f in judge(new(), minutes(1), 0, 21 * DAY) if f.window >= FALL]
    first, last = findings[0], findings[-1]
    assert (first.symbol, first.stream, first.detector) == ("SOL", "depth_drift", "drift")
    assert FALL + 2 * HOUR <= first.window <= FALL + 4 * HOUR
    assert abs(first.since - FALL) <= 2 * HOUR
    assert first.ratio == pytest.approx(0.5, abs=0.15)
    assert first.facts == {"days": 20}
    assert first.is_end is False
    assert last.is_end
    assert last.facts["end"] == "back"
    assert FALL + 9 * HOUR < last.window <= FALL + 11 * HOUR
    assert max(Counter(f.window // HOUR for f in findings).values()) == 1
    assert all(f.window % HOUR == 0 for f in findings)


@pytest.mark.parametrize("seed", range(3))
def test_any_cuts_between_windows_and_any_snapshot_give_the_same_findings(seed: int) -> None:
    values = minutes(seed)
    whole = judge(new(), values, 0, len(values))
    rng = np.random.default_rng(seed)
    cuts = np.unique(rng.integers(1, len(values), 400)).tolist()
    drift, parts = new(), []
    for low, until in zip([0, *cuts], [*cuts, len(values)], strict=True):
        parts += judge(drift, values, low, until)
        state = drift.snapshot()
        drift = new()
        drift.restore(state)
    assert parts == whole
    assert whole


def test_time_in_which_the_shard_rests_is_no_drift() -> None:
    values = minutes(1)
    drift = new()
    findings = judge(drift, values, 0, 10 * DAY)
    findings += judge(drift, values, 10 * DAY + 7 * HOUR + 13, 18 * DAY)
    assert findings == []


def test_progress_says_how_many_markets_are_judged_and_when_all_are() -> None:
    drift = new()
    judge(drift, minutes(1, days=1), 0, 9 * HOUR + 1)
    depth, spread = drift.progress()
    streams = len(SETTINGS.streams)
    assert (depth.stream, depth.symbols, depth.judging) == (streams, 2, 0)
    assert depth.windows_left == 3 * HOUR
    assert spread.stream == streams + 1
    judge(drift, minutes(1, days=1), 9 * HOUR + 1, DAY)
    assert [(p.judging, p.windows_left) for p in drift.progress()] == [(2, 0), (2, 0)]


def test_without_a_budget_nothing_is_judged() -> None:
    off = EngineSettings(time={"window_ms": 60_000}, drift={"budget_share": 0.0})
    assert judge(new(off), minutes(1), 0, 21 * DAY) == []


def test_drift_neither_joins_a_burst_nor_keeps_it_open() -> None:
    incidents = Incidents(30)
    drift = finding(stream="depth_drift", detector="drift", facts={"days": 9}, is_end=False)
    opened = incidents.advance([finding(), drift], drift.window + 1)
    assert [i.finding.stream for i in opened] == ["cancels", "depth_drift"]
    (over,) = incidents.advance([], drift.window + 10_000)
    assert (over.finding.stream, over.status) == ("cancels", "resolved")
    end = finding(
        stream="depth_drift", detector="drift", facts={"days": 9, "end": "back"}, is_end=True,
        window=drift.window + 20_000,
    )  # fmt: skip
    (over,) = incidents.advance([end], end.window + 1)
    assert (over.finding.stream, over.status) == ("depth_drift", "resolved")
