"""Dead letters: refused records with their bytes, their origin and the reason, on a topic.

The sidecar writes them in its transactions; `brinkwatch dlq` lists them and sends them again.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from aiokafka import TopicPartition
from aiokafka.structs import OffsetAndMetadata

from monitor.config import Config
from monitor.core.decode.batch import RefusedRecord
from monitor.errors import ConfigError
from monitor.kafka import topics
from monitor.kafka.clients import RECORD_BYTES_MAX, Clients
from monitor.kafka.messages import Message
from monitor.kafka.partitions import (
    PartitionKey,
    committed_offsets,
    kinds_by_topic,
    offset_range,
    read_between,
)

_PREFIX = "brinkwatch_"
"""Of the names of the headers."""
_DETAIL_BYTES_MAX = 1_000
LETTER_BYTES_MAX = RECORD_BYTES_MAX - (64 << 10)
"""Of the bytes of a record, since Kafka takes no larger one; a venue's own topic may hold some."""
SHOWN_BYTES = 120
BATCH = 1_000
"""Letters sent again in one transaction, at most."""


@dataclass(slots=True)
class DeadLetter:
    """A refused record on its way to the dead letters."""

    record: RefusedRecord
    timestamp_ms: int
    """Of the record in its topic."""
    log_offset: int
    """Kafka's own offset of the record."""

    def message(self) -> Message:
        """The record's bytes, with where it comes from and why it was refused as headers."""
        r = self.record
        origin = {"topic": r.topic, "partition": r.partition, "offset": self.log_offset}
        reason = {"timestamp": self.timestamp_ms, "reason": r.reason, "detail": r.detail}
        if len(r.raw) > LETTER_BYTES_MAX:
            reason["cut_from_bytes"] = len(r.raw)
        headers = [
            (_PREFIX + name, str(value).encode(errors="replace")[:_DETAIL_BYTES_MAX])
            for name, value in (origin | reason).items()
        ]
        return Message(None, r.raw[:LETTER_BYTES_MAX], headers)


def _read_headers(record: Any) -> dict[str, str]:
    """The headers that `DeadLetter.message` wrote; others may have written anything."""
    return {
        name.removeprefix(_PREFIX): (value or b"").decode(errors="replace")
        for name, value in record.headers
        if name.startswith(_PREFIX)
    }


def _origin(record: Any, counts: Mapping[str, int]) -> PartitionKey | None:
    """The topic partition that a letter came from; None where the record names none of those in
    `counts` (partitions by topic): it is no letter of ours.
    """
    headers = _read_headers(record)
    topic, partition = headers.get("topic", ""), headers.get("partition", "")
    number = int(partition) if re.fullmatch(r"\d{1,9}", partition, re.ASCII) else -1
    return (topic, number) if 0 <= number < counts.get(topic, 0) else None


async def _read_letters(config: Config, clients: Clients, start: int) -> list[Any]:
    """The letters from offset `start` on."""
    topic = config.kafka.dlq_topic
    async with clients.admin() as admin:
        if topic not in await topics.partition_counts(admin):
            raise ConfigError(
                f"there is no topic {topic}: brinkwatch topics create, or run, makes it"
            )
    tp = TopicPartition(topic, 0)
    consumer = await clients.consumer()
    try:
        first, end = await offset_range(consumer, tp)
        return [r async for r in read_between(consumer, tp, max(first, start), end)]
    finally:
        await consumer.stop()


async def list_letters(config: Config) -> list[dict[str, Any]]:
    """All letters, oldest first, each with the beginning of its bytes as text."""
    letters = [(r, r.value or b"") for r in await _read_letters(config, Clients(config.kafka), 0)]
    return [
        {**_read_headers(r), "bytes": len(raw), "begins": ascii(raw[:SHOWN_BYTES])[2:-1]}
        for r, raw in letters
    ]


class Resent(NamedTuple):
    """What became of the letters. of_sources: those of the venue's own topics, which are only read;
    foreign: those that name no topic partition of the venue, so that somebody else wrote them."""

    sent: int
    foreign: int
    of_sources: int


async def resend(config: Config) -> Resent:
    """Send every letter that was not sent again before to the topic partition it came from.

    The bytes are untouched. Each letter is sent once, since the offsets are committed in the same
    transaction.
    """
    clients = Clients(config.kafka)
    async with clients.admin() as admin:
        there = await topics.partition_counts(admin)
    counts = {t: there[t] for t in kinds_by_topic(config) if t in there}
    sources = {source.topic for source in config.sources.values()}
    sent = foreign = of_sources = 0
    group = f"{config.kafka.group}-dlq"
    tp = TopicPartition(config.kafka.dlq_topic, 0)
    producer = await clients.producer(transactional_id=f"brinkwatch-{group}")
    try:
        committed = (await committed_offsets(clients, group)).get(tp)
        letters = await _read_letters(config, clients, committed.offset if committed else 0)
        for at in range(0, len(letters), BATCH):
            batch = letters[at : at + BATCH]
            async with producer.transaction():
                for letter in batch:
                    origin = _origin(letter, counts)
                    if _read_headers(letter).get("topic") in sources:
                        of_sources += 1
                        continue
                    if origin is None or letter.value is None:
                        foreign += 1
                        continue
                    await producer.send(origin[0], letter.value, partition=origin[1])
                    sent += 1
                done = OffsetAndMetadata(batch[-1].offset + 1, "")
                await producer.send_offsets_to_transaction({tp: done}, group)
        return Resent(sent, foreign, of_sources)
    finally:
        await producer.stop()
