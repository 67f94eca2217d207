"""Topic partitions: what names one, what is committed of it, and reading one to its end."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Protocol

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.structs import OffsetAndMetadata

from monitor.config import Config
from monitor.core.decode.codec import UNKNOWN
from monitor.kafka.clients import Clients

PartitionKey = tuple[str, int]
"""Topic and partition; aiokafka's `TopicPartition` is such a tuple, and equal to it."""
PartitionOffsets = dict[PartitionKey, int]

_POLL_MS = 200


class PartitionProgress(Protocol):
    """How far one topic partition has come, event times in ns (`watermark.PartitionClock`)."""

    @property
    def position(self) -> int: ...
    @property
    def high(self) -> int: ...
    @property
    def watermark(self) -> int: ...


def kinds_by_topic(config: Config) -> dict[str, str]:
    """The kind of the records in each of the venue's topics."""
    return {topic: kind for kind, topic in config.topics.items()} | {UNKNOWN: UNKNOWN}


async def committed_offsets(clients: Clients, group: str) -> dict[PartitionKey, OffsetAndMetadata]:
    """The offsets that the group's transactions have committed, with their metadata."""
    async with clients.admin() as admin:
        return dict(await admin.list_consumer_group_offsets(group))


async def offset_range(consumer: AIOKafkaConsumer, tp: TopicPartition) -> tuple[int, int]:
    """The first offset that is still there, and the one behind the last committed record."""
    first = (await consumer.beginning_offsets([tp]))[tp]
    return first, (await consumer.end_offsets([tp]))[tp]


async def read_between(
    consumer: AIOKafkaConsumer, tp: TopicPartition, start: int, end: int
) -> AsyncIterator[Any]:
    """The committed records of a topic partition from offset `start` until `end` is reached."""
    consumer.assign([tp])
    consumer.seek(tp, start)
    while await consumer.position(tp) < end:
        for record in (await consumer.getmany(tp, timeout_ms=_POLL_MS)).get(tp, ()):
            yield record
