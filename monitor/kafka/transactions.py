"""Everything that one owner makes known, each piece once: words or alerts, dead letters, control
records, snapshots and the offsets of what was read, in one transaction.

Alerts are numbered: the engine makes the same ones in the same order from the same records, however
they are read. The number of those published stands in the note that goes with the committed
offsets; after a crash the owner goes on from its snapshot, and what it makes again up to that
number is not sent.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

import msgspec
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.structs import OffsetAndMetadata

from monitor.config import KafkaSettings
from monitor.core.alerts.formatting import format_iso
from monitor.core.contract.alert import Alert, alert_json
from monitor.core.contract.events import Control
from monitor.core.decode.batch import RefusedRecord
from monitor.kafka.chunking import Message
from monitor.kafka.clients import Clients
from monitor.kafka.publish_day import send_control
from monitor.kafka.snapshots import PartitionOffsets

TIMEOUT_MS = 60_000
"""After this a transaction whose owner is gone is aborted by the broker."""
DETAIL_BYTES_MAX = 1_000


class CommitMetadata(msgspec.Struct):
    """The metadata of an owner's committed offsets: what else is committed with them."""

    alerts: int = 0
    """Published so far."""
    cells: int = 0
    """Moments whose bands are published so far."""
    snapshot: int = -1
    """Offset of the newest snapshot's first record; −1: there is none yet."""


@dataclass(slots=True)
class DeadLetter:
    """A refused record on its way to the dead letters."""

    record: RefusedRecord
    timestamp_ms: int
    """Of the record in its topic."""


@dataclass(slots=True)
class Outbox:
    """What one transaction holds."""

    alerts: list[Alert] = field(default_factory=list)
    bands: list[list[tuple[str, bytes]]] = field(default_factory=list)
    """Of each moment, key and value of every record (`bandrecords.lines`)."""
    dead_letters: list[DeadLetter] = field(default_factory=list)
    controls: list[Control] = field(default_factory=list)
    reports: list[Message] = field(default_factory=list)
    snapshot: list[Message] = field(default_factory=list)
    offsets: PartitionOffsets = field(default_factory=dict)


def alert_headers(alert: Alert) -> list[tuple[str, bytes]]:
    """CloudEvents 1.0, binary mode."""
    return [
        ("ce_specversion", b"1.0"),
        ("ce_id", alert.id.encode()),
        ("ce_source", b"brinkwatch"),
        ("ce_type", f"brinkwatch.alert.{alert.status}".encode()),
        ("ce_time", format_iso(alert.ts).encode()),
        ("ce_datacontenttype", b"application/json"),
        ("content-type", b"application/json"),
    ]


def dead_letter_headers(letter: DeadLetter) -> list[tuple[str, bytes]]:
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
    """The one writer of an owner's: starting it ends whoever wrote before.

    Parameters
    ----------
    owner
        "0" and so on for the shard of a partition, "venue" for the venue stage.
    partition
        Where the owner's words, snapshots and note are.
    """

    def __init__(
        self,
        settings: KafkaSettings,
        producer: AIOKafkaProducer,
        partition: int,
        note: CommitMetadata,
    ) -> None:
        self._settings = settings
        self._producer = producer
        self._partition = partition
        self.metadata = note

    @classmethod
    async def start(
        cls, settings: KafkaSettings, clients: Clients, owner: str, partition: int
    ) -> Transactions:
        """Fence the owner before, and settle what it had left open."""
        producer = await clients.producer(
            transactional_id=f"brinkwatch-{settings.group}-{owner}",
            transaction_timeout_ms=TIMEOUT_MS,
        )
        return cls(settings, producer, partition, CommitMetadata())

    async def stop(self) -> None:
        """Close the connection."""
        await self._producer.stop()

    async def commit(self, work: Outbox, carrier: tuple[str, int]) -> None:
        """All of it or nothing. Raises what Kafka refuses; then nothing of it is known to anyone
        who reads what is committed, or (where the answer was lost) all of it: restore to find out.

        `carrier`: the topic partition whose offset (always 0) carries the note.
        """
        note = CommitMetadata(
            self.metadata.alerts + len(work.alerts),
            self.metadata.cells + len(work.bands),
            self.metadata.snapshot,
        )
        async with self._producer.transaction():
            flying = [await self._send_chunk(chunk) for chunk in work.snapshot]
            flying += await self._send_messages(work)
            sent = await asyncio.gather(*flying)
            if work.snapshot:
                note.snapshot = sent[0].offset
            offsets = {
                TopicPartition(*at): OffsetAndMetadata(offset, "")
                for at, offset in work.offsets.items()
            }
            told = msgspec.json.encode(note).decode()
            offsets[TopicPartition(*carrier)] = OffsetAndMetadata(0, told)
            await self._producer.send_offsets_to_transaction(offsets, self._settings.group)
        self.metadata = note

    async def _send_chunk(self, chunk: Message) -> asyncio.Future[Any]:
        return await self._send(self._settings.snapshots_topic, chunk)

    async def _send(self, topic: str, message: Message) -> asyncio.Future[Any]:
        sent: asyncio.Future[Any] = await self._producer.send(
            topic,
            message.value,
            key=message.key,
            partition=self._partition,
            headers=message.headers,
        )
        return sent

    async def _send_messages(self, work: Outbox) -> list[asyncio.Future[Any]]:
        names, send = self._settings, self._producer.send
        flying = [await self._send(names.windows_topic, word) for word in work.reports]
        for alert in work.alerts:
            line, fingerprint = alert_json(alert), alert.fingerprint.encode()
            headers = alert_headers(alert)
            flying.append(
                await send(
                    names.alerts_topic, line, key=fingerprint, partition=0, headers=headers
                )
            )
        for cell in work.bands:
            for key, raw in cell:
                flying.append(await send(names.bands_topic, raw, key=key.encode(), partition=0))
        for letter in work.dead_letters:
            raw, headers = letter.record.raw, dead_letter_headers(letter)
            flying.append(await send(names.dlq_topic, raw, partition=0, headers=headers))
        for control in work.controls:
            flying.append(await send_control(self._producer, names.control_topic, control))
        return flying
