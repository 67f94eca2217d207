"""The configuration that holds, as TOML and as JSON, with where each value is from."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from monitor.config import Config
from monitor.configuration.origins import Origins
from monitor.configuration.toml_text import toml_key, toml_value

DEFAULT = "default"
IMPLIED = "follows from other settings"
Place = tuple[str, ...]


def effective_toml(config: Config, origins: Origins) -> str:
    """A file that says the same as all sources together; behind each value, where it is from.

    Secrets and what is not set are comments.
    """
    lines = [f"# settings {config.engine().fingerprint()}"]
    lines += _section((), _mask(config.model_dump()), _Origin(origins))
    return "".join(f"{line}\n" for line in lines)


def effective_json(config: Config, origins: Origins) -> dict[str, Any]:
    """`configuration`, secrets masked, and `origins` of all that is no default, by key."""
    origin = _Origin(origins)
    places = {place: origin.of(place, value) for place, value in _leaves((), config.model_dump())}
    changed = {".".join(place): name for place, name in places.items() if name != DEFAULT}
    return {"configuration": _mask(config.model_dump(mode="json")), "origins": changed}


def _mask(value: Any) -> Any:
    """The value with the login in each address left out; pydantic masks what it knows as secret."""
    if isinstance(value, Mapping):
        return {key: _mask(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_mask(inner) for inner in value]
    return re.sub(r"://[^/@\s]*@", "://…@", value) if isinstance(value, str) else value


class _Origin:
    """Names where values are from."""

    def __init__(self, origins: Origins) -> None:
        self._origins = origins
        self._defaults = dict(_leaves((), Config().model_dump()))

    def of(self, place: Place, value: Any) -> str:
        source = self._origins.of(place)
        if source is not None:
            return source
        # What has no default stands in a table of the user's own.
        return DEFAULT if self._defaults.get(place, value) == value else IMPLIED


def _leaves(above: Place, values: Mapping[str, Any]) -> Iterator[tuple[Place, Any]]:
    """The values that are no tables, and tables with nothing in them."""
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _leaves((*above, key), value)
        else:
            yield (*above, key), value


def _section(path: Place, values: Mapping[str, Any], origin: _Origin) -> Iterator[str]:
    """The lines of a table: its values, then the tables in it."""
    inner = {k: v for k, v in values.items() if _is_table(v) or _are_tables(v)}
    plain = {k: v for k, v in values.items() if k not in inner}
    if path and (plain or not inner):
        yield from ("", f"[{_name(path)}]")
    for key, value in plain.items():
        yield _line(key, value, origin.of((*path, key), value))
    for key, value in inner.items():
        if _is_table(value):
            yield from _section((*path, key), value, origin)
            continue
        source = origin.of((*path, key), value)
        for each in value:
            yield from ("", f"[[{_name((*path, key))}]]  # {source}")
            yield from (_plain_line(k, v) for k, v in each.items() if v is not None)


def _is_table(value: Any) -> bool:
    return isinstance(value, Mapping) and bool(value)


def _are_tables(value: Any) -> bool:
    return isinstance(value, list | tuple) and bool(value) and isinstance(value[0], Mapping)


def _line(key: str, value: Any, source: str) -> str:
    return f"# {key} is not set" if value is None else f"{_plain_line(key, value)}  # {source}"


def _plain_line(key: str, value: Any) -> str:
    if isinstance(value, SecretStr):
        return f"# {key} is secret"
    return f"{toml_key(key)} = {toml_value(str(value) if isinstance(value, Path) else value)}"


def _name(path: Place) -> str:
    return ".".join(map(toml_key, path))
