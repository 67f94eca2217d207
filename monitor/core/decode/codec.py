"""Bytes ↔ batches: how a record becomes a row of columns, and how a row becomes canonical JSON.

The fast path is the scanner of flat JSON records (`scanner.py`), whose table is derived here from
`batch.COLUMNS`, and so from the models. It reads only records about which it is certain, and leaves
all others *undecided* (escapes, text beyond ASCII, exponents, nested values, duplicates, anything
wrong) for `validate.py`: it never refuses a record itself. A property test checks that both accept
the same bytes with the same values.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import cache
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from monitor.core.contract import events, fixed_point, stepped
from monitor.core.decode import batch, scanner
from monitor.core.decode.batch import ABSENT, Batch, Column, Int64, RefusedRecord, TextColumn
from monitor.core.decode.packed import PackedRecords
from monitor.core.decode.validate import REASONS, kind_of, validate_record

__all__ = [
    "REASONS", "UNKNOWN", "batch_from_events", "decode", "encode", "kind_of", "validate_record",
]  # fmt: skip

UNKNOWN = "unknown"
"""Kind (and topic) of records that name no kind of the contract; all of them are refused."""
_TYPES = {
    "time": scanner.INTEGER, "count": scanner.INTEGER, "price": scanner.DECIMAL,
    "quantity": scanner.DECIMAL, "e8": scanner.DECIMAL, "e6": scanner.DECIMAL, "text": scanner.TEXT,
    "enum": scanner.ENUM, "flag": scanner.ENUM, "ladder": scanner.LADDER, "json": scanner.JSON,
}  # fmt: skip
_DIGITS_OF = {
    "price": scanner.PRICE_DIGITS, "quantity": scanner.QUANTITY_DIGITS, "e8": 8, "e6": 6,
}  # fmt: skip


def _compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _json_text(event: BaseModel, name: str) -> str | None:
    """The canonical JSON of a nested field, or of the whole event where it has no such field."""
    fields = event.model_dump(mode="json", exclude_none=True)
    if name in type(event).model_fields:
        return _compact(fields[name]) if name in fields else None
    return _compact({"kind": fields.pop("kind"), **fields})


class FieldTable(NamedTuple):
    """A kind as the scanner needs it.

    `fields`: (field, 9), see `scanner.NAME` … `DIGITS`. `enum_values`: (value, 3), start and length
    in `names`, code. `required`: bit set of the fields that must be there. `price`, `quantity`:
    rows of the numbers whose product is bounded, or -1.
    """

    fields: Int64
    enum_values: Int64
    names: NDArray[np.uint8]
    required: int
    price: int
    quantity: int


@cache
def field_table(kind: str) -> FieldTable:
    """Derive the scanner's table of `kind`, or of `POSITION`, from the columns of its model."""
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

    record_kind = "reference" if kind == batch.POSITION else kind
    kind_column = batch.Column("kind", "enum", True, values=(record_kind,))
    columns = (kind_column, *batch.columns_of(kind))
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
    sized = kind != batch.POSITION and issubclass(events.KINDS[kind], events.SizedEvent)
    required = sum(1 << i for i, column in enumerate(columns) if column.required)
    bounded = (slots["price"], slots["quantity"]) if sized else (-1, -1)
    arrays = np.array(fields, np.int64), np.array(values, np.int64)
    return FieldTable(*arrays, np.frombuffer(bytes(names), np.uint8), required, *bounded)


_NO_BYTES = np.frombuffer(b"", np.uint8)


class Draft:
    """The rows of a batch before all of them are decided, with room for `room` levels a side.

    `numbers`: (number column, row), `ABSENT` where there is none. `start`, `length`: (text column,
    row), spans of `buffer`; length -1 where there is none. `first`, `levels`: (ladder, row), the
    first level in `price` and `quantity` (ladder, level), and how many; `used`: of each ladder.
    """

    def __init__(
        self, kind: str, rows: int, buffer: NDArray[np.uint8] = _NO_BYTES, room: int = 0
    ) -> None:
        self.kind, self.buffer = kind, buffer
        self._numbers = batch.number_columns(kind)
        self._codes = [{value: c.code(value) for value in c.values} for c in self._numbers]
        self._texts, self._ladders = batch.text_columns(kind), batch.ladder_columns(kind)
        self.numbers = np.full((len(self._numbers), rows), ABSENT, np.int64)
        self.length = np.full((len(self._texts), rows), -1, np.int64)
        self.start = np.zeros_like(self.length)
        self.first, self.levels = np.zeros((2, len(self._ladders), rows), np.int64)
        self.price, self.quantity = np.empty((2, len(self._ladders), room), np.int64)
        self.used = np.zeros(2, np.int64)
        self.undecided = np.ones(rows, np.bool_)
        # What the models decided: its text stands behind the buffer, its levels behind the others.
        self._more_text: list[bytes] = []
        self._text_end = len(buffer)
        self._more_levels: list[list[tuple[int, int]]] = [[] for _ in self._ladders]

    def fill(self, row: int, event: Any) -> None:
        """Write every column of `row`, which the scanner left undecided."""
        for i, column in enumerate(self._numbers):
            value = getattr(event, column.name)
            if value is None:
                self.numbers[i, row] = ABSENT
            else:
                self.numbers[i, row] = self._codes[i][value] if column.values else value
        for i, column in enumerate(self._texts):
            text: str | None = getattr(event, column.name, None)
            if column.type == "json":
                text = _json_text(event, column.name)
            raw = b"" if text is None else text.encode()
            self.start[i, row] = self._text_end
            self.length[i, row] = -1 if text is None else len(raw)
            self._more_text.append(raw)
            self._text_end += len(raw)
        for i, column in enumerate(self._ladders):
            levels = getattr(event, column.name)
            self.first[i, row] = self.used[i] + len(self._more_levels[i])
            self.levels[i, row] = len(levels)
            self._more_levels[i] += levels

    def _ladder(self, i: int, rows: Int64 | None) -> batch.Ladder:
        """Ladder column `i` of these rows; `None`: of all, as the scanner wrote them."""
        count, first = self.levels[i], self.first[i]
        price, quantity = self.price[i, : self.used[i]], self.quantity[i, : self.used[i]]
        if rows is not None:
            count, first = count[rows], first[rows]
            more = np.array(self._more_levels[i], np.int64).reshape(-1, 2).T
            levels = batch.expand_spans(first, count)
            price, quantity = (
                np.concatenate(both)[levels] for both in zip((price, quantity), more, strict=True)
            )
        return batch.Ladder(np.append(0, np.cumsum(count)), price, quantity)

    def build(
        self, topic: str, partition: int, offset: Int64, refused: list[RefusedRecord], rows: Any
    ) -> Batch:
        """The draft as a batch of the accepted `rows`.

        `None`: all of them, and the scanner decided each.
        """
        numbers, start, length = self.numbers, self.start, self.length
        if refused:  # the kernels need each column contiguous in memory
            offset = offset[rows]
            numbers, start, length = (m[:, rows].copy() for m in (numbers, start, length))
        buffer = self.buffer
        if self._more_text:
            buffer = np.frombuffer(b"".join([buffer.data, *self._more_text]), np.uint8)
        values = {c.name: numbers[i] for i, c in enumerate(self._numbers)}
        spans = zip(self._texts, start, length, strict=True)
        texts = {c.name: TextColumn(buffer, first, size) for c, first, size in spans}
        ladders = {c.name: self._ladder(i, rows) for i, c in enumerate(self._ladders)}
        return Batch(self.kind, topic, partition, offset, values, texts, ladders, refused)


def scan(kind: str, raws: Sequence[bytes]) -> Draft:
    """Read the records of one kind; leave those that are not plain undecided."""
    packed = raws if isinstance(raws, PackedRecords) else PackedRecords.pack(raws)
    rows, buffer = len(packed), packed.buffer
    if kind == "reference":  # rare, and of many shapes: all undecided
        return Draft(kind, rows, buffer)
    # A level takes six bytes at least: `[1,1],`. Pages that are not written cost nothing.
    room = min(rows * events.LEVELS_MAX, len(buffer) // 5) if kind == "book" else 0
    out = Draft(kind, rows, buffer, room)
    out.undecided[:] = False
    scanner.scan_records(
        buffer, packed.begin, packed.size, *field_table(kind), out.numbers, out.start, out.length,
        out.first, out.levels, out.price, out.quantity, out.used, out.undecided,
    )  # fmt: skip
    return out


def decode(kind: str, topic: str, partition: int, offset: Int64, raws: Sequence[bytes]) -> Batch:
    """Decode the records of one kind from one topic partition.

    `offset`: of each record, rising. `raws`: those that are packed are not copied. `kind`: one of
    `events.KINDS`, or `UNKNOWN` for records of which `kind_of` gives `None`. Records that the
    contract does not accept are in `refused`, with their bytes. A number out of range that a record
    need not have costs only itself (`left_out`).

    >>> raw = [b'{"kind":"cancel","ts":1764000000000000000,"symbol":"X","price":"0.5"}', b"?"]
    >>> b = decode("cancel", "cancels", 0, np.array([7, 8]), raw)
    >>> b.numbers["price"].tolist(), b.refused[0].offset, b.refused[0].reason
    ([500000000000000000], 8, 'not_json')
    """
    if len(offset) != len(raws):
        raise ValueError(f"{len(raws)} records need as many offsets, not {len(offset)}")
    if kind == UNKNOWN:
        return _refuse_all(topic, partition, offset, raws)
    draft = scan(kind, raws)
    undecided = np.flatnonzero(draft.undecided)
    keep = np.ones(len(raws), np.bool_)
    refused: list[RefusedRecord] = []
    left_out: list[str] = []
    for row in undecided.tolist():
        verdict = validate_record(raws[row], kind, left_out)
        if isinstance(verdict, BaseModel):
            draft.fill(row, verdict)
        else:
            keep[row] = False
            refused.append(RefusedRecord(topic, partition, int(offset[row]), *verdict, raws[row]))
    rows = np.flatnonzero(keep) if len(undecided) else None
    out = draft.build(topic, partition, offset, refused, rows)
    out.left_out.update(f"{kind}.{name}" for name in left_out)
    return out


def decode_positions(references: Batch) -> tuple[Batch, NDArray[np.bool_]]:
    """The rows of a batch of reference records that are positions, as a batch of `POSITION`.

    Second: which rows of `references` those are.
    """
    raws = [(text or "").encode() for text in references.texts["payload"].to_strings()]
    draft = scan(batch.POSITION, raws)
    are_positions = np.ones(len(raws), np.bool_)
    for row in np.flatnonzero(draft.undecided).tolist():
        event = validate_record(raws[row], "reference")
        if isinstance(event, events.PositionReference):
            draft.fill(row, event)
        else:
            are_positions[row] = False
    source = references.topic, references.partition, references.offset
    return draft.build(*source, [], None).select_rows(are_positions), are_positions


def _refuse_all(topic: str, partition: int, offset: Int64, raws: Sequence[bytes]) -> Batch:
    out = Batch(UNKNOWN, topic, partition, offset[:0])
    for at, raw in zip(offset.tolist(), raws, strict=True):
        verdict = validate_record(raw, None)
        if isinstance(verdict, BaseModel):
            raise ValueError(f"a record of known kind ({kind_of(raw)}) among the unknown ones")
        out.refused.append(RefusedRecord(topic, partition, at, *verdict, raw))
    return out


def batch_from_events(
    kind: str, topic: str, partition: int, offset: Int64, valid: Sequence[BaseModel]
) -> Batch:
    """A batch of valid events, as a venue's adapter creates them."""
    if len(offset) != len(valid):
        raise ValueError(f"{len(valid)} events need as many offsets, not {len(offset)}")
    draft = Draft(kind, len(valid))
    for row, event in enumerate(valid):
        draft.fill(row, event)
    return draft.build(topic, partition, offset, [], np.arange(len(valid)))


def _number_formatter(column: Column) -> Callable[[int], str]:
    """How a number of this column is written as JSON."""
    name = _compact(column.name)
    if column.type == "flag":
        return lambda value: f"{name}:true" if value else f"{name}:false"
    if column.type == "enum":
        texts = {column.code(value): f"{name}:{_compact(value)}" for value in column.values}
        return lambda code: texts[code]
    if column.type in ("time", "count"):
        return lambda value: f"{name}:{value}"
    if column.type in batch.STEPPED_TYPES:
        return lambda value: f'{name}:"{stepped.format_code(value)}"'
    scale = fixed_point.SCALE if column.type == "e8" else fixed_point.MONEY_SCALE
    return lambda value: f'{name}:"{fixed_point.format_decimal(value, scale)}"'


def _column_as_json(b: Batch, column: Column) -> list[str]:
    """One column as `"name":value` by row, empty where absent."""
    if column.name in b.numbers:
        write = _number_formatter(column)
        return [write(v) if v != ABSENT else "" for v in b.numbers[column.name].tolist()]
    name = _compact(column.name)
    if column.name in b.texts:
        write = str if column.type == "json" else _compact
        texts = b.texts[column.name].to_strings()
        return [f"{name}:{write(text)}" if text is not None else "" for text in texts]
    ladder = b.ladders[column.name]
    price, quantity = (
        [f'"{stepped.format_code(code)}"' for code in values.tolist()]
        for values in (ladder.price, ladder.quantity)
    )
    levels = [f"[{p},{q}]" for p, q in zip(price, quantity, strict=True)]
    ends = ladder.offset.tolist()
    return [f"{name}:[{','.join(levels[a:z])}]" for a, z in pairwise(ends)]


def encode(b: Batch) -> list[bytes]:
    """Canonical JSON of every row, in the order of the model's fields: the inverse of `decode`."""
    if b.kind == "reference":  # the payload is the whole record
        return [(text or "").encode() for text in b.texts["payload"].to_strings()]
    columns = [_column_as_json(b, c) for c in batch.COLUMNS[b.kind]]
    head = f'{{"kind":"{b.kind}",'
    return [
        (head + ",".join(filter(None, row)) + "}").encode() for row in zip(*columns, strict=True)
    ]
