"""Where each value of a configuration is from: command line, environment, file, or its default."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

Place = Sequence[str | int]


class ValueSource(NamedTuple):
    """One place that values were taken from, as nested tables; `name` as a sentence has it."""

    name: str
    values: dict[str, Any]

    def sets(self, place: Place) -> bool:
        """Whether the value at `place` is from here, or a part of it."""
        value: Any = self.values
        for part in place:
            if not isinstance(value, dict):
                return True
            if part not in value:
                return False
            value = value[part]
        return True


class Origins:
    """The sources of a configuration, what counts first before what counts later."""

    def __init__(self, sources: list[ValueSource]) -> None:
        self._sources = sources

    def merged(self) -> dict[str, Any]:
        """All values; tables are joined, lists and single values are the first source's."""
        result: dict[str, Any] = {}
        for source in reversed(self._sources):
            result = _join(result, source.values)
        return result

    def of(self, place: Place) -> str | None:
        """The source of a single value; None: its default."""
        return next((s.name for s in self._sources if s.sets(place)), None)

    def all_of(self, place: Place) -> list[str]:
        """All sources of what is at `place` or below it."""
        return [source.name for source in self._sources if source.sets(place)]


def _join(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    joined = dict(below)
    for key, value in above.items():
        under = joined.get(key)
        both = isinstance(under, dict) and isinstance(value, dict)
        joined[key] = _join(under, value) if both else value  # type: ignore[arg-type]
    return joined
