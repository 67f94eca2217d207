"""Protobuf records, bare and framed: one is a row, or is refused with a reason."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from monitor.errors import ConfigError
from monitor.sources.formats.base import make_format
from monitor.sources.formats.protobuf.records import ProtobufRecords
from monitor.sources.settings import SourceSettings
from monitor.venues.parse import UnreadableError
from tests.sources.formats.protobuf.schemas import ORDERS, classes, write

CLASSES = classes()
ORDER = CLASSES["Order"](symbol="BTC", d=0.1).SerializeToString()
TRADE = CLASSES["Trade"](symbol="ETH").SerializeToString()


def framed(schema_id: int, place: bytes, body: bytes) -> bytes:
    return b"\x00" + schema_id.to_bytes(4) + place + body


@pytest.fixture
def records(tmp_path: Path) -> ProtobufRecords:
    files = {"3": write(tmp_path, "orders.proto")}
    return ProtobufRecords(SourceSettings(format="protobuf", schema_file=files), None)


def types(results: list[Any]) -> list[str]:
    return [r.reason if isinstance(r, UnreadableError) else r["@type"] for r in results]


def test_the_place_in_the_frame_says_which_message_it_is(records: ProtobufRecords) -> None:
    deepest = CLASSES["Order.Inner.Deepest"](x=1).SerializeToString()
    assert types(records.read([
        framed(3, b"\x00", b""),  # short for the first message
        framed(3, b"\x02\x02", ORDER),
        framed(3, b"\x02\x04", TRADE),
        framed(3, b"\x06\x02\x00\x00", deepest),
    ])) == ["venue.Level", "venue.Order", "venue.Trade", "venue.Order.Inner.Deepest"]  # fmt: skip


def test_a_record_that_is_none_has_its_reason(records: ProtobufRecords) -> None:
    assert types(records.read([
        b"", ORDER, b"\x00\x00", framed(5, b"\x00", ORDER),
        framed(3, b"", b""),                    # no place
        framed(3, b"\xff" * 10, b""),           # a place without an end
        framed(3, b"\x01", b""),                # less than none
        framed(3, b"\x80\x80\x80\x01", b""),    # a million deep
        framed(3, b"\x02\x08", ORDER),          # there are three messages
        framed(3, b"\x02\x01", ORDER),          # the message before the first one
        framed(3, b"\x02\x02", ORDER[:-1]),
        framed(3, b"\x02\x02", b"\x0a\x02\xff\xff"),  # no UTF-8
        framed(3, b"\x00", b"\x1a\x00" + b"\x1a\x7f" * 400),
        framed(3, b"\x02\x02", ORDER),
    ])) == ["empty"] + ["no_schema"] * 3 + ["not_of_schema"] * 9 + ["venue.Order"]  # fmt: skip


def test_a_message_nested_beyond_protobufs_own_bound_is_refused(records: ProtobufRecords) -> None:
    body = b""
    for _ in range(3_000):
        body = b"\x1a" + _varint(len(body)) + body
    assert types(records.read([framed(3, b"\x00", body)])) == ["not_of_schema"]


def _varint(value: int) -> bytes:
    out = b""
    while value > 0x7F:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


@pytest.mark.parametrize("message", ["Trade", "venue.Trade"])
def test_one_schema_file_reads_messages_without_a_frame(tmp_path: Path, message: str) -> None:
    settings = SourceSettings(
        format="protobuf", schema_file=write(tmp_path, "orders.proto"), message=message
    )
    assert make_format(settings).read([TRADE]) == [{"@type": "venue.Trade", "symbol": "ETH"}]


def test_the_only_message_of_a_file_needs_no_name(tmp_path: Path) -> None:
    path = write(tmp_path, "one.proto", 'syntax = "proto3"; message T { string symbol = 1; }')
    records = make_format(SourceSettings(format="protobuf", schema_file=path))
    assert records.read([TRADE]) == [{"@type": "T", "symbol": "ETH"}]


@pytest.mark.parametrize(
    ("text", "message", "words"),
    [
        (ORDERS, "", "set `message` to one of venue.Level, venue.Order"),
        (ORDERS, "venue.Trad", "did you mean venue.Trade?"),
        (ORDERS, "Trad", "did you mean Trade?"),
        ("message {", "", "orders.proto is no Protobuf schema: orders.proto:1"),
    ],
)
def test_a_source_without_a_usable_schema_ends_in_a_sentence(
    tmp_path: Path, text: str, message: str, words: str
) -> None:
    path = write(tmp_path, "orders.proto", text)
    with pytest.raises(ConfigError) as error:
        make_format(SourceSettings(format="protobuf", schema_file=path, message=message))
    assert words in str(error.value)
