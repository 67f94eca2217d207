"""Verdicts on /metrics: as the file has them, read again when it grows."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from monitor.core.alerts.history import IncidentHistory
from monitor.core.settings import EngineSettings
from monitor.desk.verdicts import VerdictFile, judge_incident
from monitor.metrics.detectors import FeedbackCollector, StreamCollector
from tests.core.alerts.findings import alert


def judge(folder: Path, own: str, is_true: bool) -> None:
    incident = IncidentHistory((dataclasses.replace(alert(), incident=own),))
    VerdictFile(folder).add(judge_incident(incident, "x", is_true, ""))


def verdicts(collector: FeedbackCollector) -> dict[str, float]:
    (family,) = collector.collect()
    return {sample.labels["verdict"]: sample.value for sample in family.samples}


def test_the_last_verdict_on_each_incident_counts(tmp_path: Path) -> None:
    collector = FeedbackCollector(tmp_path)
    assert verdicts(collector) == {}
    judge(tmp_path, "a", True)
    judge(tmp_path, "b", True)
    assert verdicts(collector) == {"true": 2}
    judge(tmp_path, "a", False)
    assert verdicts(collector) == {"true": 1, "false": 1}


def test_a_process_without_shards_shows_its_budget_and_no_streams() -> None:
    budget, streams = StreamCollector(EngineSettings()).collect()
    assert budget.samples[0].value == EngineSettings().alerts.per_day
    assert streams.samples == []
