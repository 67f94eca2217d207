"""The fast path of decoding: a table-driven scanner of flat JSON records, straight to columns.

It reads only records about which it is certain, and leaves all others *undecided* (escapes, text
beyond ASCII, exponents, nested values, duplicates, anything wrong) for `validate.py`: it never
refuses a record itself. Its table is derived from `batch.COLUMNS`, and so from the models; a
property test checks that both accept the same bytes with the same values.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from monitor.core.contract import events
from monitor.core.decode import batch
from monitor.core.decode import scanner_kernel as kernel
from monitor.core.decode.batch import ABSENT, Int64

_TYPES = {
    "time": kernel.INTEGER, "count": kernel.INTEGER, "e8": kernel.DECIMAL, "e6": kernel.DECIMAL,
    "text": kernel.TEXT, "enum": kernel.ENUM, "flag": kernel.ENUM, "ladder": kernel.LADDER,
    "json": kernel.JSON,
}  # fmt: skip
_DIGITS_OF = {"e8": 8, "e6": 6, "ladder": 8}


class FieldTable(NamedTuple):
    """A kind as the scanner needs it.

    `fields`: (field, 9), see `NAME` … `DIGITS`. `enum_values`: (value, 3), start and length in
    `names`, code. `required`: bit set of the fields that must be there. `price`, `quantity`: rows
    of the numbers whose product is bounded, or -1.
    """

    fields: Int64
    enum_values: Int64
    names: NDArray[np.uint8]
    required: int
    price: int
    quantity: int


@cache
def field_table(kind: str) -> FieldTable:
    """Derive the scanner's table of `kind` from the columns of its model."""
    names = bytearray()
    values: list[list[int]] = []
    fields: list[list[int]] = []
    slots = {
        c.name: i
        for group in (batch.number_columns, batch.text_columns, batch.ladder_columns)
        for i, c in enumerate(group(kind))
    }

    def place(text: str) -> list[int]:
        names.extend(text.encode())
        return [len(names) - len(text), len(text)]

    kind_column = batch.Column("kind", "enum", True, values=(kind,))
    columns = (kind_column, *batch.COLUMNS[kind])
    for column in columns:
        # Values carry their quotation marks, so that `true` is a value like any other.
        texts = [(f'"{value}"', column.code(value)) for value in column.values]
        if column.type == "flag":
            texts = [("false", 0), ("true", 1)]
        low = 1 if column.type == "ladder" else column.low
        slot = slots.get(column.name, -1)
        row = [*place(column.name), _TYPES[column.type], slot, low, column.high]
        end = len(values) + len(texts)
        fields.append([*row, len(values), end, _DIGITS_OF.get(column.type, 0)])
        values += [[*place(text), code] for text, code in texts]
    sized = issubclass(events.KINDS[kind], events.SizedEvent)
    required = sum(1 << i for i, column in enumerate(columns) if column.required)
    bounded = (slots["price"], slots["quantity"]) if sized else (-1, -1)
    arrays = np.array(fields, np.int64), np.array(values, np.int64)
    return FieldTable(*arrays, np.frombuffer(bytes(names), np.uint8), required, *bounded)


@dataclass(slots=True)
class Draft:
    """The rows of a batch before all of them are decided.

    `numbers`: (number column, row), `ABSENT` where there is none. `start`, `length`: (text column,
    row), spans of `buffer`; length -1 where there is none. `first`, `levels`: (ladder, row), the
    first level in `price` and `quantity` (ladder, level), and how many; `used`: of each ladder.
    """

    kind: str
    buffer: bytes
    numbers: Int64
    start: Int64
    length: Int64
    first: Int64
    levels: Int64
    price: Int64
    quantity: Int64
    used: Int64
    undecided: NDArray[np.bool_]


def empty_draft(kind: str, rows: int, buffer: bytes = b"", levels: int = 0) -> Draft:
    """An empty draft, all of it undecided, with room for `levels` levels a side."""
    numbers = np.full((len(batch.number_columns(kind)), rows), ABSENT, np.int64)
    length = np.full((len(batch.text_columns(kind)), rows), -1, np.int64)
    first = np.zeros((2 if batch.ladder_columns(kind) else 0, rows), np.int64)
    price = np.empty((len(first), levels), np.int64)
    spans = np.zeros_like(length), length, first, first.copy(), price, np.empty_like(price)
    return Draft(kind, buffer, numbers, *spans, np.zeros(2, np.int64), np.ones(rows, np.bool_))


def scan(kind: str, raws: Sequence[bytes]) -> Draft:
    """Read the records of one kind; leave those that are not plain undecided."""
    rows = len(raws)
    buffer = kernel.END.join([*raws, bytes(64)])  # room for a look past the last record's end
    if kind == "reference":  # rare, and of many shapes: all undecided
        return empty_draft(kind, rows, buffer)
    size = np.fromiter(map(len, raws), np.int64, rows)
    begin = np.zeros(rows, np.int64)
    np.cumsum(size[:-1] + 1, out=begin[1:])
    # A level takes six bytes at least: `[1,1],`. Pages that are not written cost nothing.
    room = min(rows * events.LEVELS_MAX, len(buffer) // 5) if kind == "book" else 0
    out = empty_draft(kind, rows, buffer, room)
    out.undecided[:] = False
    kernel.scan_records(
        np.frombuffer(buffer, np.uint8), begin, size, *field_table(kind), out.numbers, out.start,
        out.length, out.first, out.levels, out.price, out.quantity, out.used, out.undecided,
    )  # fmt: skip
    return out
