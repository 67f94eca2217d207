"""A recorded day as the messages that a venue sent: what `brinkwatch publish` gives to Kafka."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count, pairwise

import numpy as np

from monitor.core.decode.batch import Batch
from monitor.core.decode.codec import encode
from replay.day.reader import Day

BATCH_ROWS = 8_192
SPAN_NS = 1_000_000_000
"""Event time in one chunk: topics published in turn stay this near to each other, so that none of
them looks silent while another is sent."""
PACED_SPAN_S = 0.02
"""Seconds of the wall clock in one chunk, where a speed is kept."""


@dataclass(slots=True)
class MessageChunk:
    """Messages of one topic partition, in the order of their offsets."""

    topic: str
    partition: int
    offsets: list[int]
    keys: list[bytes | None]
    values: list[bytes]
    ts: int
    """The highest event time up to here in the topic partition, ns."""


def chunks(day: Day, speed: float | None = None) -> Iterator[MessageChunk]:
    """All records in the order of event time, refused ones in their places with their bytes.

    `speed`: event seconds a second at which they are to be sent, None for as fast as it goes.
    """
    span_ns = SPAN_NS if speed is None else max(1, round(PACED_SPAN_S * 1e9 * speed))
    first = day.meta.span[0] if day.meta.span else 0
    high: dict[tuple[str, int], int] = {}
    waiting: list[tuple[int, int, MessageChunk]] = []
    number = count()
    for batch in day.batches(BATCH_ROWS):
        at = batch.topic, batch.partition
        # The day gives next what has come least far: all before that has been given already.
        while waiting and waiting[0][0] <= high.get(at, first - 1):
            yield heapq.heappop(waiting)[2]
        for chunk in _split_batch(batch, high.get(at, first), span_ns):
            heapq.heappush(waiting, (chunk.ts, next(number), chunk))
            high[at] = chunk.ts
    while waiting:
        yield heapq.heappop(waiting)[2]


def _split_batch(batch: Batch, high: int, span_ns: int) -> Iterator[MessageChunk]:
    """A batch in pieces of `span_ns`; `high`: the highest event time before it."""
    # Kinds of an account's are keyed by account, all others by symbol.
    name = "account" if batch.kind == "collateral" else "symbol"
    words = batch.texts[name].to_strings() if name in batch.texts else [None] * len(batch)
    keys: list[bytes | None] = [None if word is None else word.encode() for word in words]
    keys += [None] * len(batch.refused)
    values = (encode(batch) if len(batch) else []) + [r.raw for r in batch.refused]
    offset = np.concatenate([batch.offset, np.array([r.offset for r in batch.refused], np.int64)])
    # A refused record has no time of its own: it goes with the record before it.
    ts = np.concatenate([batch.numbers.get("ts", offset[:0]), np.full(len(batch.refused), high)])
    order = np.argsort(offset, kind="stable")
    reached = np.maximum.accumulate(np.maximum(ts[order], high))
    cuts = np.flatnonzero(np.diff(reached // span_ns)) + 1
    if not len(order):
        return
    for low, end in pairwise([0, *cuts.tolist(), len(order)]):
        rows = order[low:end].tolist()
        yield MessageChunk(
            batch.topic,
            batch.partition,
            offset[rows].tolist(),
            [keys[i] for i in rows],
            [values[i] for i in rows],
            int(reached[end - 1]),
        )
