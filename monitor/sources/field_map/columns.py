"""Whole columns of clean values at once: the same pieces of JSON that readers make one by one.

Each function gives a maker of pieces for a list of values, which answers None where one of the
values needs a closer look; then the reader takes them one by one.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

Many = Callable[[list[Any]], list[str] | None]

KEPT_MAX = 65_536
"""Values of a field whose pieces are kept."""
_SEPARATOR = "\n"
_NUMBER = r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?"
_NUMBERS = re.compile(rf"{_NUMBER}(?:{_SEPARATOR}{_NUMBER})*", re.ASCII)
_SAFE = re.compile(r"[!#-\[\]-~]+", re.ASCII)
_HASHABLE = {str, int, type(None)}
"""Types of values that stand for themselves; a flag equals 0 or 1."""


class _Pieces(dict[Any, str]):
    """Pieces by value, made when they are first needed."""

    def __init__(self, render: Callable[[Any], str]) -> None:
        super().__init__()
        self._render = render

    def __missing__(self, value: Any) -> str:
        piece = self._render(value)
        if len(self) < KEPT_MAX:
            self[value] = piece
        return piece


def keep_pieces(render: Callable[[Any], str]) -> Many:
    """Of values that come again and again."""
    find = _Pieces(render).__getitem__

    def many(values: list[Any]) -> list[str] | None:
        return list(map(find, values)) if _HASHABLE.issuperset(map(type, values)) else None

    return many


def plain_texts(head: str, chars_min: int) -> Many:
    """Of texts that are the same in JSON and too long to mean absent."""

    def many(values: list[Any]) -> list[str] | None:
        if set(map(type, values)) != {str} or min(map(len, values)) < chars_min:
            return None
        if _SAFE.fullmatch("".join(values)) is None:
            return None
        return [f'{head}"{value}"' for value in values]

    return many


def plain_numbers(head: str) -> Many:
    """Of numbers that the contract reads as they stand."""

    def many(values: list[Any]) -> list[str] | None:
        types = set(map(type, values))
        if types == {int}:
            return [f"{head}{value}" for value in values]
        if types != {str}:
            return None
        joined = _SEPARATOR.join(values)
        clean = joined.count(_SEPARATOR) == len(values) - 1 and _NUMBERS.fullmatch(joined)
        return [head + value for value in values] if clean else None

    return many


def plain_times(head: str, unit_ns: int) -> Many:
    """Of times that are whole numbers of a unit."""

    def many(values: list[Any]) -> list[str] | None:
        types = set(map(type, values))
        if types == {str} and min(map(len, values)) > 0 and max(map(len, values)) < 20:
            joined = "".join(values)
            if not (joined.isascii() and joined.isdecimal()):
                return None
        elif types != {int}:
            return None
        return [f"{head}{int(value) * unit_ns}" for value in values]

    return many


def whole_numbers(head: str) -> Many:
    """Of integers."""

    def many(values: list[Any]) -> list[str] | None:
        return [f"{head}{v}" for v in values] if set(map(type, values)) == {int} else None

    return many
