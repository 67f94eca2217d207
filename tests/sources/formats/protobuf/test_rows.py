"""What each Protobuf type becomes in a row, and what absent fields are."""

from __future__ import annotations

from typing import Any

import pytest

from monitor.sources.formats.base import Instant
from monitor.sources.formats.protobuf.rows import MessageRows
from monitor.venues.parse import UnreadableError
from tests.sources.formats.protobuf.schemas import classes

CLASSES = classes()
ORDER = CLASSES["Order"]
ROWS = MessageRows(ORDER.DESCRIPTOR)


@pytest.mark.parametrize(
    ("fields", "name", "value"),
    [
        ({"symbol": "BTC"}, "symbol", "BTC"),
        ({"i64": -(2**63)}, "i64", -(2**63)),
        ({"u64": 2**64 - 1}, "u64", 2**64 - 1),
        ({"s64": -3}, "s64", -3),
        ({"f64": 2**63}, "f64", 2**63),
        ({"sf32": -1}, "sf32", -1),
        ({"flag": True}, "flag", True),
        ({"d": 0.1}, "d", "0.1"),
        ({"f": 0.1}, "f", "0.1"),
        ({"raw": b"\x0a\xff"}, "raw", "0aff"),
        ({"side": 2}, "side", "SELL"),
        ({"side": 9}, "side", 9),
        ({"at": {"seconds": 5, "nanos": 7}}, "at", 5_000_000_007),
        ({"at": {"seconds": -1, "nanos": 999_999_999}}, "at", -1),
        ({"every": {"seconds": 28_800}}, "every", "28800.000000000"),
        ({"every": {"seconds": 0, "nanos": 500_000_000}}, "every", "0.500000000"),
        ({"account": {"value": "a"}}, "account", "a"),
        ({"account": {"value": ""}}, "account", ""),
        ({"fee": {"value": 0.1}}, "fee", "0.1"),
        ({"price": {"value": b"\xfe\x0c", "scale": 2}}, "price", "-5.00"),
        ({"best": {"px": 1.5}}, "best", {"px": "1.5"}),
        ({"bids": [{"qty": "2"}]}, "bids", [{"px": "0.0", "qty": "2"}]),
        ({"floats": [0.1, 3]}, "floats", ["0.1", "3.0"]),
        ({"levels": {"a": {"px": 1}}}, "levels", {"a": {"px": "1.0"}}),
        ({"flags": {True: -1}}, "flags", {"true": -1}),
    ],
)
def test_a_value_becomes_what_a_row_may_have(fields: Any, name: str, value: Any) -> None:
    message = ORDER.FromString(ORDER(**fields).SerializeToString())
    assert ROWS.row(message)[name] == value


def test_a_timestamp_is_an_instant() -> None:
    assert type(ROWS.row(ORDER(at={"seconds": 5}))["at"]) is Instant


def test_fields_that_are_not_there_are_zero_or_absent_as_their_schema_says() -> None:
    assert ROWS.row(ORDER()) == {
        "i64": 0, "u64": 0, "s64": 0, "f64": 0, "sf32": 0, "flag": False,
        "d": "0.0", "f": "0.0", "side": "SIDE_UNKNOWN", "bids": [], "floats": [], "levels": {},
        "flags": {}, "body": None,
    }  # fmt: skip
    assert ROWS.row(ORDER(seq=0))["seq"] == 0


def test_a_field_of_proto2_that_is_not_there_has_its_declared_default() -> None:
    text = """syntax = "proto2"; message O {
        optional double px = 1; optional int32 lots = 2 [default = 5];
        optional string side = 3 [default = "buy"]; required string symbol = 4; }"""
    message = classes(text)["O"]
    assert MessageRows(message.DESCRIPTOR).row(message()) == {
        "lots": 5, "side": "buy",
    }  # fmt: skip


def test_a_oneof_says_which_of_its_fields_is_there() -> None:
    row = ROWS.row(ORDER(new={"px": 2}))
    assert (row["body"], row["new"]["px"]) == ("new", "2.0")
    assert ROWS.row(ORDER(cancel="id"))["body"] == "cancel"


def test_a_field_of_another_type_than_the_schema_says_is_refused_by_name() -> None:
    other = classes('syntax = "proto3"; package venue; message Order { int64 symbol = 1; }')
    with pytest.raises(UnreadableError, match="symbol"):
        ROWS.row(ORDER.FromString(other["Order"](symbol=5).SerializeToString()))


def test_a_field_that_the_schema_does_not_know_is_passed_over() -> None:
    newer = classes('syntax = "proto3"; message Order { string symbol = 1; int32 added = 99; }')
    raw = newer["Order"](symbol="B", added=1).SerializeToString()
    assert ROWS.row(ORDER.FromString(raw))["symbol"] == "B"
