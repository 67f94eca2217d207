"""An Avro schema, made ready to be read as rows: which values become text, which become instants.

fastavro reads the bytes; what it makes of numbers would lose digits (a float of 32 bits becomes one
of 64, a timestamp a datetime of microseconds). So the schema is given logical types of our own,
which fastavro calls with the plain value: the way it offers for types that it does not know.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import fastavro
from fastavro.read import LOGICAL_READERS

from monitor.core.contract.units import DAY_NS, MILLISECOND_NS
from monitor.errors import reason_unread
from monitor.sources.formats.base import Instant
from monitor.sources.formats.numbers import SCALE_MAX, float_text, unscaled_text
from monitor.sources.formats.schemas import SchemaError

_INSTANTS = {
    ("int", "date"): DAY_NS,
    ("long", "timestamp-millis"): MILLISECOND_NS,
    ("long", "timestamp-micros"): 1_000,
    ("long", "timestamp-nanos"): 1,
}
_PRIMITIVES = {"null", "boolean", "int", "long", "float", "double", "bytes", "string"}


def prepare_schema(source: bytes, references: Sequence[bytes] = ()) -> Any:
    """The schema of a record, for fastavro's readers; `references`: schemas whose types it names,
    each after those that it needs itself.

    Raises `SchemaError` where it is none, is not of a record, or may have no end.
    """
    try:
        types: dict[str, Any] = {}
        for reference in references:
            fastavro.parse_schema(json.loads(reference), types)
        schema = fastavro.parse_schema(json.loads(source), types)
        prepared = _Preparation(types).prepare(schema)
        return fastavro.parse_schema(prepared)
    except (fastavro.schema.SchemaParseException, LookupError, AttributeError, TypeError) as error:
        raise SchemaError(f"no Avro schema: {type(error).__name__}: {error}") from error
    except (ValueError, RecursionError) as error:
        raise SchemaError(f"no Avro schema: {reason_unread(error)}") from error


class _Preparation:
    """One schema's: each named type is written out where it is first used."""

    def __init__(self, types: dict[str, Any]) -> None:
        self._types = types
        self._open: list[str] = []
        self._ready: set[str] = set()

    def prepare(self, schema: Any) -> Any:
        if isinstance(schema, list):
            return [self.prepare(branch) for branch in schema]
        if isinstance(schema, str):
            if schema in _PRIMITIVES:
                return self._prepare_value({"type": schema})
            return self._prepare_named(schema)
        if isinstance(schema["type"], dict | list):
            return self.prepare(schema["type"])
        match schema["type"]:
            case "record" | "error" | "enum" | "fixed":
                self._types.setdefault(schema["name"], schema)
                return self._prepare_named(schema["name"])
            case "array":
                items = self.prepare(schema["items"])
                if self._takes_no_bytes(items):
                    # A few bytes would name billions of them.
                    raise SchemaError("of an array whose values take no bytes: it may have no end")
                return {"type": "array", "items": items}
            case "map":
                return {"type": "map", "values": self.prepare(schema["values"])}
            case primitive if primitive in _PRIMITIVES:
                return self._prepare_value(schema)
            case name:
                return self._prepare_named(name)

    def _prepare_named(self, name: str) -> Any:
        if name in self._open:
            # fastavro descends without a bound: a record of a few thousand levels ends the process.
            raise SchemaError(f"{name} contains itself, which no row can: leave that field out")
        if name in self._ready:
            return name
        schema = self._types[name]
        self._ready.add(name)
        if schema["type"] == "fixed":
            return self._prepare_value(schema)
        if schema["type"] == "enum":
            return {"type": "enum", "name": name, "symbols": schema["symbols"]}
        self._open.append(name)
        fields = [
            {"name": field["name"], "type": self.prepare(field["type"])}
            for field in schema["fields"]
        ]
        self._open.pop()
        return {"type": "record", "name": name, "fields": fields, "logicalType": "brinkwatch-row"}

    def _prepare_value(self, schema: dict[str, Any]) -> Any:
        """A primitive or fixed one, with the logical type that makes of it what a row may have."""
        kind, logical = schema["type"], schema.get("logicalType")
        plain = {key: schema[key] for key in ("type", "name", "size") if key in schema}
        if kind in ("bytes", "fixed"):
            if logical == "decimal":
                return {**plain, "logicalType": "brinkwatch-decimal", "scale_": _scale(schema)}
            uuid = logical == "uuid" and schema.get("size") == 16
            return {**plain, "logicalType": "brinkwatch-uuid" if uuid else "brinkwatch-hex"}
        if kind in ("float", "double"):
            return {**plain, "logicalType": "brinkwatch-text"}
        unit_ns = _INSTANTS.get((kind, str(logical)))
        if unit_ns is not None:
            return {**plain, "logicalType": "brinkwatch-instant", "unit_ns": unit_ns}
        return kind

    def _takes_no_bytes(self, prepared: Any) -> bool:
        if isinstance(prepared, str) and prepared not in _PRIMITIVES:
            prepared = self._types[prepared]
        if not isinstance(prepared, dict):
            return bool(prepared == "null")
        if prepared["type"] == "record":
            return all(self._takes_no_bytes(field["type"]) for field in prepared["fields"])
        return prepared["type"] == "null" or (prepared["type"] == "fixed" and not prepared["size"])


def _scale(schema: dict[str, Any]) -> int:
    scale = schema.get("scale", 0)
    if not isinstance(scale, int) or not 0 <= scale <= SCALE_MAX:
        raise SchemaError(f"no Avro schema that can be read: a decimal of scale {scale!r}")
    return scale


def _read_row(value: dict[str, Any], schema: Any, _: Any = None) -> dict[str, Any]:
    value["@type"] = schema["name"]
    return value


def _read_float(value: float, schema: Any, _: Any = None) -> str:
    return float_text(value)


def _read_double(value: float, schema: Any, _: Any = None) -> str:
    return repr(value)


def _read_hex(value: bytes, schema: Any, _: Any = None) -> str:
    return value.hex()


def _read_uuid(value: bytes, schema: Any, _: Any = None) -> str:
    return str(UUID(bytes=value))


def _read_decimal(value: bytes, schema: Any, _: Any = None) -> str:
    return unscaled_text(value, schema["scale_"])


def _read_instant(value: int, schema: Any, _: Any = None) -> Instant:
    return Instant(value * schema["unit_ns"])


LOGICAL_READERS.update(
    {
        "record-brinkwatch-row": _read_row,
        "float-brinkwatch-text": _read_float,
        "double-brinkwatch-text": _read_double,
        "bytes-brinkwatch-hex": _read_hex,
        "fixed-brinkwatch-hex": _read_hex,
        "fixed-brinkwatch-uuid": _read_uuid,
        "bytes-brinkwatch-decimal": _read_decimal,
        "fixed-brinkwatch-decimal": _read_decimal,
        "int-brinkwatch-instant": _read_instant,
        "long-brinkwatch-instant": _read_instant,
    }
)
