"""Alerts that were published, read back: from the alerts topic, committed ones only, from a file or
from a running sidecar."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from aiokafka import TopicPartition
from pydantic import ValidationError

from monitor.config import Config
from monitor.core.alerts.history import IncidentHistory, group_by_incident
from monitor.core.contract.alert import Alert, parse_alert
from monitor.desk.sidecar_client import SidecarAddress, is_url
from monitor.errors import ConfigError, nearest_name
from monitor.kafka import topics
from monitor.kafka.clients import Clients, run_async
from monitor.kafka.partitions import offset_range, read_between

FOLLOW_WAIT_MS = 200


@dataclass(frozen=True, slots=True)
class PublishedAlerts:
    """What a file, the alerts topic or a sidecar holds."""

    place: str
    """The file, the topic or the address, for sentences."""
    alerts: Sequence[Alert]
    foreign: int = 0
    """Lines or records that are no alerts of this version: left out."""

    @property
    def incidents(self) -> list[IncidentHistory]:
        """Their incidents, in the order in which they opened."""
        return group_by_incident(self.alerts)

    def find(self, reference: str) -> tuple[IncidentHistory, Alert | None]:
        """The incident that an incident's or an alert's id names, and the alert, where it is one's.

        Raises `ConfigError` with the nearest id where there is none.
        """
        incidents = self.incidents
        for incident in incidents:
            if reference == incident.incident:
                return incident, None
            for alert in incident.alerts:
                if reference == alert.id:
                    return incident, alert
        alike = [one.incident for one in incidents if one.alerts[0].fingerprint == reference]
        if alike:
            raise ConfigError(
                f"{reference} is a fingerprint, which incidents alike share: name one of "
                + ", ".join(alike)
            )
        ids = [*(one.incident for one in incidents), *(alert.id for alert in self.alerts)]
        mend = nearest_name(reference, ids, "`brinkwatch alerts --all` lists what there is")
        raise ConfigError(f"{self.place} has no alert or incident {reference}: {mend}")


def read_alerts(config: Config, place: str | None, ca_file: Path | None = None) -> PublishedAlerts:
    """All alerts of `place`, a file or a sidecar's address; None: of the alerts topic.

    ca_file: see `SidecarAddress`. Raises `BrinkwatchError` where they cannot be read.
    """
    if place is None:
        return run_async(_read_topic(config))
    if is_url(place):
        lines = SidecarAddress(place, config.http, ca_file).fetch("/alerts.jsonl").splitlines()
        return _parse(place, lines)
    return read_alerts_file(Path(place))


def read_alerts_file(file: Path) -> PublishedAlerts:
    """All alerts of a file of JSON lines; raises `ConfigError` for a file of something else."""
    try:
        lines = [line for line in file.read_bytes().split(b"\n") if line.strip()]
    except OSError as error:
        raise ConfigError(f"cannot read {file}: {error.strerror}") from error
    published = _parse(str(file), lines)
    if lines and not published.alerts:
        raise ConfigError(
            f"{file} holds no alerts of this version: give a file that replay --alerts wrote"
        )
    return published


def _parse(place: str, values: Iterable[bytes | None]) -> PublishedAlerts:
    alerts, foreign = [], 0
    for value in values:
        try:
            alerts.append(parse_alert(value or b""))
        except ValidationError:
            foreign += 1
    return PublishedAlerts(place, alerts, foreign)


async def _read_topic(config: Config) -> PublishedAlerts:
    clients, tp = Clients(config.kafka), await _alerts_partition(config)
    consumer = await clients.consumer()
    try:
        records = read_between(consumer, tp, *await offset_range(consumer, tp))
        return _parse(f"the topic {tp.topic}", [record.value async for record in records])
    finally:
        await consumer.stop()


async def _alerts_partition(config: Config) -> TopicPartition:
    topic = config.kafka.alerts_topic
    async with Clients(config.kafka).admin() as admin:
        if topic not in await topics.partition_counts(admin):
            raise ConfigError(
                f"there is no topic {topic}: brinkwatch topics create, or run, makes it"
            )
    return TopicPartition(topic, 0)


async def follow_alerts(config: Config) -> AsyncIterator[Alert]:
    """The alerts of the topic, those that are there and then as they are committed; no end."""
    tp = await _alerts_partition(config)
    consumer = await Clients(config.kafka).consumer()
    try:
        consumer.assign([tp])
        consumer.seek(tp, (await offset_range(consumer, tp))[0])
        while True:
            for record in (await consumer.getmany(tp, timeout_ms=FOLLOW_WAIT_MS)).get(tp, ()):
                for alert in _parse(tp.topic, [record.value]).alerts:
                    yield alert
    finally:
        await consumer.stop()
