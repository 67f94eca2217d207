"""Events of PagerDuty: one incident is one of theirs."""

from __future__ import annotations

from tests.delivery.receivers.notices import notice, send, settings
from tests.delivery.servers import receiver_server


def test_an_incident_triggers_is_updated_and_resolved_under_one_key() -> None:
    with receiver_server() as server:
        to = settings(kind="pagerduty", url=server.url, secret="routing")
        send(
            to,
            notice(severity="warning", summary="x" * 2_000),
            notice(status="updated", severity="critical"),
            notice(status="resolved"),
        )
        events = [request.document for request in server.taken]
    assert [event["event_action"] for event in events] == ["trigger", "trigger", "resolve"]
    assert {event["dedup_key"] for event in events} == {"cafe"}
    assert {event["routing_key"] for event in events} == {"routing"}
    assert [event["payload"]["severity"] for event in events[:2]] == ["warning", "critical"]
    assert len(events[0]["payload"]["summary"]) <= 1_024
    assert {"summary", "source", "severity"} <= events[0]["payload"].keys()
