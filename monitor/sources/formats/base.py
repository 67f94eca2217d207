"""The interface of a format: the bytes of records in, rows of named values out.

A row is what a field map reads from: objects are dicts, lists are lists, absent values None. Every
number is an `int`, or the text of a decimal exactly as it was written (a binary float: its shortest
text that reads back the same), never a float. A time whose form says its unit is an `Instant`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

from monitor.core.contract.events import RECORD_BYTES_MAX
from monitor.sources.settings import SourceSettings
from monitor.venues.parse import UnreadableError

if TYPE_CHECKING:
    from monitor.sources.formats.schemas import SchemaStore

Row = dict[str, Any]


REASONS = {
    "unreadable": "the bytes are not of the format that the source's map names",
    "no_schema": "the record names no schema, or one that there is not or that makes no rows",
    "not_of_schema": "the bytes are not what their schema says",
}
"""Why a record is refused before it is a row, beside the contract's own reasons."""


class Instant(int):
    """A time that needs no unit of the map: ns since 1970-01-01 UTC."""

    __slots__ = ()


class RecordFormat(Protocol):
    """Reads records of one source, one after another."""

    def read(self, raws: Sequence[bytes]) -> list[Row | UnreadableError]:
        """The row of each record, or why its bytes are none; never raises for what they hold."""
        ...


FORMATS = {
    "json": "monitor.sources.formats.json_lines:JsonLines",
    "csv": "monitor.sources.formats.csv_lines:CsvLines",
    "avro": "monitor.sources.formats.avro.records:AvroRecords",
    "protobuf": "monitor.sources.formats.protobuf.records:ProtobufRecords",
}
"""Where the format of a record's bytes is, by its name in a map: module and class, which takes the
source's settings. Imported when a map uses it, for some need large libraries."""
PARQUET = "parquet"
"""A format of files alone, which are tables."""
BY_SCHEMA = ("avro", "protobuf")
"""Formats that need the schemas of their records: their classes take the registry too."""


def make_format(settings: SourceSettings, registry: SchemaStore | None = None) -> RecordFormat:
    """The format that `settings` names, one of `FORMATS`; raises `ConfigError` where a schema that
    it needs cannot be had."""
    module, _, name = FORMATS[settings.format].partition(":")
    make: Callable[..., RecordFormat] = getattr(import_module(module), name)
    return make(settings, registry) if settings.format in BY_SCHEMA else make(settings)


def read_each(raws: Sequence[bytes], read: Callable[[bytes], Row]) -> list[Row | UnreadableError]:
    """The row of each record by `read`, which raises `UnreadableError`; with the bounds of all."""
    rows: list[Row | UnreadableError] = []
    for raw in raws:
        try:
            if len(raw) > RECORD_BYTES_MAX:
                raise UnreadableError("too_large", f"{len(raw)} bytes")
            if not raw.strip():
                raise UnreadableError("empty", f"{len(raw)} bytes")
            rows.append(read(raw))
        except UnreadableError as error:
            rows.append(error)
    return rows
