"""What a receiver is sent of an incident, and that reading the topic back tells it again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from monitor.core.contract.alert import Alert
from monitor.delivery import incidents
from monitor.delivery.incidents import Notice, ReceiverIncidents
from monitor.delivery.settings import ReceiverSettings
from tests.core.alerts.findings import alert


def receiver(kind: str = "pagerduty", **keys: Any) -> ReceiverIncidents:
    own = {"path": Path("x")} if kind == "file" else {"secret": "key"}
    return ReceiverIncidents(ReceiverSettings(name="desk", kind=kind, **own, **keys))


def publication(incident: str, status: str, severity: str = "warning", **keys: Any) -> Alert:
    return replace(alert(), incident=incident, status=status, severity=severity, **keys)


def statuses(one: ReceiverIncidents, alerts: list[Alert]) -> list[str | None]:
    notices = [one.take(each, at, 0.0) for at, each in enumerate(alerts)]
    return [None if notice is None else notice.alert.status for notice in notices]


def test_an_incident_is_sent_from_its_first_alert_that_fits_until_it_is_resolved() -> None:
    alerts = [
        publication("a", "firing", "info"),
        publication("a", "updated", "critical"),
        publication("b", "firing", "info"),
        publication("a", "resolved", "critical"),
        publication("b", "resolved", "info"),
    ]
    sent = statuses(receiver(severity=("critical",)), alerts)
    assert sent == [None, "updated", None, "resolved", None]


def test_a_silenced_incident_is_sent_nowhere_but_to_files_nor_is_its_resolution() -> None:
    alerts = [
        publication("a", "firing", silenced_by="works"),
        publication("a", "updated", silenced_by="works"),
        publication("a", "resolved"),
    ]
    assert statuses(receiver(), alerts) == [None, None, None]
    assert statuses(receiver("file"), alerts) == ["firing", "updated", "resolved"]


def test_what_fired_before_its_silence_is_resolved() -> None:
    alerts = [
        publication("a", "firing"),
        publication("a", "updated", silenced_by="works"),
        publication("a", "resolved"),
    ]
    assert statuses(receiver(), alerts) == ["firing", None, "resolved"]


def test_the_opening_and_all_severities_stay_with_an_incident_that_grows() -> None:
    one = receiver()
    opening = publication("a", "firing", "info", kind="burst")
    one.take(opening, 0, 0.0)
    grown = one.take(publication("a", "updated", "critical", kind="incident"), 1, 0.0)
    assert grown is not None
    assert (grown.opening, grown.severities) == (opening, ("info", "critical"))
    one.take(publication("a", "resolved", "critical", kind="incident"), 2, 10.0)
    again = publication("a", "firing", "info", kind="incident", returns=1)
    assert one.take(again, 3, 20.0) == Notice(again, again, ("info",))


def test_a_resolution_is_active_for_five_minutes() -> None:
    one = receiver()
    one.take(publication("a", "firing"), 0, 0.0)
    one.take(publication("a", "resolved"), 1, 100.0)
    assert [notice.alert.status for notice in one.active(399.0)] == ["resolved"]
    assert one.active(401.0) == []
    assert one.first_offset() is None


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(incidents, "INCIDENTS_MAX", 3)
    one = receiver()
    for number in range(10):
        one.take(publication(f"i{number}", "firing"), number, 0.0)
    assert [notice.alert.incident for notice in one.active(0.0)] == ["i7", "i8", "i9"]
    assert one.first_offset() == 7


def test_reading_back_from_the_first_offset_tells_again_all_that_was_there() -> None:
    """At every place of a topic with incidents that overlap, grow, come back and are silenced."""
    alerts = [
        publication("a", "firing", "info"),
        publication("b", "firing", silenced_by="works"),
        publication("a", "resolved", "info"),
        publication("c", "firing"),
        publication("b", "updated", "critical"),
        publication("a", "firing", "critical", returns=1),
        publication("c", "resolved"),
        publication("b", "resolved", "critical"),
        publication("a", "resolved", "critical"),
    ]

    def moment(at: int) -> float:
        return 200.0 * at

    for place in range(len(alerts) + 1):
        one, again = receiver(), receiver()
        for at in range(place):
            one.take(alerts[at], at, moment(at))
            one.active(moment(at))
        first = one.first_offset()
        for at in range(place if first is None else first, place):
            again.take(alerts[at], at, moment(at))
            again.active(moment(at))
        assert again.active(moment(place)) == one.active(moment(place))
        for at in range(place, len(alerts)):
            assert again.take(alerts[at], at, moment(at)) == one.take(alerts[at], at, moment(at))
