"""Writing a recorded day: beside its place, synced, then renamed, so that a day is always whole.

The same records give the same bytes: no wall-clock time and nothing of the machine is written.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import uuid
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from monitor.core.contract import events, fixed_point
from monitor.core.contract.units import DAY_NS, SECOND_NS
from monitor.core.decode.batch import Batch, Int64
from monitor.core.event_time.admission import clock_columns
from monitor.core.event_time.clock_state import AHEAD_NS, CONFIRM_MIN, LAST_AHEAD_NS, NEVER
from monitor.core.event_time.watermark import PartitionClock
from replay.day import layout
from replay.day.columns import dictionary_columns, schema, to_table
from replay.day.layout import DayError, DayMeta, DaySpan

_RISING = ("ts", "offset")
"""Columns that rise, or nearly: written as differences, which are smaller and faster to read."""


class _ParquetWriter:
    """Writes one Parquet file; rows are kept until they fill a row group."""

    def __init__(self, path: Path, fields: pa.Schema, repeating: list[str]) -> None:
        path.parent.mkdir(exist_ok=True)
        rising = [name for name in _RISING if name in fields.names]
        self._writer = pq.ParquetWriter(
            path, fields, compression="zstd", use_dictionary=repeating, write_page_index=False,
            column_encoding=dict.fromkeys(rising, "DELTA_BINARY_PACKED"),
        )  # fmt: skip
        self._waiting: list[pa.Table] = []
        self._rows = self._bytes = 0

    def write(self, table: pa.Table) -> None:
        self._waiting.append(table)
        self._rows += table.num_rows
        self._bytes += table.nbytes
        if self._bytes >= layout.GROUP_BYTES:
            self._flush(self._rows)
        elif self._rows >= layout.GROUP_ROWS:
            self._flush(self._rows // layout.GROUP_ROWS * layout.GROUP_ROWS)

    def _flush(self, rows: int) -> None:
        """Write the first `rows` of those that wait."""
        whole = pa.concat_tables(self._waiting)
        self._writer.write_table(whole.slice(0, rows), row_group_size=layout.GROUP_ROWS)
        rest = whole.slice(rows)
        self._waiting, self._rows, self._bytes = [rest], rest.num_rows, rest.nbytes

    def close(self) -> None:
        if self._rows:
            self._flush(self._rows)
        self._writer.close()


class _PartitionState:
    """What was written of one topic partition so far."""

    def __init__(self) -> None:
        self.parquet: _ParquetWriter | None = None
        self.file: str | None = None
        self.rows = 0
        self.next_offset = 0
        self.clock = PartitionClock(0)
        """Which of its records count, as far as the day itself can say."""

    def advance_offsets(self, offset: Int64, name: str) -> None:
        if offset[0] < self.next_offset or (offset[1:] <= offset[:-1]).any():
            raise DayError(f"offsets of {name} do not rise: write its batches in offset order")
        self.next_offset = int(offset[-1]) + 1


class DayWriter:
    """Writes a recorded day to the folder `path`.

    As a context manager (`with DayWriter(path, venue="dydx") as day:`) it closes the day at the
    end of the block, and removes it where the block raises.

    `end_ts`: the day's end, ns UTC; by default the first whole second after the last record.
    `overwrite`: replace a recorded day at `path`. A folder that is no recorded day is never
    replaced. Raises `DayError` where `path` is taken.
    """

    def __init__(
        self, path: Path, *, venue: str, end_ts: int | None = None, overwrite: bool = False
    ) -> None:
        self._path, self._venue, self._end_ts = path, venue, end_ts
        self._overwrite, self._closed = overwrite, False
        self._check_place()
        path.parent.mkdir(parents=True, exist_ok=True)
        self._folder = path.parent / f".{path.name}.{uuid.uuid4().hex[:12]}"
        self._folder.mkdir()
        self._partitions = defaultdict[tuple[str, str, int], _PartitionState](_PartitionState)
        self._control = _ParquetWriter(
            self._folder / layout.CONTROL, layout.CONTROL_SCHEMA, ["topic"]
        )
        self._refused = _ParquetWriter(
            self._folder / layout.REFUSED, layout.REFUSED_SCHEMA, ["kind", "topic"]
        )
        self._reasons: Counter[str] = Counter()
        self._numbers_left_out: Counter[str] = Counter()
        self._notes: dict[str, Any] = {}
        self._low, self._floor = fixed_point.INT64_MAX, NEVER

    def _check_place(self) -> None:
        if not self._path.exists():
            return
        if not self._overwrite:
            raise DayError(f"{self._path} exists: name another folder, or remove it first")
        if not (self._path / layout.META).is_file():
            raise DayError(f"{self._path} is no recorded day and is not overwritten: move it away")

    def declare(self, kind: str, topic: str, partition: int, next_offset: int = 0) -> None:
        """Name a topic partition that may stay empty, so that its end is recorded too."""
        stream = self._partition(kind, topic, partition)
        stream.next_offset = max(stream.next_offset, next_offset)

    def _partition(self, kind: str, topic: str, partition: int) -> _PartitionState:
        if partition >= layout.PARTITIONS_MAX:
            most = f"a recorded day has at most {layout.PARTITIONS_MAX} partitions of a topic"
            raise DayError(f"{topic}/{partition}: {most}: record fewer")
        return self._partitions[kind, topic, partition]

    def write(self, batch: Batch) -> None:
        """Append a batch with its refused records. Raises `DayError` where offsets do not rise."""
        stream = self._partition(batch.kind, batch.topic, batch.partition)
        self._numbers_left_out += batch.left_out
        if len(batch):
            stream.advance_offsets(batch.offset, f"{batch.topic}/{batch.partition}")
            if stream.parquet is None:
                number = sum(key[0] == batch.kind for key, s in self._partitions.items() if s.file)
                stream.file = f"{batch.kind}/part-{number:05d}.parquet"
                stream.parquet = _ParquetWriter(
                    self._folder / stream.file, schema(batch.kind), dictionary_columns(batch.kind)
                )
            stream.parquet.write(to_table(batch))
            stream.rows += len(batch)
            self._low = min(self._low, int(batch.numbers["ts"].min()))
            stream.clock.admit(*clock_columns(batch))
        if batch.refused:
            names = layout.REFUSED_SCHEMA.names[1:]
            rows = [
                {"kind": batch.kind, **{n: getattr(r, n) for n in names}} for r in batch.refused
            ]
            self._refused.write(pa.Table.from_pylist(rows, schema=layout.REFUSED_SCHEMA))
            self._reasons.update(r.reason for r in batch.refused)
            stream.next_offset = max(stream.next_offset, batch.refused[-1].offset + 1)

    def control(self, topic: str, partition: int, offset: int, ts: int) -> None:
        """Append a control record: no later record of the topic partition is older than `ts`."""
        self._floor = max(self._floor, ts)
        row = {"topic": topic, "partition": partition, "offset": offset, "ts": ts}
        self._control.write(pa.Table.from_pylist([row], schema=layout.CONTROL_SCHEMA))

    def set_end(self, ts: int) -> None:
        """Set the day's end (ns UTC), where it becomes clear only when the records are read."""
        self._end_ts = ts

    def note(self, name: str, value: Any) -> None:
        """Add a note to `day.json`: how the day came to be, what is odd in it."""
        self._notes[name] = value

    def attach(self, name: str, content: bytes) -> None:
        """Put a further JSON file in the folder, which is verified with the others."""
        if not layout.ATTACHMENT.fullmatch(name) or name == layout.META:
            raise ValueError(f"{name!r} cannot be attached to a recorded day")
        (self._folder / name).write_bytes(content)

    def close(self) -> DayMeta:
        """Write the day's end, sync everything and put the folder in its place."""
        self._closed = True
        try:
            span = self._write_end()
            parts = [s.parquet for s in self._partitions.values() if s.parquet]
            for parquet in (self._control, self._refused, *parts):
                parquet.close()
            meta = self._meta(span)
            document = msgspec.json.format(msgspec.json.encode(meta, order="sorted"), indent=1)
            (self._folder / layout.META).write_bytes(document + b"\n")
            self._check_place()
            replace_folder(self._path, self._folder)
        except BaseException:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise
        return meta

    def __enter__(self) -> DayWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None and not self._closed:
            self.close()
        elif kind is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _write_end(self) -> DaySpan | None:
        """Append a control record of the day's end to every topic partition, one a kind or more."""
        kinds = {kind for kind, _, _ in self._partitions}
        for kind, topic in events.TOPICS.items():
            if kind not in kinds:
                self.declare(kind, topic, 0)
        last = self._last_believed()
        if last == NEVER:
            return None
        end = self._end_ts
        end = (last // SECOND_NS + 1) * SECOND_NS if end is None else end
        for (kind, topic, partition), stream in self._partitions.items():
            if kind in events.KINDS:
                self.control(topic, partition, stream.next_offset, end)
        return DaySpan(self._low, last, end)

    def _last_believed(self) -> int:
        """The highest event time that the day's clocks and control records bear out; `NEVER` in a
        day without records. A record far ahead of all others does not set the day's end.
        """
        clocks = [stream.clock for stream in self._partitions.values()]
        for clock in clocks:
            if clock.high != NEVER:
                clock.believe_last()
        last = max((clock.high for clock in clocks), default=NEVER)
        # Logs that agree bear each other out: half of them, at least `CONFIRM_MIN`, and one more
        # for each day of the jump.
        latest = sorted((max(c.unopposed_times, default=NEVER) for c in clocks), reverse=True)
        for n, ts in enumerate(latest, 1):
            days = (ts - last) // DAY_NS if last != NEVER else 0
            if ts > last and n >= max(CONFIRM_MIN + days, len(clocks) / 2):
                last = ts
        waiting = [(ts, AHEAD_NS) for clock in clocks for ts in clock.waiting_times]
        waiting += [(ts, LAST_AHEAD_NS) for clock in clocks for ts in clock.unopposed_times]
        for ts, reach in sorted(waiting):
            # Where nothing is believed, the lowest has nothing against it.
            if last == NEVER or ts <= max(last, self._floor) + reach:
                last = max(last, ts)
        return last

    def _meta(self, span: DaySpan | None) -> DayMeta:
        records = dict.fromkeys(events.KINDS, 0)
        parts = []
        for (kind, topic, partition), s in sorted(self._partitions.items()):
            parts.append(layout.DayPartition(kind, topic, partition, s.rows, s.next_offset, s.file))
            if s.rows:
                records[kind] += s.rows
        files = {}
        for path in sorted(p for p in self._folder.rglob("*") if p.is_file()):
            with path.open("rb") as stream:
                digest = hashlib.file_digest(stream, "sha256").hexdigest()
            files[path.relative_to(self._folder).as_posix()] = layout.DayFile(
                path.stat().st_size, digest
            )
        left_out = dict(sorted(self._numbers_left_out.items()))
        return DayMeta(
            format=layout.FORMAT,
            contract=events.VERSION,
            venue=self._venue,
            span=span,
            records=records,
            refused=dict(sorted(self._reasons.items())),
            partitions=parts,
            notes=self._notes | ({"numbers_left_out": left_out} if left_out else {}),
            files=files,
        ).sealed()


def replace_folder(path: Path, new: Path) -> None:
    """Sync the folder `new` to disk and give it the name `path`; what stood there is removed.

    Both are in the same folder. A crash leaves the old folder or the new one, each whole.
    """
    for entry in sorted(new.rglob("*"), reverse=True):
        _sync(entry)
    _sync(new)
    old = new.with_name(new.name + ".old")
    if path.exists():
        path.rename(old)
    new.rename(path)
    _sync(path.parent)
    shutil.rmtree(old, ignore_errors=True)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
