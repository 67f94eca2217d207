"""What each Avro type becomes in a row, and schemas of which no rows can be made."""

from __future__ import annotations

import datetime
import io
import json
from decimal import Decimal
from typing import Any

import fastavro
import pytest

from monitor.sources.formats.avro.records import read_datum
from monitor.sources.formats.avro.schema import prepare_schema
from monitor.sources.formats.base import Instant
from monitor.sources.formats.schemas import SchemaError

NOON = datetime.datetime(2026, 1, 2, 12, 0, 0, 123456, tzinfo=datetime.UTC)
NOON_NS = 1_767_355_200_123_456_000
INNER = {"type": "record", "name": "Inner", "fields": [{"name": "x", "type": "long"}]}


def logical(kind: str, of: str, **more: Any) -> dict[str, Any]:
    return {"type": kind, "logicalType": of, **more}


def read(kind: Any, value: Any) -> Any:
    schema = {"type": "record", "name": "v.R", "fields": [{"name": "f", "type": kind}]}
    stream = io.BytesIO()
    fastavro.schemaless_writer(stream, fastavro.parse_schema(schema), {"f": value})
    row = read_datum(io.BytesIO(stream.getvalue()), prepare_schema(json.dumps(schema).encode()))
    assert row.pop("@type") == "v.R"
    return row["f"]


@pytest.mark.parametrize(
    ("kind", "value", "text"),
    [
        ("long", -(2**63), -(2**63)),
        ("int", 7, 7),
        ("boolean", True, True),
        ("string", "BTC-PERP", "BTC-PERP"),
        ("double", 0.1, "0.1"),
        ("double", 1e-7, "1e-07"),
        ("float", 0.1, "0.1"),
        ("float", 16_777_216.0, "1.6777216e+07"),
        (logical("bytes", "decimal", precision=30, scale=18), Decimal("-1E-18"),
         "-0.000000000000000001"),
        (logical("bytes", "decimal", precision=30), Decimal("12345678901234567890"),
         "12345678901234567890"),
        (logical("fixed", "decimal", name="D", size=9, precision=18, scale=2), Decimal("1.5"),
         "1.50"),
        ("bytes", b"\x0a\xff", "0aff"),
        ({"type": "fixed", "name": "F", "size": 2}, b"\x00\x01", "0001"),
        (logical("fixed", "uuid", name="U", size=16), bytes(range(16)),
         "00010203-0405-0607-0809-0a0b0c0d0e0f"),
        (logical("string", "uuid"), "00010203-0405-0607-0809-0a0b0c0d0e0f",
         "00010203-0405-0607-0809-0a0b0c0d0e0f"),
        ({"type": "enum", "name": "S", "symbols": ["BUY", "SELL"]}, "SELL", "SELL"),
        (["null", "double"], None, None),
        (["null", "long", "double"], 2.5, "2.5"),
        ({"type": "array", "items": "float"}, [0.1, 2.0], ["0.1", "2.0"]),
        ({"type": "map", "values": ["null", "bytes"]}, {"a": b"\x01", "b": None},
         {"a": "01", "b": None}),
        (["null", INNER], {"x": 5}, {"x": 5, "@type": "v.Inner"}),
        ({"type": "array", "items": INNER}, [{"x": 5}], [{"x": 5, "@type": "v.Inner"}]),
    ],
)  # fmt: skip
def test_a_value_becomes_what_a_row_may_have(kind: Any, value: Any, text: Any) -> None:
    assert read(kind, value) == text


@pytest.mark.parametrize(
    ("name", "at_ns"),
    [
        ("timestamp-millis", NOON_NS // 1_000_000 * 1_000_000),
        ("timestamp-micros", NOON_NS),
    ],
)
def test_a_timestamp_is_an_instant_in_ns(name: str, at_ns: int) -> None:
    value = read(logical("long", name), NOON)
    assert value == at_ns
    assert type(value) is Instant


def test_nanoseconds_are_exact_and_a_date_is_its_midnight() -> None:
    assert read(logical("long", "timestamp-nanos"), NOON_NS + 789) == NOON_NS + 789
    midnight = read(logical("int", "date"), NOON.date())
    assert (midnight, type(midnight)) == (
        NOON_NS // 86_400_000_000_000 * 86_400_000_000_000,
        Instant,
    )


def test_a_time_without_a_zone_stays_a_number_for_the_maps_unit() -> None:
    value = read(logical("long", "local-timestamp-millis"), NOON.replace(tzinfo=None))
    assert (value, type(value)) == (NOON_NS // 1_000_000, int)


def test_types_of_referenced_schemas_are_used_wherever_they_are_named() -> None:
    side = b'{"type": "enum", "name": "v.Side", "symbols": ["B", "S"]}'
    pair = b'{"type": "record", "name": "v.Pair", "fields": [{"name": "s", "type": "v.Side"}]}'
    schema = b"""{"type": "record", "name": "v.O", "fields": [
        {"name": "a", "type": "v.Pair"}, {"name": "b", "type": ["null", "v.Pair"]}]}"""
    prepared = prepare_schema(schema, [side, pair])
    row = read_datum(io.BytesIO(b"\x02\x02\x00"), prepared)
    pairs = {name: value["s"] for name, value in row.items() if name != "@type"}
    assert pairs == {"a": "S", "b": "B"}


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ("{", "no Avro schema"),
        ('"nothing"', "no Avro schema"),
        ("[1]", "no Avro schema"),
        ('{"type": "record"}', "no Avro schema"),
        ('{"type": "record", "name": "R", "fields": [{"name": "f", "type": "Q"}]}', "Q"),
        ('{"type": "record", "name": "R", "fields": [{"name": "f", "type": ["null", "R"]}]}',
         "R contains itself"),
        ('{"type": "array", "items": "null"}', "no end"),
        ('{"type": "array", "items": {"type": "record", "name": "E", "fields": []}}', "no end"),
        ('{"type": "array", "items": {"type": "fixed", "name": "F", "size": 0}}', "no end"),
        ('{"type": "bytes", "logicalType": "decimal", "precision": 950, "scale": 900}', "900"),
        ('{"type":"array","items":' * 5_000 + '"long"' + "}" * 5_000, "no Avro schema"),
    ],
)  # fmt: skip
def test_a_schema_that_makes_no_rows_is_refused_in_words(schema: str, words: str) -> None:
    with pytest.raises(SchemaError, match=words):
        prepare_schema(schema.encode())
