"""The records in the files of a source, translated, with their places in the files."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, NamedTuple, TypeVar

import numpy as np
import pyarrow as pa

from monitor.core.contract.events import TS_MAX, TS_MIN
from monitor.core.decode.batch import Int64
from monitor.errors import ConfigError, nearest_name
from monitor.sources.adapter_lines import AdapterTranslator
from monitor.sources.field_map.translator import FieldMapTranslator
from monitor.sources.formats.avro.files import read_container
from monitor.sources.formats.base import PARQUET, Row
from monitor.sources.formats.csv_lines import dialect, join_lines, read_cells
from monitor.sources.formats.parquet_tables import read_file, write_row
from monitor.sources.formats.protobuf.files import split_messages
from monitor.sources.settings import CsvSettings
from monitor.sources.translation import Translation, Translator
from monitor.venues.parse import UnreadableError
from replay.day.feed_files import LineReader, describe, is_parquet
from replay.field_map.files import SourceFile
from replay.field_map.merge import UNKNOWN_TS

CHUNK_RECORDS = 2_048
"""Records that are translated at once, and that wait for their turn, of each file: with more, rows
leave the processor's cache before they are read again, which costs half as much again."""
FIRST_RECORDS = 256
"""Records among which the first time of a file is looked for."""
CHUNK_BYTES = 1 << 25
"""Records of so many bytes are translated at once, however few they are."""
_TS = re.compile(rb'"ts": ?([0-9]{1,19})[,}]')
_Numbered = tuple[int, bytes]
_Record = TypeVar("_Record", bound=tuple[int, Any])
_Rows = Iterator[tuple[Sequence[int], Sequence[bytes] | None, Sequence[Row | UnreadableError]]]
"""Places of some records, their bytes (None: they have none of their own), their rows."""


class SourceItem(NamedTuple):
    """One record of a file, and what it makes. place: its line, or its number, from 1."""

    reader: SourceReader
    file: SourceFile
    place: int
    original: bytes | Row | UnreadableError
    translation: Translation

    @property
    def raw(self) -> bytes:
        """Its bytes; of a row of a table, the row as JSON."""
        if isinstance(self.original, bytes):
            return self.original
        return write_row(self.original) if isinstance(self.original, dict) else b""

    @property
    def where(self) -> str:
        """Where it stands, for sentences."""
        return f"{self.file.name}, {self.reader.place_name} {self.place}"


class SourceReader:
    """Reads the files of one source of a map.

    name: the source's. `left_out` counts lines without a record; `records` the records.
    """

    def __init__(self, name: str, translator: Translator) -> None:
        self.name, self.translator = name, translator
        self._map = translator if isinstance(translator, FieldMapTranslator) else None
        self.left_out: Counter[str] = Counter()
        self.cut = self.records = 0
        self.truncated: list[str] = []
        self.empty: list[str] = []
        """Files without a header."""
        self.columns: dict[str, None] = {}
        """Names of fields that records have, in the order of their appearance, some of them."""
        self._unseen = self._map.paths() if self._map is not None else {}
        """Paths of the map that no record had so far, and the field that each is for."""

    @property
    def place_name(self) -> str:
        """What a place in a file counts."""
        is_text = self._map is None or self._map.settings.format in ("json", "csv")
        return "line" if is_text else "record"

    def guess_kind(self, item: SourceItem) -> str | None:
        """The kind that a record was meant to be that cannot be read; None: it is not known."""
        if isinstance(self.translator, AdapterTranslator):
            return self.translator.guess_kind(item.raw)
        return self._map.guessed_kind if self._map is not None else None

    def describe_skipped(self, name: str) -> str:
        """What a record is that is left out, as it stands after their number."""
        return name if self._map is None else f"of the kind {name}, which is not mapped"

    def origin(self, kind: str, field: str) -> str | None:
        """Where the source has a field of the contract, for sentences."""
        return self._map.origin(kind, field) if self._map is not None else None

    def first_ts(self, file: SourceFile) -> int:
        """The time of the first of a file's records that has one, ns; `UNKNOWN_TS` where none of
        the first does."""
        reader = SourceReader(self.name, self.translator)
        for _, ts in islice(reader.chunks(file, FIRST_RECORDS), 1):
            timed = ts[ts != UNKNOWN_TS]
            return int(timed[0]) if len(timed) else UNKNOWN_TS
        return UNKNOWN_TS

    def chunks(
        self, file: SourceFile, size: int = CHUNK_RECORDS
    ) -> Iterator[tuple[list[SourceItem], Int64]]:
        """The records of a file, some at a time, and their times, ns; `UNKNOWN_TS` of those that
        make none. Raises `ConfigError` for a file of another format."""
        if self._map is None:
            for lines in _in_chunks(self._lines(file), size):
                raws = [raw for _, raw in lines]
                translations = self.translator.translate(raws)
                yield self._items(file, [n for n, _ in lines], raws, translations)
            return
        for places, originals, rows in self._rows(self._map, file, size):
            self._look_for_paths(self._map, rows)
            translations = self._map.translate_rows(rows)
            items, times = self._items(file, places, originals or rows, translations)
            for i in np.flatnonzero(times == UNKNOWN_TS).tolist():
                ts = self._map.event_time(rows[i])
                times[i] = UNKNOWN_TS if ts is None or not TS_MIN <= ts < TS_MAX else ts
            yield items, times

    def _items(
        self,
        file: SourceFile,
        places: Sequence[int],
        originals: Sequence[bytes | Row | UnreadableError],
        translations: Sequence[Translation],
    ) -> tuple[list[SourceItem], Int64]:
        self.records += len(places)
        items = [
            SourceItem(self, file, place, original, translation)
            for place, original, translation in zip(places, originals, translations, strict=True)
        ]
        times = [_event_time(translation) for translation in translations]
        return items, np.array(times, np.int64)

    def _lines(self, file: SourceFile) -> Iterator[_Numbered]:
        """The lines of a text file that are not blank."""
        reader = LineReader(file)
        for number, line in reader.numbered():
            if line and not line.isspace():
                yield number, line
            else:
                self.left_out["blank"] += 1
        self.cut += reader.cut
        if reader.truncated:
            self.truncated.append(file.name)

    def _rows(self, field_map: FieldMapTranslator, file: SourceFile, size: int) -> _Rows:
        settings = field_map.settings
        form = settings.format
        if is_parquet(file) != (form == PARQUET):
            what = "Parquet" if form != PARQUET else "no Parquet file"
            raise ConfigError(f"{file} is {what}, and source.{self.name}.format is {form}: mend it")
        if form == PARQUET:
            yield from self._tables(file, settings.zone)
        elif form == "avro":
            with file.open("rb") as stream:
                pairs = enumerate(read_container(str(file), stream), 1)
                for some in _in_chunks(pairs, size):
                    yield [n for n, _ in some], [r for _, (r, _) in some], [r for _, (_, r) in some]
        elif form == "protobuf":
            with file.open("rb") as stream:
                yield from _records(
                    field_map, enumerate(split_messages(str(file), stream), 1), size
                )
        elif form == "csv":
            reader = LineReader(file)
            lines = islice(reader.numbered(), settings.csv.skip_lines, None)
            rows = join_lines(lines, settings.csv)
            columns = [] if settings.csv.columns else self._header(file, rows, settings.csv)
            if not columns and not settings.csv.columns:
                self.empty.append(file.name)
                return
            yield from _records(field_map, self._filled(rows), size, columns)
            self.cut += reader.cut
            if reader.truncated:
                self.truncated.append(file.name)
        else:
            yield from _records(field_map, self._lines(file), size)

    def _filled(self, rows: Iterable[_Numbered]) -> Iterator[_Numbered]:
        for row in rows:
            if row[1] and not row[1].isspace():
                yield row
            else:
                self.left_out["blank"] += 1

    def _header(self, file: SourceFile, rows: Iterator[_Numbered], form: CsvSettings) -> list[str]:
        for _, row in self._filled(rows):
            try:
                return read_cells(row, dialect(form))
            except UnreadableError as error:
                what = describe(file) or error.detail
                raise ConfigError(f"{file} has no header that can be read: {what}") from None
        return []

    def _tables(self, file: SourceFile, zone: str) -> _Rows:
        number = 1
        try:
            with file.open("rb") as stream:
                for rows in read_file(stream, zone):
                    yield range(number, number + len(rows)), None, rows
                    number += len(rows)
        except (pa.ArrowException, OSError, ValueError) as error:
            if isinstance(error, ConfigError):
                raise
            first = str(error).partition("\n")[0][:200]
            raise ConfigError(f"{file} is damaged ({first}): copy it anew") from None

    def _look_for_paths(
        self, field_map: FieldMapTranslator, rows: Sequence[Row | UnreadableError]
    ) -> None:
        """Strike off the paths at which records have something."""
        if not self._unseen and self.columns:
            return
        sample = [row for row in rows if isinstance(row, dict)]
        for row in field_map.unpack(sample[:100]):
            _note_names(row, "", self.columns)
        for path in field_map.present_paths(sample, [*self._unseen]):
            del self._unseen[path]

    def missing_paths(self) -> list[str]:
        """A sentence for each field of the map that no record had."""
        if not self.columns:
            return []
        names, where = list(self.columns), f"source.{self.name}"
        return [
            f"no record of {where} has {path!r} (for {field}); {nearest_name(path, names)}"
            for path, field in self._unseen.items()
        ]


def _records(
    field_map: FieldMapTranslator,
    numbered: Iterable[_Numbered],
    size: int,
    columns: Sequence[str] = (),
) -> _Rows:
    form = field_map.record_format(columns)
    for some in _in_chunks(numbered, size):
        raws = [raw for _, raw in some]
        yield [n for n, _ in some], raws, form.read(raws)


def _event_time(translation: Translation) -> int:
    match = _TS.search(translation.records[0][2]) if translation.records else None
    ts = int(match[1]) if match else UNKNOWN_TS
    return ts if ts < TS_MAX else UNKNOWN_TS


def _in_chunks(items: Iterable[_Record], size: int) -> Iterator[list[_Record]]:
    """Lists of `size` records, or fewer where they are large; the second of each is its bytes, or
    has them first."""
    some: list[_Record] = []
    bytes_left = CHUNK_BYTES
    for item in items:
        some.append(item)
        raw = item[1]
        bytes_left -= len(raw if isinstance(raw, bytes) else raw[0])
        if len(some) >= size or bytes_left < 0:
            yield some
            some, bytes_left = [], CHUNK_BYTES
    if some:
        yield some


def _note_names(value: Row, head: str, names: dict[str, None]) -> None:
    for name, inner in value.items():
        if len(names) >= 200:
            return
        if isinstance(inner, dict):
            _note_names(inner, f"{head}{name}.", names)
        else:
            names[f"{head}{name}"] = None
