"""`brinkwatch dlq`: what lies in the dead letters, and sending it again to where it came from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from aiokafka import TopicPartition
from aiokafka.structs import OffsetAndMetadata

from monitor.config import Config
from monitor.errors import ConfigError
from monitor.kafka import topics
from monitor.kafka.clients import Clients
from monitor.kafka.reader import committed_offsets

SHOWN_BYTES = 120
BATCH = 1_000
"""Letters of one transaction."""


async def _read_letters(config: Config, clients: Clients, start: int) -> list[Any]:
    """The letters from offset `start` on."""
    async with clients.admin() as admin:
        if config.kafka.dlq_topic not in await topics.partition_counts(admin):
            raise ConfigError(
                f"there is no topic {config.kafka.dlq_topic}: brinkwatch topics create, or run, "
                "makes it"
            )
    consumer = await clients.consumer()
    at = TopicPartition(config.kafka.dlq_topic, 0)
    try:
        consumer.assign([at])
        first = (await consumer.beginning_offsets([at]))[at]
        end = (await consumer.end_offsets([at]))[at]
        consumer.seek(at, max(first, start))
        records: list[Any] = []
        while await consumer.position(at) < end:
            records += (await consumer.getmany(at, timeout_ms=200)).get(at, ())
        return records
    finally:
        await consumer.stop()


def _origin_fields(record: Any) -> dict[str, Any]:
    """A letter's headers: where it came from, and why it was refused."""
    told = {
        name.removeprefix("brinkwatch_"): value.decode(errors="replace")
        for name, value in record.headers
        if name.startswith("brinkwatch_")
    }
    return {**told, "bytes": len(record.value or b"")}


async def list_letters(config: Config) -> list[dict[str, Any]]:
    """All letters, oldest first, each with the beginning of its bytes as text."""
    records = await _read_letters(config, Clients(config.kafka), 0)
    return [
        {**_origin_fields(r), "begins": ascii((r.value or b"")[:SHOWN_BYTES])[2:-1]}
        for r in records
    ]


async def resend(config: Config) -> int:
    """Send every letter not sent again before, its bytes untouched, to the topic partition that it
    came from. Each is sent once: the offsets are in the same transaction. Returns how many.
    """
    clients = Clients(config.kafka)
    group = f"{config.kafka.group}-dlq"
    producer = await clients.producer(transactional_id=f"brinkwatch-{group}")
    try:
        at = config.kafka.dlq_topic, 0
        start, _ = (await committed_offsets(clients, group)).get(at, (0, ""))
        records = await _read_letters(config, clients, start)
        for some in _batches(records):
            async with producer.transaction():
                for record in some:
                    origin = _origin_fields(record)
                    place = origin["topic"], int(origin["partition"])
                    await producer.send(place[0], record.value, partition=place[1])
                done = OffsetAndMetadata(some[-1].offset + 1, "")
                await producer.send_offsets_to_transaction({TopicPartition(*at): done}, group)
        return len(records)
    finally:
        await producer.stop()


def _batches(records: list[Any]) -> Iterator[list[Any]]:
    return (records[at : at + BATCH] for at in range(0, len(records), BATCH))
