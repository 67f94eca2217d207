"""Reading a day's topic partitions side by side, none far ahead of another."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from monitor.core import grid
from monitor.core.batch import Batch, Int64, Refused
from replay.columns import IDS, dictionary_columns, from_table, part, schema
from replay.layout import REFUSED, UNKNOWN, DayError, Meta, Part

AHEAD_NS = 60_000_000_000
"""How far a topic partition may run ahead of the slowest, however large the batches: what waits
for the slowest takes memory."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What of a day is read. Times in ns: `from_ts` <= ts < `to_ts`."""

    rows: int
    symbols: frozenset[str] | None
    from_ts: int
    to_ts: int
    ids: bool

    def times(self, ts: Int64) -> NDArray[np.bool_]:
        """Which of the times are wanted."""
        return (ts >= self.from_ts) & (ts < self.to_ts)


def _wanted_symbols(batch: Batch, symbols: frozenset[str]) -> NDArray[np.bool_]:
    """Rows of the symbols, and rows that concern no symbol (an account's collateral)."""
    text = batch.texts["symbol"]
    data = text.buffer.tobytes()
    spans = zip(text.start.tolist(), text.length.tolist(), strict=True)
    every = [n < 0 or data[s : s + n].decode() in symbols for s, n in spans]
    found = np.array([*every, True], bool)
    return found[text.codes] if text.codes is not None else found[:-1]


@dataclass(slots=True)
class Stream:
    """One topic partition of a day, read a row group at a time."""

    part: Part
    choice: Choice
    refused: list[Refused]
    """Those of this topic partition not yet handed out, in offset order."""
    file: pq.ParquetFile | None
    reached: int
    """The highest event time handed out so far."""
    before_ts: int
    """Event time of the last row of the row group before; the day's start before the first."""
    group: int = 0
    at: int = 0
    batch: Batch | None = None
    near: list[Refused] = field(default_factory=list)
    """The refused records among the rows of `batch`."""

    def _columns(self) -> list[str]:
        names: list[str] = schema(self.part.kind).names
        ids = () if self.choice.ids else IDS
        return [n for n in names if n not in (*ids, "topic", "partition")]

    def _read(self) -> bool:
        """Load the next row group; false at the end."""
        if self.file is None or self.group >= self.file.num_row_groups:
            if not self.refused:
                return False
            self._admit(empty(self.part), last=True)
            return True
        table = self.file.read_row_group(self.group, self._columns())
        self.group += 1
        batch = from_table(table, self.part.kind, self.part.topic, self.part.partition)
        self._admit(batch, last=self.group == self.file.num_row_groups)
        return True

    def _admit(self, batch: Batch, last: bool) -> None:
        """Choose among rows and refused records.

        A refused record has no time of its own: it counts with the record before it.
        """
        ts = batch.numbers.get("ts", np.zeros(0, np.int64))
        end = grid.INT64_MAX if last else int(batch.offset[-1])
        count = next((i for i, r in enumerate(self.refused) if r.offset > end), len(self.refused))
        near, self.refused = self.refused[:count], self.refused[count:]
        rows = np.searchsorted(batch.offset, [r.offset for r in near]) - 1
        times = [int(ts[i]) if i >= 0 else self.before_ts for i in rows.tolist()]
        keep = self.choice.times(np.array(times, np.int64))
        self.near = [r for r, kept in zip(near, keep.tolist(), strict=True) if kept]
        if len(ts):
            self.before_ts = int(ts[-1])
        wanted = self.choice.times(ts)
        if self.choice.symbols is not None and len(ts):
            wanted &= _wanted_symbols(batch, self.choice.symbols)
        self.batch, self.at = batch if wanted.all() else batch.take(wanted), 0

    def fill(self) -> bool:
        """See that something is at hand; false when the stream has ended."""
        while self.batch is None or (self.at >= len(self.batch) and not self.near):
            if not self._read():
                return False
        return True

    def next(self, limit: int) -> Batch:
        """The next rows: at least one if there are any, none after the first beyond `limit`."""
        assert self.batch is not None
        first, last = self.at, min(self.at + self.choice.rows, len(self.batch))
        if last > first:
            highest = np.maximum.accumulate(self.batch.numbers["ts"][first:last])
            last = first + max(1, int(np.searchsorted(highest, limit, side="right")))
            self.reached = max(self.reached, int(highest[last - first - 1]))
        found = part(self.batch, first, last)
        if last == len(self.batch):
            found.refused, self.near = self.near, []
        else:
            bound = int(self.batch.offset[last])
            found.refused = [r for r in self.near if r.offset < bound]
            self.near = self.near[len(found.refused) :]
        self.at = last
        return found


def empty(stream: Part) -> Batch:
    """A batch of no records of the topic partition."""
    if stream.kind == UNKNOWN:
        return Batch(stream.kind, stream.topic, stream.partition, np.zeros(0, np.int64))
    table = schema(stream.kind).empty_table()
    few = dictionary_columns(stream.kind)
    arrays = [
        pc.dictionary_encode(table[name].combine_chunks()) if name in few else table[name]
        for name in table.column_names
    ]
    table = pa.table(arrays, names=table.column_names)
    return from_table(table, stream.kind, stream.topic, stream.partition)


def read_refused(path: Path) -> list[tuple[str, Refused]]:
    """The day's refused records with their kinds, in offset order of each topic partition."""
    rows = pq.read_table(path / REFUSED).to_pylist()
    found = [(row.pop("kind"), Refused(**row)) for row in rows]
    return sorted(found, key=lambda f: (f[1].topic, f[1].partition, f[1].offset))


def streams(path: Path, meta: Meta, choice: Choice) -> list[Stream]:
    """Every topic partition of the day, at its start."""
    first = meta.span[0] if meta.span else 0
    start = max(choice.from_ts, first)
    refused: dict[tuple[str, str, int], list[Refused]] = {}
    for kind, r in read_refused(path) if meta.refused else ():
        refused.setdefault((kind, r.topic, r.partition), []).append(r)
    found = []
    for p in meta.partitions:
        file = None
        if p.file is not None:
            file = _open(path / p.file, p)
        key = (p.kind, p.topic, p.partition)
        found.append(Stream(p, choice, refused.get(key, []), file, start, first))
    return found


def _open(path: Path, p: Part) -> pq.ParquetFile:
    try:
        file = pq.ParquetFile(path, read_dictionary=dictionary_columns(p.kind), memory_map=True)
    except pa.ArrowInvalid as error:
        raise DayError(f"{path} is damaged ({error}): copy the day anew") from None
    if not file.schema_arrow.names == schema(p.kind).names:
        raise DayError(f"{path} has other columns than the contract's: import the day anew")
    return file


def merged(waiting: list[Stream]) -> Iterator[Batch]:
    """Always next from the stream whose highest event time so far is lowest."""
    waiting = [s for s in waiting if s.fill()]
    while waiting:
        waiting.sort(key=lambda s: (s.reached, s.part.topic, s.part.partition))
        slowest = waiting[0]
        limit = waiting[1].reached + AHEAD_NS if len(waiting) > 1 else grid.INT64_MAX
        yield slowest.next(limit)
        if not slowest.fill():
            waiting.pop(0)
