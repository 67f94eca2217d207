"""Reading a day's topic partitions side by side in the order of event time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from monitor.core.contract import fixed_point
from monitor.core.contract.events import TS_MAX, TS_MIN
from monitor.core.contract.units import SECOND_NS
from monitor.core.decode import codec
from monitor.core.decode.batch import Batch, Int64, RefusedRecord, TextColumn
from replay.day.checks import check_batch, check_nulls, check_table, damage_in, open_parquet
from replay.day.columns import IDS, dictionary_columns, from_table, schema, slice_batch
from replay.day.layout import (
    CONTROL,
    CONTROL_SCHEMA,
    REFUSED,
    REFUSED_SCHEMA,
    DayMeta,
    DayPartition,
)

AHEAD_NS = 60 * SECOND_NS
"""How far a topic partition may be ahead of the slowest one, whatever the size of the batches: the
engine keeps these records in memory until the slowest catches up."""
_LOOK_AHEAD = 3
"""So many rows behind a row are looked at, to see whether its time lies far ahead of its log."""


@dataclass(frozen=True, slots=True)
class RecordFilter:
    """Which records of a day to read: `from_ts` <= ts < `to_ts` (ns UTC), in batches of `rows`.

    `sources`: kinds and partitions; None: all.
    """

    rows: int
    symbols: frozenset[str] | None
    from_ts: int
    to_ts: int
    ids: bool
    sources: Collection[tuple[str, int]] | None = None

    def time_mask(self, ts: Int64) -> NDArray[np.bool_]:
        """Whether each of the times lies in the range."""
        return (ts >= self.from_ts) & (ts < self.to_ts)


def _symbol_mask(batch: Batch, symbols: frozenset[str]) -> NDArray[np.bool_]:
    """Whether each row has one of the symbols, or none at all (an account's collateral)."""
    text = batch.texts["symbol"]
    names = TextColumn(text.buffer, text.start, text.length).to_strings()
    every = [name is None or name in symbols for name in names]
    wanted = np.array([*every, True], bool)  # code -1, a row without a symbol, takes the last
    return wanted[text.codes] if text.codes is not None else wanted[:-1]


@dataclass(slots=True)
class PartitionReader:
    """One topic partition of a day, read a row group at a time.

    `refused`: its refused records of later row groups, in offset order; `batch_refused`: those
    among the rows of `batch`. `highest_ts`: the highest event time yielded so far, ns; `before_ts`:
    that of the last row of the row group before (at first, the day's start). `path`: of the file;
    `next_offset`: the lowest that the next row may have.
    """

    part: DayPartition
    choice: RecordFilter
    refused: list[RefusedRecord]
    file: pq.ParquetFile | None
    highest_ts: int
    before_ts: int
    path: Path
    row_group: int = 0
    next_offset: int = 0
    next_row: int = 0
    batch: Batch | None = None
    batch_refused: list[RefusedRecord] = field(default_factory=list)

    def _select_rows(self, batch: Batch, last: bool) -> None:
        """Keep the rows and refused records that the filter selects.

        A refused record has no time of its own: it takes that of the record before it.
        """
        ts = batch.numbers.get("ts", np.zeros(0, np.int64))
        end = fixed_point.INT64_MAX if last else int(batch.offset[-1])
        count = next((i for i, r in enumerate(self.refused) if r.offset > end), len(self.refused))
        due, self.refused = self.refused[:count], self.refused[count:]
        rows = np.searchsorted(batch.offset, [r.offset for r in due]) - 1
        times = [int(ts[i]) if i >= 0 else self.before_ts for i in rows.tolist()]
        keep = self.choice.time_mask(np.array(times, np.int64))
        self.batch_refused = [r for r, kept in zip(due, keep.tolist(), strict=True) if kept]
        if len(ts):
            self.before_ts = int(ts[-1])
        wanted = self.choice.time_mask(ts)
        if self.choice.symbols is not None and len(ts):
            wanted &= _symbol_mask(batch, self.choice.symbols)
        self.batch, self.next_row = batch if wanted.all() else batch.select_rows(wanted), 0

    def _read_group(self, file: pq.ParquetFile) -> Batch:
        """The next row group, checked."""
        part = self.part
        left_out = () if self.choice.ids else IDS
        names = [n for n in schema(part.kind).names if n not in left_out]
        with damage_in(self.path):
            table = file.read_row_group(self.row_group, names)
            check_table(table, part)
            batch = from_table(table, part.kind, part.topic, part.partition)
            check_batch(batch, self.next_offset, part.next_offset)
            last = int(batch.offset[-1])
            between = [r.offset for r in takewhile(lambda r: r.offset <= last, self.refused)]
            at = np.searchsorted(batch.offset, between)
            if (batch.offset[at] == between).any():
                raise ValueError("offset: one is of a record and of a refused record")
        self.row_group += 1
        self.next_offset = last + 1
        return batch

    def ensure_batch(self) -> bool:
        """Load rows or refused records where none is left; False at the end."""
        part, file = self.part, self.file
        while self.batch is None or (self.next_row >= len(self.batch) and not self.batch_refused):
            if file is not None and self.row_group < file.num_row_groups:
                batch = self._read_group(file)
                self._select_rows(batch, last=self.row_group == file.num_row_groups)
            elif self.refused:
                nothing = np.zeros(0, np.int64)
                batch = codec.decode(part.kind, part.topic, part.partition, nothing, [])
                self._select_rows(batch, last=True)
            else:
                return False
        return True

    def next_batch(self, limit: int) -> Batch:
        """The next rows, at least one if any is left; after the first, none later than `limit`."""
        assert self.batch is not None
        first, last = self.next_row, min(self.next_row + self.choice.rows, len(self.batch))
        if last > first:
            highest = np.maximum.accumulate(steady_times(self.batch.numbers["ts"], first, last))
            last = first + max(1, int(np.searchsorted(highest, limit, side="right")))
            self.highest_ts = max(self.highest_ts, int(highest[last - first - 1]))
        batch = slice_batch(self.batch, first, last)
        if last == len(self.batch):
            batch.refused, self.batch_refused = self.batch_refused, []
        else:
            bound = int(self.batch.offset[last])
            batch.refused = [r for r in self.batch_refused if r.offset < bound]
            self.batch_refused = self.batch_refused[len(batch.refused) :]
        self.next_row = last
        return batch


def steady_times(ts: Int64, first: int = 0, last: int | None = None) -> Int64:
    """The times of rows `first` up to `last`, but those far ahead of what follows: a row counts as
    no later than the next few rows, and the last row as no more than `AHEAD_NS` after the one
    before. For the order of reading only.

    >>> steady_times(np.array([1, 2, 99, 3, 4]))
    array([1, 2, 3, 3, 4])
    """
    last = len(ts) if last is None else last
    steady = ts[first:last].copy()
    for step in range(1, _LOOK_AHEAD + 1):
        behind = ts[first + step : last + step]
        np.minimum(steady[: len(behind)], behind, out=steady[: len(behind)])
        np.minimum(steady[len(behind) :], ts[-1], out=steady[len(behind) :])
    if last == len(ts) and last - first > 1:
        steady[-1] = min(steady[-1], steady[-2] + AHEAD_NS)
    return steady


def read_refused(path: Path, meta: DayMeta) -> list[tuple[str, RefusedRecord]]:
    """The day's refused records with their kinds, in offset order of each topic partition."""
    file = path / REFUSED
    ends = {(p.kind, p.topic, p.partition): p.next_offset for p in meta.partitions}
    with damage_in(file):
        rows = _read_side_table(file, REFUSED_SCHEMA, sum(meta.refused.values()))
        records = [(row.pop("kind"), RefusedRecord(**row)) for row in rows]
        if Counter(r.reason for _, r in records) != Counter(meta.refused):
            raise ValueError("other reasons than day.json counts")
        if any(not 0 <= r.offset < ends[k, r.topic, r.partition] for k, r in records):
            raise ValueError("an offset behind the last of its topic partition")
        if len({(r.topic, r.partition, r.offset) for _, r in records}) != len(records):
            raise ValueError("an offset twice")
    return sorted(records, key=lambda r: (r[1].topic, r[1].partition, r[1].offset))


def read_controls(path: Path, meta: DayMeta) -> list[dict[str, Any]]:
    """The rows of the control records, in the order in which they were written."""
    file = path / CONTROL
    places = {(p.topic, p.partition) for p in meta.partitions}
    with damage_in(file):
        rows = _read_side_table(file, CONTROL_SCHEMA, None)
        for row in rows:
            # It may be behind the last record: transactions and deletions leave offsets empty.
            if (row["topic"], row["partition"]) not in places or row["offset"] < 0:
                raise ValueError("a control record of no place in this day")
            if not TS_MIN <= row["ts"] <= TS_MAX:
                raise ValueError(f"ts: {row['ts']} is beyond the contract's bounds")
    return rows


def _read_side_table(path: Path, expected: pa.Schema, rows: int | None) -> list[dict[str, Any]]:
    repeating = [name for name in ("kind", "topic") if name in expected.names]
    table = open_parquet(path, expected, rows, repeating).read()
    check_nulls(table, expected)
    listed: list[dict[str, Any]] = table.to_pylist()
    return listed


def read_part(path: Path, part: DayPartition) -> pa.Table:
    """All rows of a topic partition that has a file, checked."""
    file = path / str(part.file)
    with damage_in(file):
        expected, repeating = schema(part.kind), dictionary_columns(part.kind)
        table = open_parquet(file, expected, part.rows, repeating).read()
        check_table(table, part)
        return table.cast(expected)


def open_partitions(path: Path, meta: DayMeta, choice: RecordFilter) -> list[PartitionReader]:
    """A reader for every topic partition that the filter selects, at its start."""
    first = meta.span.first_ts if meta.span else 0
    start = max(choice.from_ts, first)
    refused: dict[tuple[str, str, int], list[RefusedRecord]] = {}
    for kind, r in read_refused(path, meta):
        refused.setdefault((kind, r.topic, r.partition), []).append(r)
    readers = []
    for p in meta.partitions:
        if choice.sources is not None and (p.kind, p.partition) not in choice.sources:
            continue
        file, at = None, path / (p.file or "")
        if p.file is not None:
            file = open_parquet(at, schema(p.kind), p.rows, dictionary_columns(p.kind))
        mine = refused.get((p.kind, p.topic, p.partition), [])
        readers.append(PartitionReader(p, choice, mine, file, start, first, at))
    return readers


def merge_partitions(waiting: list[PartitionReader]) -> Iterator[Batch]:
    """Batches, the next always of the partition whose highest event time so far is lowest."""
    waiting = [s for s in waiting if s.ensure_batch()]
    while waiting:
        waiting.sort(key=lambda s: (s.highest_ts, s.part.topic, s.part.partition))
        slowest = waiting[0]
        limit = waiting[1].highest_ts + AHEAD_NS if len(waiting) > 1 else fixed_point.INT64_MAX
        yield slowest.next_batch(limit)
        if not slowest.ensure_batch():
            waiting.pop(0)
