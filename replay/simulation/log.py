"""From simulated rows to the contract's batches, in the order in which a venue's log has them."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.core.contract import events
from monitor.core.decode.batch import (
    ABSENT,
    COLUMNS,
    Batch,
    Int64,
    Ladder,
    TextColumn,
    number_columns,
    text_columns,
)
from replay.day.reader import DayWriter
from replay.simulation.market import Rng

Rows = NDArray[np.void]
Fields = dict[str, Int64 | TextColumn | Ladder]

SILENCE_NS = 5_000_000_000
"""A topic partition that is silent for longer says so with a control record."""
DISORDER, DISORDER_NS = 0.005, 10_000_000
"""Share of records that come late in the log, and by how much at most."""
_DIGITS = 10 ** np.arange(10, -1, -1)


def enum_code(kind: str, column: str, word: str) -> int:
    """The integer of an enumeration's word."""
    return next(c for c in COLUMNS[kind] if c.name == column).code(word)


def identifiers(prefix: str, numbers: Int64) -> TextColumn:
    """Ids of one letter and 11 digits; absent where `numbers` is negative."""
    glyphs = np.empty((len(numbers), 12), np.uint8)
    glyphs[:, 0] = ord(prefix)
    for place, power in enumerate(_DIGITS.tolist(), 1):
        glyphs[:, place] = numbers // power % 10 + ord("0")
    start = np.arange(len(numbers)) * 12
    return TextColumn(glyphs.ravel(), start, np.where(numbers < 0, -1, 12))


def text_of_codes(text: TextColumn, codes: NDArray[Any]) -> TextColumn:
    """A column of words of `text`; -1: absent."""
    return TextColumn(text.buffer, text.start, text.length, codes.astype(np.int64))


def batch_of_columns(kind: str, partition: int, offset: Int64, fields: Fields) -> Batch:
    """A batch from the columns given; the others are absent in every row."""
    rows, empty = len(offset), np.zeros(0, np.int64)
    nothing = TextColumn(np.zeros(0, np.uint8), empty, empty, np.full(rows, -1, np.int64))
    numbers: dict[str, Int64] = {}
    texts: dict[str, TextColumn] = {}
    for column in number_columns(kind):
        given = fields.get(column.name)
        known = isinstance(given, np.ndarray)
        numbers[column.name] = given.astype(np.int64) if known else np.full(rows, ABSENT)  # type: ignore[union-attr]
    for column in text_columns(kind):
        given = fields.get(column.name)
        texts[column.name] = given if isinstance(given, TextColumn) else nothing
    ladders = {name: given for name, given in fields.items() if isinstance(given, Ladder)}
    return Batch(kind, events.TOPICS[kind], partition, offset, numbers, texts, ladders)


class SimulatedLog:
    """The log of the simulated venue: gives offsets, spreads over partitions, tells of silence."""

    def __init__(self, day: DayWriter, rng: Rng, partitions: int, start_ts: int) -> None:
        self._day, self._rng, self.partitions = day, rng, partitions
        self._offset = {(kind, p): 0 for kind in events.KINDS for p in range(partitions)}
        self._latest_ts = dict.fromkeys(self._offset, start_ts)
        for kind, partition in self._offset:
            day.declare(kind, events.TOPICS[kind], partition, 0)

    @property
    def record_counts(self) -> dict[str, int]:
        """Records by kind so far."""
        counts = dict.fromkeys(events.KINDS, 0)
        for (kind, _), offset in self._offset.items():
            counts[kind] += offset
        return counts

    def partition_of(self, names: list[str]) -> Int64:
        """The partition of each key: the same wherever and whenever it is asked."""
        return np.array([zlib.crc32(n.encode()) % self.partitions for n in names], np.int64)

    def write_rows(
        self, kind: str, rows: Rows, partition: Int64, build: Callable[[Rows], Fields]
    ) -> None:
        """Write rows that have a `ts`, whatever their order, with `build` making their columns."""
        delay = np.zeros(len(rows), np.int64)
        late = self._rng.random(len(rows)) < DISORDER
        delay[late] = self._rng.integers(DISORDER_NS, size=int(late.sum()))
        order = np.argsort(rows["ts"] + delay, kind="stable")
        rows, partition = rows[order], partition[order]
        for number in range(self.partitions):
            mine = rows[partition == number]
            if not len(mine):
                continue
            self._write_silences(kind, number, mine["ts"])
            offset = self._offset[kind, number] + np.arange(len(mine))
            self._offset[kind, number] += len(mine)
            fields = {"ts": mine["ts"].astype(np.int64), **build(mine)}
            self._day.write(batch_of_columns(kind, number, offset, fields))

    def write_batch(self, batch: Batch) -> None:
        """Write a batch whose offsets follow those of its topic partition so far."""
        self._offset[batch.kind, batch.partition] += len(batch)
        self._day.write(batch)

    def write_heartbeats(self, until: int) -> None:
        """Tell of topic partitions that stayed silent up to `until`."""
        for (kind, partition), offset in self._offset.items():
            heard = self._latest_ts[kind, partition]
            for ts in range(heard + SILENCE_NS, until, SILENCE_NS):
                self._day.control(events.TOPICS[kind], partition, offset, ts)
                self._latest_ts[kind, partition] = ts

    def _write_silences(self, kind: str, partition: int, ts: Int64) -> None:
        """Control records in the gaps before each of `ts`: nothing later is before them."""
        heard, topic = self._latest_ts[kind, partition], events.TOPICS[kind]
        earliest = np.minimum.accumulate(ts[::-1])[::-1]
        latest = np.maximum.accumulate(np.concatenate(([heard], ts)))
        for row in np.flatnonzero(earliest - latest[:-1] > SILENCE_NS).tolist():
            offset = self._offset[kind, partition] + row
            for quiet in range(int(latest[row]) + SILENCE_NS, int(earliest[row]), SILENCE_NS):
                self._day.control(topic, partition, offset, quiet)
        self._latest_ts[kind, partition] = int(latest[-1])
