"""What is wrong with a map before any record is read: names, words and rules that cannot be right.

Each error is one sentence that says where in the file it is and how to mend it.
"""

from __future__ import annotations

from collections.abc import Iterable

from monitor.core.decode.batch import Column
from monitor.errors import ConfigError, nearest_name
from monitor.sources.field_map.contract_fields import ABOUT, LISTS, Member, contract_fields
from monitor.sources.field_map.readers import ReaderMaker
from monitor.sources.field_map.values import OTHER
from monitor.sources.formats.base import FORMATS
from monitor.sources.settings import FieldRule, Kind, SourceSettings
from monitor.venues.parse import UnreadableError

_NUMBERS = ("price", "quantity", "e8", "e6", "count")


def check_source(name: str, settings: SourceSettings) -> None:
    """Raises `ConfigError` with the first thing that is wrong in the map of the source `name`."""
    where = f"source.{name}"
    kind = settings.kind
    if kind is None or not settings.kinds:
        raise ConfigError(
            f'{where}: say which kind its records are: kind = "order", or '
            'kind = { field = "type", words = { NEW = "order" } }'
        )
    if (kind.value is None) != bool(kind.field) or bool(kind.field) != bool(kind.words):
        raise ConfigError(f"{where}.kind: give one kind for all records, or a field and its words")
    for extra in settings.by_kind:
        if extra not in settings.kinds:
            named = ", ".join(settings.kinds)
            raise ConfigError(f"{where}.by_kind.{extra}: the source's records are {named} only")
    if settings.topic and settings.format not in FORMATS:
        mend = "give files = [ … ] instead of a topic"
        raise ConfigError(f"{where}: {settings.format} is a format of files: {mend}")
    if settings.topic and settings.format == "csv" and not settings.csv.columns:
        mend = "name its columns by csv = { columns = [ … ] }"
        raise ConfigError(f"{where}: the records of a topic have no header: {mend}")
    _check_names(where, settings)
    for one in settings.kinds:
        _check_kind(where, settings, one)


def _fields_of(settings: SourceSettings, kind: Kind) -> Member:
    about = settings.rules(kind).get("about") if kind == "reference" else None
    return contract_fields(kind, about.value if about and about.value in ABOUT else None)


def _check_names(where: str, settings: SourceSettings) -> None:
    """Every field is one that a kind of the source has."""
    fields = {kind: _fields_of(settings, kind) for kind in settings.kinds}
    every = [name for columns in fields.values() for name in columns]
    for name in settings.fields:
        if name not in every:
            raise ConfigError(_no_field(f"{where}.fields", name, settings.kinds, every))
    for kind, rules in settings.by_kind.items():
        for name in rules:
            if name not in fields[kind]:
                place = f"{where}.by_kind.{kind}"
                raise ConfigError(_no_field(place, name, (kind,), [*fields[kind]]))


def _no_field(where: str, name: str, kinds: Iterable[str], names: list[str]) -> str:
    return f"{where}.{name}: {' and '.join(kinds)} has no such field; {nearest_name(name, names)}"


def _check_kind(where: str, settings: SourceSettings, kind: Kind) -> None:
    rules, columns = settings.rules(kind), _fields_of(settings, kind)
    for name, column in columns.items():
        if name in rules:
            at = f"by_kind.{kind}" if name in settings.by_kind.get(kind, {}) else "fields"
            _check_rule(f"{where}.{at}.{name}", settings, column, rules[name])
        elif column.required:
            raise ConfigError(f"{where}: a record of the kind {kind} needs {name}; {_mend(column)}")


def _mend(column: Column) -> str:
    if column.values:
        return f'add {column.name} = "…", or {column.name} = {{ value = "{column.values[0]}" }}'
    unit = '{ field = "…", unit = "ms" }' if column.type == "time" else '"…"'
    return f"add {column.name} = {unit} with the source's own name"


def _check_rule(where: str, settings: SourceSettings, column: Column, rule: FieldRule) -> None:
    origins = [bool(rule.field), bool(rule.fields), rule.value is not None, bool(rule.sign_of)]
    is_list = column.name in LISTS
    if sum(origins) != 1 and not (is_list and not any(origins)):
        raise ConfigError(f"{where}: give one of field, fields, value and sign_of")
    if rule.join and not rule.fields:
        raise ConfigError(f"{where}: join joins the texts of fields = [ … ], which is not given")
    changes = [key for key in ("times", "over", "absolute", "sign") if getattr(rule, key)]
    if changes and (column.type not in _NUMBERS or is_list):
        mend = "; inside each, it is for the price or the quantity" if is_list else ""
        raise ConfigError(f"{where}: {changes[0]} is for numbers, and this is none{mend}")
    if rule.unit and column.type != "time":
        raise ConfigError(f"{where}: unit is for times, and this is none")
    listed = [key for key in ("each", "first", "levels") if getattr(rule, key)]
    if listed and not is_list:
        raise ConfigError(f"{where}: {listed[0]} is for lists, and this is none")
    if is_list:
        for name, member in rule.each.items():
            if name in LISTS[column.name]:
                _check_rule(f"{where}.each.{name}", settings, LISTS[column.name][name], member)
        return
    _check_meanings(where, column, rule)
    if rule.value is not None:
        _check_value(where, settings, column, rule)


def _check_meanings(where: str, column: Column, rule: FieldRule) -> None:
    allowed = ("true", "false") if column.type == "flag" else column.values
    for source, meaning in rule.words.items():
        if allowed and meaning and meaning not in allowed:
            mend = nearest_name(meaning, allowed)
            raise ConfigError(f"{where}.words: {source!r} cannot mean {meaning!r}; {mend}")
    if rule.words and rule.value is not None:
        raise ConfigError(f"{where}: words are for what a field says, and this is one value")
    if list(rule.words) == [OTHER]:
        raise ConfigError(f"{where}.words has only {OTHER!r}: write value = … instead")


def _check_value(where: str, settings: SourceSettings, column: Column, rule: FieldRule) -> None:
    reader = ReaderMaker(settings).make(column, rule)
    if isinstance(rule.times, dict):
        return
    try:
        reader.render(reader.get({}))
    except UnreadableError as error:
        mend = f"; {nearest_name(rule.value or '', column.values)}" if column.values else ""
        raise ConfigError(f"{where}: {error.detail}{mend}") from None
