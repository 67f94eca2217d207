"""Bytes ↔ batches: the scanner reads plain records, pydantic's models judge the rest.

How a record becomes a row of columns, and how a row becomes canonical JSON.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from pydantic import BaseModel

from monitor.core.contract import fixed_point
from monitor.core.decode import batch
from monitor.core.decode.batch import ABSENT, Batch, Column, Int64, RefusedRecord, TextColumn
from monitor.core.decode.scanner import Draft, empty_draft, scan
from monitor.core.decode.validate import REASONS, kind_of, validate_record

__all__ = [
    "REASONS", "UNKNOWN", "batch_from_events", "decode", "encode", "kind_of", "validate_record",
]  # fmt: skip

UNKNOWN = "unknown"
"""Kind (and topic) of records that name no kind of the contract; all of them are refused."""


def _compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _json_text(event: BaseModel, name: str) -> str | None:
    """The canonical JSON of a nested field, or of the whole event where it has no such field."""
    fields = event.model_dump(mode="json", exclude_none=True)
    if name in type(event).model_fields:
        return _compact(fields[name]) if name in fields else None
    return _compact({"kind": fields.pop("kind"), **fields})


class _DraftFiller:
    """Writes validated events into the rows of a draft that the scanner left undecided."""

    def __init__(self, draft: Draft) -> None:
        self.draft = draft
        self.numbers = batch.number_columns(draft.kind)
        self.codes = [{value: c.code(value) for value in c.values} for c in self.numbers]
        self.texts = batch.text_columns(draft.kind)
        self.ladders = batch.ladder_columns(draft.kind)
        self.extra_text: list[bytes] = []
        self.extra_text_end = len(draft.buffer)
        self.levels: list[list[tuple[int, int]]] = [[] for _ in self.ladders]

    def fill(self, row: int, event: Any) -> None:
        """Write every column of `row`."""
        draft = self.draft
        for i, column in enumerate(self.numbers):
            value = getattr(event, column.name)
            if value is None:
                draft.numbers[i, row] = ABSENT
            else:
                draft.numbers[i, row] = self.codes[i][value] if column.values else value
        for i, column in enumerate(self.texts):
            text: str | None = getattr(event, column.name, None)
            if column.type == "json":
                text = _json_text(event, column.name)
            raw = b"" if text is None else text.encode()
            draft.start[i, row] = self.extra_text_end
            draft.length[i, row] = -1 if text is None else len(raw)
            self.extra_text.append(raw)
            self.extra_text_end += len(raw)
        for i, column in enumerate(self.ladders):
            levels = getattr(event, column.name)
            draft.first[i, row] = draft.used[i] + len(self.levels[i])
            draft.levels[i, row] = len(levels)
            self.levels[i] += levels

    def _ladder(self, i: int, rows: Int64 | None) -> batch.Ladder:
        """Ladder column `i` of these rows; `None`: of all, as the scanner wrote them."""
        draft = self.draft
        count, first = draft.levels[i], draft.first[i]
        price, quantity = draft.price[i, : draft.used[i]], draft.quantity[i, : draft.used[i]]
        if rows is not None:
            count, first = count[rows], first[rows]
            more = np.array(self.levels[i], np.int64).reshape(-1, 2).T
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
        draft = self.draft
        numbers, start, length = draft.numbers, draft.start, draft.length
        if refused:  # the kernels need each column contiguous in memory
            offset = offset[rows]
            numbers, start, length = (m[:, rows].copy() for m in (numbers, start, length))
        buffer = np.frombuffer(b"".join([draft.buffer, *self.extra_text]), np.uint8)
        values = {c.name: numbers[i] for i, c in enumerate(self.numbers)}
        spans = zip(self.texts, start, length, strict=True)
        texts = {c.name: TextColumn(buffer, first, size) for c, first, size in spans}
        ladders = {c.name: self._ladder(i, rows) for i, c in enumerate(self.ladders)}
        return Batch(draft.kind, topic, partition, offset, values, texts, ladders, refused)


def decode(kind: str, topic: str, partition: int, offset: Int64, raws: Sequence[bytes]) -> Batch:
    """Decode the records of one kind from one topic partition.

    `offset`: of each record, rising. `kind`: one of `events.KINDS`, or `UNKNOWN` for records of
    which `kind_of` gives `None`. Records that the contract does not accept are in `refused`, with
    their bytes.

    >>> raw = [b'{"kind":"cancel","ts":1764000000000000000,"symbol":"X","price":"0.5"}', b"?"]
    >>> b = decode("cancel", "cancels", 0, np.array([7, 8]), raw)
    >>> b.numbers["price"].tolist(), b.refused[0].offset, b.refused[0].reason
    ([50000000], 8, 'not_json')
    """
    if len(offset) != len(raws):
        raise ValueError(f"{len(raws)} records need as many offsets, not {len(offset)}")
    if kind == UNKNOWN:
        return _refuse_all(topic, partition, offset, raws)
    filler = _DraftFiller(scan(kind, raws))
    undecided = np.flatnonzero(filler.draft.undecided)
    keep = np.ones(len(raws), np.bool_)
    refused: list[RefusedRecord] = []
    for row in undecided.tolist():
        verdict = validate_record(raws[row], kind)
        if isinstance(verdict, BaseModel):
            filler.fill(row, verdict)
        else:
            keep[row] = False
            refused.append(RefusedRecord(topic, partition, int(offset[row]), *verdict, raws[row]))
    rows = np.flatnonzero(keep) if len(undecided) else None
    return filler.build(topic, partition, offset, refused, rows)


def _refuse_all(topic: str, partition: int, offset: Int64, raws: Sequence[bytes]) -> Batch:
    out = Batch(UNKNOWN, topic, partition, offset[:0])
    for at, raw in zip(offset.tolist(), raws, strict=True):
        verdict = validate_record(raw, None)
        if isinstance(verdict, BaseModel):
            raise ValueError(f"a record of known kind ({kind_of(raw)}) among the unknown ones")
        out.refused.append(RefusedRecord(topic, partition, at, *verdict, raw))
    return out


def batch_from_events(
    kind: str, topic: str, partition: int, offset: Int64, events: Sequence[BaseModel]
) -> Batch:
    """A batch of valid events, as a venue's adapter creates them."""
    if len(offset) != len(events):
        raise ValueError(f"{len(events)} events need as many offsets, not {len(offset)}")
    filler = _DraftFiller(empty_draft(kind, len(events)))
    for row, event in enumerate(events):
        filler.fill(row, event)
    return filler.build(topic, partition, offset, [], np.arange(len(events)))


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
        [f'"{fixed_point.format_decimal(units, fixed_point.SCALE)}"' for units in values.tolist()]
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
