"""Object container files: the records in them, and damage."""

from __future__ import annotations

import io
from typing import Any

import fastavro
import pytest

from monitor.errors import ConfigError
from monitor.sources.formats.avro.files import read_container
from monitor.venues.parse import UnreadableError

SCHEMA = fastavro.parse_schema(
    {"type": "record", "name": "T", "fields": [{"name": "s", "type": "string"}]}
)


def container(records: int, codec: str = "null", schema: Any = SCHEMA) -> bytes:
    stream = io.BytesIO()
    rows = [{"s": f"t{i}"} for i in range(records)]
    fastavro.writer(stream, schema, rows, codec=codec, sync_interval=200)
    return stream.getvalue()


def texts(raw: bytes) -> list[str]:
    return [row["s"] for _, row in read_container("f", io.BytesIO(raw)) if isinstance(row, dict)]


@pytest.mark.parametrize("codec", ["null", "deflate", "bzip2", "snappy", "zstandard", "xz"])
def test_every_record_is_read_from_any_codec(codec: str) -> None:
    assert texts(container(300, codec)) == [f"t{i}" for i in range(300)]


def test_a_record_has_the_bytes_that_it_had_in_the_file() -> None:
    raws = [raw for raw, _ in read_container("f", io.BytesIO(container(3)))]
    assert raws == [b"\x04t0", b"\x04t1", b"\x04t2"]


def test_bytes_that_are_no_record_take_the_rest_of_their_block_with_them() -> None:
    raw = bytearray(container(300))
    raw[raw.index(b"\x06t50") + 1] = 0xFF  # no UTF-8
    results = [row for _, row in read_container("f", io.BytesIO(raw))]
    refused = [row for row in results if isinstance(row, UnreadableError)]
    assert [error.reason for error in refused] == ["not_utf8"]
    assert 200 < len(texts(bytes(raw))) < 300


@pytest.mark.parametrize("raw", [b"", b"Obj", b"PAR1" + bytes(50), b"Obj\x01" + bytes(20)])
def test_a_file_of_another_form_ends_in_a_sentence(raw: bytes) -> None:
    with pytest.raises(ConfigError, match=r"orders\.avro is no Avro file"):
        list(read_container("orders.avro", io.BytesIO(raw)))


def test_a_file_that_is_cut_says_after_how_many_records() -> None:
    with pytest.raises(ConfigError, match=r"orders\.avro is damaged after \d+ records"):
        list(read_container("orders.avro", io.BytesIO(container(300)[:-5])))


def test_a_file_whose_schema_makes_no_rows_ends_in_a_sentence() -> None:
    stream = io.BytesIO()
    fastavro.writer(stream, {"type": "array", "items": "null"}, [[None]])
    stream.seek(0)
    with pytest.raises(ConfigError, match="f has a schema that is of an array"):
        list(read_container("f", stream))
