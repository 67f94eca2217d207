"""What reads Avro and Protobuf: records, files and schemas."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fastavro
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.proto import serialize_length_prefixed

from monitor.errors import ConfigError
from monitor.sources.formats.avro.files import read_container
from monitor.sources.formats.avro.records import read_datum
from monitor.sources.formats.avro.schema import prepare_schema
from monitor.sources.formats.base import RecordFormat, make_format
from monitor.sources.formats.protobuf.compiler import load_schema
from monitor.sources.formats.protobuf.files import split_messages
from monitor.sources.formats.protobuf.records import message_reader
from monitor.sources.formats.schemas import Schema, SchemaError
from monitor.sources.settings import SourceSettings
from monitor.venues.parse import UnreadableError
from tests.fuzz.target import Target
from tests.sources.formats.protobuf.schemas import ORDERS, classes, write
from tests.sources.formats.test_same_records import AVRO

FILL = {
    "at": 1_764_000_000_000_000, "inst": {"sym": "BTC-PERP"}, "side": "B", "px": b"\x01\x02",
    "qty": 0.5, "fee": 0.1, "acct": "a", "seq": 7,
}  # fmt: skip
ZEROS = bytes(1_000)


def _plain() -> Any:
    plain = json.loads(json.dumps(AVRO))
    plain["fields"][0]["type"], plain["fields"][3]["type"] = "long", "bytes"
    return fastavro.parse_schema(plain)


def _records(name: str, form: RecordFormat, seeds: list[bytes]) -> Target:
    def read(inputs: list[bytes]) -> None:
        rows = form.read(inputs)
        assert len(rows) == len(inputs), "a record is lost"
        assert all(isinstance(row, dict | UnreadableError) for row in rows)

    return Target(f"{name} records", seeds, read)


def _avro_file() -> Target:
    stream = io.BytesIO()
    fastavro.writer(stream, _plain(), [FILL] * 3)

    def read(inputs: list[bytes]) -> None:
        for raw in inputs:
            with contextlib.suppress(ConfigError):
                list(read_container("file", io.BytesIO(raw)))

    return Target("avro file", [stream.getvalue()], read)


def _avro_schema() -> Target:
    def read(inputs: list[bytes]) -> None:
        for raw in inputs:
            with contextlib.suppress(SchemaError, UnreadableError):
                read_datum(io.BytesIO(ZEROS), prepare_schema(raw))

    return Target("avro schema", [json.dumps(AVRO).encode()], read)


def _protobuf_file(message: bytes) -> Target:
    def read(inputs: list[bytes]) -> None:
        for raw in inputs:
            with contextlib.suppress(ConfigError):
                list(split_messages("file", io.BytesIO(raw)))

    return Target("protobuf file", [message], read)


def _protobuf_schema() -> Target:
    def read(inputs: list[bytes]) -> None:
        for raw in inputs:
            with contextlib.suppress(SchemaError, UnreadableError):
                pool, file = load_schema(Schema("PROTOBUF", raw, path="orders.desc"))
                for name in (f"{file.package}.{m.name}".strip(".") for m in file.message_type):
                    message_reader(pool.FindMessageTypeByName(name))(b"")

    text = 'syntax = "proto3"; package v; message O { string s = 1; repeated O o = 2; }'
    file = load_schema(Schema("PROTOBUF", text.encode()))[1]
    return Target("protobuf schema", [FileDescriptorSet(file=[file]).SerializeToString()], read)


def schema_targets(folder: Path) -> Iterator[Target]:
    """Every target; `folder`: where schemas may be written."""
    stream = io.BytesIO()
    fastavro.schemaless_writer(stream, _plain(), FILL)
    avro = {"7": write(folder, "fill.avsc", json.dumps(AVRO))}
    settings = SourceSettings(format="avro", schema_file=avro)
    yield _records("avro", make_format(settings), [b"\x00\x00\x00\x00\x07" + stream.getvalue()])

    order = classes()["Order"](symbol="BTC-PERP", d=0.1, raw=b"1", side=2, seq=5)
    order.at.seconds, order.bids.add().px, order.levels["a"].qty = 5, 1.5, "2"
    settings = SourceSettings(
        format="protobuf", schema_file={"7": write(folder, "fuzz.proto", ORDERS)}
    )
    framed = b"\x00\x00\x00\x00\x07\x02\x02" + order.SerializeToString()
    yield _records("protobuf", make_format(settings), [framed])

    stream = io.BytesIO()
    for _ in range(3):
        serialize_length_prefixed(order, stream)
    yield _avro_file()
    yield _avro_schema()
    yield _protobuf_file(stream.getvalue())
    yield _protobuf_schema()
