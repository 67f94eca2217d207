"""What a shard tells the venue stage, as an object and as bytes.

A word covers stretches: of each topic the offsets from `low` up to `high`, and the windows from
`since` up to `until`. Who reads words drops what it knows already and notices what it has missed,
so a word may be told twice, cut anew after a crash, or come by two ways.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from monitor.core import snapshot
from monitor.core.decode.batch import Batch, Int64, Ladder, TextColumn
from monitor.core.detection.cross_market_evidence import BlockPValues
from monitor.core.finding import Finding, finding_from_state

UNUSED_TEXTS = ("trade_id", "order_id", "replaces")
"""Text columns that the venue stage has no use for."""


@dataclass(slots=True)
class ShardReport:
    """What is new in one shard since its word before."""

    partition: int
    low: dict[str, int]
    """By kind: the offset of the first record that this word covers."""
    high: dict[str, int]
    """By kind: the offset behind the last one."""
    since: int
    """Index of the first window covered."""
    until: int
    """Index of the window behind the last one that is closed."""
    closed_ns: int
    """All windows that end by this event time are closed."""
    latest_ns: int
    """Highest event time read; what is closed may lie further on, where topics were said to end."""
    windows: int
    """Windows of a symbol closed so far."""
    chain: bytes
    """The shard's digest so far."""
    tally: dict[str, Any]
    """What came in so far (`RecordCounts.snapshot`)."""
    findings: list[Finding] = field(default_factory=list)
    batches: list[Batch] = field(default_factory=list)
    """Admitted records of the kinds that the venue scope reads."""
    signs: list[BlockPValues] = field(default_factory=list)
    """Of each block that is closed, what its markets say for joint evidence across markets."""

    def pack(self, fingerprint: str, book_ns: int) -> bytes:
        """As bytes; of the books only each symbol's last in each `book_ns` of time goes along.

        `fingerprint`: of the settings under which it was found.
        """
        told = {name: getattr(self, name) for name in ShardReport.__slots__}
        told["findings"] = [dataclasses.asdict(finding) for finding in self.findings]
        told["signs"] = [dataclasses.asdict(signs) for signs in self.signs]
        told["batches"] = [
            _batch_to_state(last_books(b, book_ns) if b.kind == "book" else b) for b in self.batches
        ]
        return snapshot.pack(told, fingerprint)

    @classmethod
    def unpack(cls, raw: bytes, fingerprint: str) -> ShardReport:
        """The inverse. Raises `SnapshotError`: of another version, or of other settings."""
        told = snapshot.unpack(raw, fingerprint)
        told["findings"] = [finding_from_state(finding) for finding in told["findings"]]
        told["batches"] = [_batch_from_state(batch) for batch in told["batches"]]
        told["signs"] = [BlockPValues(**signs) for signs in told["signs"]]
        return cls(**told)


def last_books(batch: Batch, cell_ns: int) -> Batch:
    """The last book of each symbol in each cell of time."""
    words = batch.texts["symbol"].to_strings()
    name = {word: i for i, word in enumerate(sorted({w or "" for w in words}))}
    symbol = np.array([name[word or ""] for word in words], np.int64)
    ts = batch.numbers["ts"]
    order = np.lexsort((batch.offset, ts, ts // cell_ns, symbol))
    group = np.stack((symbol[order], ts[order] // cell_ns))
    last = np.append((group[:, 1:] != group[:, :-1]).any(axis=0), True)
    return batch.select_rows(np.sort(order[last]))


def _batch_to_state(batch: Batch) -> dict[str, Any]:
    texts = {n: _compact(t) for n, t in batch.texts.items() if n not in UNUSED_TEXTS}
    return {
        "at": [batch.kind, batch.topic, batch.partition],
        "offset": batch.offset,
        "numbers": batch.numbers,
        "texts": {name: [text.buffer, text.length] for name, text in texts.items()},
        "ladders": {n: [x.offset, x.price, x.quantity] for n, x in batch.ladders.items()},
    }


def _batch_from_state(state: dict[str, Any]) -> Batch:
    kind, topic, partition = state["at"]
    batch = Batch(kind, topic, partition, state["offset"], state["numbers"])
    for name, (buffer, length) in state["texts"].items():
        batch.texts[name] = TextColumn(buffer, _starts(length), length)
    batch.ladders = {name: Ladder(*parts) for name, parts in state["ladders"].items()}
    return batch


def _starts(length: Int64) -> Int64:
    starts = np.zeros(len(length), np.int64)
    np.cumsum(np.maximum(length[:-1], 0), out=starts[1:])
    return starts


def _compact(text: TextColumn) -> TextColumn:
    """The same rows in a buffer that holds nothing else."""
    start, length = text.start, text.length
    if text.codes is not None:
        known = text.codes >= 0
        start = np.where(known, start[text.codes], 0) if len(start) else np.zeros_like(text.codes)
        length = np.where(known, length[text.codes], -1) if len(length) else start - 1
    size = np.maximum(length, 0)
    starts = _starts(length)
    at = np.repeat(start - starts, size) + np.arange(int(size.sum()))
    return TextColumn(text.buffer[at], starts, length.astype(np.int64))
