"""A batch as plain values and arrays, without what the venue stage does not read."""

from __future__ import annotations

from typing import Any

import numpy as np

from monitor.core.decode.batch import Batch, Int64, Ladder, TextColumn

UNUSED_TEXTS = ("trade_id", "order_id", "replaces")
"""Text columns that the venue stage has no use for."""


def last_books(batch: Batch, interval_ns: int) -> Batch:
    """The last book of each symbol in each interval of event time."""
    names = batch.texts["symbol"].to_strings()
    number = {name: i for i, name in enumerate(dict.fromkeys(names))}
    symbol = np.array([number[name] for name in names], np.int64)
    ts = batch.numbers["ts"]
    interval = ts // interval_ns
    order = np.lexsort((batch.offset, ts, interval, symbol))
    group = np.stack((symbol[order], interval[order]))
    last = np.append((group[:, 1:] != group[:, :-1]).any(axis=0), True)
    return batch.select_rows(np.sort(order[last]))


def batch_to_state(batch: Batch) -> dict[str, Any]:
    """Of the texts only the bytes in use, end to end."""
    texts = {n: _compact_text(t) for n, t in batch.texts.items() if n not in UNUSED_TEXTS}
    return {
        "source": [batch.kind, batch.topic, batch.partition],
        "offset": batch.offset,
        "numbers": batch.numbers,
        "texts": {name: [text.buffer, text.length] for name, text in texts.items()},
        "ladders": {n: [x.offset, x.price, x.quantity] for n, x in batch.ladders.items()},
    }


def batch_from_state(state: dict[str, Any]) -> Batch:
    """The inverse."""
    kind, topic, partition = state["source"]
    return Batch(
        kind,
        topic,
        partition,
        state["offset"],
        state["numbers"],
        {
            name: TextColumn(buffer, _starts(length), length)
            for name, (buffer, length) in state["texts"].items()
        },
        {name: Ladder(*columns) for name, columns in state["ladders"].items()},
    )


def _starts(length: Int64) -> Int64:
    starts = np.zeros(len(length), np.int64)
    np.cumsum(np.maximum(length[:-1], 0), out=starts[1:])
    return starts


def _compact_text(text: TextColumn) -> TextColumn:
    """The same rows in a buffer that holds nothing else."""
    start, length = text.start, text.length
    if text.codes is not None:
        present = text.codes >= 0
        start = np.where(present, start[text.codes], 0) if len(start) else np.zeros_like(text.codes)
        length = np.where(present, length[text.codes], -1) if len(length) else start - 1
    size = np.maximum(length, 0)
    starts = _starts(length)
    source = np.repeat(start - starts, size) + np.arange(int(size.sum()))
    return TextColumn(text.buffer[source], starts, length.astype(np.int64))
