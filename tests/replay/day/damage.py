"""Ways to change a recorded day on disk, and what reading it afterwards gives."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from monitor.core.decode.batch import COLUMNS
from replay.day import Day, DayMeta
from replay.day.columns import dictionary_columns
from replay.day.layout import META
from tests.replay.day.batches import refused_of, rows_of

PART = "order/part-00000.parquet"


def content_of(path: Path) -> str:
    """A digest of all that a replay reads of a day: records, refused and control records."""
    day = Day(path)
    controls = [(c.topic, c.partition, c.offset, c.ts) for c in day.controls()]
    batches = list(day.batches())
    every = [controls, rows_of(batches), refused_of(batches), day.meta.partitions, day.meta.span]
    return hashlib.sha256(repr(every).encode()).hexdigest()


def seal(path: Path, change: Callable[[dict[str, Any]], None] = lambda meta: None) -> None:
    """Change `day.json` and make its sizes, sha256s and seal fit the folder again."""
    document = json.loads((path / META).read_text())
    change(document)
    for name in document["files"]:
        raw = (path / name).read_bytes()
        document["files"][name] = {"bytes": len(raw), "sha256": hashlib.sha256(raw).hexdigest()}
    meta = msgspec.convert(document, DayMeta)
    (path / META).write_bytes(msgspec.json.encode(meta.sealed(), order="sorted"))


def edit_table(path: Path, name: str, change: Callable[[pa.Table], pa.Table]) -> None:
    """Write the Parquet file `name` of the day anew, changed, with a `day.json` that fits."""
    kind = name.partition("/")[0]
    repeating = dictionary_columns(kind) if kind in COLUMNS else ["kind", "topic"]
    table = change(pq.read_table(path / name))
    repeating = [column for column in repeating if column in table.column_names]
    pq.write_table(table, path / name, use_dictionary=repeating)
    seal(path)


def with_column(name: str, values: list[Any], type_: pa.DataType | None = None) -> Any:
    """A change that replaces a column; its field says what `values` are (null: nullable)."""

    def change(table: pa.Table) -> pa.Table:
        at = table.schema.get_field_index(name)
        field = table.schema.field(at)
        column = pa.array(values, type_ or field.type)
        field = field.with_type(column.type).with_nullable(field.nullable or None in values)
        return table.set_column(at, field, column)

    return change
