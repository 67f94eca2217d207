"""Alerts reach a receiver once, whatever is away or killed meanwhile."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from monitor.core.contract.alert import parse_alert
from monitor.silences.silence import AlertSilence
from monitor.silences.topic import publish_silences
from tests.delivery.receivers.test_webhook import SECRET, verify
from tests.delivery.servers import ReceiverServer, receiver_server
from tests.live.helpers import configuration, create_topics_of, read_records, send, write_day
from tests.live.sidecars import Process, write_toml


def wait_until(condition: Callable[[], bool], log: Path, seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, log.read_text()
        time.sleep(0.1)


@dataclass
class Expected:
    """What the alerts topic says that a receiver should have got."""

    ids: list[str]
    silenced: int


def expected(address: str, topic: str) -> Expected:
    alerts = [parse_alert(r.value) for r in asyncio.run(read_records(address, topic))]
    quiet = {alert.incident for alert in alerts if alert.silenced_by}
    spoken = {alert.incident for alert in alerts if alert.status != "resolved"} - quiet
    return Expected([a.id for a in alerts if a.incident in spoken], len(quiet))


def ids(server: ReceiverServer) -> list[str]:
    return [request.headers["webhook-id"] for request in server.taken]


def test_nothing_is_lost_or_sent_twice_while_a_receiver_is_away_and_the_sidecar_is_killed(
    kafka: str, tmp_path: Path
) -> None:
    toml, lines = tmp_path / "run.toml", tmp_path / "lines"
    config = write_toml(toml, configuration(kafka))
    day = write_day(tmp_path, config, odd=True)
    jumps = AlertSilence(name="jumps", kind=("time_jump",), end="2100-01-01T00:00:00Z")
    create_topics_of(day, config)
    asyncio.run(publish_silences(config, {"jumps": jumps}))
    with receiver_server() as there, receiver_server() as away:
        away.otherwise = (503, {})
        with toml.open("a") as file:
            for name, server in (("there", there), ("away", away)):
                file.write(f'[[receivers]]\nname = "{name}"\nkind = "webhook"\n')
                file.write(f'url = "{server.url}"\nsecret = "{SECRET}"\n')
            file.write(f'[[receivers]]\nname = "lines"\nkind = "file"\npath = "{lines}"\n')
        log = tmp_path / "log-1"
        with Process(toml, log) as sidecar:
            sidecar.wait_to_read()
            send(day, config)
            wait_until(lambda: len(there.taken) > 3 and len(away.requests) > 0, log)
            sidecar.kill()
        again = tmp_path / "log-2"
        with Process(toml, again) as sidecar:
            wait_until(lambda: len(away.requests) > 2, again)
            away.otherwise = (200, {})
            want = expected(kafka, config.kafka.alerts_topic)
            assert len(want.ids) > 3
            assert want.silenced > 0
            for server in (there, away):
                wait_until(lambda s=server: set(ids(s)) >= set(want.ids), again)
            _, metrics = sidecar.get("/metrics")
            assert 'brinkwatch_delivery_up{receiver="away"} 1.0' in metrics
            assert 'brinkwatch_delivery_failures_total{receiver="there"} 0.0' in metrics
    # An alert that was under way when the process was killed may come twice, with the same id.
    for server in (there, away):
        got = ids(server)
        assert list(dict.fromkeys(got)) == want.ids
        assert len(got) <= len(want.ids) + 1
        for request in server.taken:
            verify(SECRET, request)
    topic = asyncio.run(read_records(kafka, config.kafka.alerts_topic))
    assert list(dict.fromkeys(lines.read_bytes().splitlines())) == [r.value for r in topic]
    texts = log.read_text() + again.read_text()
    assert SECRET not in texts
    assert SECRET.removeprefix("whsec_") not in texts
    events = [json.loads(line) for line in texts.splitlines() if line.startswith("{")]
    assert {e["id"] for e in events if e["event"] == "alert"} <= {
        parse_alert(r.value).id for r in topic
    }
    assert any(e["event"] == "alert" for e in events)
    assert any(e["event"] == "receiver takes alerts again" for e in events)
