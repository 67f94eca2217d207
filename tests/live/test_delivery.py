"""Alerts reach a receiver once, whatever is away or killed meanwhile."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from aiokafka import TopicPartition
from prometheus_client import CollectorRegistry
from pydantic import SecretStr

from monitor.config import Config
from monitor.core.contract.alert import Alert, alert_json, parse_alert
from monitor.delivery.counters import DeliveryCounters
from monitor.delivery.follower import ReceiverFollower
from monitor.delivery.incidents import Notice
from monitor.delivery.receivers.base import Receiver
from monitor.delivery.receivers.json_lines import FileReceiver
from monitor.delivery.receivers.kinds import make_receiver
from monitor.delivery.session import delivery_group
from monitor.delivery.settings import ReceiverSettings
from monitor.kafka import topics
from monitor.kafka.clients import Clients
from monitor.kafka.topics import sidecar_topics
from monitor.silences.silence import AlertSilence
from monitor.silences.topic import publish_silences
from tests.core.alerts.findings import alert
from tests.delivery.receivers.test_webhook import SECRET, verify
from tests.delivery.servers import ReceiverServer, receiver_server
from tests.live import helpers
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


class BrokenOnce(FileReceiver):
    """Fails at its first alert in a way that nobody has foreseen."""

    is_broken = True

    async def send(self, notice: Notice) -> None:
        if self.is_broken:
            self.is_broken = False
            raise RuntimeError(SECRET)
        await super().send(notice)


def follower(config: Config, settings: ReceiverSettings, own: Receiver | None = None) -> Any:
    receiver = own or make_receiver(settings)
    tp = TopicPartition(config.kafka.alerts_topic, 0)
    counters = DeliveryCounters(CollectorRegistry())
    group = delivery_group(config, settings.name)
    return ReceiverFollower(
        settings, receiver, Clients(config.kafka), tp, group, START_MS, counters
    )


async def publish(config: Config, alerts: list[Alert]) -> None:
    producer = await Clients(config.kafka).producer()
    try:
        for each in alerts:
            at_ms = int(time.time() * 1000)
            topic = config.kafka.alerts_topic
            await producer.send_and_wait(topic, alert_json(each), partition=0, timestamp_ms=at_ms)
    finally:
        await producer.stop()


async def follow_until(one: ReceiverFollower, condition: Callable[[], bool]) -> None:
    task = asyncio.create_task(one.run())

    async def is_so() -> bool:
        assert not task.done(), task
        return condition()

    try:
        await helpers.wait_until(is_so)
        await asyncio.sleep(0.3)  # the commit behind it
    finally:
        task.cancel()
        await asyncio.wait((task,))


START_MS = int(time.time() * 1000)


def test_a_restart_sends_alertmanager_again_what_fires_and_forgets_what_does_not(
    kafka: str,
) -> None:
    config = configuration(kafka)
    fires = replace(alert(), id="a-1", incident="a", severity="info")
    other = replace(alert(), id="b-1", incident="b")
    alerts = [
        fires,
        other,
        replace(fires, id="a-2", status="updated", severity="critical"),
        replace(other, id="b-2", status="resolved"),
    ]

    async def run() -> tuple[list[Any], list[Any]]:
        topic = config.kafka.alerts_topic
        await topics.create(Clients(config.kafka), {topic: sidecar_topics(config, 1)[topic]})
        with receiver_server() as server:
            url = SecretStr(server.url)
            settings = ReceiverSettings(name="am", kind="alertmanager", url=url)
            await publish(config, alerts[:3])
            await follow_until(follower(config, settings), lambda: len(server.taken) >= 3)
            before = [request.document for request in server.taken]
            server.requests.clear()
            await follow_until(follower(config, settings), lambda: len(server.taken) >= 1)
            await publish(config, alerts[3:])
            await follow_until(follower(config, settings), lambda: len(server.taken) >= 3)
            return before, [request.document for request in server.taken]

    before, after = asyncio.run(run())
    assert [len(post) for post in before[:3]] == [1, 1, 2]
    again = after[0]  # at the restart, though nothing is new: both severities of a, and b
    labels = [(one["labels"]["incident"], one["labels"]["severity"]) for one in again]
    assert labels == [("a", "info"), ("a", "critical"), ("b", alert().severity)]
    assert again[0]["labels"] == before[0][0]["labels"]
    (ended,) = after[-1] if len(after[-1]) == 1 else after[-2]
    assert ended["labels"]["incident"] == "b"
    assert ended["endsAt"] < again[2]["endsAt"]


def test_no_alert_is_lost_where_a_receiver_fails_in_a_way_that_nobody_foresaw(
    kafka: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = configuration(kafka)
    settings = ReceiverSettings(name="lines", kind="file", path=tmp_path / "lines")
    alerts = [replace(alert(), id=f"a-{n}", incident=f"a{n}") for n in range(3)]

    async def run() -> None:
        topic = config.kafka.alerts_topic
        await topics.create(Clients(config.kafka), {topic: sidecar_topics(config, 1)[topic]})
        await publish(config, alerts)
        path = settings.path
        assert path is not None
        one = follower(config, settings, BrokenOnce(settings))
        await follow_until(one, lambda: path.exists() and len(path.read_bytes().splitlines()) >= 3)
        # Another start adds nothing.
        more = replace(alert(), id="a-3", incident="a3")
        await publish(config, [more])
        await follow_until(
            follower(config, settings), lambda: len(path.read_bytes().splitlines()) >= 4
        )

    asyncio.run(run())
    lines = (tmp_path / "lines").read_bytes().splitlines()
    assert [parse_alert(line).id for line in lines] == ["a-0", "a-1", "a-2", "a-3"]
    assert SECRET not in "".join(capsys.readouterr())
