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
from monitor.kafka.clients import Clients
from monitor.kafka.whole import DamagedError, Gathering, Message, cut, owner

Positions = dict[tuple[str, int], int]


@dataclass(slots=True)
class Held:
    """A snapshot read back."""

    state: bytes
    positions: Positions
    """Of each topic partition the offset of the first record that is not in it."""


def chunks(key: str, state: bytes, positions: Positions) -> list[Message]:
    """A snapshot as records. `key` names the owner: several share a partition of the topic."""
    places = [[topic, p, offset] for (topic, p), offset in sorted(positions.items())]
    return cut(key, msgspec.msgpack.encode([state, places]))


async def read(clients: Clients, at: TopicPartition, key: str, offset: int) -> Held | None:
    """The snapshot of `key` whose first record lies at `offset`; None where it is gone."""
    consumer = await clients.consumer()
    try:
        consumer.assign([at])
        first = (await consumer.beginning_offsets([at]))[at]
        end = (await consumer.end_offsets([at]))[at]
        if not first <= offset < end:
            return None  # somebody has removed it, to begin anew
        consumer.seek(at, offset)
        raw = await _whole(consumer, at, key, end)
    finally:
        await consumer.stop()
    if raw is None:
        return None
    state, places = msgspec.msgpack.decode(raw)
    return Held(state, {(topic, p): place for topic, p, place in places})


async def _whole(consumer: Any, at: TopicPartition, key: str, end: int) -> bytes | None:
    found = Gathering()
    while await consumer.position(at) < end:
        for record in (await consumer.getmany(at, timeout_ms=200)).get(at, ()):
            if owner(record) != key:
                continue
            try:
                raw = found.take(record)
            except DamagedError as error:
                raise SnapshotError(
                    f"the snapshot of {key} cannot be read ({error}): delete the topic {at.topic} "
                    "to read the venue's topics again from their start"
                ) from error
            if raw is not None:
                return raw
    return None
