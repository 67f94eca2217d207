"""The alerts topic, followed by every member: what /alerts and /events show.

From the topic and not from the venue stage: a member without the stage can answer too, and one that
was restarted knows what fires. Committed alerts only.
"""

from __future__ import annotations

import asyncio

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError, OffsetOutOfRangeError
from pydantic import ValidationError

from monitor.core.contract.alert import parse_alert
from monitor.errors import ConfigError
from monitor.http.recent_alerts import RecentAlerts
from monitor.kafka.clients import Clients, stop_consumer
from monitor.kafka.partitions import offset_range

RETRY_S = 1.0
READ_BACK_MAX = 20_000
"""Offsets that are read back at the start, at most; each transaction takes one of its own."""
POLL_RECORDS = 20
"""Between two polls the loop does other things."""
POLL_MS = 1_000
FETCH_WAIT_MS = 500
"""The broker answers at once where there is an alert; it is asked twice a second where not."""


class AlertsFollower:
    """Fills `recent` from the alerts topic until it is cancelled."""

    def __init__(self, topic: str, recent: RecentAlerts) -> None:
        self._tp, self._recent = TopicPartition(topic, 0), recent
        self._next: int | None = None
        """The next offset; None: nothing was read yet."""

    async def run(self, clients: Clients) -> None:
        """Follow the topic; where Kafka fails it goes on from where it was."""
        while True:
            try:
                await self._follow(clients)
            except OffsetOutOfRangeError:
                self._recent.begin_anew()
                self._next = None
            except (KafkaError, OSError, ConfigError):
                pass  # the supervisors report a Kafka that does not answer
            await asyncio.sleep(RETRY_S)

    async def _follow(self, clients: Clients) -> None:
        consumer = await clients.consumer(
            client_id="brinkwatch-alerts", fetch_max_wait_ms=FETCH_WAIT_MS
        )
        try:
            first, end = await offset_range(consumer, self._tp)
            if self._next is not None and self._next > end:
                raise OffsetOutOfRangeError({self._tp: self._next})
            start = max(first, end - READ_BACK_MAX) if self._next is None else self._next
            consumer.assign([self._tp])
            consumer.seek(self._tp, max(first, start))
            while True:
                polled = await consumer.getmany(timeout_ms=POLL_MS, max_records=POLL_RECORDS)
                for record in polled.get(self._tp, ()):
                    try:
                        self._recent.take(record.offset, parse_alert(record.value or b""))
                    except ValidationError:
                        self._recent.foreign += 1
                self._next = await consumer.position(self._tp)
                await asyncio.sleep(0)
        finally:
            await stop_consumer(consumer)
