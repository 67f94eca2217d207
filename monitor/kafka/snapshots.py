"""Snapshots on a compacted topic: state with the positions that it stands for.

Where the newest one of an owner lies stands in the metadata of the offsets that were committed with
it (`transactions.py`), so a restart reads that one and no other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec
from aiokafka import TopicPartition

from monitor.core.snapshot import SnapshotError
from monitor.kafka.chunking import DamagedError, Message, Reassembler, split, value_key
from monitor.kafka.clients import Clients

PartitionOffsets = dict[tuple[str, int], int]


@dataclass(slots=True)
class StoredSnapshot:
    """A snapshot read back."""

    state: bytes
    positions: PartitionOffsets
    """Of each topic partition the offset of the first record that is not in it."""


def messages(key: str, state: bytes, positions: PartitionOffsets) -> list[Message]:
    """A snapshot as records. `key` names the owner: several share a partition of the topic."""
    places = [[topic, p, offset] for (topic, p), offset in sorted(positions.items())]
    return split(key, msgspec.msgpack.encode([state, places]))


async def read(
    clients: Clients, at: TopicPartition, key: str, offset: int
) -> StoredSnapshot | None:
    """The snapshot of `key` whose first record lies at `offset`; None where it is gone."""
    consumer = await clients.consumer()
    try:
        consumer.assign([at])
        first = (await consumer.beginning_offsets([at]))[at]
        end = (await consumer.end_offsets([at]))[at]
        if not first <= offset < end:
            return None  # somebody has removed it, to begin anew
        consumer.seek(at, offset)
        raw = await _read_value(consumer, at, key, end)
    finally:
        await consumer.stop()
    if raw is None:
        return None
    state, places = msgspec.msgpack.decode(raw)
    return StoredSnapshot(state, {(topic, p): place for topic, p, place in places})


async def _read_value(consumer: Any, at: TopicPartition, key: str, end: int) -> bytes | None:
    found = Reassembler()
    while await consumer.position(at) < end:
        for record in (await consumer.getmany(at, timeout_ms=200)).get(at, ()):
            if value_key(record) != key:
                continue
            try:
                raw = found.add_chunk(record)
            except DamagedError as error:
                raise SnapshotError(
                    f"the snapshot of {key} cannot be read ({error}): delete the topic {at.topic} "
                    "to read the venue's topics again from their start"
                ) from error
            if raw is not None:
                return raw
    return None
