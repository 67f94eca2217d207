"""Writing a recorded day: beside its place, synced, then renamed, so that a day is always whole.

The same records give the same bytes: no wall-clock time and nothing of the machine is written.
"""

from __future__ import annotations

import hashlib
import shutil
import uuid
from pathlib import Path
from types import TracebackType
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from monitor.core.contract import events, fixed_point
from monitor.core.contract.units import SECOND_NS
from monitor.core.decode.batch import Batch, Int64, RefusedRecord
from replay.day.atomic import replace_folder
from replay.day.columns import dictionary_columns, schema, to_table
from replay.day.layout import (
    CONTROL,
    CONTROL_SCHEMA,
    FORMAT,
    GROUP_ROWS,
    META,
    REFUSED,
    REFUSED_SCHEMA,
    DayError,
    DayFile,
    DayMeta,
    DayPartition,
    DaySpan,
)


class _ParquetWriter:
    """Writes one Parquet file; rows are kept until they fill a row group."""

    def __init__(self, path: Path, fields: pa.Schema, repeating: list[str]) -> None:
        path.parent.mkdir(exist_ok=True)
        self._writer = pq.ParquetWriter(
            path, fields, compression="zstd", use_dictionary=repeating, write_page_index=False
        )
        self._waiting: list[pa.Table] = []
        self._rows = 0

    def write(self, table: pa.Table) -> None:
        self._waiting.append(table)
        self._rows += table.num_rows
        if self._rows >= GROUP_ROWS:
            whole = pa.concat_tables(self._waiting)
            full = self._rows // GROUP_ROWS * GROUP_ROWS
            self._writer.write_table(whole.slice(0, full), row_group_size=GROUP_ROWS)
            self._waiting, self._rows = [whole.slice(full)], self._rows - full

    def close(self) -> None:
        if self._rows:
            whole = pa.concat_tables(self._waiting)
            self._writer.write_table(whole, row_group_size=GROUP_ROWS)
        self._writer.close()


class _PartitionState:
    """What was written of one topic partition so far."""

    def __init__(self) -> None:
        self.parquet: _ParquetWriter | None = None
        self.file: str | None = None
        self.rows = 0
        self.next_offset = 0

    def advance_offsets(self, offset: Int64, name: str) -> None:
        rising = offset[0] >= self.next_offset and bool((offset[1:] > offset[:-1]).all())
        if not rising:
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
        self._partitions: dict[tuple[str, str, int], _PartitionState] = {}
        self._control = _ParquetWriter(self._folder / CONTROL, CONTROL_SCHEMA, ["topic"])
        self._refused = _ParquetWriter(self._folder / REFUSED, REFUSED_SCHEMA, ["kind", "topic"])
        self._reasons: dict[str, int] = {}
        self._notes: dict[str, Any] = {}
        self._low, self._high = fixed_point.INT64_MAX, -1

    def _check_place(self) -> None:
        if not self._path.exists():
            return
        if not self._overwrite:
            raise DayError(f"{self._path} exists: name another folder, or ask to overwrite it")
        if not (self._path / META).is_file():
            raise DayError(f"{self._path} is no recorded day and is not overwritten: move it away")

    def declare(self, kind: str, topic: str, partition: int, next_offset: int = 0) -> None:
        """Name a topic partition that may stay empty, so that its end is recorded too."""
        stream = self._partitions.setdefault((kind, topic, partition), _PartitionState())
        stream.next_offset = max(stream.next_offset, next_offset)

    def write(self, batch: Batch) -> None:
        """Append a batch with its refused records. Raises `DayError` where offsets do not rise."""
        stream = self._partitions.setdefault(
            (batch.kind, batch.topic, batch.partition), _PartitionState()
        )
        if len(batch):
            stream.advance_offsets(batch.offset, f"{batch.topic}/{batch.partition}")
            self._open_parquet(stream, batch.kind).write(to_table(batch))
            stream.rows += len(batch)
            ts = batch.numbers["ts"]
            self._low, self._high = min(self._low, int(ts.min())), max(self._high, int(ts.max()))
        if batch.refused:
            self._write_refused(batch.kind, batch.refused)
            stream.next_offset = max(stream.next_offset, batch.refused[-1].offset + 1)

    def _open_parquet(self, stream: _PartitionState, kind: str) -> _ParquetWriter:
        if stream.parquet is None:
            number = sum(1 for key, s in self._partitions.items() if key[0] == kind and s.file)
            stream.file = f"{kind}/part-{number:05d}.parquet"
            path = self._folder / stream.file
            stream.parquet = _ParquetWriter(path, schema(kind), dictionary_columns(kind))
        return stream.parquet

    def _write_refused(self, kind: str, refused: list[RefusedRecord]) -> None:
        names = REFUSED_SCHEMA.names[1:]
        rows = [{"kind": kind, **{n: getattr(r, n) for n in names}} for r in refused]
        self._refused.write(pa.Table.from_pylist(rows, schema=REFUSED_SCHEMA))
        for r in refused:
            self._reasons[r.reason] = self._reasons.get(r.reason, 0) + 1

    def control(self, topic: str, partition: int, offset: int, ts: int) -> None:
        """Append a control record: no later record of the topic partition is older than `ts`."""
        row = {"topic": topic, "partition": partition, "offset": offset, "ts": ts}
        self._control.write(pa.Table.from_pylist([row], schema=CONTROL_SCHEMA))

    def set_end(self, ts: int) -> None:
        """Set the day's end (ns UTC), where it becomes clear only when the records are read."""
        self._end_ts = ts

    def note(self, name: str, value: Any) -> None:
        """Add a note to `day.json`: how the day came to be, what is odd in it."""
        self._notes[name] = value

    def close(self) -> DayMeta:
        """Write the day's end, sync everything and put the folder in its place."""
        self._closed = True
        try:
            return self._close()
        except BaseException:
            self._abort()
            raise

    def _abort(self) -> None:
        """Remove what was written."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def __enter__(self) -> DayWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        if kind is None and not self._closed:
            self.close()
        elif kind is not None:
            self._abort()

    def _close(self) -> DayMeta:
        kinds = {kind for kind, _, _ in self._partitions}
        for kind, topic in events.TOPICS.items():
            if kind not in kinds:
                self.declare(kind, topic, 0)
        span = self._write_end()
        parts = [s.parquet for s in self._partitions.values() if s.parquet]
        for parquet in (self._control, self._refused, *parts):
            parquet.close()
        meta = self._meta(span)
        document = msgspec.json.format(msgspec.json.encode(meta, order="sorted"), indent=1)
        (self._folder / META).write_bytes(document + b"\n")
        self._check_place()
        replace_folder(self._path, self._folder)
        return meta

    def _write_end(self) -> DaySpan | None:
        """Append a control record of the day's end to every topic partition."""
        if self._high < 0:
            return None
        end = self._end_ts
        if end is None:
            end = self._high // SECOND_NS * SECOND_NS + SECOND_NS
        for (kind, topic, partition), stream in self._partitions.items():
            if kind in events.KINDS:
                self.control(topic, partition, stream.next_offset, end)
        return DaySpan(self._low, self._high, end)

    def _meta(self, span: DaySpan | None) -> DayMeta:
        records = dict.fromkeys(events.KINDS, 0)
        parts = []
        for (kind, topic, partition), s in sorted(self._partitions.items()):
            parts.append(DayPartition(kind, topic, partition, s.rows, s.next_offset, s.file))
            if s.rows:
                records[kind] += s.rows
        files = {}
        for path in sorted(self._folder.glob("*/*.parquet")):
            with path.open("rb") as stream:
                digest = hashlib.file_digest(stream, "sha256").hexdigest()
            files[path.relative_to(self._folder).as_posix()] = DayFile(path.stat().st_size, digest)
        return DayMeta(
            format=FORMAT,
            contract=events.VERSION,
            venue=self._venue,
            span=span,
            records=records,
            refused=dict(sorted(self._reasons.items())),
            partitions=parts,
            notes=self._notes,
            files=files,
        )
