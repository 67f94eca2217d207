"""Bytes ↔ batches: the fast scanner, and the judge for what it leaves open.

One home for how a canonical event becomes a row of columns, and how a row becomes canonical JSON.
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
from monitor.core.decode.batch import (
    ABSENT,
    Batch,
    Column,
    Int64,
    Ladder,
    RefusedRecord,
    TextColumn,
)
from monitor.core.decode.scanner import Draft, empty_draft, scan
from monitor.core.decode.validate import REASONS, kind_of, validate_record

__all__ = [
    "REASONS",
    "UNKNOWN",
    "batch_from_events",
    "decode",
    "encode",
    "kind_of",
    "validate_record",
]

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
    """Writes judged events into the open rows of a draft."""

    def __init__(self, into: Draft) -> None:
        self.draft = into
        self.numbers = batch.number_columns(into.kind)
        self.codes = [{w: c.code(w) for w in c.values} for c in self.numbers]
        self.texts = batch.text_columns(into.kind)
        self.ladders = batch.ladder_columns(into.kind)
        self.extra_text: list[bytes] = []
        self.extra_text_end = len(into.buffer)
        self.levels: list[list[tuple[int, int]]] = [[] for _ in self.ladders]

    def fill(self, row: int, event: Any) -> None:
        """Write every column of `row`."""
        into = self.draft
        for i, column in enumerate(self.numbers):
            value = getattr(event, column.name)
            if value is None:
                into.numbers[i, row] = ABSENT
            else:
                into.numbers[i, row] = self.codes[i][value] if column.values else value
        for i, column in enumerate(self.texts):
            text = (
                _json_text(event, column.name)
                if column.type == "json"
                else getattr(event, column.name, None)
            )
            raw = b"" if text is None else text.encode()
            into.start[i, row] = self.extra_text_end
            into.length[i, row] = -1 if text is None else len(raw)
            self.extra_text.append(raw)
            self.extra_text_end += len(raw)
        for i, column in enumerate(self.ladders):
            levels = getattr(event, column.name)
            into.first[i, row] = into.used[i] + len(self.levels[i])
            into.levels[i, row] = len(levels)
            self.levels[i] += levels

    def ladder(self, i: int, rows: Int64 | None) -> Ladder:
        """Ladder column `i`; `rows`: gather these; `None`: all of them, in place already."""
        into = self.draft
        count, first = into.levels[i], into.first[i]
        price, quantity = into.price[i, : into.used[i]], into.quantity[i, : into.used[i]]
        if rows is not None:
            count, first = count[rows], first[rows]
            more = np.array(self.levels[i], np.int64).reshape(-1, 2)
            price = np.concatenate((price, more[:, 0]))
            quantity = np.concatenate((quantity, more[:, 1]))
        offset = np.concatenate((np.zeros(1, np.int64), np.cumsum(count)))
        if rows is not None:
            levels = np.repeat(first - offset[:-1], count) + np.arange(offset[-1])
            price, quantity = price[levels], quantity[levels]
        return Ladder(offset, price, quantity)


def _build_batch(
    filler: _DraftFiller,
    topic: str,
    partition: int,
    offset: Int64,
    refused: list[RefusedRecord],
    keep: Any,
) -> Batch:
    """Turn the draft into a batch; `keep`: the rows accepted, or `None`: all, by the scanner."""
    into = filler.draft
    numbers, start, length = into.numbers, into.start, into.length
    if refused:
        # Chosen columns of a matrix lie scattered in memory; the kernels want each in one piece.
        numbers, start, length = (
            np.ascontiguousarray(m[:, keep]) for m in (numbers, start, length)
        )
        offset = offset[keep]
    whole = b"".join([into.buffer, *filler.extra_text]) if filler.extra_text else into.buffer
    buffer = np.frombuffer(whole, np.uint8)
    return Batch(
        into.kind,
        topic,
        partition,
        offset,
        {c.name: numbers[i] for i, c in enumerate(filler.numbers)},
        {c.name: TextColumn(buffer, start[i], length[i]) for i, c in enumerate(filler.texts)},
        {c.name: filler.ladder(i, keep) for i, c in enumerate(filler.ladders)},
        refused,
    )


def decode(kind: str, topic: str, partition: int, offset: Int64, raws: Sequence[bytes]) -> Batch:
    """Decode the records of one kind from one topic partition.

    `offset`: of each record, rising. `kind`: one of `events.KINDS`, or `UNKNOWN` for records of
    which `kind_of` says nothing. What is not accepted is in `refused`, with its bytes.

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
    left_open = np.flatnonzero(filler.draft.left_open)
    if not len(left_open):
        return _build_batch(filler, topic, partition, offset, [], None)
    keep = np.ones(len(raws), np.bool_)
    refused: list[RefusedRecord] = []
    for row in left_open.tolist():
        verdict = validate_record(raws[row], kind)
        if isinstance(verdict, BaseModel):
            filler.fill(row, verdict)
        else:
            keep[row] = False
            refused.append(RefusedRecord(topic, partition, int(offset[row]), *verdict, raws[row]))
    return _build_batch(filler, topic, partition, offset, refused, np.flatnonzero(keep))


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
    """A batch of events that are valid already, as a venue's adapter makes them."""
    if len(offset) != len(events):
        raise ValueError(f"{len(events)} events need as many offsets, not {len(offset)}")
    filler = _DraftFiller(empty_draft(kind, len(events)))
    for row, event in enumerate(events):
        filler.fill(row, event)
    return _build_batch(filler, topic, partition, offset, [], np.arange(len(events)))


def _number_formatter(column: Column) -> Callable[[int], str]:
    """How a number of this column is written as JSON."""
    name = _compact(column.name)
    if column.type == "flag":
        words = [f"{name}:false", f"{name}:true"]
        return lambda value: words[value]
    if column.type == "enum":
        spelt = {column.code(w): f"{name}:{_compact(w)}" for w in column.values}
        return lambda value: spelt[value]
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
        words = b.texts[column.name].to_strings()
        if column.type == "json":
            return [f"{name}:{w}" if w is not None else "" for w in words]
        return [f"{name}:{_compact(w)}" if w is not None else "" for w in words]
    ladder = b.ladders[column.name]
    levels = [
        f'["{fixed_point.format_decimal(p, fixed_point.SCALE)}","{fixed_point.format_decimal(q, fixed_point.SCALE)}"]'
        for p, q in zip(ladder.price.tolist(), ladder.quantity.tolist(), strict=True)
    ]
    ends = ladder.offset.tolist()
    return [f"{name}:[{','.join(levels[a:z])}]" for a, z in pairwise(ends)]


def encode(b: Batch) -> list[bytes]:
    """Canonical JSON of every row, in the order of the model's fields: the inverse of `decode`."""
    if b.kind == "reference":  # its JSON is what it holds
        return [(w or "").encode() for w in b.texts["payload"].to_strings()]
    columns = [_column_as_json(b, c) for c in batch.COLUMNS[b.kind]]
    head = f'{{"kind":"{b.kind}",'
    return [
        (head + ",".join(filter(None, row)) + "}").encode() for row in zip(*columns, strict=True)
    ]
