"""Schemas as text, as a compiled set and in base64; what is none is refused in words."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet

from monitor.sources.formats.protobuf import compiler
from monitor.sources.formats.protobuf.compiler import load_schema
from monitor.sources.formats.schemas import Schema, SchemaError, read_schema_file
from tests.sources.formats.protobuf.schemas import ORDERS, write

COMMON = b'syntax = "proto3"; package common; message Px { double v = 1; }'
MAIN = b'syntax = "proto3"; import "c/common.proto"; message O { common.Px px = 1; }'


def message_names(schema: Schema) -> list[str]:
    return [message.name for message in load_schema(schema)[1].message_type]


def described(text: bytes, *references: tuple[str, bytes]) -> FileDescriptorProto:
    return load_schema(Schema("PROTOBUF", text, references))[1]


def test_text_with_the_types_that_registries_take_for_granted_compiles() -> None:
    assert message_names(Schema("PROTOBUF", ORDERS.encode())) == ["Level", "Order", "Trade"]
    meta = b"""syntax = "proto3"; import "confluent/meta.proto"; message O {
        string s = 1 [(confluent.field_meta) = { params: [{ key: "a", value: "b" }] }]; }"""
    assert message_names(Schema("PROTOBUF", meta)) == ["O"]


def test_references_are_files_that_the_schema_imports() -> None:
    assert described(MAIN, ("c/common.proto", COMMON)).dependency == ["c/common.proto"]


def test_descriptors_in_base64_are_schemas_with_their_references_too() -> None:
    common = described(COMMON)
    main = described(MAIN, ("c/common.proto", COMMON))
    references = (("c/common.proto", b64encode(common.SerializeToString())),)
    schema = Schema("PROTOBUF", b64encode(main.SerializeToString()), references)
    pool, file = load_schema(schema)
    assert file.message_type[0].name == "O"
    assert pool.FindMessageTypeByName("common.Px").full_name == "common.Px"
    timed = described(b'syntax = "proto3"; import "google/protobuf/timestamp.proto"; message T {}')
    assert message_names(Schema("PROTOBUF", b64encode(timed.SerializeToString()))) == ["T"]


def test_a_file_of_definitions_finds_its_imports_beside_it(tmp_path: Path) -> None:
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "common.proto").write_bytes(COMMON)
    path = write(tmp_path, "main.proto", MAIN.decode())
    assert message_names(read_schema_file("PROTOBUF", path)) == ["O"]


def test_a_compiled_set_is_a_schema_file(tmp_path: Path) -> None:
    files = FileDescriptorSet(file=[described(COMMON)])
    (tmp_path / "orders.desc").write_bytes(files.SerializeToString())
    assert message_names(read_schema_file("PROTOBUF", str(tmp_path / "orders.desc"))) == ["Px"]


@pytest.mark.parametrize(
    ("source", "references", "words"),
    [
        (b"message O { string s = 1", (), "brinkwatch_main.proto:1"),
        (b"\xff\xfe", (), "no Protobuf schema"),
        (MAIN, (), "c/common.proto"),
        (MAIN, (("../common.proto", COMMON),), "a reference named '../common.proto'"),
        (MAIN, (("/c/common.proto", COMMON),), "a reference named"),
        (MAIN, (("c/common.proto", b"CgA="),), "both text and descriptors"),
        (b64encode(described(MAIN, ("c/common.proto", COMMON)).SerializeToString()), (),
         "no Protobuf schema"),
    ],
)  # fmt: skip
def test_what_is_no_schema_is_refused_in_words(
    source: bytes, references: tuple[tuple[str, bytes], ...], words: str
) -> None:
    with pytest.raises(SchemaError, match=words):
        load_schema(Schema("PROTOBUF", source, references))


def test_a_file_that_is_no_compiled_set_says_how_one_is_made(tmp_path: Path) -> None:
    (tmp_path / "orders.desc").write_bytes(b"syntax")
    with pytest.raises(SchemaError, match="--include_imports"):
        load_schema(read_schema_file("PROTOBUF", str(tmp_path / "orders.desc")))


def test_a_schema_that_takes_too_long_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiler, "COMPILER_TIMEOUT_S", 0.001)
    with pytest.raises(SchemaError, match="too long"):
        load_schema(Schema("PROTOBUF", ORDERS.encode()))
