"""What stands in one field of a source's row: where it is, its text, and when it is absent."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from operator import methodcaller
from typing import Any

from monitor.core.decode.validate import preview
from monitor.sources.settings import FieldRule
from monitor.venues.parse import UnreadableError

Getter = Callable[[Any], Any]

OTHER = "*"
"""In a rule's words (and factors): every other one."""


def get_path(path: str) -> Getter:
    """A function that gives what stands at a dotted path of a row, None where nothing does.

    A name with dots in it, as a column may have, comes before the path.
    """
    if "." not in path:
        return methodcaller("get", path)
    parts = path.split(".")

    def get(row: Any) -> Any:
        return row[path] if path in row else _walk(row, parts)

    return get


def get_nothing(row: Any) -> None:
    """Of every row, that there is nothing."""


def get_in_member(path: str) -> Getter:
    """As `get_path`, for a member of a list, which may be an object or a list itself."""
    parts = path.split(".")
    return lambda member: _walk(member, parts)


def _walk(value: Any, parts: list[str]) -> Any:
    for part in parts:
        if type(value) is dict:
            value = value.get(part)
        elif type(value) is list and part.isdecimal() and int(part) < len(value):
            value = value[int(part)]
        else:
            return None
    return value


def text_of(value: Any) -> str:
    """A single value as text; raises `UnreadableError` for an object or a list."""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    raise UnreadableError("wrong_type", f"is {preview(value)}, no single value")


def get_joined(paths: tuple[str, ...], join: str, to: Callable[[str], Getter]) -> Getter:
    """The texts at several paths as one; absent where one of them is."""
    getters = [to(path) for path in paths]

    def get(row: Any) -> Any:
        values = [get_one(row) for get_one in getters]
        if any(value is None or value == "" for value in values):
            return None
        nested = [value for value in values if not isinstance(value, str | int)]
        return nested[0] if nested else join.join(map(text_of, values))

    return get


def origin(rule: FieldRule) -> str:
    """Where a rule reads from, for sentences."""
    if rule.value is not None:
        return f"the value {rule.value!r}"
    paths = (rule.field,) if rule.field else rule.fields or (rule.sign_of,)
    names = " + ".join(map(repr, paths))
    return f"{names} in {rule.unit}" if rule.unit not in (None, "iso") else names


class Vocabulary:
    """A source's words and what they mean: compared as text, without case.

    `words`: as in a rule. `meanings`: words that mean themselves.
    """

    def __init__(self, words: Mapping[str, str], meanings: tuple[str, ...] = ()) -> None:
        self.meanings = {meaning.lower(): meaning for meaning in meanings}
        self.meanings |= {word.strip().lower(): meaning for word, meaning in words.items()}
        self.other = self.meanings.pop(OTHER, None)

    def translate(self, text: str) -> str | None:
        """The meaning of `text`, empty where it means absent; None: it is none of the words."""
        return self.meanings.get(text.lower(), self.other)

    def listing(self) -> str:
        return ", ".join(list(self.meanings)[:12])
