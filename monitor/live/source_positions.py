"""How far the sources were read, on a topic of our own.

The venue's cluster may be another one, which takes no part in our transactions and is only read. So
the positions are a record of our own cluster, written in the transaction with the records that rest
on them. The newest record counts. Each holds all there is to know, since it is small.
"""

from __future__ import annotations

import msgspec
from aiokafka import TopicPartition

from monitor.config import Config
from monitor.core.event_time.clock_state import NEVER
from monitor.errors import ConfigError
from monitor.kafka.clients import Clients
from monitor.kafka.logs.identity import LogMark
from monitor.kafka.messages import Message
from monitor.kafka.partitions import PartitionKey, PartitionOffsets, offset_range, read_between

TAIL = 64
"""Offsets at the end of the topic that are read first; where the newest record is not among them,
eight times as many."""


class SourcePositions(msgspec.Struct, array_like=True):
    """What a restart of the intake goes on from.

    places: of each partition of a source its topic and number, the offset of the first record that
    was not taken in, and the mark of its log. ends: of each topic partition that is written, the
    offset behind its last record. high_ns: the highest event time, `NEVER` before the first.
    is_ended: whether control records have closed the feed. counts: records by source and outcome.
    skipped: of each source, records by the word for their kind.
    """

    places: list[tuple[str, int, int, LogMark]] = []
    ends: list[tuple[str, int, int]] = []
    high_ns: int = NEVER
    is_ended: bool = False
    counts: dict[str, dict[str, int]] = {}
    skipped: dict[str, dict[str, int]] = {}

    @property
    def offsets(self) -> PartitionOffsets:
        """The offset to go on from, by partition of a source."""
        return {(topic, p): offset for topic, p, offset, _ in self.places}

    @property
    def marks(self) -> dict[PartitionKey, LogMark]:
        """The mark of each log."""
        return {(topic, p): mark for topic, p, _, mark in self.places}

    def message(self, group: str) -> Message:
        """As a record. Its key is the group's, so that several can share the topic."""
        return Message(group.encode(), msgspec.msgpack.encode(self))


async def read(config: Config, clients: Clients) -> SourcePositions | None:
    """The newest positions of this group; None where there are none.

    What others have written to the topic is skipped; what carries the group's key and cannot be
    read is a `ConfigError`.
    """
    topic, key = config.kafka.positions_topic, config.kafka.group.encode()
    consumer = await clients.consumer()
    try:
        at = TopicPartition(topic, 0)
        first, end = await offset_range(consumer, at)
        tail = TAIL
        while True:
            start = max(first, end - tail)
            newest = None
            async for record in read_between(consumer, at, start, end):
                if record.key == key and record.value is not None:
                    newest = record.value
            if newest is not None:
                return msgspec.msgpack.decode(newest, type=SourcePositions)
            if start == first:
                return None
            tail *= 8
    except (msgspec.DecodeError, RecursionError) as error:
        raise ConfigError(
            f"the positions of the sources in {topic} cannot be read ({error}): somebody else has "
            f"written to it; to read the sources again from their start delete it, and the topics "
            f"{', '.join(config.topics.values())}"
        ) from error
    finally:
        await consumer.stop()
