"""Variables of the environment as configuration: `BRINKWATCH_`, with `__` between levels.

A key of text, a number or a path takes the variable's text as it is; a list or a table takes JSON.
What names no key is an error: a mistyped variable would be ignored without a word otherwise.
"""

from __future__ import annotations

import difflib
import json
import re
import types
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel

from monitor.errors import ConfigError, reason_unread

PREFIX = "BRINKWATCH_"
LEVELS = "__"
Path = tuple[str, ...]
Values = dict[str, Any]

_NO_KEYS = re.compile(PREFIX + r"(REQUIRE_ALL|TEST_.+)")
"""What the project's own tests read."""
_SERVICE = re.compile(PREFIX + r"(.+_)?(SERVICE_(HOST|PORT(_.+)?)|PORT_\d+_(TCP|UDP|SCTP)(_.+)?)")
_SERVICE_ADDRESS = re.compile(r"(tcp|udp|sctp)://")
"""Kubernetes gives each container such variables for every service near it: one of a service that
is called brinkwatch is nobody's mistake."""


def variable_name(path: Path) -> str:
    """The variable of a key.

    >>> variable_name(("kafka", "group"))
    'BRINKWATCH_KAFKA__GROUP'
    """
    return PREFIX + LEVELS.join(path).upper()


def read_variables(model: type[BaseModel], environment: Mapping[str, str]) -> dict[str, Values]:
    """What each variable sets, as the nested values of `model`, by the variable's name.

    Those that reach deepest come first: they count before one that sets a whole table.
    Raises `ConfigError`, a line for each variable that names no key, or is not JSON and must be.
    """
    values: dict[str, Values] = {}
    errors = []
    for name, text in sorted(environment.items(), key=lambda item: (-item[0].count(LEVELS), item)):
        if not name.upper().startswith(PREFIX) or _is_foreign(name.upper(), text):
            continue
        path = tuple(name[len(PREFIX) :].lower().split(LEVELS))
        try:
            value = _read(name, text, _variants_at(model, path, name))
        except ConfigError as error:
            errors.append(str(error))
            continue
        for key in reversed(path):
            value = {key: value}
        values[name] = value
    if errors:
        raise ConfigError("\n".join(errors))
    return values


def _is_foreign(name: str, text: str) -> bool:
    """Whether a variable with our prefix is no setting, and not meant as one."""
    service = name.endswith("_PORT") and _SERVICE_ADDRESS.match(text)
    return bool(_NO_KEYS.fullmatch(name) or _SERVICE.fullmatch(name) or service)


def _variants_at(model: type[BaseModel], path: Path, name: str) -> list[Any]:
    """The types that the key at `path` may have."""
    variants: list[Any] = [model]
    for number, key in enumerate(path):
        inner = [each for variant in variants for each in _below(variant, key)]
        if not inner:
            raise ConfigError(_unknown(model, path, number, variants, name))
        variants = inner
    return variants


def _below(variant: Any, key: str) -> list[Any]:
    """The types of `key` in a table of this type; none where there is no such key."""
    if _is_model(variant):
        field = variant.model_fields.get(key)
        return [] if field is None else variants_of(field.annotation)
    return variants_of(get_args(variant)[1]) if get_origin(variant) is dict else []


def _unknown(model: type[BaseModel], path: Path, at: int, variants: list[Any], name: str) -> str:
    tables = any(_is_model(v) or get_origin(v) is dict for v in variants)
    if at and not tables:
        whole = variable_name(path[:at])
        return f"{name}: {'.'.join(path[:at])} has no keys below it: set {whole} as a whole"
    paths = list(key_paths(model))
    names = [LEVELS.join(p).upper() for p in paths]
    near = difflib.get_close_matches(LEVELS.join(path).upper(), names, 1)
    near = near or [LEVELS.join(p).upper() for p in paths if p[-1] == path[-1]]
    mend = f"did you mean {' or '.join(PREFIX + each for each in near)}?"
    return f"the environment variable {name} names no key; " + (
        mend if near else "docs/configuration.md lists them"
    )


def key_paths(model: type[BaseModel], above: Path = ()) -> Iterator[Path]:
    """The paths of all keys whose levels all have names of their own."""
    for name, field in model.model_fields.items():
        yield (*above, name)
        for variant in variants_of(field.annotation):
            if _is_model(variant):
                yield from key_paths(variant, (*above, name))


def _read(name: str, text: str, variants: list[Any]) -> Any:
    """The text itself, or its value as JSON where it begins like a list or table and may be one."""
    may_be_json = any(_is_model(v) or get_origin(v) in (dict, tuple, list) for v in variants)
    if not may_be_json or text.lstrip()[:1] not in ("{", "["):
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(
            f"the environment variable {name} is not JSON: {reason_unread(error)}"
        ) from None


def variants_of(annotation: Any) -> list[Any]:
    """The types of which a value may be one, without None."""
    if get_origin(annotation) is Annotated:
        return variants_of(get_args(annotation)[0])
    if get_origin(annotation) in (Union, types.UnionType):
        return [v for each in get_args(annotation) for v in variants_of(each)]
    return [] if annotation is type(None) else [annotation]


def _is_model(variant: Any) -> bool:
    return isinstance(variant, type) and issubclass(variant, BaseModel)
