"""Parquet: each type of column as the row that a map reads, without a float in between."""

from __future__ import annotations

from datetime import date, time
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from monitor.sources.formats.base import Instant
from monitor.sources.formats.parquet_tables import read_table, write_row

AT = 1_764_000_000


@pytest.mark.parametrize(
    ("column", "value"),
    [
        (pa.array([2**63 - 1]), 2**63 - 1),
        (pa.array([0.1]), "0.1"),
        (pa.array([0.1], pa.float32()), "0.1"),
        (pa.array([1e-9]), "1e-9"),
        (pa.array([None], pa.float64()), None),
        (pa.array([Decimal("1.50")], pa.decimal128(9, 2)), "1.50"),
        (pa.array([True]), True),
        (pa.array(["x"]).dictionary_encode(), "x"),
        (pa.array([b"x"]), "x"),
        (pa.array([date(2025, 11, 24)]), "2025-11-24"),
        (pa.array([time(16, 0, 0, 5)]), "16:00:00.000005"),
        (pa.array([[1.5, None]]), ["1.5", None]),
        (pa.array([{"a": 0.5, "b": [1]}]), {"a": "0.5", "b": [1]}),
        (pa.array([None], pa.struct([("a", pa.int64())])), None),
    ],
)
def test_a_value_of_each_type(column: Any, value: Any) -> None:
    (row,) = read_table(pa.table({"x": column}))
    assert row == {"x": value}
    assert type(row["x"]) is type(value)


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_a_timestamp_says_its_unit_itself(unit: str) -> None:
    scale = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[unit]
    column = pa.array([AT * scale], pa.timestamp(unit, tz="UTC"))
    (row,) = read_table(pa.table({"x": column}))
    assert row["x"] == AT * 10**9
    assert isinstance(row["x"], Instant)


def test_a_timestamp_without_a_zone_is_in_the_maps() -> None:
    column = pa.array([AT + 8 * 3_600], pa.timestamp("s"))
    (row,) = read_table(pa.table({"x": column}), "Asia/Singapore")
    assert row["x"] == AT * 10**9


def test_lists_in_slices_and_chunks_stay_with_their_rows() -> None:
    column = pa.chunked_array([[[1], None, [2, 3]], [[], [4]]])
    rows = read_table(pa.table({"x": column}).slice(1, 3))
    assert [row["x"] for row in rows] == [None, [2, 3], []]


def test_a_row_is_written_as_json() -> None:
    assert write_row({"a": "0.1", "b": Instant(5), "c": None}) == b'{"a":"0.1","b":5,"c":null}'
