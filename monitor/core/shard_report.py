"""What a shard tells the venue stage, as an object and as bytes.

A report covers a range of each topic (the offsets from `low` up to `high`) and a range of windows
(from `since` up to `until`). The venue stage skips what it has already, and notices when a report
is missing before this one. So a report may arrive twice, overlap others after a crash, or come both
through memory and through Kafka.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from monitor.core import snapshot
from monitor.core.decode.batch import Batch, Int64, Ladder, TextColumn
from monitor.core.detection.judge import BlockPValues
from monitor.core.finding import Finding
from monitor.core.snapshot import from_state, to_state

UNUSED_TEXTS = ("trade_id", "order_id", "replaces")
"""Text columns that the venue stage has no use for."""


@dataclass(slots=True)
class ShardReport:
    """What is new in one shard since its last report."""

    partition: int
    low: dict[str, int]
    """By kind: the offset of the first record that this report covers."""
    high: dict[str, int]
    """By kind: the offset behind the last one."""
    since: int
    """Index of the first window covered."""
    until: int
    """Index of the window behind the last one that is closed."""
    closed_ns: int
    """All windows that end by this event time are closed."""
    latest_ns: int
    """Highest event time read; windows may be closed beyond it, where control records say that a
    topic has nothing more."""
    windows: int
    """Windows of a symbol closed so far."""
    chain: bytes
    """The shard's digest so far."""
    tally: dict[str, Any]
    """What came in so far (`RecordCounts.snapshot`)."""
    findings: list[Finding] = field(default_factory=list)
    batches: list[Batch] = field(default_factory=list)
    """Admitted records of the kinds that the venue stage reads."""
    block_p_values: list[BlockPValues] = field(default_factory=list)
    """For evidence across markets: one for each block that has closed."""

    def pack(self, fingerprint: str, book_ns: int) -> bytes:
        """As bytes. Of the books it holds only each symbol's last in each `book_ns` of event time.

        `fingerprint`: of the shard's settings.
        """
        state = to_state(dataclasses.replace(self, batches=[]))
        state["batches"] = [
            batch_to_state(last_books(b, book_ns) if b.kind == "book" else b) for b in self.batches
        ]
        return snapshot.pack(state, fingerprint)

    @classmethod
    def unpack(cls, raw: bytes, fingerprint: str) -> ShardReport:
        """The inverse. Raises `SnapshotError` for a report of another version or settings."""
        state = snapshot.unpack(raw, fingerprint)
        batches = [batch_from_state(batch) for batch in state.pop("batches")]
        return dataclasses.replace(from_state(cls, state), batches=batches)


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
