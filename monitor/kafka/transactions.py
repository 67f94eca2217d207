"""All that one owner publishes, in transactions: each record is published once.

A transaction holds reports or alerts, dead letters, control records, a snapshot now and then, and
the offsets of what was read. Alerts are numbered: from the same records the engine makes the same
alerts in the same order, however they are read. The count of published alerts is in the metadata of
the committed offsets; after a crash the owner goes on from its snapshot, makes some alerts again,
and does not send those up to that count.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field

import msgspec
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.structs import OffsetAndMetadata

from monitor.config import KafkaSettings
from monitor.core.alerts.formatting import format_iso
from monitor.core.contract.alert import Alert, alert_json
from monitor.core.contract.events import Control
from monitor.kafka.clients import Clients
from monitor.kafka.dead_letters import DeadLetter
from monitor.kafka.messages import Message, control_message
from monitor.kafka.partitions import PartitionKey, PartitionOffsets

TIMEOUT_MS = 60_000
"""The broker aborts a transaction that its owner has left open for so long."""


class CommitMetadata(msgspec.Struct):
    """What is committed together with an owner's offsets, as their metadata.

    Alerts, and moments whose bands, are published so far; the offset of the newest snapshot's first
    record, −1 where there is none yet. `read`: by topic, the offset that a shard has read to and
    reported; Kafka forgets a group's own offsets of a topic that is deleted.
    """

    alerts: int = 0
    cells: int = 0
    snapshot: int = -1
    read: dict[str, int] = {}  # msgspec copies it


@dataclass(slots=True)
class Outbox:
    """What the next transaction will publish; `bands` as `band_records` gives them."""

    alerts: list[Alert] = field(default_factory=list)
    bands: list[list[tuple[str, bytes]]] = field(default_factory=list)
    dead_letters: list[DeadLetter] = field(default_factory=list)
    controls: list[Control] = field(default_factory=list)
    reports: list[Message] = field(default_factory=list)
    snapshot: list[Message] = field(default_factory=list)
    offsets: PartitionOffsets = field(default_factory=dict)
    read: dict[str, int] = field(default_factory=dict)
    """`CommitMetadata.read`."""


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


def transactional_id(settings: KafkaSettings, owner: str) -> str:
    """Names the one writer of an owner in its group."""
    return f"brinkwatch-{settings.group}-{owner}"


class Transactions:
    """The one writer of an owner: starting it fences the writer before it.

    owner: "0" and so on for the shard of a partition, "venue" for the venue stage. partition: of
    the topics of reports and snapshots, where this owner writes.
    """

    def __init__(self, settings: KafkaSettings, producer: AIOKafkaProducer, partition: int) -> None:
        self._settings, self._producer, self._partition = settings, producer, partition
        self.metadata = CommitMetadata()
        """As last committed."""

    @classmethod
    async def start(
        cls, settings: KafkaSettings, clients: Clients, owner: str, partition: int
    ) -> Transactions:
        """Fence the writer before, and abort the transaction it left open."""
        producer = await clients.producer(
            transactional_id=transactional_id(settings, owner),
            transaction_timeout_ms=TIMEOUT_MS,
        )
        return cls(settings, producer, partition)

    async def stop(self) -> None:
        """Close the connection."""
        await self._producer.stop()

    async def commit(
        self, outbox: Outbox, metadata_partition: PartitionKey, check: Callable[[], Awaitable[None]]
    ) -> None:
        """Publish all of `outbox` or nothing; nothing where `check` raises.

        Raises what Kafka refuses. Then readers of committed records see nothing of it; or, where
        only Kafka's answer was lost, all of it: restoring from what is committed finds out.

        metadata_partition: the topic partition whose offset (always 0) carries the metadata.
        """
        metadata = CommitMetadata(
            self.metadata.alerts + len(outbox.alerts),
            self.metadata.cells + len(outbox.bands),
            self.metadata.snapshot,
            outbox.read,
        )
        async with self._producer.transaction():
            pending = [
                await message.send(self._producer, topic, partition)
                for topic, partition, message in self._messages(outbox)
            ]
            offsets = {
                TopicPartition(*key): OffsetAndMetadata(offset, "")
                for key, offset in outbox.offsets.items()
            }
            if outbox.snapshot:
                metadata.snapshot = (await pending[0]).offset
            encoded = msgspec.json.encode(metadata).decode()
            offsets[TopicPartition(*metadata_partition)] = OffsetAndMetadata(0, encoded)
            # Side by side: Kafka is asked four times one after another instead of six.
            committing = self._producer.send_offsets_to_transaction(offsets, self._settings.group)
            await asyncio.gather(check(), committing, *pending)
        self.metadata = metadata

    def _messages(self, outbox: Outbox) -> Iterator[tuple[str, int, Message]]:
        """Every record with its topic and partition, those of the snapshot first."""
        names = self._settings
        for chunk in outbox.snapshot:
            yield names.snapshots_topic, self._partition, chunk
        for chunk in outbox.reports:
            yield names.windows_topic, self._partition, chunk
        for alert in outbox.alerts:
            fingerprint = alert.fingerprint.encode()
            message = Message(fingerprint, alert_json(alert), alert_headers(alert))
            yield names.alerts_topic, 0, message
        for cell in outbox.bands:
            for key, raw in cell:
                yield names.bands_topic, 0, Message(key.encode(), raw)
        for letter in outbox.dead_letters:
            yield names.dlq_topic, 0, letter.message()
        for control in outbox.controls:
            yield names.control_topic, control.partition, control_message(control)
