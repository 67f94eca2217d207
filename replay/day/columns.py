"""Batches of decoded records as Arrow tables, and back: the recorded day's columns.

A table has the contract's columns (`batch.COLUMNS`) with their names and in their order: numbers as
int64 (`scale` in the field's metadata: multiples of 1e-8 or 1e-6, or "stepped" for the codes of
`monitor/core/contract/stepped.py`), enumerations, text and JSON as strings, a ladder as two lists
(bids_price, bids_quantity); then `topic`, `partition`, `offset`, and `append_ts`: when the broker
appended the record (ns), null where only the producer says.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from monitor.core.contract import fixed_point
from monitor.core.decode.batch import (
    ABSENT,
    COLUMNS,
    Batch,
    Column,
    Int64,
    Ladder,
    TextColumn,
    ladder_columns,
    number_columns,
    text_columns,
)

IDS = ("order_id", "trade_id", "replaces")
"""Text that differs from row to row: read on request, never dictionary-encoded."""

STEPPED = "stepped"
_SCALES = {
    "price": STEPPED, "quantity": STEPPED,
    "e8": str(fixed_point.SCALE), "e6": str(fixed_point.MONEY_SCALE),
}  # fmt: skip
_LEVELS = pa.list_(pa.field("element", pa.int64(), False))
ORIGIN_COLUMNS = (("topic", pa.string()), ("partition", pa.int64()), ("offset", pa.int64()))
APPEND_TS = "append_ts"


def _fields(column: Column) -> list[pa.Field]:
    if column.type == "ladder":
        names = (f"{column.name}_price", f"{column.name}_quantity")
        return [pa.field(name, _LEVELS, False, {"scale": STEPPED}) for name in names]
    strings = dict.fromkeys(("text", "json", "enum"), pa.string())
    type_ = {**strings, "flag": pa.bool_()}.get(column.type, pa.int64())
    scale = {"scale": _SCALES[column.type]} if column.type in _SCALES else None
    return [pa.field(column.name, type_, not column.required, scale)]


def schema(kind: str) -> pa.Schema:
    """The Arrow schema of `kind`'s records."""
    fields = [f for column in COLUMNS[kind] for f in _fields(column)]
    fields += [pa.field(name, type_, False) for name, type_ in ORIGIN_COLUMNS]
    return pa.schema([*fields, pa.field(APPEND_TS, pa.int64())])


def dictionary_columns(kind: str) -> list[str]:
    """Columns with few distinct values: dictionary-encoded in the file, read back as codes."""
    names = [c.name for c in COLUMNS[kind] if c.type in ("enum", "text") and c.name not in IDS]
    return [*names, "topic"]


# ---- to Arrow


def _strings(text: TextColumn) -> pa.Array:
    """`text` as an Arrow string array, its spans copied end to end."""
    length = np.maximum(text.length, 0)
    offset = np.zeros(len(length) + 1, np.int64)
    np.cumsum(length, out=offset[1:])
    index = np.repeat(text.start - offset[:-1], length) + np.arange(offset[-1])
    data = np.ascontiguousarray(text.buffer[index])
    packed = pa.Array.from_buffers(
        pa.large_string(), len(length), [None, pa.py_buffer(offset), pa.py_buffer(data)]
    )
    rows = np.arange(len(length)) if text.codes is None else text.codes
    absent = rows < 0
    absent |= (text.length[rows] < 0) if len(text.length) else True
    if text.codes is None and not absent.any():
        return packed.cast(pa.string())
    return packed.take(pa.array(rows, pa.int64(), mask=absent)).cast(pa.string())


def _enum_strings(column: Column, codes: Int64) -> pa.Array:
    """The names of an enumeration's codes."""
    index = (1 - codes) // 2 if column.name == "side" else codes
    indices = pa.array(np.where(codes == ABSENT, 0, index), mask=codes == ABSENT)
    return pa.array(column.values, pa.string()).take(indices)


def _arrays(batch: Batch, column: Column) -> list[pa.Array]:
    if column.type == "ladder":
        ladder = batch.ladders[column.name]
        offset = pa.array(ladder.offset - ladder.offset[0], pa.int32())
        first, last = ladder.offset[0], ladder.offset[-1]
        levels = (ladder.price[first:last], ladder.quantity[first:last])
        return [pa.ListArray.from_arrays(offset, pa.array(v), type=_LEVELS) for v in levels]
    if column.type in ("text", "json"):
        return [_strings(batch.texts[column.name])]
    values = batch.numbers[column.name]
    if column.type == "enum":
        return [_enum_strings(column, values)]
    absent = None if column.required else values == ABSENT
    if column.type == "flag":
        return [pa.array(values == 1, mask=absent)]
    return [pa.array(values, mask=absent)]


def to_table(batch: Batch) -> pa.Table:
    """The rows of `batch` (not its refused records) as a table of `schema(batch.kind)`."""
    arrays = [a for column in COLUMNS[batch.kind] for a in _arrays(batch, column)]
    origin = (pa.scalar(batch.topic), pa.scalar(batch.partition, pa.int64()))
    arrays += [*(pa.repeat(value, len(batch)) for value in origin), pa.array(batch.offset)]
    appended = batch.append_ts
    arrays.append(
        pa.nulls(len(batch), pa.int64())
        if appended is None
        else pa.array(appended, mask=appended == ABSENT)
    )
    return pa.Table.from_arrays(arrays, schema=schema(batch.kind))


# ---- from Arrow


def single_chunk(table: pa.Table, name: str) -> pa.Array:
    """A column of a row group in one piece, without a copy where it is one."""
    column = table.column(name)
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def _codes(array: pa.Array) -> Int64:
    """The indices of a dictionary array, -1 for nulls."""
    indices = array.indices.fill_null(-1) if array.null_count else array.indices
    codes: Int64 = indices.to_numpy().astype(np.int64)
    return codes


def _spans(array: pa.Array) -> TextColumn:
    """A string array as spans of its own buffers, without a copy."""
    _, offsets, data = array.buffers()
    first, rows = array.offset, len(array)
    if offsets is None or not rows:
        return TextColumn(np.zeros(0, np.uint8), np.full(rows, 0), np.full(rows, -1))
    bounds = np.frombuffer(offsets, np.int32)[first : first + rows + 1].astype(np.int64)
    length = np.diff(bounds)
    if array.null_count:
        length[array.is_null().to_numpy(zero_copy_only=False)] = -1
    buffer = np.frombuffer(data, np.uint8) if data is not None else np.zeros(0, np.uint8)
    return TextColumn(buffer, bounds[:-1], length)


def _text(table: pa.Table, name: str) -> TextColumn:
    array = single_chunk(table, name)
    encoded = isinstance(array, pa.DictionaryArray)
    text = _spans(array.dictionary if encoded else array)
    text.codes = _codes(array) if encoded else None
    return text


def _numbers(table: pa.Table, column: Column) -> Int64:
    array = single_chunk(table, column.name)
    if column.type == "enum":
        codes = [column.code(value) for value in array.dictionary.to_pylist()]
        return np.array([*codes, ABSENT], np.int64)[_codes(array)]  # -1, a null, takes the last
    if column.type == "flag":
        array = array.cast(pa.int64())
    if array.null_count:
        array = array.fill_null(ABSENT)
    values: Int64 = array.to_numpy(zero_copy_only=False)
    return values


def _levels(array: pa.ListArray) -> tuple[Int64, Int64]:
    bounds: Int64 = array.offsets.to_numpy().astype(np.int64)
    values: NDArray[Any] = array.values.to_numpy()
    return bounds - bounds[0], values[bounds[0] : bounds[-1]]


def from_table(table: pa.Table, kind: str, topic: str, partition: int) -> Batch:
    """The inverse of `to_table`, for rows of one topic partition.

    The columns `dictionary_columns(kind)` are dictionary arrays; an id column that `table` lacks is
    absent in every row. Numbers and text share the table's memory.
    """
    names = set(table.column_names)
    ladders = {}
    for column in ladder_columns(kind):
        offset, price = _levels(single_chunk(table, f"{column.name}_price"))
        _, quantity = _levels(single_chunk(table, f"{column.name}_quantity"))
        ladders[column.name] = Ladder(offset, price, quantity)
    texts = {
        c.name: _text(table, c.name) if c.name in names else TextColumn.absent(table.num_rows)
        for c in text_columns(kind)
    }
    offset = single_chunk(table, "offset").to_numpy()
    numbers = {c.name: _numbers(table, c) for c in number_columns(kind)}
    return Batch(
        kind, topic, partition, offset, numbers, texts, ladders, append_ts=_append_ts(table)
    )


def _append_ts(table: pa.Table) -> Int64 | None:
    column = single_chunk(table, APPEND_TS)
    if column.null_count == len(column):
        return None
    values: Int64 = column.fill_null(ABSENT).to_numpy(zero_copy_only=False)
    return values


def slice_batch(batch: Batch, first: int, last: int) -> Batch:
    """Rows `first` up to `last` of `batch` as views, without a copy; no refused records."""
    rows = slice(first, last)
    texts = {name: text.select_rows(rows) for name, text in batch.texts.items()}
    ladders = {}
    for name, ladder in batch.ladders.items():
        low, high = ladder.offset[first], ladder.offset[last]
        offset = ladder.offset[first : last + 1] - low
        ladders[name] = Ladder(offset, ladder.price[low:high], ladder.quantity[low:high])
    numbers = {name: values[rows] for name, values in batch.numbers.items()}
    head = batch.kind, batch.topic, batch.partition
    times = None if batch.append_ts is None else batch.append_ts[rows]
    return Batch(*head, batch.offset[rows], numbers, texts, ladders, append_ts=times)
