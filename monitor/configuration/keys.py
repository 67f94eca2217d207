"""Every key of the configuration, table by table, read from its JSON Schema."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from monitor.configuration.schema import json_schema
from monitor.configuration.toml_text import toml_value

Schema = dict[str, Any]
NAME = "NAME"
"""Stands in a path for a name of the user's own."""


@dataclass(frozen=True, slots=True)
class Key:
    """One key of a table.

    form: type and bounds in words. default: as in the schema; None: there is none. required:
    whether its table needs it.
    """

    name: str
    form: str
    default: Any
    required: bool
    meaning: str


@dataclass(slots=True)
class Table:
    """A table of the file.

    form: `table`, one of an array of tables (`array`), or one with a `NAME` of the user's own.
    optional: whether it may not be there at all.
    """

    path: tuple[str, ...]
    form: Literal["table", "array"]
    optional: bool
    meaning: str
    same_as: str = ""
    """The head of an earlier table that has the same keys; this one has none then."""
    keys: list[Key] = field(default_factory=list)

    @property
    def head(self) -> str:
        """As it stands in a file: `[kafka.security]`."""
        name = ".".join(self.path)
        return f"[[{name}]]" if self.form == "array" else f"[{name}]"


def tables() -> list[Table]:
    """All tables, each before those within it; the first has the keys that stand in none."""
    schema = json_schema()
    top = Table((), "table", False, "")
    return list(_walk(top, schema, schema["$defs"], {}))


def _walk(
    table: Table, model: Schema, models: dict[str, Schema], heads: dict[int, str]
) -> Iterator[Table]:
    """`table` with its keys, and all tables below it; `heads`: of the tables so far, by model."""
    table.same_as = heads.setdefault(id(model), table.head)
    if table.same_as != table.head:
        yield table
        return
    table.same_as = ""
    inner: list[tuple[Table, Schema]] = []
    for name, schema in model["properties"].items():
        variants = schema.get("anyOf", [schema])
        path = (*table.path, name)
        below = [each for v in variants if (each := _table_of(v, path, models))]
        for place, inner_model, form in below:
            optional = table.optional or len(variants) > 1 or form == "array" or place[-1] == NAME
            meaning = schema.get("description") or inner_model.get("description", "")
            inner.append((Table(place, form, optional, _one_line(meaning)), inner_model))
        forms = [_form(v) for v in variants if _table_of(v, path, models) is None]
        if any(forms):
            forms += [f"a table [{'.'.join(place)}]" for place, _, _ in below]
            table.keys.append(
                Key(
                    name,
                    " or ".join(filter(None, forms)),
                    schema.get("default"),
                    name in model.get("required", ()),
                    _one_line(schema.get("description", "")),
                )
            )
    yield table
    for below_table, inner_model in inner:
        yield from _walk(below_table, inner_model, models, heads)


def _table_of(
    schema: Schema, path: tuple[str, ...], models: dict[str, Schema]
) -> tuple[tuple[str, ...], Schema, Literal["table", "array"]] | None:
    """The path, model and form of the table that a value is; None: it is no table of known keys."""
    if "$ref" in schema:
        return path, models[schema["$ref"].rpartition("/")[2]], "table"
    for variant in schema.get("anyOf", ()):
        if below := _table_of(variant, path, models):
            return below
    if isinstance(schema.get("additionalProperties"), dict):
        return _table_of(schema["additionalProperties"], (*path, NAME), models)
    if "items" in schema and (below := _table_of(schema["items"], path, models)):
        return below[0], below[1], "array"
    return None


def _form(schema: Schema) -> str:
    """Type and bounds in words; empty: null alone, or a table."""
    if "anyOf" in schema:
        forms = [form for each in schema["anyOf"] if (form := _form(each))]
        return " or ".join(dict.fromkeys(forms))
    if "enum" in schema:
        return ", ".join(map(toml_value, schema["enum"]))
    if "const" in schema:
        return toml_value(schema["const"])
    kind = schema.get("type")
    if kind in ("integer", "number"):
        return {"integer": "whole number", "number": "number"}[kind] + _bounds(schema)
    if kind == "string":
        return _text_form(schema)
    if kind == "array":
        return f"list of {_form(schema['items'])}" if _form(schema.get("items", {})) else "list"
    if kind == "object":
        inner = schema.get("additionalProperties")
        return f"table of {_form(inner)}" if isinstance(inner, dict) else "table"
    return {"boolean": "true or false"}.get(str(kind), "")


def _bounds(schema: Schema) -> str:
    signs = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    bounds = [f"{sign} {schema[key]:,.15g}" for key, sign in signs.items() if key in schema]
    return f" {' and '.join(bounds)}" if bounds else ""


def _text_form(schema: Schema) -> str:
    form = {"path": "path", "password": "text, secret"}.get(schema.get("format", ""), "text")
    if schema.get("minLength") == schema.get("maxLength") == 1:
        return "one character"
    if "pattern" in schema:
        form += f" like {schema['pattern']}"
    if "maxLength" in schema:
        form += f" of at most {schema['maxLength']} characters"
    elif schema.get("minLength"):
        form += ", not empty"
    return form


def _one_line(text: str) -> str:
    return " ".join(text.split())
