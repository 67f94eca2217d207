"""The lifecycle of an incident: what belongs to it, when it is published, when it is resolved."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.core import snapshot
from monitor.core.alerts.incidents import REOPENED_WITHIN, Incidents
from monitor.core.finding import Finding
from tests.core.alerts.findings import START, alerts_of, finding, joint_finding


def test_incident_fires_once_then_is_updated_when_it_grows_and_resolved_when_quiet() -> None:
    incidents = Incidents(quiet_windows=30)
    first = incidents.advance([finding()], START + 12)
    assert [i.status for i in first] == ["firing"]
    small = finding(since=START + 12, window=START + 13, observed=100.0, expected=40.0)
    assert incidents.advance([small], START + 14) == []
    large = finding(since=START + 14, window=START + 20, observed=1500.0, expected=100.0)
    (grown,) = incidents.advance([large], START + 21)
    assert grown.status == "updated"
    assert grown.finding.since == START
    assert grown.finding.observed == 984 + 100 + 1500
    (over,) = incidents.advance([], START + 60)
    assert (over.status, over.window, over.sequence) == ("resolved", START + 50, 3)
    again = incidents.advance([finding(window=START + 99, since=START + 98)], START + 100)
    assert [(i.status, i.sequence) for i in again] == [("firing", 4)]
    assert again[0].fingerprint == over.fingerprint


@pytest.mark.parametrize("field", ["symbol", "stream", "partition"])
def test_different_evidence_at_another_time_is_a_different_incident(field: str) -> None:
    other = finding(**{field: {"symbol": "X", "stream": "orders", "partition": 1}[field]})
    other.window += 100
    changes = Incidents(30).advance([finding(), other], START + 112)
    assert len({i.fingerprint for i in changes}) == 2


def test_finding_of_one_stream_joins_the_open_incident_and_is_not_published_again() -> None:
    incidents = Incidents(30)
    burst = finding(symbol="SOL", observed=984.0)
    assert [i.status for i in incidents.advance([burst], START + 12)] == ["firing"]
    later = joint_finding(window=START + 13)
    (grown,) = incidents.advance([later, finding(symbol="SOL", window=START + 13)], START + 14)
    assert grown.status == "updated"
    assert [p.stream for p in grown.finding.parts].count("cancels") == 1
    assert len(grown.finding.parts) == 3
    (over,) = incidents.advance([], START + 60)
    fingerprints = {i.fingerprint for i in (grown, over)}
    assert (over.status, over.sequence, len(fingerprints)) == ("resolved", 3, 1)


def test_findings_of_one_window_are_one_alert() -> None:
    (alert,) = alerts_of(
        finding(symbol="SOL"), joint_finding(), finding(symbol="SOL", stream="orders")
    )
    assert alert.status == "firing"
    assert {e.stream for e in alert.evidence} == {
        "cancels", "orders", "leverage_raises", "depth_25bps_least",
    }  # fmt: skip
    assert abs(sum(e.share for e in alert.evidence) - 1) < 1e-5


def test_markets_that_begin_together_are_one_incident_and_a_later_one_is_another() -> None:
    other = finding(symbol="ETH", window=START + 14, partition=1)
    alerts = alerts_of(joint_finding(), other, until=START + 20)
    assert [a.status for a in alerts] == ["firing", "updated"]
    assert alerts[1].symbols == ("SOL", "ETH")
    assert alerts[1].summary.startswith("Leverage raises ×15 for 12 s on SOL (")
    assert ", with 3 more, since " in alerts[1].summary
    assert {e.symbol for e in alerts[1].evidence} == {"SOL", "ETH"}
    assert {r.partition for r in alerts[1].records} == {1, 3}
    assert " --symbol SOL --symbol ETH --from " in alerts[1].reproduce
    late = finding(symbol="ETH", window=START + 25)
    assert len({a.fingerprint for a in alerts_of(joint_finding(), late, until=START + 30)}) == 2


def test_incidents_continue_from_a_snapshot() -> None:
    whole, restored = Incidents(30), Incidents(30)
    whole.advance([joint_finding(), finding(symbol="ETH")], START + 12)
    packed = snapshot.pack(whole.snapshot(), "")
    restored.restore(snapshot.unpack(packed, ""))
    assert restored.snapshot() == whole.snapshot()
    more = [joint_finding(window=START + 20)]
    assert restored.advance(more, START + 99) == whole.advance(more, START + 99)
    state = snapshot.to_state(joint_finding())
    assert snapshot.from_state(Finding, state) == joint_finding()


def test_the_same_evidence_reopens_an_incident_soon_after_and_is_another_one_later() -> None:
    incidents = Incidents(quiet_windows=30)

    def fire(window: int) -> str:
        (fired,) = incidents.advance([finding(window=window, since=window)], window + 1)
        (over,) = incidents.advance([], window + 99)
        assert (fired.status, over.status) == ("firing", "resolved")
        assert fired.incident_id == over.incident_id
        return over.incident_id

    first = fire(START)
    resolved = START + 30
    assert fire(resolved + REOPENED_WITHIN * 30) == first
    resolved += REOPENED_WITHIN * 30 + 30
    assert fire(resolved + REOPENED_WITHIN * 30 + 1) != first


@st.composite
def evidence(draw: st.DrawFn) -> list[Finding]:
    """Findings of a few streams in two markets, some of them conditions that begin and end."""
    every = []
    for _ in range(draw(st.integers(1, 25))):
        window = draw(st.integers(0, 600))
        symbol, stream = draw(st.sampled_from(["A", "B", ""])), draw(st.sampled_from("xy"))
        is_end = draw(st.sampled_from([None, None, False, True]))
        detector = "burst" if is_end is None else "rule"
        names = {"symbol": symbol, "stream": stream, "detector": detector}
        every.append(finding(window=window, since=window, is_end=is_end, **names))
    return every


@given(evidence(), st.lists(st.integers(1, 700), max_size=8))
def test_ids_are_unique_and_independent_of_slices(every: list[Finding], cuts: list[int]) -> None:
    whole = Incidents(30).advance(every, 700)
    sliced, incidents, low = [], Incidents(30), 0
    for high in [*sorted(cuts), 700]:
        sliced += incidents.advance([f for f in every if low <= f.window < high], high)
        kept = snapshot.unpack(snapshot.pack(incidents.snapshot(), ""), "")
        incidents, low = Incidents(30), high
        incidents.restore(kept)
    assert [(i.incident_id, i.sequence, i.status, i.window) for i in sliced] == [
        (i.incident_id, i.sequence, i.status, i.window) for i in whole
    ]
    fingerprints: dict[str, str] = {}
    ended: dict[str, int] = {}
    open_now: set[str] = set()
    for one in sorted(whole, key=lambda i: (i.window, i.sequence)):
        assert fingerprints.setdefault(one.incident_id, one.fingerprint) == one.fingerprint
        if one.status == "firing":
            assert one.incident_id not in open_now
            assert one.window <= ended.get(one.incident_id, one.window) + REOPENED_WITHIN * 30
            open_now.add(one.incident_id)
        if one.status == "resolved":
            open_now.remove(one.incident_id)
            ended[one.incident_id] = one.window


def test_what_begins_and_ends_within_a_window_is_published_as_both_and_does_not_stay_open() -> None:
    incidents = Incidents(30)
    began, over = (finding(symbol="", detector="silence", is_end=end) for end in (False, True))
    published = incidents.advance([began, over], START + 12)
    assert [incident.status for incident in published] == ["firing", "resolved"]
    again = finding(symbol="", detector="silence", is_end=False, window=START + 20)
    assert [i.status for i in incidents.advance([again], START + 21)] == ["firing"]
