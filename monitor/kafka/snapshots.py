"""Snapshots on a compacted topic: the engine's state with the positions that it stands for.

A snapshot is cut in chunks below the broker's limit for a record. All its chunks are committed in
one transaction, so that whoever reads what is committed finds the newest whole.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import cramjam
import msgspec
from aiokafka import TopicPartition

from monitor.core.snapshot import SnapshotError
from monitor.kafka.clients import Clients

CHUNK_BYTES = 900_000
_HEAD = "brinkwatch-snapshot"


class Head(msgspec.Struct, frozen=True):
    """Goes with every chunk, as a header."""

    digest: str
    """sha256 of the whole, as it is stored."""
    count: int
    index: int


@dataclass(slots=True)
class Held:
    """A snapshot read back."""

    engine: bytes
    positions: dict[tuple[str, int], int]
    """Of each topic partition the offset of the first record that is not in it."""


@dataclass(slots=True)
class Message:
    """One record of the snapshots topic."""

    key: bytes
    value: bytes
    headers: list[tuple[str, bytes]]


def chunks(group: str, engine: bytes, positions: dict[tuple[str, int], int]) -> list[Message]:
    """A snapshot as records. `group` names the owner: several may share the topic."""
    places = [[topic, p, offset] for (topic, p), offset in sorted(positions.items())]
    whole = bytes(cramjam.zstd.compress(msgspec.msgpack.encode([engine, places]), 1))
    digest = hashlib.sha256(whole).hexdigest()
    parts = [whole[at : at + CHUNK_BYTES] for at in range(0, len(whole), CHUNK_BYTES)]
    made = []
    for index, part in enumerate(parts):
        head = msgspec.json.encode(Head(digest, len(parts), index))
        made.append(Message(f"{group}/{index}".encode(), part, [(_HEAD, head)]))
    return made


class _Gathering:
    """The newest whole snapshot among records in their order."""

    def __init__(self, group: str) -> None:
        self._prefix = f"{group}/".encode()
        self._parts: dict[int, bytes] = {}
        self._digest = ""
        self.whole: bytes | None = None

    def take(self, record: Any) -> None:
        if record.key is None or record.key.rpartition(b"/")[0] + b"/" != self._prefix:
            return
        try:
            head = msgspec.json.decode(dict(record.headers)[_HEAD], type=Head)
        except (KeyError, msgspec.DecodeError):
            raise SnapshotError(
                f"offset {record.offset} of the snapshots topic holds no snapshot: name another "
                "topic (kafka.snapshots_topic)"
            ) from None
        if head.digest != self._digest:
            self._digest, self._parts = head.digest, {}
        self._parts[head.index] = record.value
        if len(self._parts) == head.count:
            self.whole = b"".join(self._parts[i] for i in range(head.count))
            if hashlib.sha256(self.whole).hexdigest() != head.digest:
                raise SnapshotError(
                    f"the snapshot that ends at offset {record.offset} is damaged: remove it "
                    "(delete the snapshots topic) to read the topics again from their start"
                )


async def latest(clients: Clients, topic: str, group: str) -> Held | None:
    """The newest committed snapshot of `group`; None where there is none."""
    found = _Gathering(group)
    consumer = await clients.consumer()
    at = TopicPartition(topic, 0)
    try:
        consumer.assign([at])
        first = (await consumer.beginning_offsets([at]))[at]
        end = (await consumer.end_offsets([at]))[at]
        consumer.seek(at, first)
        while await consumer.position(at) < end:
            for record in (await consumer.getmany(at, timeout_ms=200)).get(at, ()):
                found.take(record)
    finally:
        await consumer.stop()
    if found.whole is None:
        return None
    engine, places = msgspec.msgpack.decode(bytes(cramjam.zstd.decompress(found.whole)))
    return Held(engine, {(topic, p): offset for topic, p, offset in places})
