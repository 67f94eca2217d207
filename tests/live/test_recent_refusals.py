"""/readyz is against a stream of which most is refused, and not against a hostile minority."""

from __future__ import annotations

from monitor.live.recent_refusals import SPAN_S, RecentRefusals, refusal_trouble

BAD = [("orders", "not_json")] * 6


def trouble(*sessions: RecentRefusals) -> str:
    return refusal_trouble(session.recent() for session in sessions)


def test_most_records_refused_is_trouble_named_with_the_most_frequent_reason() -> None:
    refusals = RecentRefusals(lambda: 5.0)
    refusals.count(5, [])
    assert trouble(refusals) == ""
    refusals.count(4, [("fills", "bad_value")] * 3)
    refusals.count(6, BAD)
    assert trouble(refusals) == (
        "9 of the 15 records of the last 2 minutes were refused, most often as not_json in orders "
        "(6): brinkwatch dlq list shows them"
    )


def test_a_hostile_minority_is_none_whatever_session_reads_it() -> None:
    hostile, ordinary = RecentRefusals(lambda: 0.0), RecentRefusals(lambda: 0.0)
    hostile.count(6, BAD)
    ordinary.count(6, [])
    assert trouble(hostile, ordinary) == ""
    assert trouble(hostile) == ""  # six records show nothing
    hostile.count(6, BAD)
    assert trouble(hostile, ordinary)


def test_it_is_over_when_ordinary_records_come_and_when_the_time_has_passed() -> None:
    now = [0.0]
    refusals = RecentRefusals(lambda: now[0])
    for second in range(60):
        now[0] = second
        refusals.count(6, BAD)
    assert trouble(refusals)
    for second in range(60, 121):
        now[0] = second
        refusals.count(6, [])
    assert trouble(refusals) == ""
    now[0] += SPAN_S
    assert refusals.recent()[0] == 0
