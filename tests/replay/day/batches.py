"""Batches for tests: any that the contract allows, and their comparison."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import numpy as np
from hypothesis import strategies as st

from monitor.core.contract import events, stepped
from monitor.core.decode.batch import (
    ABSENT,
    COLUMNS,
    Batch,
    Column,
    Ladder,
    RefusedRecord,
    TextColumn,
)

WORD = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=6)
SOURCES = st.sampled_from(["[]", f'[{{"name":"x","price":"1","ts":{events.TS_MIN}}}]'])


def _codes(type_: str, most: int = 10**15) -> st.SearchStrategy[int]:
    """Codes of prices or quantities from above 0 up to `most`; those of quantities are on the
    coarser grid of the contract."""
    step = 10**10 if type_ == "quantity" else 1
    low = st.integers(1, (stepped.PLAIN_FROM - 1) // step).map(lambda n: n * step)
    return st.one_of(low, st.integers(stepped.PLAIN_FROM, stepped.quantise(str(most))))


def _numbers(column: Column) -> st.SearchStrategy[int]:
    if column.type == "enum":
        values = st.sampled_from([column.code(word) for word in column.values])
    elif column.type == "flag":
        values = st.integers(0, 1)
    elif column.name in ("price", "quantity"):
        # Two of these multiplied are within the bound of a record's notional.
        values = _codes(column.type, 10**6)
    elif column.type == "quantity":
        values = _codes(column.type)
    else:
        values = st.integers(column.low, column.high)
    return values if column.required else st.one_of(st.just(ABSENT), values)


@st.composite
def _texts(draw: Any, column: Column, rows: int) -> TextColumn:
    absent = [] if column.required else [st.none()]
    text = SOURCES if column.type == "json" else WORD
    if draw(st.booleans()):
        return TextColumn.from_strings(
            draw(st.lists(st.one_of(*absent, text), min_size=rows, max_size=rows))
        )
    few = TextColumn.from_strings(draw(st.lists(text, min_size=1, max_size=3)))
    low = 0 if column.required else -1
    codes = st.lists(st.integers(low, len(few.start) - 1), min_size=rows, max_size=rows)
    few.codes = np.array(draw(codes), np.int64)
    return few


def _payloads(batch: Batch) -> TextColumn:
    """The records that a batch of `reference` has columns of."""
    head = {"kind": "reference", "about": "insurance_fund", "amount": "1"}
    times = batch.numbers["ts"].tolist()
    return TextColumn.from_strings([json.dumps({**head, "ts": ts}) for ts in times])


@st.composite
def _ladders(draw: Any, name: str, rows: int) -> Ladder:
    side = st.dictionaries(_codes("price"), _codes("quantity"), max_size=3)
    sides = draw(st.lists(side, min_size=rows, max_size=rows))
    best_first = [sorted(side.items(), reverse=name == "bids") for side in sides]
    offset = np.concatenate(([0], np.cumsum([len(side) for side in sides]))).astype(np.int64)
    levels = np.array([level for side in best_first for level in side], np.int64).reshape(-1, 2)
    return Ladder(offset, levels[:, 0], levels[:, 1])


@st.composite
def batches(
    draw: Any, kind: str | None = None, partition: int = 0, start: int = 0, rows_max: int = 8
) -> Batch:
    """Any batch of `kind` (of any kind if None), refused records between its rows."""
    kind = kind or draw(st.sampled_from(sorted(events.KINDS)))
    total = draw(st.integers(0, rows_max))
    offset = start + np.cumsum(draw(st.lists(st.integers(1, 3), min_size=total, max_size=total)))
    bad = np.array(draw(st.lists(st.booleans(), min_size=total, max_size=total)), bool)
    topic = events.TOPICS[kind]
    batch = Batch(kind, topic, partition, np.array(offset[~bad], np.int64))
    rows = len(batch)
    for column in COLUMNS[kind]:
        if column.type == "ladder":
            batch.ladders[column.name] = draw(_ladders(column.name, rows))
        elif column.type in ("text", "json"):
            batch.texts[column.name] = draw(_texts(column, rows))
        else:
            values = draw(st.lists(_numbers(column), min_size=rows, max_size=rows))
            batch.numbers[column.name] = np.array(values, np.int64)
    if kind == "reference":
        batch.texts["payload"] = _payloads(batch)
    for o in offset[bad].tolist():
        raw = draw(st.binary(max_size=5))
        batch.refused.append(RefusedRecord(topic, partition, o, "wrong_type", draw(WORD), raw))
    return batch


def rows_of(batches: list[Batch]) -> list[tuple[Any, ...]]:
    """Every record of the batches as a tuple, with its place; for comparison."""
    found = []
    for batch in batches:
        columns: list[list[Any]] = [batch.offset.tolist()]
        for column in COLUMNS.get(batch.kind, ()):
            if column.type == "ladder":
                side = batch.ladders[column.name]
                levels = list(zip(side.price.tolist(), side.quantity.tolist(), strict=True))
                bounds = side.offset.tolist()
                columns.append([levels[a:b] for a, b in pairwise(bounds)])
            elif column.type in ("text", "json"):
                columns.append(batch.texts[column.name].to_strings())
            else:
                columns.append(batch.numbers[column.name].tolist())
        place = (batch.kind, batch.topic, batch.partition)
        found += [(*place, *row) for row in zip(*columns, strict=True)]
    return found


def refused_of(batches: list[Batch]) -> list[RefusedRecord]:
    """Every refused record of the batches."""
    return [r for batch in batches for r in batch.refused]


def orders(ts: list[int], start: int = 0, partition: int = 0, symbol: str = "A") -> Batch:
    """Plain orders at the given times."""
    rows = len(ts)
    batch = Batch("order", "orders", partition, np.arange(start, start + rows))
    for column in COLUMNS["order"]:
        if column.type == "text":
            word = symbol if column.name == "symbol" else None
            batch.texts[column.name] = TextColumn.from_strings([word] * rows)
        else:
            value = ABSENT if not column.required else 1 if column.values else max(column.low, 1)
            value = stepped.PLAIN_FROM if column.name == "quantity" else value
            batch.numbers[column.name] = np.full(rows, value, np.int64)
    batch.numbers["ts"] = np.array(ts, np.int64)
    return batch
