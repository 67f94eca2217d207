"""Delivery in the sidecar that has the venue stage: a follower for each receiver."""

from __future__ import annotations

import asyncio
import time

import structlog
from aiokafka import TopicPartition

from monitor.config import Config
from monitor.core.contract.alert import Alert
from monitor.delivery.counters import DeliveryCounters
from monitor.delivery.follower import ReceiverFollower
from monitor.delivery.receivers.base import Receiver
from monitor.delivery.receivers.kinds import make_receiver
from monitor.delivery.settings import ReceiverSettings
from monitor.delivery.texts import without_accounts
from monitor.kafka.clients import Clients

STOP_S = 1.0
"""Connections have so long to end."""


def delivery_group(config: Config, receiver: str) -> str:
    """The group that keeps how far a receiver got."""
    return f"{config.kafka.group}.delivery.{receiver}"


class DeliverySession:
    """Started and stopped with the venue stage of this process.

    A receiver or a topic that fails holds up nothing but its own deliveries.
    """

    def __init__(self, config: Config, counters: DeliveryCounters) -> None:
        self._config, self._counters = config, counters
        self._since_ms = int(time.time() * 1000)
        self._receivers: list[tuple[ReceiverSettings, Receiver]] = []
        self._tasks: list[asyncio.Task[None]] = []

    def prepare(self) -> None:
        """Read the secrets and files of all receivers, once. Raises `ConfigError`."""
        self._receivers = [(each, make_receiver(each)) for each in self._config.receivers]

    async def run_while(self, has_venue: bool, clients: Clients) -> None:
        """Deliver while this process has the venue stage, and not while another has it."""
        if not has_venue:
            await self.stop()
        elif not self._tasks:
            tp = TopicPartition(self._config.kafka.alerts_topic, 0)
            for settings, receiver in self._receivers:
                group = delivery_group(self._config, settings.name)
                follower = ReceiverFollower(
                    settings, receiver, clients, tp, group, self._since_ms, self._counters
                )
                self._tasks.append(asyncio.create_task(follower.run()))

    async def stop(self) -> None:
        """End what is under way: the topic has the rest, for the next process."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=STOP_S)
            self._tasks = []
        for _, receiver in self._receivers:
            await receiver.close()


def log_alerts(alerts: list[Alert]) -> None:
    """A line of the log for each alert that was just committed; no account is named in it."""
    log = structlog.get_logger()
    for alert in map(without_accounts, alerts):
        is_quiet = alert.severity == "info" or alert.status == "resolved" or alert.silenced_by
        say = log.info if is_quiet else log.warning
        silenced = {} if alert.silenced_by is None else {"silenced_by": alert.silenced_by}
        say(
            "alert",
            id=alert.id, incident=alert.incident, status=alert.status, severity=alert.severity,
            kind=alert.kind, symbols=list(alert.symbols), summary=alert.summary, **silenced,
        )  # fmt: skip
