"""A real Alertmanager, and what it makes of an incident that grows and ends."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from monitor.core.contract.alert import Alert, Carrier
from tests.core.alerts.findings import alert
from tests.delivery.receivers.notices import notice, send, settings
from tests.delivery.servers import Alertmanager, receiver_server

CONFIG = """
route:
  receiver: desk
  group_by: [incident]
  group_wait: 0s
  group_interval: 1s
receivers:
  - name: desk
    webhook_configs: [{{url: "{url}"}}]
inhibit_rules:
  - source_matchers: [severity="critical"]
    target_matchers: [severity=~"warning|info"]
    equal: [incident]
"""


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_an_incident_is_one_notification_that_is_updated_and_resolved(tmp_path: Path) -> None:
    now_ns = time.time_ns()
    opening = replace(alert(), severity="warning", accounts=(Carrier("mm1", 0.5),))
    grown: Alert = replace(
        opening, status="updated", severity="critical", kind="incident", symbols=("SOL", "ETH")
    )
    ended = replace(grown, status="resolved", ts=now_ns)
    with (
        receiver_server() as notified,
        Alertmanager(tmp_path, CONFIG.format(url=notified.url)) as manager,
    ):
        to = settings(kind="alertmanager", url=manager.url)
        send(to, notice((opening,)), notice((opening,)))
        wait_until(lambda: len(notified.taken) == 1)
        (first,) = manager.alerts()
        assert first["labels"] == {
            "alertname": opening.kind,
            "severity": "warning",
            "symbol": "SOL-PERP",
            "layer": "execution",
            "incident": "cafe",
            "source": "brinkwatch",
        }
        assert not any("mm1" in value for value in first["labels"].values())
        send(to, notice((opening, grown)))
        wait_until(lambda: len(notified.taken) == 2)
        critical, still = manager.alerts()
        assert critical["labels"] == first["labels"] | {"severity": "critical"}
        assert still["fingerprint"] == first["fingerprint"]
        assert still["startsAt"] == first["startsAt"]
        assert still["status"]["inhibitedBy"] == [critical["fingerprint"]]
        assert "SOL, ETH" in critical["annotations"]["markets"]
        send(to, notice((opening, grown, ended)))
        wait_until(lambda: notified.taken[-1].document["status"] == "resolved")
        documents = [request.document for request in notified.taken]
        assert {each["groupLabels"]["incident"] for each in documents} == {"cafe"}
        assert [each["status"] for each in documents] == ["firing", "firing", "resolved"]
        assert manager.alerts() == []


def test_one_that_is_resent_does_not_end_and_one_that_is_not_does() -> None:
    """Seen in what is posted: `endsAt` lies four times further than the next message."""
    with receiver_server() as server:
        to = settings(kind="alertmanager", url=server.url)
        future = replace(alert(), since=2**62, ts=2**62)
        send(to, notice((future,)), notice((future, replace(future, status="resolved"))))
        (firing,), (resolved,) = (request.document for request in server.taken)
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    assert firing["startsAt"] <= now < firing["endsAt"]
    assert resolved["startsAt"] <= resolved["endsAt"] <= now
