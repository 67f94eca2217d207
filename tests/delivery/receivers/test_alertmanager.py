"""A real Alertmanager, and what it makes of an incident that grows and ends."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from monitor.core.contract.alert import Alert, Carrier
from tests.core.alerts.findings import alert
from tests.delivery.receivers.notices import notice, send, settings
from tests.delivery.servers import ReceiverServer, receiver_server
from tests.support import skip_or_fail

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


@contextmanager
def alertmanager(folder: Path, notified: ReceiverServer) -> Iterator[str]:
    """Debian's or Prometheus's own, on loopback; its address."""
    path = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")
    if path is None:
        skip_or_fail("the program alertmanager (apt-get install prometheus-alertmanager)")
    file = folder / "alertmanager.yml"
    file.write_text(CONFIG.format(url=notified.url))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        at = f"127.0.0.1:{probe.getsockname()[1]}"
    options = ["--cluster.listen-address=", f"--web.listen-address={at}"]
    files = [f"--config.file={file}", f"--storage.path={folder / 'state'}"]
    with (folder / "log").open("wb") as log:
        child = subprocess.Popen([str(path), *files, *options], stdout=log, stderr=log)
    try:
        wait_until(lambda: is_ready(at))
        yield f"http://{at}"
    finally:
        child.terminate()
        child.wait(10)


def is_ready(at: str) -> bool:
    with suppress(OSError), urllib.request.urlopen(f"http://{at}/-/ready", timeout=1) as reply:
        return bool(reply.status == 200)
    return False


def listed(url: str) -> list[dict[str, Any]]:
    with urllib.request.urlopen(f"{url}/api/v2/alerts", timeout=5) as reply:
        alerts: list[dict[str, Any]] = json.loads(reply.read())
    return sorted(alerts, key=lambda one: one["labels"]["severity"])


def test_an_incident_is_one_notification_that_is_updated_and_resolved(tmp_path: Path) -> None:
    now_ns = time.time_ns()
    opening = replace(alert(), severity="warning", accounts=(Carrier("mm1", 0.5),))
    grown: Alert = replace(
        opening, status="updated", severity="critical", kind="incident", symbols=("SOL", "ETH")
    )
    ended = replace(grown, status="resolved", ts=now_ns)
    with receiver_server() as notified, alertmanager(tmp_path, notified) as url:
        to = settings(kind="alertmanager", url=url)
        send(to, notice((opening,)), notice((opening,)))
        wait_until(lambda: len(notified.taken) == 1)
        (first,) = listed(url)
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
        critical, still = listed(url)
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
        assert listed(url) == []


def test_one_that_is_resent_does_not_end_and_one_that_is_not_does(tmp_path: Path) -> None:
    """Seen in what is posted: `endsAt` lies four times further than the next message."""
    with receiver_server() as server:
        to = settings(kind="alertmanager", url=server.url)
        future = replace(alert(), since=2**62, ts=2**62)
        send(to, notice((future,)), notice((future, replace(future, status="resolved"))))
        (firing,), (resolved,) = (request.document for request in server.taken)
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    assert firing["startsAt"] <= now < firing["endsAt"]
    assert resolved["startsAt"] <= resolved["endsAt"] <= now
