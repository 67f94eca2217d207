"""The interface of a format: the bytes of records in, rows of named values out.

A row is what a field map reads from: objects are dicts, lists are lists, absent values None. Every
number is an `int`, or the text of a decimal exactly as it was written (a binary float: its shortest
text that reads back the same), never a float. A time whose form says its unit is an `Instant`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from typing import Any, BinaryIO, Protocol

from monitor.core.contract.events import RECORD_BYTES_MAX
from monitor.sources.settings import SourceSettings
from monitor.venues.parse import UnreadableError

Row = dict[str, Any]


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
}
"""Where the format of a record's bytes is, by its name in a map: module and class, which takes the
source's settings. Imported when a map uses it, for some need large libraries."""


class FileFormat(Protocol):
    """Reads files that are no lines of text, as Parquet's."""

    def read_file(self, stream: BinaryIO) -> Iterator[list[Row]]:
        """The rows of an open file, some at a time; raises what its library does for a file that
        is damaged or of another format."""
        ...


FILE_FORMATS = {"parquet": "monitor.sources.formats.parquet_tables:ParquetFiles"}
"""Where the formats of whole files are, as in `FORMATS`."""


def make_format(settings: SourceSettings) -> RecordFormat:
    """The format that `settings` names, one of `FORMATS`."""
    records: RecordFormat = _load(FORMATS[settings.format])(settings)
    return records


def make_file_format(settings: SourceSettings) -> FileFormat:
    """The format of files that `settings` names, one of `FILE_FORMATS`."""
    files: FileFormat = _load(FILE_FORMATS[settings.format])(settings)
    return files


def _load(place: str) -> Callable[[SourceSettings], Any]:
    module, _, name = place.partition(":")
    make: Callable[[SourceSettings], Any] = getattr(import_module(module), name)
    return make


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
