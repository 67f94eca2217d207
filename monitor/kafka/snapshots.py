"""Snapshots on a compacted topic: the state of an owner, and the offsets it goes on from.

The metadata of the committed offsets (`transactions.py`) name the offset of an owner's newest
snapshot, so a restart reads that one and no other.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from aiokafka import TopicPartition

from monitor.core.snapshot import SnapshotError
from monitor.kafka.chunking import DamagedError, Reassembler, split, value_key
from monitor.kafka.clients import Clients
from monitor.kafka.logs.identity import LogMark
from monitor.kafka.messages import Message
from monitor.kafka.partitions import PartitionKey, PartitionOffsets, offset_range, read_between


class StoredSnapshot(msgspec.Struct, frozen=True, array_like=True):
    """A snapshot as it lies in its topic.

    places: of each topic partition its name and number, the offset of the first record that is not
    in the state, and the mark of its log.
    """

    state: bytes
    places: list[tuple[str, int, int, LogMark]]

    @property
    def positions(self) -> PartitionOffsets:
        return {(topic, p): offset for topic, p, offset, _ in self.places}

    @property
    def marks(self) -> dict[PartitionKey, LogMark]:
        return {(topic, p): mark for topic, p, _, mark in self.places}


def messages(
    key: str, state: bytes, positions: PartitionOffsets, marks: Mapping[PartitionKey, LogMark]
) -> list[Message]:
    """A snapshot as records. `key` names the owner: several share a partition of the topic."""
    places = [(*at, offset, marks[at]) for at, offset in sorted(positions.items())]
    return split(key, msgspec.msgpack.encode(StoredSnapshot(state, places)))


async def read(
    clients: Clients, tp: TopicPartition, key: str, offset: int | None
) -> StoredSnapshot | None:
    """The snapshot of `key` whose first record lies at `offset`, or the newest where that is None;
    None where there is none.

    What others have written to the topic is skipped. Raises `SnapshotError` where that at `offset`
    cannot be read.
    """
    consumer = await clients.consumer()
    try:
        first, end = await offset_range(consumer, tp)
        start = first if offset is None else offset
        if not first <= start < end:
            return None  # somebody has removed it, to begin anew
        reassembler, newest, damage = Reassembler(), None, None
        async for record in read_between(consumer, tp, start, end):
            if value_key(record) != key:
                continue
            try:
                raw = reassembler.add_chunk(record)
            except DamagedError as error:
                damage = error
                continue
            if raw is not None:
                newest = raw
                if offset is not None:
                    break
        if newest is None and damage is not None and offset is not None:
            raise damage
        return None if newest is None else msgspec.msgpack.decode(newest, type=StoredSnapshot)
    except (DamagedError, msgspec.DecodeError, RecursionError) as error:
        raise SnapshotError(
            f"the snapshot of {key} cannot be read ({error}): delete the topic {tp.topic} "
            "to read the venue's topics again from their start"
        ) from error
    finally:
        await consumer.stop()
