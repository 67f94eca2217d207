"""A recorded day as the messages that a venue sent, for `brinkwatch publish`."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping
from itertools import count, pairwise

import numpy as np

from monitor.core.contract.keys import key_column
from monitor.core.contract.message_run import MessageRun
from monitor.core.contract.units import SECOND_NS
from monitor.core.decode.batch import Batch
from monitor.core.decode.codec import encode
from replay.day.interleave import steady_times
from replay.day.reader import Day

BATCH_ROWS = 8_192
CHUNK_NS = SECOND_NS
"""Event time in one chunk. Topics are published in turn, a chunk each: they stay so near to each
other that none of them looks silent while another one is sent."""
PACED_SPAN_S = 0.02
"""Wall-clock time of one chunk, where a speed is given."""


def chunks(
    day: Day, speed: float | None = None, topics: Mapping[str, str] | None = None
) -> Iterator[MessageRun]:
    """All records in the order of event time, refused ones in their places with their bytes.

    `speed`: seconds of event time to send in a second; None: as fast as possible. `topics`: names
    of the topics by kind, where they are not to be the day's own.
    """
    names = day.topic_names(topics or {})
    span_ns = CHUNK_NS if speed is None else max(1, round(PACED_SPAN_S * SECOND_NS * speed))
    first = day.meta.span.first_ts if day.meta.span else 0
    high: dict[tuple[str, int], int] = {}
    waiting: list[tuple[int, int, MessageRun]] = []
    number = count()
    for batch in day.batches(BATCH_ROWS):
        key = batch.topic, batch.partition
        # The batch is of the slowest topic partition: nothing older than its time is to come.
        while waiting and waiting[0][0] <= high.get(key, first - 1):
            yield heapq.heappop(waiting)[2]
        for chunk in _split_batch(batch, high.get(key, first), span_ns):
            chunk.topic = names[chunk.topic]
            heapq.heappush(waiting, (chunk.ts, next(number), chunk))
            high[key] = chunk.ts
    while waiting:
        yield heapq.heappop(waiting)[2]


def _split_batch(batch: Batch, high: int, span_ns: int) -> Iterator[MessageRun]:
    """A batch in pieces of `span_ns`; `high`: the highest event time of its partition before it."""
    column = key_column(batch.kind)
    names = batch.texts[column].to_strings() if column in batch.texts else [None] * len(batch)
    keys: list[bytes | None] = [None if name is None else name.encode() for name in names]
    keys += [None] * len(batch.refused)
    values = (encode(batch) if len(batch) else []) + [r.raw for r in batch.refused]
    offset = np.concatenate([batch.offset, np.array([r.offset for r in batch.refused], np.int64)])
    # A refused record has no time of its own: it takes that of the record before it.
    ts = np.concatenate([batch.numbers.get("ts", offset[:0]), np.full(len(batch.refused), high)])
    order = np.argsort(offset, kind="stable")
    reached = np.maximum.accumulate(np.maximum(steady_times(ts[order]), high))
    cuts = np.flatnonzero(np.diff(reached // span_ns)) + 1
    if not len(order):
        return
    for low, end in pairwise([0, *cuts.tolist(), len(order)]):
        rows = order[low:end].tolist()
        mine = offset[rows].tolist(), [keys[i] for i in rows], [values[i] for i in rows]
        yield MessageRun(batch.topic, batch.partition, *mine, int(reached[end - 1]))
