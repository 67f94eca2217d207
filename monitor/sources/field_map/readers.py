"""Readers: one field of the contract from a row of a source, as a piece of canonical JSON.

A reader is made once from its rule; then it is two functions, so that a thousand rows are read
column by column: `get` takes what stands in a row, `render` makes `,"price":151.25` of it, or the
empty text where the field is absent. `render` raises `UnreadableError` whose detail begins with the
contract's name of the field and names the source's own.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from monitor.core.decode.batch import Column
from monitor.core.decode.validate import preview
from monitor.sources.field_map import numbers
from monitor.sources.field_map.columns import (
    Many,
    keep_pieces,
    plain_numbers,
    plain_texts,
    plain_times,
    whole_numbers,
)
from monitor.sources.field_map.contract_fields import TERMS
from monitor.sources.field_map.times import UNIT_NS, find_zone, iso_reader, round_units
from monitor.sources.field_map.values import (
    OTHER,
    Getter,
    Vocabulary,
    get_joined,
    get_nothing,
    get_path,
    origin,
    text_of,
)
from monitor.sources.formats.base import Instant
from monitor.sources.settings import FieldRule, SourceSettings
from monitor.venues.parse import UnreadableError

Render = Callable[[Any], str]

_FLAGS = {
    word: flag
    for flag, names in (("true", "true 1 yes y t"), ("false", "false 0 no n f"))
    for word in names.split()
}
_SIDES = {"+": "buy", "-": "sell"}
_SAFE = re.compile(r"[!#-\[\]-~]+", re.ASCII).fullmatch
"""Text that is the same in JSON."""


@dataclass(slots=True)
class FieldReader:
    """Reads one field of the contract.

    name: the contract's. origin: where it stands in the source, for sentences. paths: all of them.
    """

    name: str
    origin: str
    paths: tuple[str, ...]
    get: Getter
    render: Render
    render_many: Many | None = None
    """Renders a column of values that are clean."""

    def render_rows(self, rows: list[Any]) -> list[str]:
        """The field of each row as a piece of JSON."""
        values = list(map(self.get, rows))
        pieces = self.render_many(values) if self.render_many is not None and values else None
        return list(map(self.render, values)) if pieces is None else pieces


def quote(text: str) -> str:
    """Text as JSON."""
    return f'"{text}"' if _SAFE(text) else msgspec.json.encode(text).decode()


class ReaderMaker:
    """Makes the readers of one source.

    symbol: gives the contract's symbol of a row, for factors by symbol. `get`: how paths are looked
    up. Raises `ConfigError` for rules that cannot be followed.
    """

    def __init__(
        self,
        settings: SourceSettings,
        symbol: Getter = get_nothing,
        get: Callable[[str], Getter] = get_path,
    ) -> None:
        self._absent = {text.lower() for text in settings.null} | {""}
        self._absent_chars_max = max(map(len, self._absent))
        self._zone = find_zone(settings.zone)
        self._symbol, self._get = symbol, get

    def is_absent(self, value: Any) -> bool:
        """Whether a value of a row means that there is none."""
        if value is None:
            return True
        if type(value) is not str or len(value) > self._absent_chars_max:
            return False
        return value.strip().lower() in self._absent

    def make(self, column: Column, rule: FieldRule) -> FieldReader:
        """The reader of the field `column`, by its rule."""
        if column.type in ("enum", "flag"):
            get, exact, many = self._choice(column, rule)
        elif column.type == "text":
            get, exact, many = self._text(column, rule)
        elif column.type == "time":
            get, exact, many = self._time(column, rule)
        else:
            get, exact, many = self._number(column, rule)
        place = origin(rule)
        paths = [rule.field, *rule.fields, rule.sign_of, rule.over]
        paths += [rule.sign.field] if rule.sign else []
        render = self._with_absent(column, place, exact)
        places = tuple(filter(None, paths))
        if many is _one_by_one:
            return FieldReader(column.name, place, places, get, render)
        kept = keep_pieces(render)
        whole = kept if many is None else lambda values: many(values) or kept(values)
        return FieldReader(column.name, place, places, get, render, whole)

    def text_getter(self, rule: FieldRule) -> Getter:
        """The contract's text of a field of a row; None where it has none that can be read."""
        get = self._raw(rule, words=True)

        def get_text(row: Any) -> str | None:
            value = get(row)
            if self.is_absent(value) or not isinstance(value, str | int):
                return None
            return text_of(value)

        return get_text

    def _with_absent(self, column: Column, place: str, render: Render) -> Render:
        """`render`, which takes what is there, for any value; errors name the field and `place`."""
        name, required = column.name, column.required

        def render_any(value: Any) -> str:
            if not self.is_absent(value):
                try:
                    return render(value)
                except UnreadableError as error:
                    raise UnreadableError(error.reason, f"{name}: {place} {error.detail}") from None
            if required:
                raise UnreadableError("missing_field", f"{name}: {place} is absent")
            return ""

        return render_any

    def _raw(self, rule: FieldRule, *, words: bool) -> Getter:
        """What stands in a row where the rule says; `words`: after the rule's words."""
        if rule.value is not None:
            return lambda row: rule.value
        if rule.sign_of:
            get_number = self._get(rule.sign_of)
            return lambda row: self._sign_of(get_number(row))
        if rule.fields:
            get = get_joined(rule.fields, rule.join, self._get)
        else:
            get = self._get(rule.field)
        if not (words and rule.words):
            return get
        vocabulary = Vocabulary(rule.words)

        def get_meaning(row: Any) -> Any:
            value = get(row)
            if self.is_absent(value) or not isinstance(value, str | int):
                return value
            meaning = vocabulary.translate(text_of(value))
            return value if meaning is None else meaning or None

        return get_meaning

    def _sign_of(self, value: Any) -> Any:
        """`+`, `-` or `0` of a number; anything else as it is."""
        if self.is_absent(value):
            return None
        try:
            text = numbers.number_text(value)
        except UnreadableError:
            return value
        return "-" if text[0] == "-" else "+" if text.strip("0.") else "0"

    def _text(self, column: Column, rule: FieldRule) -> _Parts:
        head = _head(column)
        many = plain_texts(head, self._absent_chars_max + 1)
        return self._raw(rule, words=True), lambda value: head + quote(text_of(value)), many

    def _choice(self, column: Column, rule: FieldRule) -> _Parts:
        """Of an enumeration or a flag: words of the rule, or the contract's own."""
        head, required = _head(column), column.required
        if column.type == "flag":
            vocabulary = Vocabulary({**_FLAGS, **rule.words})
        elif rule.sign_of and column.name == "side":
            vocabulary = Vocabulary({**_SIDES, **rule.words}, column.values)
        else:
            vocabulary = Vocabulary(rule.words, column.values)

        def render(value: Any) -> str:
            text = text_of(value)
            meaning = vocabulary.translate(text)
            if meaning is None:
                detail = f"is {preview(text)}, none of its words ({vocabulary.listing()})"
                raise UnreadableError("bad_value", detail)
            if not meaning and required:
                raise UnreadableError("missing_field", f"is {preview(text)}, which means absent")
            written = meaning if column.type == "flag" else quote(meaning)
            return head + written if meaning else ""

        return self._raw(rule, words=False), render, None

    def _number(self, column: Column, rule: FieldRule) -> _Parts:
        head, raw = _head(column), self._raw(rule, words=True)
        finish = _whole_number if column.type == "count" else str
        change = self._change(rule)
        if change is None:
            many = whole_numbers(head) if column.type == "count" else plain_numbers(head)
            return raw, lambda value: head + finish(numbers.number_text(value)), many
        if change.is_factor:
            return raw, lambda value: head + finish(change.multiply(value, None)), None
        symbol = self._symbol if isinstance(rule.times, dict) else get_nothing
        sign = self._get(rule.sign.field) if rule.sign else get_nothing
        over = self._get(rule.over) if rule.over else get_nothing

        def get(row: Any) -> Any:
            number = raw(row)
            if self.is_absent(number):
                return None
            return number, symbol(row), sign(row), over(row)

        return get, lambda parts: head + finish(change.apply(parts)), _one_by_one

    def _change(self, rule: FieldRule) -> numbers.NumberChange | None:
        if not (rule.times or rule.over or rule.absolute or rule.sign):
            return None
        factors = rule.times if isinstance(rule.times, dict) else {OTHER: rule.times or "1"}
        decimals = {s: numbers.decimal_setting(text, "times") for s, text in factors.items()}
        signs = Vocabulary(dict(rule.sign.words)) if rule.sign else None
        names = rule.sign.field if rule.sign else "", rule.over
        return numbers.NumberChange(decimals, rule.absolute, signs, names, self.is_absent)

    def _time(self, column: Column, rule: FieldRule) -> _Parts:
        head = _head(column)
        read_iso = iso_reader(self._zone) if rule.unit == "iso" else None
        unit_ns = UNIT_NS.get(rule.unit or "ns", 1)
        what = f"a number of {rule.unit}" if rule.unit else "a time in ns (give its unit)"

        def render(value: Any) -> str:
            if type(value) is Instant:
                return head + str(int(value))
            text = text_of(value)
            try:
                if read_iso is None:
                    return head + str(round_units(text, unit_ns))
                return head + str(read_iso(text))
            except ValueError as error:
                detail = error if read_iso is not None else f"not {what}"
                raise UnreadableError("wrong_type", f"is {preview(text)}, {detail}") from None

        many = plain_times(head, unit_ns) if read_iso is None else _one_by_one
        return self._raw(rule, words=True), render, many


_Parts = tuple[Getter, Render, Many | None]
"""What stands in a row, how it is rendered where it is not absent, and how whole columns are; None:
by keeping pieces."""


def _one_by_one(values: list[Any]) -> None:
    """Of values that are rarely the same."""


def _head(column: Column) -> str:
    return f',"{column.name.removeprefix(TERMS)}":'


def _whole_number(text: str) -> str:
    whole, _, rest = text.partition(".")
    if rest.strip("0") or "e" in text.lower():
        raise UnreadableError("wrong_type", f"is {preview(text)}, no whole number")
    return whole
