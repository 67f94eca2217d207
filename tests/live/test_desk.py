"""The desk's commands read what was committed to the alerts topic, whatever else is on it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from monitor.commands import feedback
from monitor.commands.show_alerts import list_alerts, show_incident
from monitor.config import Config, StateSettings
from monitor.console import Console
from monitor.core.contract.alert import Alert, alert_json
from monitor.desk.published_alerts import follow_alerts, read_alerts
from monitor.errors import ConfigError
from monitor.http.recent_alerts import RecentAlerts
from monitor.kafka.clients import Clients
from monitor.live.alerts_follower import AlertsFollower
from tests.core.alerts.findings import START, alerts_of, finding
from tests.live.helpers import configuration


def day_of_alerts() -> list[Alert]:
    """An incident that is resolved, and one that fires."""
    more = finding(symbol="ETH", window=START + 60)
    alerts = alerts_of(finding(symbol="SOL"), more, until=START + 70)
    assert [alert.status for alert in alerts] == ["firing", "resolved", "firing"]
    return alerts


async def publish(config: Config, alerts: list[Alert]) -> None:
    """Half of the alerts in a transaction, the rest in another, one aborted between them."""
    topic = config.kafka.alerts_topic
    producer = await Clients(config.kafka).producer(transactional_id=f"test-{topic}")
    aborted = alerts_of(finding(symbol="GONE"))
    try:
        for batch in (alerts[:1], aborted, alerts[1:]):
            await producer.begin_transaction()
            for alert in batch:
                await producer.send(topic, alert_json(alert), partition=0)
            await producer.send(topic, b"not ours", partition=0)
            await producer.send(topic, None, key=b"k", partition=0)
            if batch is aborted:
                await producer.abort_transaction()
            else:
                await producer.commit_transaction()
    finally:
        await producer.stop()


async def first_of_topic(config: Config, number: int) -> list[Alert]:
    alerts = []
    async for alert in follow_alerts(config):
        alerts.append(alert)
        if len(alerts) == number:
            break
    return alerts


def test_committed_alerts_are_listed_shown_judged_and_followed(
    kafka: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = configuration(kafka)
    config = config.model_copy(update={"state": StateSettings(dir=tmp_path)})
    console, alerts = Console(True), day_of_alerts()
    with pytest.raises(ConfigError, match=f"no topic {config.kafka.alerts_topic}"):
        read_alerts(config, None)
    asyncio.run(publish(config, alerts))
    published = read_alerts(config, None)
    assert published.alerts == alerts
    assert published.foreign == 4
    assert asyncio.run(first_of_topic(config, 3)) == alerts
    firing = list_alerts(config, None, every=False, console=console)
    assert [one["incident"] for one in firing["incidents"]] == [alerts[2].incident]
    every = list_alerts(config, None, every=True, console=console)
    assert [one["status"] for one in every["incidents"]] == ["resolved", "firing"]
    assert "left out of the topic" in capsys.readouterr().err
    shown = show_incident(config, alerts[1].id, None, console)
    assert [one["id"] for one in shown["alerts"]] == [alerts[0].id, alerts[1].id]
    assert feedback.record(config, alerts[2].id, "true", "", None, console)["added"]
    with pytest.raises(ConfigError, match=f"did you mean {alerts[0].incident}"):
        feedback.record(config, alerts[0].incident[:-1] + "?", "true", "", None, console)


def test_the_port_shows_what_is_committed_and_nothing_twice_after_a_failure(kafka: str) -> None:
    config, alerts, recent = configuration(kafka), day_of_alerts(), RecentAlerts()

    async def follow(number: int) -> None:
        task = asyncio.create_task(follower.run(Clients(config.kafka)))
        async with asyncio.timeout(30):
            while len(recent.after(-1)) < number:
                await asyncio.sleep(0.05)
        task.cancel()
        await asyncio.wait((task,))

    asyncio.run(publish(config, alerts))
    follower = AlertsFollower(config.kafka.alerts_topic, recent)
    asyncio.run(follow(3))
    assert recent.lines(shows_accounts=True) == b"".join(alert_json(a) + b"\n" for a in alerts)
    assert recent.foreign == 4
    asyncio.run(publish(config, alerts))
    asyncio.run(follow(6))
    assert [one.id for one in recent.after(-1)] == [alert.id for alert in alerts] * 2
