"""A recorded day as the messages that a venue sent: what `brinkwatch publish` gives to Kafka."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from monitor.core.batch import Batch
from monitor.core.decode import encode
from replay.day import Day

CHUNK_ROWS = 2_048
"""So few that topics published in turn stay near to each other in event time."""
PACED_ROWS = 64
"""Where a speed is kept: a chunk is sent when its last record is due."""


@dataclass(slots=True)
class Chunk:
    """Messages of one topic partition, in the order of their offsets."""

    topic: str
    partition: int
    offsets: list[int]
    keys: list[bytes | None]
    values: list[bytes]
    ts: int | None
    """The highest event time in it, ns; none where every record was refused."""


def chunks(day: Day, rows: int = CHUNK_ROWS) -> Iterator[Chunk]:
    """All records, refused ones in their places with their original bytes."""
    for batch in day.batches(rows):
        yield _chunk(batch)


def _chunk(batch: Batch) -> Chunk:
    # Kinds of an account's are keyed by account, all others by symbol.
    name = "account" if batch.kind == "collateral" else "symbol"
    words = batch.texts[name].words() if name in batch.texts else [None] * len(batch)
    keys = [None if word is None else word.encode() for word in words]
    rows: list[tuple[int, bytes | None, bytes]] = list(
        zip(batch.offset.tolist(), keys, encode(batch) if len(batch) else [], strict=True)
    )
    if batch.refused:
        rows += [(r.offset, None, r.raw) for r in batch.refused]
        rows.sort(key=lambda row: row[0])
    return Chunk(
        batch.topic,
        batch.partition,
        [row[0] for row in rows],
        [row[1] for row in rows],
        [row[2] for row in rows],
        int(batch.numbers["ts"].max()) if len(batch) else None,
    )
