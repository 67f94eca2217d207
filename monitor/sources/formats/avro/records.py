"""Avro records, one by one.

A record is an object and has its full name under `@type`; a map is an object, an array a list, an
enum its symbol, a union the value that it holds. Bytes are hexadecimal digits, a decimal and a
float the text of a number, a timestamp an instant.
"""

from __future__ import annotations

from io import BytesIO
from typing import Any

import fastavro

from monitor.sources.formats.avro.schema import prepare_schema
from monitor.sources.formats.base import Row
from monitor.sources.formats.schemas import Reader, Schema, SchemaError, SchemaRecords
from monitor.venues.parse import UnreadableError


class AvroRecords(SchemaRecords):
    """Reads Avro records, each by the schema that it was written with."""

    form = "AVRO"

    def make_reader(self, schema: Schema, message: str | None) -> Reader:
        if message:
            raise SchemaError("of Avro, which has no messages to choose from: leave out `message`")
        prepared = prepare_schema(schema.source, [text for _, text in schema.references])

        def read(raw: bytes, offset: int) -> Row:
            stream = BytesIO(raw)
            stream.seek(offset)
            row = read_datum(stream, prepared)
            if (left := len(raw) - stream.tell()) > 0:
                raise UnreadableError(
                    "not_of_schema", f"{left} bytes are left over: written with another schema?"
                )
            return row

        return read


def read_datum(stream: BytesIO, prepared: Any) -> Row:
    """The next record of a stream; raises `UnreadableError`."""
    try:
        row = fastavro.schemaless_reader(stream, prepared, None)
    except UnreadableError:
        raise
    except UnicodeDecodeError as error:
        raise UnreadableError("not_utf8", f"a string: {error.reason}") from None
    except EOFError:
        raise UnreadableError("not_of_schema", "the bytes end within a value") from None
    except Exception as error:  # whatever the parser's C code raises for bytes that are not Avro
        detail = f"{type(error).__name__}: {ascii(str(error))[:100]}"
        raise UnreadableError("not_of_schema", detail) from None
    if not isinstance(row, dict):
        raise UnreadableError("not_object", "the Avro value is no record")
    return row
