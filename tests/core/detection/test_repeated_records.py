"""A producer that repeats itself is told while it lasts; a single repeat is not."""

from __future__ import annotations

from monitor.core.alerts.incidents import Incidents
from monitor.core.alerts.wording import Wording
from monitor.core.detection.judge import PassedTime
from monitor.core.detection.repeated_records import RepeatedRecords
from monitor.core.event_time.repeats import RepeatCount
from monitor.core.finding import Finding
from monitor.core.settings import EngineSettings

SECOND = 10**9
NOON = 1_764_072_000
Counts = dict[int, tuple[int, int]]
"""By second: records, and repeats among them."""


def judge(counts: Counts, until: int, stops: tuple[int, ...] = ()) -> list[Finding]:
    """Findings of counts by second after `NOON`, judged at each of `stops` and at the end."""
    judge = RepeatedRecords([("fill", 0)], SECOND)
    findings: list[Finding] = []
    offset = 0
    given = dict(counts)
    for stop in (*stops, until):
        seen = judge.filters["fill", 0]
        for second in [s for s in given if s < stop]:
            records, repeats = given.pop(second)
            ends = (offset, offset + repeats - 1)
            seen.counts[NOON + second] = RepeatCount(records, repeats, *ends)
            offset += records
        findings += judge.judge(PassedTime(NOON + stop))
        state = judge.snapshot()
        judge = RepeatedRecords([("fill", 0)], SECOND)
        judge.restore(state)
    return findings


def sentences(findings: list[Finding], until: int) -> list[tuple[str, int, str]]:
    """Status, second and sentence of each publication."""
    wording = Wording(EngineSettings())
    return [
        (incident.status, incident.window - NOON, wording.sentence(incident))
        for incident in Incidents(60).advance(findings, NOON + until)
    ]


def test_a_lasting_condition_is_told_when_it_begins_and_when_it_ends() -> None:
    counts = {0: (10, 0), 5: (10, 2), 8: (10, 5), 9: (10, 0), 30: (10, 1), 200: (10, 0)}
    where, since = "in topic fills, partition 0", "since 12:00:05 UTC"
    assert sentences(judge(counts, 300), 300) == [
        ("firing", 8, f"7 of 30 records {where} repeat others, {since}; each counts once"),
        ("resolved", 90, f"No more repeats {where}: 8 of 50 records were, {since}"),
    ]  # fmt: skip


def test_the_findings_do_not_depend_on_how_many_windows_are_judged_at_once() -> None:
    counts = {s: (10, s % 3) for s in (*range(40), *range(110, 130), *range(400, 420))}
    whole = judge(counts, 500)
    assert judge(counts, 500, tuple(range(1, 500))) == whole
    assert judge(counts, 500, (7, 8, 60, 180)) == whole
    assert [f.window - NOON for f in whole if f.is_end] == [98, 188, 479]


def test_a_single_repeat_or_a_very_small_share_is_not_told() -> None:
    assert judge({0: (10, 1), 100: (10, 1), 200: (10, 2)}, 1000) == []
    assert judge(dict.fromkeys(range(100), (1000, 5)), 1000) == []
    assert judge(dict.fromkeys(range(100), (1000, 15)), 1000) != []


def test_a_minute_without_records_ends_it_too() -> None:
    findings = judge({0: (4, 4)}, 1000)
    assert [(f.window - NOON, f.is_end) for f in findings] == [(0, False), (60, True)]
