"""From a venue's records to a person's notification: everything between them is the real thing.

A simulated day goes through Kafka, `brinkwatch run`, Alertmanager and Prometheus with the files of
`deploy`; what is shortened are their timers. Alertmanager goes away, the sidecar is killed
meanwhile, and both come back.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml

from monitor.commands.bus.topics import create_topics
from monitor.config import Config, KafkaSettings, load
from monitor.console import Console
from monitor.core.contract.alert import Alert, parse_alert
from monitor.core.contract.events import TOPICS
from monitor.core.contract.units import SECOND_NS
from monitor.plugins import detector_factories
from monitor.silences.silence import AlertSilence
from monitor.silences.topic import publish_silences
from replay.day import Day
from replay.run import replay
from replay.simulation.settings import SimulationSettings
from replay.simulation.simulate import START_TS, simulate
from tests.delivery.servers import Alertmanager, ReceiverServer, receiver_server
from tests.live.helpers import read_records
from tests.live.prometheus_server import prometheus
from tests.live.sidecars import Process, write_toml
from tests.support import ROOT, program

MINUTES, SPEED = 14, 40.0
MARKETS = ("BTC-PERP", "ETH-PERP", "SOL-PERP")
LEARNING_S, EVERY_S, LENGTH_S = 240, 60, 20
"""Planted incidents begin after so long, one in every minute, in each market in turn."""
AWAY_S = float(os.environ.get("BRINKWATCH_TEST_AWAY_S", "8"))
"""Alertmanager is away at least so long; the sidecar's start comes on top."""
BRINKWATCH = [sys.executable, "-m", "monitor.cli"]


def wait_until(condition: Callable[[], Any], what: str, seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not within {seconds:g} s: {what}"
        time.sleep(0.1)


def settings(address: str) -> Config:
    """The defaults, on topics and in a group that no other test has."""
    own = uuid.uuid4().hex[:8]
    topics = [name for name in KafkaSettings.model_fields if name.endswith("_topic")]
    names = {name: f"{own}.{name.removesuffix('_topic')}" for name in topics}
    return load(
        None,
        topics={kind: f"{own}.{topic}" for kind, topic in TOPICS.items()},
        kafka={"bootstrap_servers": address, "group": own, **names},
    )


def alertmanager_config(to: ReceiverServer) -> str:
    """That of `deploy`, in haste, with somebody to notify."""
    config = yaml.safe_load((ROOT / "deploy" / "alertmanager" / "alertmanager.yml").read_text())
    config["route"] |= {"group_wait": "1s", "group_interval": "1s"}
    config["receivers"][0]["webhook_configs"] = [{"url": to.url}]
    return yaml.safe_dump(config)


@contextmanager
def publishing(day: Path, toml: Path) -> Iterator[subprocess.Popen[bytes]]:
    """`brinkwatch publish` as a process."""
    command = [*BRINKWATCH, "publish", str(day), "--config", str(toml), "--speed", str(SPEED)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            yield process
        finally:
            process.kill()


@dataclass
class Incident:
    """What the topic and a person's notifications say of one."""

    began_s: float
    """When its first alert was published."""
    alerts: list[Alert] = field(default_factory=list)
    notifications: list[dict[str, Any]] = field(default_factory=list)


def incidents(address: str, topic: str, notified: ReceiverServer) -> dict[str, Incident]:
    """All of the topic, by id, with their notifications."""
    every: dict[str, Incident] = {}
    for record in asyncio.run(read_records(address, topic)):
        alert = parse_alert(record.value)
        one = every.setdefault(alert.incident, Incident(record.timestamp / 1000))
        one.alerts.append(alert)
    for request in notified.taken:
        if name := request.document["groupLabels"].get("incident"):
            every[name].notifications.append(request.document)
    return every


def write_day(folder: Path) -> Day:
    """Bursts of cancels and leverage and a thin book together, as often as they tell apart."""
    plan = []
    for number, at_s in enumerate(range(LEARNING_S, MINUTES * 60 - EVERY_S, EVERY_S)):
        times = {"start_ts": START_TS + at_s * SECOND_NS}
        times["end_ts"] = times["start_ts"] + LENGTH_S * SECOND_NS
        market = MARKETS[number % len(MARKETS)]
        plan.append({"id": f"i-{number}", "kind": "joint", "symbol": market, "size": 9, **times})
    file = folder / "plan.json"
    file.write_text(json.dumps(plan))
    simulate(folder / "day", SimulationSettings(7, MINUTES, 4, 500, 200.0, str(file)))
    return Day(folder / "day")


def second_incident(alerts: list[Alert], market: str) -> str:
    """The id of the second one outside of a market."""
    openings = [one.incident for one in alerts if one.status == "firing" and not one.returns]
    theirs = {one.incident for one in alerts if market in one.symbols}
    return [name for name in openings if name not in theirs][1]


def sentence(document: dict[str, Any]) -> str:
    text: str = document["alerts"][0]["annotations"]["summary"]
    return text


def contents(document: dict[str, Any]) -> set[tuple[str, str]]:
    return {(alert["fingerprint"], alert["status"]) for alert in document["alerts"]}


def test_an_incident_is_notified_updated_and_resolved_whatever_is_away_and_killed_meanwhile(
    kafka: str, tmp_path: Path
) -> None:
    program("prometheus")
    config, toml = settings(kafka), tmp_path / "run.toml"
    config = write_toml(toml, config)
    day, alerts = write_day(tmp_path), tmp_path / "alerts"
    replay(day, config.engine(), detector_factories(config.streams), alerts_to=alerts)
    lines = [parse_alert(line) for line in alerts.read_bytes().splitlines()]
    silenced = second_incident(lines, MARKETS[2])
    create_topics(config, 1, Console(True))
    # With no beginning: a silence goes by event time, and that of the day is long past.
    quiet = AlertSilence(name="works", symbol=(MARKETS[2],), end="2100-01-01T00:00:00Z")
    asyncio.run(publish_silences(config, {"works": quiet}))
    with (
        receiver_server() as notified,
        Alertmanager(tmp_path / "alertmanager", alertmanager_config(notified)) as manager,
    ):

        def is_loud(one: Incident) -> bool:
            return not one.alerts[0].silenced_by and one.alerts[0].incident != silenced

        def came_and_went() -> list[str]:
            """Incidents that began and ended since Alertmanager is away."""
            every = incidents(kafka, config.kafka.alerts_topic, notified)
            return [
                name
                for name, one in every.items()
                if is_loud(one) and one.began_s > away_s and one.alerts[-1].status == "resolved"
            ]

        manager.silence(incident=silenced)
        with toml.open("a") as file:
            file.write('[[receivers]]\nname = "desk"\nkind = "alertmanager"\n')
            file.write(f'url = "{manager.url}"\n')
        logs = [tmp_path / "log-1", tmp_path / "log-2"]
        with Process(toml, logs[0]) as sidecar, publishing(tmp_path / "day", toml) as venue:
            sidecar.wait_to_read(120.0)
            wait_until(lambda: notified.taken, "the first notification")
            manager.stop()
            away_s = time.time()
            wait_until(lambda: delivery_failures(sidecar), "a failed delivery")
            sidecar.kill()
            with Process(toml, logs[1]) as sidecar:
                wait_until(lambda: delivery_failures(sidecar), "a failed delivery, again")
                time.sleep(max(0.0, away_s + AWAY_S - time.time()))
                wait_until(came_and_went, "an incident of the time without Alertmanager")
                missed = came_and_went()
                manager.start()
                with prometheus(
                    tmp_path / "prometheus", f"127.0.0.1:{sidecar.port}", manager.address
                ):
                    wait_until(lambda: venue.poll() == 0, "the end of the day")

                    def all_told() -> bool:
                        every = incidents(kafka, config.kafka.alerts_topic, notified).values()
                        return all(is_up_to_date(one) for one in every if is_loud(one))

                    wait_until(all_told, "every incident as the topic has it")
                    every = incidents(kafka, config.kafka.alerts_topic, notified)
                    sidecar.child.send_signal(signal.SIGTERM)
                    assert sidecar.child.wait(15) == 0
                    gone = {"alertname": "BrinkwatchGone"}
                    wait_until(
                        lambda: any(r.document["groupLabels"] == gone for r in notified.taken),
                        "the rule on a sidecar that is gone",
                    )
    loud = [one for one in every.values() if is_loud(one)]
    # One incident, one group, and never the same again.
    for one in every.values():
        for document in one.notifications:
            assert len({alert["labels"]["incident"] for alert in document["alerts"]}) == 1
            assert not document["truncatedAlerts"]
        assert all(a != b for a, b in pairwise(map(contents, one.notifications)))
    # What was silenced reaches nobody.
    quiets = [one for one in every.values() if not is_loud(one)]
    assert {one.alerts[0].silenced_by for one in quiets} == {None, "works"}
    assert not any(one.notifications for one in quiets)
    # What was over before Alertmanager came back is notified all the same.
    assert all(every[name].notifications for name in missed)
    # It grows meanwhile: the sentence of its resolution is not that of its beginning.
    assert any(len(set(map(sentence, one.notifications))) > 1 for one in loud)
    for line in (text for log in logs for text in log.read_text().splitlines()):
        assert isinstance(json.loads(line), dict)


def is_up_to_date(one: Incident) -> bool:
    """Whether who was notified last was told how the incident stands."""
    if not one.notifications:
        return False
    last = one.notifications[-1]
    if one.alerts[-1].status != "resolved":
        return bool(last["status"] == "firing")
    return last["status"] == "resolved" and sentence(last) == one.alerts[-1].summary


def delivery_failures(sidecar: Process) -> bool:
    """Whether an attempt has failed since it was started."""
    return b'"receiver fails"' in sidecar.log.read_bytes()
