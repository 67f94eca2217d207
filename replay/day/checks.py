"""The invariants of a recorded day's Parquet files, derived from the columns of each kind.

A file whose sha256 is that of `day.json` is what the writer wrote. These checks hold for a day
whose `day.json` was changed with it: a record that the contract would refuse is never replayed, and
no file costs more memory than a row group may have.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import TypeAdapter

from monitor.core.contract import events, stepped
from monitor.core.decode import codec
from monitor.core.decode.batch import COLUMNS, Batch, Int64, text_columns
from monitor.core.decode.stepped_kernels import to_floats
from replay.day.columns import APPEND_TS, schema, single_chunk
from replay.day.layout import GROUP_BYTES_MAX, GROUP_ROWS, MEND, DayError, DayPartition

_NOTIONAL_SURE = events.NOTIONAL_MAX * 0.999
"""Below this a product of doubles shows that a record's notional is within the contract's bound."""
_QUANTITY_STEP = 10 ** (stepped.FINE - stepped.PLAIN)
"""Codes of quantities below 1 are multiples of this."""


@contextmanager
def damage_in(path: Path) -> Iterator[None]:
    """Turn whatever a damaged Parquet file makes pyarrow raise into a `DayError` that names it."""
    try:
        yield
    except (DayError, MemoryError):  # pyarrow's own is an `ArrowException` too
        raise
    except (pa.ArrowException, OSError, ValueError, LookupError, TypeError) as error:
        first = str(error).partition("\n")[0][:200] or type(error).__name__
        raise DayError(f"{path} is damaged ({first}): {MEND}") from None


def open_parquet(
    path: Path, expected: pa.Schema, rows: int | None, repeating: list[str]
) -> pq.ParquetFile:
    """The file at `path`, if it has just these columns and `rows` rows in groups that fit memory.

    `rows`: None for a file whose rows are not counted elsewhere. `repeating`: columns that may be
    dictionary-encoded, and are read so. Raises `DayError`.
    """
    with damage_in(path):
        file = pq.ParquetFile(path, read_dictionary=repeating, memory_map=True)
        columns = [_plain(field) for field in file.schema_arrow]
        if not pa.schema(columns).equals(expected, check_metadata=True):
            raise DayError(f"{path} has other columns than the contract's: import the day anew")
        if rows is not None and file.metadata.num_rows != rows:
            count = f"{file.metadata.num_rows:,} rows, and {rows:,} by day.json"
            raise DayError(f"{path} has {count}: {MEND}")
        for number in range(file.num_row_groups):
            _check_group(file.metadata.row_group(number), repeating)
    return file


def _plain(field: pa.Field) -> pa.Field:
    """The field as it is in the file, where it was read as a dictionary."""
    if pa.types.is_dictionary(field.type):
        return field.with_type(field.type.value_type)
    return field


def _check_group(group: pq.RowGroupMetaData, repeating: list[str]) -> None:
    if not 0 < group.num_rows <= GROUP_ROWS:
        raise ValueError(f"a row group of {group.num_rows:,} rows")
    if group.total_byte_size > GROUP_BYTES_MAX:
        raise ValueError(f"a row group of {group.total_byte_size:,} bytes")
    for number in range(group.num_columns):
        column = group.column(number)
        name = column.path_in_schema.partition(".")[0]
        if column.num_values > group.num_rows * events.LEVELS_MAX:
            raise ValueError(f"{name}: {column.num_values:,} values in {group.num_rows:,} rows")
        if column.has_dictionary_page and name not in repeating:
            raise ValueError(f"{name}: encoded with a dictionary")


def check_nulls(table: pa.Table, expected: pa.Schema) -> None:
    """Every buffer of `table` is well formed (text is UTF-8), and nothing required is null."""
    for name in table.column_names:
        column, field = table.column(name), expected.field(name)
        column.validate(full=True)
        if not field.nullable and column.null_count:
            raise ValueError(f"{name}: {column.null_count:,} nulls")


def check_table(table: pa.Table, part: DayPartition) -> None:
    """The values of rows of a part are such as the contract accepts, column by column.

    Raises `ValueError` and pyarrow's errors that say what is wrong.
    """
    check_nulls(table, schema(part.kind))
    if pc.unique(table.column("topic")).to_pylist() != [part.topic]:
        raise ValueError(f"records of another topic than {part.topic}")
    if set(pc.min_max(table.column("partition")).as_py().values()) != {part.partition}:
        raise ValueError(f"records of another partition than {part.partition}")
    for column in COLUMNS[part.kind]:
        if column.type == "ladder":
            _check_ladder(table, column.name)
        elif column.name not in table.column_names:
            continue  # an id column that was not asked for
        elif column.type == "enum":
            others = set(_distinct(table, column.name).to_pylist()) - {None, *column.values}
            if others:
                raise ValueError(f"{column.name}: {min(map(str, others))!a}")
        elif column.type == "text":
            _check_text(_distinct(table, column.name), column.name)
        elif column.type not in ("json", "flag"):
            _check_range(table, column.name, column.low, column.high)
            if column.type == "quantity":
                _check_quantities(table.column(column.name).drop_null().to_numpy(), column.name)
    _check_range(table, APPEND_TS, events.TS_MIN, events.TS_MAX - 1)


def _distinct(table: pa.Table, name: str) -> pa.Array:
    """The values of a text column; where it is encoded with a dictionary, each of them once."""
    array = single_chunk(table, name)
    if isinstance(array, pa.ChunkedArray):
        raise ValueError(f"{name}: more text than a row group may have")
    return array.dictionary if isinstance(array, pa.DictionaryArray) else array


def _check_text(array: pa.Array, name: str) -> None:
    """Not empty, not too long, nothing that cannot be shown, as the contract's texts are."""
    if array.null_count == len(array):
        return
    _, offsets, data = array.buffers()
    bounds = np.frombuffer(offsets, np.int32)[array.offset : array.offset + len(array) + 1]
    text = np.frombuffer(data or b"", np.uint8)[bounds[0] : bounds[-1]]
    # Of ASCII, which most text is, every byte is a character.
    length, hidden = pc.binary_length(array), False
    if len(text) and not ord(" ") < text.min() <= text.max() <= ord("~"):
        every = text.tobytes().decode()
        length, hidden = pc.utf8_length(array), " " in every or not every.isprintable()
    shortest, longest = (pc.min_max(length).as_py()[end] for end in ("min", "max"))
    if shortest < 1 or longest > events.TEXT_MAX or hidden:
        raise ValueError(f"{name}: text that is empty, too long or cannot be shown")


def _check_range(table: pa.Table, name: str, least: int, most: int) -> None:
    limits = pc.min_max(table.column(name)).as_py()
    low, high = limits["min"], limits["max"]
    if low is not None and (low < least or high > most):
        wrong = low if low < least else high
        raise ValueError(f"{name}: {wrong} is beyond the contract's bounds")


def _check_quantities(codes: Int64, name: str) -> None:
    """Below 1 they are on the grid of 1e-8, coarser than that of prices."""
    # A division by one number is vectorised, a remainder is not.
    off_grid = codes // _QUANTITY_STEP * _QUANTITY_STEP != codes
    if off_grid.any() and (np.abs(codes[off_grid]) < stepped.PLAIN_FROM).any():
        raise ValueError(f"{name}: a quantity of more than {stepped.PLAIN} places")


def _check_ladder(table: pa.Table, name: str) -> None:
    """Sizes of both lists agree, numbers are above 0, and the best level comes first."""
    price, quantity = (
        table.column(f"{name}_{what}").combine_chunks() for what in ("price", "quantity")
    )
    size = pc.list_value_length(price).to_numpy(zero_copy_only=False)
    if not np.array_equal(size, pc.list_value_length(quantity).to_numpy(zero_copy_only=False)):
        raise ValueError(f"{name}: prices and quantities differ in number")
    if size.max(initial=0) > events.LEVELS_MAX:
        raise ValueError(f"{name}: {size.max()} levels")
    prices, quantities = price.flatten(), quantity.flatten()
    if prices.null_count or quantities.null_count:
        raise ValueError(f"{name}: levels without a number")
    values, sizes = prices.to_numpy(), quantities.to_numpy()
    row = np.repeat(np.arange(len(size)), size)
    if len(values) and min(values.min(), sizes.min()) <= 0:
        raise ValueError(f"{name}: a level that is not above 0")
    if len(values) and max(values.max(), sizes.max()) > stepped.CODE_MAX:
        raise ValueError(f"{name}: a level beyond the contract's bounds")
    _check_quantities(sizes, name)
    better = values[1:] > values[:-1] if name == "asks" else values[1:] < values[:-1]
    if not better[row[1:] == row[:-1]].all():
        raise ValueError(f"{name}: levels that are not best first")


def check_batch(batch: Batch, next_offset: int, end_offset: int) -> None:
    """What concerns several columns: offsets rise from `next_offset` on and stay below
    `end_offset`, and the contract accepts whole records of which columns alone do not show it."""
    if not len(batch):
        return
    if (batch.offset[1:] <= batch.offset[:-1]).any():
        raise ValueError("offset: they do not rise")
    if batch.offset[0] < next_offset or batch.offset[-1] >= end_offset:
        raise ValueError(f"offset: not from {next_offset} to below {end_offset}")
    for column in text_columns(batch.kind):
        if column.type == "json" and batch.kind != "reference":
            _check_json(batch, column.name)
    undecided = _undecided_rows(batch)
    if len(undecided):
        judged = batch.select_rows(undecided)
        source = batch.kind, batch.topic, batch.partition, judged.offset
        verdict = codec.decode(*source, codec.encode(judged))
        if verdict.refused:
            refused = verdict.refused[0]
            raise ValueError(f"offset {refused.offset}: {refused.reason} {refused.detail}")
        _check_times(verdict, judged.numbers["ts"])


def _check_times(records: Batch, times: Int64) -> None:
    if not np.array_equal(records.numbers["ts"], times):
        raise ValueError("ts: other times than in the records themselves")


class _PlainSource(msgspec.Struct):
    """A source as nearly all are. The model decides the others, at twenty times the cost."""

    name: Annotated[str, msgspec.Meta(pattern=rf"\A[!-~]{{1,{events.TEXT_MAX}}}\Z")]
    price: Annotated[
        str, msgspec.Meta(pattern=r"\A(?:[1-9][0-9]{0,14}(?:\.[0-9]{1,8})?|0\.[0-9]{0,17}[1-9])\Z")
    ]
    ts: Annotated[int, msgspec.Meta(ge=events.TS_MIN, lt=events.TS_MAX)]


_PLAIN_SOURCES = msgspec.json.Decoder(Annotated[list[_PlainSource], msgspec.Meta(max_length=32)])


def _check_json(batch: Batch, name: str) -> None:
    """The model of a nested field accepts its text in every row that has one."""
    for text in filter(None, batch.texts[name].to_strings()):
        try:
            _PLAIN_SOURCES.decode(text)
        except msgspec.MsgspecError:
            _json_adapter(batch.kind, name).validate_json(text)


@cache
def _json_adapter(kind: str, name: str) -> TypeAdapter[Any]:
    """The model of a nested field."""
    return TypeAdapter(events.KINDS[kind].model_fields[name].annotation)


def _undecided_rows(batch: Batch) -> Int64:
    """Rows that only the whole record decides: rules, and those whose notional may be too much."""
    if batch.kind == "reference":
        positions, are_positions = codec.decode_positions(batch)
        _check_times(positions, batch.numbers["ts"][are_positions])
        return np.flatnonzero(~are_positions)
    if not {"price", "quantity"} <= batch.numbers.keys():
        return np.empty(0, np.int64)
    price, quantity = (batch.numbers[name] for name in ("price", "quantity"))
    # Codes rise with the numbers that they stand for.
    most = np.array([price.max(), quantity.max()])
    if most.min() <= 0 or to_floats(most).prod() < _NOTIONAL_SURE:
        return np.empty(0, np.int64)
    notional = to_floats(price) * to_floats(quantity)
    return np.flatnonzero((price > 0) & (quantity > 0) & (notional >= _NOTIONAL_SURE))
