"""A batch of decoded records of one topic partition, as columns.

The columns of each kind are derived from the models of `monitor/core/contract/events.py`. Numbers
are int64 on the contract's grid, `ABSENT` where a record has none. A value of an enumeration is its
index in the `Literal` (sides: buy 1, sell -1). Text stays as spans of bytes until a shard interns
it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, get_args, get_origin

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from monitor.core.contract import events, fixed_point, stepped

Int64 = NDArray[np.int64]

ABSENT = -(2**63)
"""An optional number that a record does not have; `quantise` never gives it."""

ColumnType = Literal[
    "time", "count", "price", "quantity", "e8", "e6", "text", "enum", "flag", "ladder", "json"
]
STEPPED_TYPES = ("price", "quantity")
"""Types of the columns that hold codes of stepped decimals."""
NUMBER_TYPES = ("time", "count", *STEPPED_TYPES, "e8", "e6", "enum", "flag")
"""Types of the columns that live in `Batch.numbers`."""


@dataclass(frozen=True, slots=True)
class Column:
    """One field of a kind, as it stands in a batch and in a recorded day."""

    name: str
    type: ColumnType
    required: bool
    low: int = ABSENT + 1
    high: int = fixed_point.INT64_MAX
    values: tuple[str, ...] = ()
    """The values of an enumeration, in the order of their codes."""

    def code(self, value: str) -> int:
        """The integer that stands for `value`: 1 and -1 for sides, else its index."""
        index = self.values.index(value)
        return 1 - 2 * index if self.name == "side" else index

    def value(self, code: int) -> str:
        """The inverse of `code`."""
        return self.values[(1 - code) // 2 if self.name == "side" else code]


def _unwrap(annotation: Any) -> tuple[Any, list[Any]]:
    """Strip `Annotated` and `| None`; return the bare type and all metadata stripped."""
    metadata: list[Any] = []
    while True:
        if hasattr(annotation, "__metadata__"):
            metadata += annotation.__metadata__
            annotation = annotation.__origin__
        elif type(None) in get_args(annotation):
            (annotation,) = (a for a in get_args(annotation) if a is not type(None))
        else:
            return annotation, metadata


def derive_column(name: str, model: type[BaseModel]) -> Column:
    """How a field of a model stands in a batch."""
    info = model.model_fields[name]
    bare, metadata = _unwrap(info.annotation)
    metadata += info.metadata
    required = info.is_required()
    if get_origin(bare) is Literal:
        return Column(name, "enum", required, values=get_args(bare))
    if bare in (bool, str):
        return Column(name, "flag" if bare is bool else "text", required)
    if bare is list or get_origin(bare) is list:
        return Column(name, "ladder" if name in ("bids", "asks") else "json", required)
    low, high = ABSENT + 1, fixed_point.INT64_MAX
    grids = [m.func for m in metadata if hasattr(m, "func")]
    bounds = [m for m in metadata if not hasattr(m, "func")]
    for entry in bounds:
        for bound in [entry, *getattr(entry, "metadata", ())]:
            low = max(low, getattr(bound, "ge", low), getattr(bound, "gt", low - 1) + 1)
            high = min(high, getattr(bound, "le", high), getattr(bound, "lt", high + 1) - 1)
    is_price = events._read_price in grids
    if is_price or events._read_quantity in grids:
        low, high = max(low, -stepped.CODE_MAX), min(high, stepped.CODE_MAX)
        return Column(name, "price" if is_price else "quantity", required, low, high)
    if any(f is events._read_integer for f in grids):
        return Column(name, "time" if low == events.TS_MIN else "count", required, low, high)
    scale = next(f.__closure__[0].cell_contents for f in grids if getattr(f, "__closure__", None))
    return Column(name, "e8" if scale == fixed_point.SCALE else "e6", required, low, high)


def _columns(kind: str) -> tuple[Column, ...]:
    if kind == "reference":
        # Rules are rare and of many shapes: the engine parses them from their JSON.
        times = (derive_column(name, events.MarketReference) for name in ("ts", "seq"))
        return *times, Column("symbol", "text", False), Column("payload", "json", True)
    model = events.KINDS[kind]
    return tuple(derive_column(name, model) for name in model.model_fields if name != "kind")


COLUMNS: dict[str, tuple[Column, ...]] = {kind: _columns(kind) for kind in events.KINDS}
"""The columns of each kind, in the order of the model's fields."""
POSITION = "position"
"""Of the shapes of a reference record the one that comes by the million: it has its own columns."""
_POSITION_COLUMNS = tuple(
    derive_column(name, events.PositionReference)
    for name in events.PositionReference.model_fields
    if name != "kind"
)


def columns_of(kind: str) -> tuple[Column, ...]:
    """The columns of a kind, or of `POSITION`."""
    return _POSITION_COLUMNS if kind == POSITION else COLUMNS[kind]


@dataclass(slots=True)
class TextColumn:
    """A column of text: row i is `buffer[start[j] : start[j] + length[j]]`, UTF-8, where j is
    `codes[i]` (or i when there are no codes). Absent: code -1, or length -1.
    """

    buffer: NDArray[np.uint8]
    start: Int64
    length: Int64
    codes: Int64 | None = None

    @classmethod
    def end_to_end(cls, buffer: NDArray[np.uint8], length: Int64) -> TextColumn:
        """The texts of these lengths (-1: absent) that the buffer holds one after another."""
        size = np.maximum(length, 0)
        return cls(buffer, np.cumsum(size) - size, length)

    @classmethod
    def from_strings(cls, texts: Sequence[str | None]) -> TextColumn:
        """Make a column from Python strings (`None`: absent)."""
        raw = [None if text is None else text.encode() for text in texts]
        length = np.array([-1 if text is None else len(text) for text in raw], np.int64)
        return cls.end_to_end(np.frombuffer(b"".join(filter(None, raw)), np.uint8), length)

    @classmethod
    def absent(cls, rows: int) -> TextColumn:
        """A column of `rows` rows, absent in each."""
        empty = np.zeros(0, np.int64)
        return cls(np.zeros(0, np.uint8), empty, empty, np.full(rows, -1, np.int64))

    def compact(self) -> TextColumn:
        """The same rows in a buffer that holds nothing else, end to end and without codes."""
        start, length = self.start, self.length
        if self.codes is not None:
            start, length = np.append(start, 0)[self.codes], np.append(length, -1)[self.codes]
        used = self.buffer[expand_spans(start, np.maximum(length, 0))]
        return TextColumn.end_to_end(used, length.astype(np.int64))

    def to_strings(self) -> list[str | None]:
        """The column as Python strings: slow, for few rows."""
        data = self.buffer.tobytes()
        spans = zip(self.start.tolist(), self.length.tolist(), strict=True)
        every = [data[s : s + n].decode() if n >= 0 else None for s, n in spans]
        if self.codes is None:
            return every
        return [every[c] if c >= 0 else None for c in self.codes.tolist()]

    def select_rows(self, rows: NDArray[Any] | slice) -> TextColumn:
        """The given rows, in the given order; of a slice views, without a copy."""
        if self.codes is not None:
            return TextColumn(self.buffer, self.start, self.length, self.codes[rows])
        return TextColumn(self.buffer, self.start[rows], self.length[rows])


def expand_spans(start: Int64, size: Int64) -> Int64:
    """The index of every member of spans that begin at `start`, one span after another."""
    end = np.cumsum(size)
    return np.repeat(start - end + size, size) + np.arange(size.sum())


class Ladder(NamedTuple):
    """One side of many books: row i holds levels `offset[i]` up to `offset[i + 1]`."""

    offset: Int64
    price: Int64
    quantity: Int64

    def read_only(self) -> Ladder:
        """The same levels in arrays that cannot be written: one type for compiled code."""
        out = Ladder(*(column.view() for column in self))
        for column in out:
            column.flags.writeable = False
        return out

    def select_rows(self, rows: NDArray[Any]) -> Ladder:
        """The given rows, in the given order."""
        size = np.diff(self.offset)[rows]
        levels = expand_spans(self.offset[:-1][rows], size)
        return Ladder(np.append(0, np.cumsum(size)), self.price[levels], self.quantity[levels])


@dataclass(slots=True)
class RefusedRecord:
    """A record that the contract does not accept, with all that resending it needs."""

    topic: str
    partition: int
    offset: int
    reason: str
    """One of `codec.REASONS`."""
    detail: str
    raw: bytes


@dataclass(slots=True)
class Batch:
    """Decoded records of one kind from one topic partition, in offset order.

    `refused` lists the records between them that the contract does not accept. `left_out`: how many
    numbers were out of range and are absent from their accepted records, by `kind.field`.
    `append_ts`: when the broker appended each record, ns UTC; `ABSENT` where only the producer
    says; None: of no record.
    """

    kind: str
    topic: str
    partition: int
    offset: Int64
    numbers: dict[str, Int64] = field(default_factory=dict)
    texts: dict[str, TextColumn] = field(default_factory=dict)
    ladders: dict[str, Ladder] = field(default_factory=dict)
    refused: list[RefusedRecord] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    append_ts: Int64 | None = None

    def __len__(self) -> int:
        return len(self.offset)

    def select_rows(self, rows: NDArray[Any] | slice) -> Batch:
        """The given rows (index, mask or slice), without the refused records."""
        index = np.arange(len(self))[rows]
        numbers = {name: column[index] for name, column in self.numbers.items()}
        texts = {name: column.select_rows(index) for name, column in self.texts.items()}
        ladders = {name: column.select_rows(index) for name, column in self.ladders.items()}
        source = self.kind, self.topic, self.partition
        times = None if self.append_ts is None else self.append_ts[index]
        return Batch(*source, self.offset[index], numbers, texts, ladders, append_ts=times)

    def with_more(self, more: Batch) -> Batch:
        """Its rows, then those of a batch of the same topic partition; no refused records."""
        n, m = len(self), len(more)
        join = np.concatenate
        numbers = {k: join((column, more.numbers[k])) for k, column in self.numbers.items()}
        texts = {k: _join_texts(text, more.texts[k]) for k, text in self.texts.items()}
        ladders = {k: _join_ladders(side, more.ladders[k]) for k, side in self.ladders.items()}
        times = None
        if self.append_ts is not None or more.append_ts is not None:
            times = join((_times_of(self.append_ts, n), _times_of(more.append_ts, m)))
        source = self.kind, self.topic, self.partition
        offset = join((self.offset, more.offset))
        return Batch(*source, offset, numbers, texts, ladders, append_ts=times)


def _times_of(times: Int64 | None, rows: int) -> Int64:
    return np.full(rows, ABSENT) if times is None else times


def _join_texts(first: TextColumn, second: TextColumn) -> TextColumn:
    parts = first.compact(), second.compact()
    buffer = np.concatenate([part.buffer for part in parts])
    return TextColumn.end_to_end(buffer, np.concatenate([part.length for part in parts]))


def _join_ladders(first: Ladder, second: Ladder) -> Ladder:
    low, high = second.offset[0], second.offset[-1]
    size = first.offset[-1] - first.offset[0]
    levels = (
        np.concatenate((a[first.offset[0] : first.offset[-1]], b[low:high]))
        for a, b in ((first.price, second.price), (first.quantity, second.quantity))
    )
    offset = np.concatenate((first.offset - first.offset[0], second.offset[1:] - low + size))
    return Ladder(offset, *levels)


def number_columns(kind: str) -> list[Column]:
    """The columns of `kind` that live in `Batch.numbers`."""
    return [c for c in columns_of(kind) if c.type in NUMBER_TYPES]


def text_columns(kind: str) -> list[Column]:
    """The columns of `kind` that live in `Batch.texts` (JSON text included)."""
    return [c for c in columns_of(kind) if c.type in ("text", "json")]


def ladder_columns(kind: str) -> list[Column]:
    """The columns of `kind` that live in `Batch.ladders`."""
    return [c for c in columns_of(kind) if c.type == "ladder"]
