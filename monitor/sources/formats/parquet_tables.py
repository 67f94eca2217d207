"""Parquet: rows of a table, with every number as it is stored.

Integers and decimals are exact, a floating number is its shortest text that reads back the same,
a timestamp of any unit is an `Instant`; one without a zone is in the map's zone.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from monitor.core.contract.units import MILLISECOND_NS, SECOND_NS
from monitor.sources.formats.base import Instant, Row

_UNIT_NS = {"s": SECOND_NS, "ms": MILLISECOND_NS, "us": 1_000, "ns": 1}


ROWS = 2_048
"""Rows that are read at once."""


def read_file(stream: BinaryIO, zone: str) -> Iterator[list[Row]]:
    """The rows of an open file, up to `ROWS` at a time; raises what pyarrow does for a damaged
    one."""
    for batch in pq.ParquetFile(stream).iter_batches(ROWS):
        batch.validate(full=True)
        yield read_table(batch, zone)


def read_table(table: pa.Table | pa.RecordBatch, zone: str = "UTC") -> list[Row]:
    """The rows of a table."""
    names = table.schema.names
    columns = [_values(table.column(i), zone) for i in range(len(names))]
    if not columns:
        return [{} for _ in range(table.num_rows)]
    return [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]


def write_row(row: Row) -> bytes:
    """A row as JSON: the original bytes of a record that has none."""
    return json.dumps(row, separators=(",", ":"), ensure_ascii=False).encode(errors="replace")


def _values(column: Any, zone: str) -> list[Any]:
    """The values of a column (or of a list's members), without floats."""
    type_ = column.type
    if isinstance(column, pa.ChunkedArray):
        return [value for chunk in column.chunks for value in _values(chunk, zone)]
    if pa.types.is_dictionary(type_):
        return _values(column.cast(type_.value_type), zone)
    if pa.types.is_timestamp(type_):
        if type_.tz is None and zone != "UTC":
            column = pc.assume_timezone(column, zone, ambiguous="earliest", nonexistent="earliest")
        unit = _UNIT_NS[type_.unit]
        units = column.cast(pa.int64()).to_pylist()
        return [None if value is None else Instant(value * unit) for value in units]
    if pa.types.is_struct(type_):
        parts = [_values(part, zone) for part in column.flatten()]
        names = [field.name for field in type_]
        rows = zip(*parts, strict=True) if parts else ((),) * len(column)
        valid = column.is_valid().to_pylist()
        return [
            dict(zip(names, row, strict=True)) if there else None
            for row, there in zip(rows, valid, strict=True)
        ]
    if pa.types.is_list(type_) or pa.types.is_large_list(type_):
        members, ends = (
            _values(column.flatten(), zone),
            iter(pc.list_value_length(column).to_pylist()),
        )
        out, at = [], 0
        for size in ends:
            out.append(None if size is None else members[at : at + size])
            at += size or 0
        return out
    if pa.types.is_floating(type_) or pa.types.is_decimal(type_):
        return list(column.cast(pa.string()).to_pylist())
    if pa.types.is_date(type_) or pa.types.is_time(type_):
        return list(column.cast(pa.string()).to_pylist())
    if pa.types.is_binary(type_) or pa.types.is_large_binary(type_):
        return [None if v is None else v.decode(errors="replace") for v in column.to_pylist()]
    return list(column.to_pylist())
