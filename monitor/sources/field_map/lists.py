"""Readers of the contract's lists: sides of a book, the sources of an index, margin tiers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from monitor.core.decode.batch import Column
from monitor.core.decode.validate import preview
from monitor.errors import ConfigError, nearest_name
from monitor.sources.field_map.contract_fields import LISTS
from monitor.sources.field_map.readers import FieldReader, ReaderMaker
from monitor.sources.field_map.values import Getter, get_in_member, get_nothing, get_path, origin
from monitor.sources.formats.json_lines import read_value
from monitor.sources.settings import FieldRule, SourceSettings
from monitor.venues.parse import UnreadableError

_SIDES = ("bids", "asks")
_PAIR = {"price": FieldRule(field="0"), "quantity": FieldRule(field="1")}


def make_list_reader(
    settings: SourceSettings, symbol: Getter, column: Column, rule: FieldRule
) -> FieldReader:
    """The reader of a field that is a list; raises `ConfigError` for a rule that cannot be
    followed."""
    members = _member_rules(column.name, rule)
    if rule.levels is not None or not rule.field:
        return _level_reader(settings, symbol, column, rule, members)
    current: list[str | None] = [None]  # the symbol of the row whose list is read
    maker = ReaderMaker(settings, lambda member: current[0], get_in_member)
    readers = [maker.make(LISTS[column.name][name], member) for name, member in members.items()]
    get_list, place, head = get_path(rule.field), origin(rule), f',"{column.name}":'
    if not any(isinstance(member.times, dict) for member in members.values()):
        symbol = get_nothing

    def get(row: Any) -> tuple[Any, str | None]:
        return get_list(row), symbol(row)

    def render(pair: tuple[Any, str | None]) -> str:
        value, current[0] = pair
        if type(value) is str and value.lstrip().startswith(("[", "{")):
            value = read_value(value.encode())  # JSON in a cell
        if maker.is_absent(value):
            if column.required:
                raise UnreadableError("missing_field", f"{column.name}: {place} is absent")
            return ""
        if type(value) is not list:
            detail = f"{column.name}: {place} is {preview(value)}, no list"
            raise UnreadableError("wrong_type", detail)
        written = []
        for number, member in enumerate(value[: rule.first]):
            try:
                written.append([reader.render(reader.get(member)) for reader in readers])
            except UnreadableError as error:
                detail = f"{column.name}: {place}, member {number}: {error.detail}"
                raise UnreadableError(error.reason, detail) from None
        return head + _write(column.name, written)

    return FieldReader(column.name, place, (rule.field,), get, render)


def _member_rules(name: str, rule: FieldRule) -> dict[str, FieldRule]:
    """The rules of a member's fields, in the contract's order."""
    fields = LISTS[name]
    for given in rule.each:
        if given not in fields:
            raise ConfigError(
                f"{name}.each has no field {given!r}; {nearest_name(given, [*fields])}"
            )
    defaults = _PAIR if name in _SIDES else {field: FieldRule(field=field) for field in fields}
    rules = {**defaults, **rule.each} if not rule.each or name not in _SIDES else rule.each
    missing = [field for field, column in fields.items() if column.required and field not in rules]
    if missing:
        raise ConfigError(f"{name}.each lacks {missing[0]!r}: say where it stands in a member")
    return {field: rules[field] for field in fields if field in rules}


def _write(name: str, members: Sequence[Sequence[str]]) -> str:
    """The members' pieces as JSON: pairs for the side of a book, else objects."""
    if name in _SIDES:
        price, quantity = len(',"price":'), len(',"quantity":')
        levels = (f"[{piece[0][price:]},{piece[1][quantity:]}]" for piece in members)
        return f"[{','.join(levels)}]"
    return "[" + ",".join("{" + "".join(pieces)[1:] + "}" for pieces in members) + "]"


def _level_reader(
    settings: SourceSettings,
    symbol: Getter,
    column: Column,
    rule: FieldRule,
    members: dict[str, FieldRule],
) -> FieldReader:
    """Of a side of a book whose levels stand in columns of their own. A level without price and
    quantity, or with the quantity 0, is none: the columns are there in every row."""
    if column.name not in _SIDES or not rule.each:
        raise ConfigError(
            f"{column.name}: say where the list is: {{ field = … }}, or of a side of a book "
            "{ levels = [1, 10], each = { price = 'px_{level}', quantity = 'qty_{level}' } }"
        )
    first, last = rule.levels or (1, 1)
    if not 0 <= first <= last <= first + 1_000:
        raise ConfigError(f"{column.name}: levels = [{first}, {last}] is no range of levels")
    maker, fields = ReaderMaker(settings, symbol), LISTS[column.name]
    readers = [
        tuple(maker.make(fields[name], _at_level(member, n)) for name, member in members.items())
        for n in range(first, last + 1)
    ]

    def get(row: Any) -> list[tuple[Any, Any]]:
        return [(price.get(row), quantity.get(row)) for price, quantity in readers]

    def render(values: list[tuple[Any, Any]]) -> str:
        written = []
        for (price, quantity), (price_value, quantity_value) in zip(readers, values, strict=True):
            if maker.is_absent(quantity_value) and maker.is_absent(price_value):
                continue
            try:
                piece = quantity.render(quantity_value)
                if piece[len(',"quantity":') :].strip("-0."):
                    written.append([price.render(price_value), piece])
            except UnreadableError as error:
                raise UnreadableError(error.reason, f"{column.name}: {error.detail}") from None
        return f',"{column.name}":{_write(column.name, written[: rule.first])}'

    paths = tuple(path for pair in readers for reader in pair for path in reader.paths)
    return FieldReader(column.name, f"levels {first} to {last}", paths, get, render)


def _at_level(rule: FieldRule, level: int) -> FieldRule:
    return rule.model_copy(update={"field": rule.field.replace("{level}", str(level))})
