"""The translator of a field map: rows of a source become canonical JSON, kind by kind, column by
column.

The contract judges what comes out as it judges any record. What it cannot be asked about (a word
that means nothing, a time that is none) is refused here, with the reason that the contract gives
for such a value; where a field before it is wrong as well, with the contract's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from monitor.core.decode.validate import field_of, preview, validate_record
from monitor.errors import ConfigError
from monitor.sources.field_map.checks import check_source
from monitor.sources.field_map.contract_fields import LISTS, TERMS, contract_fields
from monitor.sources.field_map.lists import make_list_reader
from monitor.sources.field_map.readers import FieldReader, ReaderMaker
from monitor.sources.field_map.values import OTHER, get_nothing, get_path, text_of
from monitor.sources.formats.base import RecordFormat, Row, make_format
from monitor.sources.formats.csv_lines import CsvLines
from monitor.sources.formats.schemas import SchemaStore
from monitor.sources.settings import Kind, SourceSettings
from monitor.sources.translation import Translation
from monitor.venues.parse import UnreadableError

SKIPPED_NAME_MAX = 40


class FieldMapTranslator:
    """Turns records of one source into the contract's, by its map.

    name: the source's, for errors. registry: has the schemas of Avro and Protobuf. Raises
    `ConfigError` where the map is not right.
    """

    def __init__(
        self, name: str, settings: SourceSettings, registry: SchemaStore | None = None
    ) -> None:
        check_source(name, settings)
        assert settings.kind is not None
        self.settings = settings
        self._registry = registry
        self._name = name
        self._format = self._make_format() if settings.topic else None
        self._list = get_path(settings.unpack) if settings.unpack else None
        self._maps: dict[str, KindMap] = {k: KindMap(settings, k) for k in settings.kinds}
        self._constant = settings.kind.value
        self._kind_field = settings.kind.field
        self._get_kind = get_path(self._kind_field)
        kinds = {word.strip().lower(): kind for word, kind in settings.kind.words.items()}
        self._other_kind = kinds.pop(OTHER, None)
        self._kind_of = kinds
        self._is_absent = ReaderMaker(settings).is_absent

    @property
    def guessed_kind(self) -> str | None:
        """The kind of a record that cannot be read; None where the source mixes kinds."""
        return next(iter(self._maps)) if len(self._maps) == 1 else None

    def translate(self, raws: Sequence[bytes]) -> list[Translation]:
        """What each record makes; `raws` as on a bus, in the format of the source."""
        return self.translate_rows(self.record_format().read(raws))

    def record_format(self, columns: Sequence[str] = ()) -> RecordFormat:
        """What reads the bytes of records; `columns`: of a CSV file's header."""
        if columns:
            return CsvLines(self.settings, columns)
        if self._format is None:
            self._format = self._make_format()
        return self._format

    def _make_format(self) -> RecordFormat:
        try:
            return make_format(self.settings, self._registry)
        except ConfigError as error:
            raise ConfigError(f"source.{self._name}: {error}") from None

    def translate_rows(self, rows: Sequence[Row | UnreadableError]) -> list[Translation]:
        """What each row makes; of a record that is no row, why."""
        if self._list is None:
            return self._translate_flat(rows)
        members = [self._members(row) for row in rows]
        flat = iter(self._translate_flat([member for group in members for member in group]))
        without = Translation(skipped=f"without {self.settings.unpack}"[:SKIPPED_NAME_MAX])
        return [
            _join_members([next(flat) for _ in group]) if group else without for group in members
        ]

    def _members(self, row: Row | UnreadableError) -> list[Row | UnreadableError]:
        """The records that a row holds in a list, each with what stands around the list."""
        if isinstance(row, UnreadableError):
            return [row]
        assert self._list is not None
        members = self._list(row)
        if self._is_absent(members):
            return []
        if not isinstance(members, list) or not all(isinstance(m, dict) for m in members):
            detail = f"unpack: saw {preview(members)} where a list of objects belongs"
            return [UnreadableError("wrong_type", detail)]
        return [{**row, **member} for member in members]

    def _translate_flat(self, rows: Sequence[Row | UnreadableError]) -> list[Translation]:
        if self._constant is not None and all(type(row) is dict for row in rows):
            return self._maps[self._constant].translate(rows)  # type: ignore[arg-type]
        of_kind, out = self._sort(rows)
        for kind, index in of_kind.items():
            results = self._maps[kind].translate([rows[i] for i in index])  # type: ignore[misc]
            if len(index) == len(rows):
                return results
            for i, result in zip(index, results, strict=True):
                out[i] = result
        return out

    def origin(self, kind: str, field: str) -> str | None:
        """Where the source has a field of the contract, for sentences."""
        return self._maps[kind].origins.get(field) if kind in self._maps else None

    def event_time(self, row: Row | UnreadableError) -> int | None:
        """The time of a row that makes no record, ns UTC; None where it has none to be read."""
        try:
            if isinstance(row, UnreadableError) or self._list is not None:
                return None
            kind = self._constant or self._find_kind(row)
            return None if kind is None else self._maps[kind].event_time(row)
        except UnreadableError:
            return None

    def paths(self) -> dict[str, str]:
        """Every path that the map reads, and the field that it is for; of a list its own only."""
        paths = {self._kind_field: "kind"} if self._kind_field else {}
        for kind_map in self._maps.values():
            for reader in kind_map.readers:
                some = reader.paths[:1] if reader.name in LISTS else reader.paths
                paths |= {path: reader.name for path in some if path not in paths}
        return paths

    def present_paths(self, rows: Sequence[Row], paths: Sequence[str]) -> list[str]:
        """Those of `paths` at which one of the rows has something."""
        unpacked = self.unpack(rows)
        getters = [(path, get_path(path)) for path in paths]
        return [p for p, get in getters if any(get(row) is not None for row in unpacked)]

    def unpack(self, rows: Sequence[Row]) -> Sequence[Row]:
        """The records in the rows' lists, where the map says that they are in one."""
        if self._list is None:
            return rows
        return [m for row in rows for m in self._members(row) if isinstance(m, dict)]

    def _sort(
        self, rows: Sequence[Row | UnreadableError]
    ) -> tuple[dict[Kind, list[int]], list[Translation]]:
        """The places of the rows of each kind, and what becomes of the rows of none."""
        of_kind: dict[Kind, list[int]] = {}
        out = [_NOTHING] * len(rows)
        for i, row in enumerate(rows):
            if isinstance(row, UnreadableError):
                out[i] = Translation(refused=row)
                continue
            try:
                kind = self._constant or self._find_kind(row)
            except UnreadableError as error:
                out[i] = Translation(refused=error)
                continue
            if kind is None:
                out[i] = Translation(skipped=text_of(self._get_kind(row))[:SKIPPED_NAME_MAX])
            else:
                of_kind.setdefault(kind, []).append(i)
        return of_kind, out

    def _find_kind(self, row: Row) -> Kind | None:
        """The kind of a row, None where the map leaves its word out; raises `UnreadableError`."""
        written = self._get_kind(row)
        if type(written) is str and (kind := self._kind_of.get(written)):
            return kind
        if self._is_absent(written):
            raise UnreadableError("missing_field", f"kind: {self._kind_field!r} is absent")
        try:
            return self._kind_of.get(text_of(written).lower(), self._other_kind)
        except UnreadableError as error:
            raise UnreadableError(
                error.reason, f"kind: {self._kind_field!r} {error.detail}"
            ) from None


class KindMap:
    """The readers of one kind of a source, in the order in which the contract judges the fields."""

    def __init__(self, settings: SourceSettings, kind: Kind) -> None:
        rules = settings.rules(kind)
        about = rules["about"].value if kind == "reference" else None
        columns = contract_fields(kind, about)
        maker = ReaderMaker(settings)
        symbol = maker.text_getter(rules["symbol"]) if "symbol" in rules else get_nothing
        maker = ReaderMaker(settings, symbol)
        self._kind, self._head = kind, f'{{"kind":"{kind}"'
        self.readers: list[FieldReader] = []
        terms: list[FieldReader] = []
        for name, column in columns.items():
            if name not in rules:
                continue
            if name in LISTS:
                self.readers.append(make_list_reader(settings, symbol, column, rules[name]))
            else:
                reader = maker.make(column, rules[name])
                (terms if name.startswith(TERMS) else self.readers).append(reader)
        if terms:
            self.readers.append(_join_terms(terms))
        names = [reader.name for reader in self.readers]
        key = "symbol" if "symbol" in names else "account" if "account" in names else ""
        self._key = names.index(key) if key else None
        self._key_head = len(f',"{key}":')
        self.origins = {reader.name: reader.origin for reader in (*self.readers, *terms)}

    def translate(self, rows: list[Row]) -> list[Translation]:
        """What each row makes."""
        try:
            columns = [reader.render_rows(rows) for reader in self.readers]
        except UnreadableError:
            return [self._translate_one(row) for row in rows]
        if not rows:
            return []
        keys: Sequence[str] = [""] * len(rows) if self._key is None else columns[self._key]
        # No piece has a line break, so that all records are encoded at once.
        between = f"}}\n{self._head}"
        texts = between.join(map("".join, zip(*columns, strict=True)))
        records = f"{self._head}{texts}}}".encode().split(b"\n")
        if any("\\" in key for key in set(keys)):
            names = [msgspec.json.decode(key[self._key_head :]) if key else "" for key in keys]
        else:
            first = self._key_head + 1
            names = [key[first:-1] for key in keys]
        kind = self._kind
        return [
            Translation(((kind, name, record),))
            for name, record in zip(names, records, strict=True)
        ]

    def event_time(self, row: Row) -> int:
        """The time of a row, ns UTC; raises `UnreadableError`."""
        reader = next(reader for reader in self.readers if reader.name == "ts")
        return int(reader.render(reader.get(row)).removeprefix(',"ts":'))

    def _finish(self, key: str, text: str) -> Translation:
        name = msgspec.json.decode(key[self._key_head :]) if key else ""
        return Translation(((self._kind, name, f"{self._head}{text}}}".encode()),))

    def _translate_one(self, row: Row) -> Translation:
        pieces: list[str] = []
        for reader in self.readers:
            try:
                pieces.append(reader.render(reader.get(row)))
            except UnreadableError as error:
                return Translation(refused=self._first_error(pieces, error))
        key = "" if self._key is None else pieces[self._key]
        return self._finish(key, "".join(pieces))

    def _first_error(self, before: list[str], error: UnreadableError) -> UnreadableError:
        """What the contract has against the fields before the one with `error`; else `error`."""
        judged = validate_record(f"{self._head}{''.join(before)}}}".encode(), self._kind)
        if isinstance(judged, tuple):
            reason, detail = judged
            field = field_of(detail)
            if field in {reader.name for reader in self.readers[: len(before)]}:
                return UnreadableError(reason, f"{detail} ({self.origins[field]})")
        return error


_NOTHING = Translation()


def _join_members(results: list[Translation]) -> Translation:
    """What a record with a list of records makes: all of them, or it is refused."""
    for result in results:
        if result.refused is not None:
            return result
    records = tuple(record for result in results for record in result.records)
    return Translation(records) if records else results[0]


def _join_terms(terms: list[FieldReader]) -> FieldReader:
    """The fields of a market's contract, which stand in an object of their own."""

    def render(row: Any) -> str:
        pieces = "".join(reader.render(reader.get(row)) for reader in terms)
        return f',"contract":{{{pieces[1:]}}}' if pieces else ""

    paths = tuple(path for reader in terms for path in reader.paths)
    return FieldReader("contract", "", paths, lambda row: row, render)
