"""Avro's object container files (`.avro`), which hold the schema of their records."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from typing import Any, BinaryIO

import fastavro

from monitor.errors import ConfigError
from monitor.sources.formats.avro.records import read_datum
from monitor.sources.formats.avro.schema import prepare_schema
from monitor.sources.formats.base import Row
from monitor.sources.formats.schemas import SchemaError
from monitor.venues.parse import UnreadableError

_MAGIC = b"Obj\x01"


def read_container(name: str, stream: BinaryIO) -> Iterator[tuple[bytes, Row | UnreadableError]]:
    """The bytes of each record and its row, or why they make none: then those of the rest of its
    block, for nothing says where the next record in it begins.

    name: the file's, for errors. Raises `ConfigError` where the file is none of Avro, is damaged,
    or has a schema that makes no rows.
    """
    records = 0
    try:
        if stream.read(len(_MAGIC)) != _MAGIC:
            raise ConfigError(
                f"{name} is no Avro file: those begin with the bytes Obj; is the source's format "
                "another, or are these records without their container?"
            )
        stream.seek(0)
        blocks = fastavro.block_reader(stream)
        prepared = prepare_schema(blocks.metadata["avro.schema"].encode())
        for block in blocks:
            for each in _read_block(block, prepared):
                yield each
                records += 1
    except SchemaError as error:
        raise ConfigError(f"{name} has a schema that is {error}") from error
    except (OSError, ConfigError):
        raise
    except Exception as error:  # whatever the parser and the decompressors raise for damaged bytes
        if not records:
            raise ConfigError(
                f"{name} is no Avro file that can be read ({type(error).__name__}: {error}): it is "
                "damaged, or not compressed with deflate, bzip2, snappy, zstandard or xz"
            ) from error
        raise ConfigError(
            f"{name} is damaged after {records} records: {type(error).__name__}: {error}"
        ) from error


def _read_block(block: Any, prepared: Any) -> Iterator[tuple[bytes, Row | UnreadableError]]:
    stream: BytesIO = block.bytes_
    data = stream.getbuffer()
    for _ in range(block.num_records):
        start = stream.tell()
        try:
            row = read_datum(stream, prepared)
        except UnreadableError as error:
            yield bytes(data[start:]), error
            return
        yield bytes(data[start : stream.tell()]), row
    if rest := bytes(data[stream.tell() :]):
        detail = f"{len(rest)} bytes are left over in a block"
        yield rest, UnreadableError("not_of_schema", detail)
