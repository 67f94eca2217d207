"""Everything that the sidecar makes known, each piece once: alerts, dead letters, control records,
snapshots and the offsets of what was read, in one transaction.

Alerts are numbered: the engine makes the same ones in the same order from the same records, however
they are read. The number of those published stands in the metadata of the committed offsets; after
a crash the engine goes on from its snapshot, and what it makes again up to that number is not sent.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.structs import OffsetAndMetadata

from monitor.config import KafkaSettings
from monitor.core.batch import Refused
from monitor.core.events import Control
from monitor.core.explain import iso, line
from monitor.kafka.clients import Clients
from monitor.kafka.publish import send_control
from monitor.kafka.snapshots import Message

TIMEOUT_MS = 60_000
"""After this a transaction whose owner is gone is aborted by the broker."""
DETAIL_BYTES_MAX = 1_000


@dataclass(slots=True)
class Letter:
    """A refused record on its way to the dead letters."""

    record: Refused
    timestamp_ms: int
    """Of the record in its topic."""


@dataclass(slots=True)
class Work:
    """What one transaction holds."""

    alerts: list[dict[str, Any]] = field(default_factory=list)
    letters: list[Letter] = field(default_factory=list)
    controls: list[Control] = field(default_factory=list)
    snapshot: list[Message] = field(default_factory=list)
    offsets: dict[tuple[str, int], int] = field(default_factory=dict)
    published: int = 0
    """Alerts published once this is committed."""


def alert_headers(alert: dict[str, Any]) -> list[tuple[str, bytes]]:
    """CloudEvents 1.0, binary mode."""
    return [
        ("ce_specversion", b"1.0"),
        ("ce_id", alert["id"].encode()),
        ("ce_source", b"brinkwatch"),
        ("ce_type", f"brinkwatch.alert.{alert['status']}".encode()),
        ("ce_time", iso(alert["ts"]).encode()),
        ("ce_datacontenttype", b"application/json"),
        ("content-type", b"application/json"),
    ]


def letter_headers(letter: Letter) -> list[tuple[str, bytes]]:
    """Where a dead letter comes from, and why it was refused (`decode.REASONS`)."""
    r = letter.record
    origin = {
        "topic": r.topic,
        "partition": str(r.partition),
        "offset": str(r.offset),
        "timestamp": str(letter.timestamp_ms),
        "reason": r.reason,
        "detail": r.detail,
    }
    return [
        (f"brinkwatch_{name}", text.encode(errors="replace")[:DETAIL_BYTES_MAX])
        for name, text in origin.items()
    ]


class Transactions:
    """The one writer of a group: starting it ends whoever wrote before."""

    def __init__(self, settings: KafkaSettings, producer: AIOKafkaProducer) -> None:
        self._settings = settings
        self._producer = producer

    @classmethod
    async def start(cls, settings: KafkaSettings, clients: Clients) -> Transactions:
        """Fence the owner before, and settle what it had left open."""
        producer = await clients.producer(
            transactional_id=f"brinkwatch-{settings.group}", transaction_timeout_ms=TIMEOUT_MS
        )
        return cls(settings, producer)

    async def stop(self) -> None:
        """Close the connection."""
        await self._producer.stop()

    async def commit(self, work: Work) -> None:
        """All of it or nothing. Raises what Kafka refuses; then nothing of it is known to anyone
        who reads what is committed, or (where the answer was lost) all of it: restore to find out.
        """
        async with self._producer.transaction():
            flying = await self._messages(work)
            if flying:
                await asyncio.gather(*flying)
            if work.offsets:
                note = str(work.published)
                offsets = {
                    TopicPartition(*at): OffsetAndMetadata(offset, note)
                    for at, offset in work.offsets.items()
                }
                await self._producer.send_offsets_to_transaction(offsets, self._settings.group)

    async def _messages(self, work: Work) -> Sequence[asyncio.Future[Any]]:
        names, send = self._settings, self._producer.send
        flying = []
        for alert in work.alerts:
            headers = alert_headers(alert)
            key = alert["fingerprint"].encode()
            flying.append(
                await send(names.alerts_topic, line(alert), key=key, partition=0, headers=headers)
            )
        for letter in work.letters:
            raw, headers = letter.record.raw, letter_headers(letter)
            flying.append(await send(names.dlq_topic, raw, partition=0, headers=headers))
        for control in work.controls:
            flying.append(await send_control(self._producer, names.control_topic, control))
        for chunk in work.snapshot:
            flying.append(
                await send(
                    names.snapshots_topic,
                    chunk.value,
                    key=chunk.key,
                    partition=0,
                    headers=chunk.headers,
                )
            )
        return flying
