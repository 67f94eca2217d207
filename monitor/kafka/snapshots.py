"""Snapshots on a compacted topic: the state of an owner, and the offsets it goes on from.

The metadata of the committed offsets (`transactions.py`) name the offset of an owner's newest
snapshot, so a restart reads that one and no other.
"""

from __future__ import annotations

import msgspec
from aiokafka import TopicPartition

from monitor.core.snapshot import SnapshotError
from monitor.kafka.chunking import DamagedError, Reassembler, split, value_key
from monitor.kafka.clients import Clients
from monitor.kafka.messages import Message
from monitor.kafka.partitions import PartitionOffsets, offset_range, read_between


def messages(key: str, state: bytes, positions: PartitionOffsets) -> list[Message]:
    """A snapshot as records. `key` names the owner: several share a partition of the topic.

    positions: of each topic partition the offset of the first record that is not in the state.
    """
    offsets = [[topic, p, offset] for (topic, p), offset in sorted(positions.items())]
    return split(key, msgspec.msgpack.encode([state, offsets]))


async def read(
    clients: Clients, tp: TopicPartition, key: str, offset: int
) -> tuple[bytes, PartitionOffsets] | None:
    """State and positions of the snapshot of `key` whose first record lies at `offset`; None where
    it is gone.

    Raises `SnapshotError` where a record is damaged.
    """
    consumer = await clients.consumer()
    try:
        first, end = await offset_range(consumer, tp)
        if not first <= offset < end:
            return None  # somebody has removed it, to begin anew
        reassembler = Reassembler()
        async for record in read_between(consumer, tp, offset, end):
            raw = reassembler.add_chunk(record) if value_key(record) == key else None
            if raw is not None:
                state, offsets = msgspec.msgpack.decode(raw)
                return state, {(topic, p): at for topic, p, at in offsets}
        return None
    except DamagedError as error:
        raise SnapshotError(
            f"the snapshot of {key} cannot be read ({error}): delete the topic {tp.topic} "
            "to read the venue's topics again from their start"
        ) from error
    finally:
        await consumer.stop()
