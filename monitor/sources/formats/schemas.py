"""Records that are nothing without a schema: framed with its id, as Confluent's clients write them,
or all of one schema that a file holds.

A frame is a byte 0 and the schema's id in four bytes, highest first.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from monitor.core.contract.events import RECORD_BYTES_MAX
from monitor.errors import ConfigError
from monitor.sources.formats.base import Row
from monitor.sources.settings import SourceSettings
from monitor.venues.parse import UnreadableError

FRAME_BYTES = 5
SCHEMAS_MAX = 1_000
"""Schemas that are kept, ready to read with; beyond that they are prepared anew."""
SCHEMA_BYTES_MAX = 4 << 20

Reader = Callable[[bytes, int], Row]
"""The row in a record's bytes from an offset on; raises `UnreadableError`."""


class SchemaError(Exception):
    """A schema from which no rows can be read; the message says why, without a subject."""


@dataclass(frozen=True, slots=True)
class Schema:
    """A schema as it is written. form: AVRO, PROTOBUF or JSON. references: the name and the text of
    each schema that it needs, in an order in which each comes after those that it needs itself."""

    form: str
    source: bytes
    references: tuple[tuple[str, bytes], ...] = ()
    path: str = ""
    """Where it lies, if it is a file."""


class SchemaStore(Protocol):
    """Where a schema is looked up by the id that a record carries."""

    def schema(self, schema_id: int) -> Schema:
        """Raises `UnreadableError` (no_schema) where there is none of this id, and
        `RegistryUnavailableError` where that cannot be said now."""
        ...


def read_schema_file(form: str, file: str) -> Schema:
    """Raises `ConfigError` where the file cannot be read."""
    try:
        with Path(file).open("rb") as stream:
            source = stream.read(SCHEMA_BYTES_MAX + 1)
    except OSError as error:
        raise ConfigError(f"schema_file {file} cannot be read: {error.strerror}") from error
    if len(source) > SCHEMA_BYTES_MAX:
        raise ConfigError(f"schema_file {file} is longer than {SCHEMA_BYTES_MAX >> 20} MiB")
    return Schema(form, source, path=file)


class SchemaRecords(ABC):
    """Reads records by the schema that each names, or by one for all.

    Which it is the source says: `schema_file` with one file is for records without a frame; with
    files by id, or without it, by the registry, records are framed.
    """

    form: str

    def __init__(self, settings: SourceSettings, registry: SchemaStore | None) -> None:
        file = settings.schema_file
        self._registry = None if file else registry
        self._only: Reader | None = None
        self._readers: dict[int, Reader | UnreadableError] = {}
        if isinstance(file, dict):
            self._readers = {int(number): self._read_file(path) for number, path in file.items()}
        elif file:
            self._only = self._read_file(file, settings.message)
        elif registry is None:
            raise ConfigError(
                f"format {self.form.lower()} needs the schemas of its records: set "
                "[schema_registry] url, or schema_file"
            )

    def _read_file(self, file: str, message: str | None = None) -> Reader:
        try:
            return self.make_reader(read_schema_file(self.form, file), message)
        except SchemaError as error:
            raise ConfigError(f"schema_file {file} is {error}") from error

    @abstractmethod
    def make_reader(self, schema: Schema, message: str | None) -> Reader:
        """A reader of records of one schema. message: None for framed records, else the name of the
        message that all are (Protobuf). Raises `SchemaError`."""

    def read(self, raws: Sequence[bytes]) -> list[Row | UnreadableError]:
        """The row of each record, or why its bytes are none. Raises `RegistryUnavailableError`
        while the registry does not answer: no record is refused for that, ask again."""
        rows: list[Row | UnreadableError] = []
        for raw in raws:
            try:
                if len(raw) > RECORD_BYTES_MAX:
                    raise UnreadableError("too_large", f"{len(raw)} bytes")
                if self._only is not None:
                    rows.append(self._only(raw, 0))
                else:
                    rows.append(self._reader(raw)(raw, FRAME_BYTES))
            except UnreadableError as error:
                rows.append(error)
        return rows

    def _reader(self, raw: bytes) -> Reader:
        if len(raw) < FRAME_BYTES or raw[0]:
            if not raw:
                raise UnreadableError("empty", "0 bytes")
            raise UnreadableError(
                "no_schema",
                f"begins with byte {raw[0]}, {len(raw)} bytes long: not framed with a schema's id",
            )
        schema_id = int.from_bytes(raw[1:FRAME_BYTES])
        reader = self._readers.get(schema_id)
        if reader is None:
            reader = self._find_reader(schema_id)
        if isinstance(reader, UnreadableError):
            raise reader
        return reader

    def _find_reader(self, schema_id: int) -> Reader | UnreadableError:
        if self._registry is None:
            raise UnreadableError("no_schema", f"schema_file has none of id {schema_id}")
        # One that there is not is asked for again: it may be registered yet.
        schema = self._registry.schema(schema_id)
        reader: Reader | UnreadableError
        try:
            if schema.form != self.form:
                raise SchemaError(f"of {schema.form}, and the source's format is {self.form}")
            reader = self.make_reader(schema, None)
        except SchemaError as error:
            reader = UnreadableError("no_schema", f"schema {schema_id} is {error}")
        if len(self._readers) >= SCHEMAS_MAX:
            self._readers.clear()
        self._readers[schema_id] = reader
        return reader
