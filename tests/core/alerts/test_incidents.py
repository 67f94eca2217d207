"""The lifecycle of an incident: what belongs to it, when it is published, when it is resolved."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.core import snapshot
from monitor.core.alerts.incidents import PARTS_MAX, Incident, Incidents
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
    other.window += 1000
    changes = Incidents(30).advance([finding(), other], START + 1012)
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


def test_evidence_in_its_market_reopens_an_incident_soon_after_and_is_another_one_later() -> None:
    incidents = Incidents(30, 5, 900)

    def fire(window: int, stream: str) -> Incident:
        burst = finding(window=window, since=window, stream=stream)
        (fired,) = incidents.advance([burst], window + 1)
        assert (fired.status, fired.finding) == ("firing", burst)
        return fired

    first = fire(START, "cancels")
    (over,) = incidents.advance([], START + 800)
    assert (over.status, over.window) == ("resolved", START + 30)
    again = fire(START + 30 + 900, "orders")
    ids = again.incident_id, again.fingerprint, again.sequence, again.returns
    assert ids == (first.incident_id, first.fingerprint, 3, 1)
    (over,) = incidents.advance([], START + 2000)
    assert (over.status, over.window) == ("resolved", START + 930 + 900)
    other = fire(over.window + 901, "orders")
    assert (other.incident_id != first.incident_id, other.returns) == (True, 0)


@pytest.mark.parametrize(
    ("changes", "is_same"),
    [
        ({"stream": "depth_25bps_least", "detector": "level", "accounts": []}, True),
        ({"stream": "leverage_raises"}, False),
        ({"symbol": "ETH-PERP"}, False),
        ({"partition": 7}, True),
        # A few other accounts that make most of it; one of those before; many, each a little.
        ({"accounts": [("b-1", 0.6), ("a-17", 0.1)]}, False),
        ({"accounts": [("a-3", 0.6), ("b-2", 0.1)]}, True),
        ({"accounts": [("b-1", 0.1), ("b-2", 0.1)]}, True),
    ],
)
def test_what_comes_back_is_of_its_market_and_layer_and_not_the_work_of_others(
    changes: dict[str, Any], is_same: bool
) -> None:
    incidents = Incidents(30, 5, 900)
    first, _ = incidents.advance([finding()], START + 100)
    again = finding(window=START + 100, since=START + 100, **changes)
    (fired,) = incidents.advance([again], START + 101)
    assert (fired.status, fired.incident_id == first.incident_id) == ("firing", is_same)


def test_an_incident_that_is_still_open_after_a_pause_takes_in_the_same_alone() -> None:
    incidents = Incidents(30, 5, 900)
    pulses = [finding(window=START + n, since=START + n) for n in (0, 100)]
    first, *_ = incidents.advance(pulses, START + 101)
    later = [
        finding(window=START + 180, since=START + 180, stream="leverage_raises"),
        finding(window=START + 250, since=START + 250),
    ]
    lives = incidents.advance(later, START + 260)
    own = [(i.status, i.returns) for i in lives if i.incident_id == first.incident_id]
    assert own == [("updated", 2)]
    others = [i for i in lives if i.incident_id != first.incident_id]
    assert [i.status for i in others] == ["firing", "resolved"]


def test_a_storm_with_pauses_is_one_incident_that_opens_twice() -> None:
    """Ten minutes of bursts of several kinds, a minute and a half apart."""
    kinds = ["cancels", "orders", "liquidations", "spread_bps"]
    windows = range(START, START + 600, 90)
    bursts = [finding(window=w, since=w, stream=kinds[w % 4]) for w in windows]
    storm = Incidents(30, 5, 900).advance(bursts, START + 3000)
    assert [i.status for i in storm] == [
        "firing", "resolved", "firing", *["updated"] * 5, "resolved",
    ]  # fmt: skip
    assert len({i.incident_id for i in storm}) == 1
    assert [i.returns for i in storm] == [0, 0, 1, 2, 3, 4, 5, 6, 6]
    assert [i.sequence for i in storm] == [*range(1, 10)]
    # Twice the pause of 90 windows after the last of its bursts.
    assert storm[-1].window == windows[-1] + 180


def test_an_incident_that_lasts_too_long_is_closed_and_what_still_holds_is_another_one() -> None:
    every = [finding(window=w, since=w) for w in range(START, START + 250, 10)]
    lives = Incidents(30, 5, 900, longest_windows=100).advance(every, START + 300)
    ended = [i for i in lives if i.status == "resolved"]
    assert [i.window - START for i in ended] == [100, 210, 270]
    assert [bool(i.end_reason) for i in ended] == [True, True, False]
    assert len({i.incident_id for i in lives}) == 3


def test_a_condition_lasts_as_long_as_its_rule_says() -> None:
    began, over = (
        finding(symbol="", detector="silence", is_end=end, window=START + 900 * end)
        for end in (False, True)
    )
    lives = Incidents(30, 5, 900, longest_windows=100).advance([began, over], START + 2000)
    assert [(i.status, i.window - START) for i in lives] == [("firing", 0), ("resolved", 900)]
    assert lives[-1].end_reason == ""


def test_a_condition_that_comes_and_goes_is_held_open() -> None:
    """A feed that is silent every other minute: it is resolved once, and then stays open."""
    ends = [(START + 60 * n, bool(n % 2)) for n in range(8)]
    every = [finding(symbol="", detector="silence", is_end=end, window=w) for w, end in ends]
    lives = Incidents(30, 5, 900).advance(every, START + 3000)
    assert [(i.status, i.window - START) for i in lives] == [
        ("firing", 0), ("resolved", 60), ("firing", 120), ("updated", 240), ("updated", 360),
        ("resolved", 540),
    ]  # fmt: skip


def test_an_incident_takes_in_so_many_markets_and_the_others_are_another_one() -> None:
    markets = [f"M{n:04d}" for n in range(PARTS_MAX + 100)]
    incidents = Incidents(30)
    both = incidents.advance([finding(symbol=symbol) for symbol in markets], START + 12)
    assert [len(i.symbols) for i in both] == [PARTS_MAX, 100]
    grown = [finding(symbol=symbol, window=START + 12, observed=5e3) for symbol in markets]
    again = incidents.advance(grown, START + 13)
    assert [(i.incident_id, i.status) for i in again] == [(i.incident_id, "updated") for i in both]


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


REOPEN, LONGEST = 60, 250


@given(evidence(), st.lists(st.integers(1, 1700), max_size=8))
def test_ids_are_unique_and_independent_of_slices(every: list[Finding], cuts: list[int]) -> None:
    whole = Incidents(30, 5, REOPEN, LONGEST).advance(every, 1700)
    sliced, incidents, low = [], Incidents(30, 5, REOPEN, LONGEST), 0
    for high in [*sorted(cuts), 1700]:
        sliced += incidents.advance([f for f in every if low <= f.window < high], high)
        kept = snapshot.unpack(snapshot.pack(incidents.snapshot(), ""), "")
        incidents, low = Incidents(30, 5, REOPEN, LONGEST), high
        incidents.restore(kept)
    assert sliced == whole
    lives: dict[str, list[Incident]] = {}
    for one in whole:
        lives.setdefault(one.incident_id, []).append(one)
    for life in lives.values():
        assert [one.sequence for one in life] == [*range(1, len(life) + 1)]
        assert len({one.fingerprint for one in life}) == 1
        if life[0].finding.is_end is None:
            assert life[-1].window <= life[0].window + LONGEST
        for before, after in itertools.pairwise(life):
            assert (after.status == "firing") == (before.status == "resolved")
            if after.status == "firing":
                assert after.window <= before.window + REOPEN
                assert not before.end_reason
    # Nothing stays: a condition that lasts is all that is open after the last evidence.
    state = incidents.snapshot()
    assert not state["resolved"]
    assert all(one["finding"]["is_end"] is False for one in state["open"])


def test_what_begins_and_ends_within_a_window_is_published_as_both_and_does_not_stay_open() -> None:
    incidents = Incidents(30)
    began, over = (finding(symbol="", detector="silence", is_end=end) for end in (False, True))
    published = incidents.advance([began, over], START + 12)
    assert [incident.status for incident in published] == ["firing", "resolved"]
    again = finding(symbol="", detector="silence", is_end=False, window=START + 20)
    assert [i.status for i in incidents.advance([again], START + 21)] == ["firing"]
