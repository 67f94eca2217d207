"""Avro records, bare and framed: one is a row, or is refused with a reason."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import fastavro
import pytest

from monitor.errors import ConfigError
from monitor.sources.formats.avro.records import AvroRecords
from monitor.sources.formats.base import make_format
from monitor.sources.settings import SourceSettings
from monitor.venues.parse import UnreadableError

OLD = {
    "type": "record", "name": "Order",
    "fields": [{"name": "sym", "type": "string"}, {"name": "px", "type": "double"}],
}  # fmt: skip
NEW = {
    **OLD,
    "fields": [*OLD["fields"], {"name": "venue", "type": "string", "default": "X"}],
}


def encode(schema: dict[str, Any], row: dict[str, Any]) -> bytes:
    stream = io.BytesIO()
    fastavro.schemaless_writer(stream, fastavro.parse_schema(schema), row)
    return stream.getvalue()


def framed(schema_id: int, body: bytes) -> bytes:
    return b"\x00" + schema_id.to_bytes(4) + body


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    for name, schema in (("old", OLD), ("new", NEW), ("none", {"type": "record"})):
        (tmp_path / name).write_text(json.dumps(schema))
    return {"7": str(tmp_path / "old"), "9": str(tmp_path / "new")}


def reason(result: Any) -> str:
    assert isinstance(result, UnreadableError)
    assert result.detail
    return result.reason


def test_each_record_is_read_by_the_schema_that_it_names(files: dict[str, str]) -> None:
    records = AvroRecords(SourceSettings(format="avro", schema_file=files), None)
    old, new = records.read([
        framed(7, encode(OLD, {"sym": "B", "px": 0.1})),
        framed(9, encode(NEW, {"sym": "B", "px": 0.1, "venue": "Y"})),
    ])  # fmt: skip
    assert old == {"sym": "B", "px": "0.1", "@type": "Order"}
    assert new == {"sym": "B", "px": "0.1", "venue": "Y", "@type": "Order"}


def test_a_record_that_is_none_has_its_reason(files: dict[str, str]) -> None:
    records = AvroRecords(SourceSettings(format="avro", schema_file=files), None)
    good = encode(OLD, {"sym": "B", "px": 0.1})
    results = records.read([
        b"", b"\x00\x00", b'{"sym": "B"}', framed(8, good), framed(9, good),
        framed(7, good + b"\x00"), framed(7, b"\x02\xff" + good[2:]), framed(7, b"\xff" * 12),
        b"\x00" * (2 << 20), framed(7, good),
    ])  # fmt: skip
    assert [reason(result) for result in results[:-1]] == [
        "empty", "no_schema", "no_schema", "no_schema", "not_of_schema",
        "not_of_schema", "not_utf8", "not_of_schema", "too_large",
    ]  # fmt: skip
    assert {reason(result) for result in results[1:6]} == {"no_schema", "not_of_schema"}
    assert isinstance(results[-1], dict)


def test_one_schema_file_reads_records_without_a_frame(files: dict[str, str]) -> None:
    records = make_format(SourceSettings(format="avro", schema_file=files["7"]))
    row, refused = records.read([encode(OLD, {"sym": "B", "px": 2.0}), encode(NEW, {
        "sym": "B", "px": 2.0, "venue": "X",
    })])  # fmt: skip
    assert row == {"sym": "B", "px": "2.0", "@type": "Order"}
    assert reason(refused) == "not_of_schema"


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({}, r"set \[schema_registry\] url, or schema_file"),
        ({"schema_file": "absent.avsc"}, "absent.avsc cannot be read"),
        ({"schema_file": "none"}, "none is no Avro schema"),
        ({"schema_file": {"7": "none"}}, "none is no Avro schema"),
        ({"schema_file": {"7": "absent.avsc"}}, "absent.avsc cannot be read"),
        ({"schema_file": "old", "message": "Order"}, "leave out `message`"),
    ],
)
def test_a_source_without_a_usable_schema_ends_in_a_sentence(
    files: dict[str, str], settings: dict[str, Any], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(Path(files["7"]).parent)
    with pytest.raises(ConfigError, match=words):
        make_format(SourceSettings(format="avro", **settings))
