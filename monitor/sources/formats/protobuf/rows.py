"""Protobuf messages as rows.

A field that tracks presence (`optional`, `oneof`, a message, any of proto2) and is not there is
absent, or its declared default. A field of proto3 that does not has its zero value, as Protobuf
says: numbers, flags and enums of 0 are present, an empty text or bytes counts as absent.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.unknown_fields import UnknownFieldSet

from monitor.core.contract.units import SECOND_NS
from monitor.sources.formats.base import Instant, Row
from monitor.sources.formats.numbers import decimal_text, float_text, unscaled_text
from monitor.venues.parse import UnreadableError

Convert = Callable[[Any], Any]


def _duration_text(value: Any) -> str:
    """Seconds, to 9 places."""
    total = value.seconds * SECOND_NS + value.nanos
    return decimal_text(total, 9)


_SPECIAL: dict[str, Convert] = {
    "google.protobuf.Timestamp": lambda value: Instant(value.seconds * SECOND_NS + value.nanos),
    "google.protobuf.Duration": _duration_text,
    "google.type.Decimal": lambda value: value.value,
    "confluent.type.Decimal": lambda value: unscaled_text(value.value, value.scale),
}
"""Messages that stand for one value."""
_WRAPPERS = {
    f"google.protobuf.{name}Value"
    for name in ("Double", "Float", "Int64", "UInt64", "Int32", "UInt32", "Bool", "String", "Bytes")
}


class MessageRows:
    """Makes the rows of one type of message, and of the types within it."""

    def __init__(
        self, descriptor: Descriptor, others: dict[str, MessageRows] | None = None
    ) -> None:
        self._others = {} if others is None else others
        self._others[descriptor.full_name] = self
        self._empty: Row = {"@type": descriptor.full_name}
        self._fields: dict[int, tuple[str, Convert, str | None]] = {}
        for field in descriptor.fields:
            oneof = field.containing_oneof
            # `optional` of proto3 is written as a oneof of its own, which no user named.
            choice = None if oneof is None or oneof.name == f"_{field.name}" else oneof.name
            convert = self._convert_field(field)
            self._fields[field.number] = (field.name, convert, choice)
            if field.is_repeated:
                self._empty[field.name] = convert(() if not _is_map(field) else {})
            elif field.has_default_value or not (field.has_presence or field.type in _TEXTS):
                self._empty[field.name] = convert(field.default_value)
            if choice:
                self._empty[choice] = None

    def row(self, message: Any) -> Row:
        """Raises `UnreadableError` where a field has another type than the schema says."""
        row = self._empty.copy()
        for field, value in message.ListFields():
            entry = self._fields.get(field.number)
            if entry is None:
                continue  # an extension of proto2, which no map can name
            name, convert, choice = entry
            row[name] = convert(value)
            if choice is not None:
                row[choice] = name
        for unknown in UnknownFieldSet(message):
            if unknown.field_number in self._fields:
                name = self._fields[unknown.field_number][0]
                raise UnreadableError("not_of_schema", f"{name}: of another type in the schema")
        return row

    def _convert_field(self, field: FieldDescriptor) -> Convert:
        if _is_map(field):
            each = self._convert_value(field.message_type.fields_by_name["value"])
            return lambda pairs: {_key_text(key): each(pairs[key]) for key in pairs}
        convert = self._convert_value(field)
        if field.is_repeated:
            return lambda values: [convert(value) for value in values]
        return convert

    def _convert_value(self, field: FieldDescriptor) -> Convert:
        match field.type:
            case FieldDescriptor.TYPE_FLOAT:
                return float_text
            case FieldDescriptor.TYPE_DOUBLE:
                return repr
            case FieldDescriptor.TYPE_BYTES:
                return bytes.hex
            case FieldDescriptor.TYPE_ENUM:
                return _enum_names(field.enum_type)
            case FieldDescriptor.TYPE_MESSAGE | FieldDescriptor.TYPE_GROUP:
                return self._convert_message(field.message_type)
        return _same

    def _convert_message(self, descriptor: Descriptor) -> Convert:
        name = descriptor.full_name
        if name in _SPECIAL:
            return _SPECIAL[name]
        if name in _WRAPPERS:
            convert = self._convert_value(descriptor.fields_by_name["value"])
            return lambda message: convert(message.value)
        rows = self._others.get(name) or MessageRows(descriptor, self._others)
        return rows.row


_TEXTS = (FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES)


def _same(value: Any) -> Any:
    return value


def _is_map(field: FieldDescriptor) -> bool:
    return field.message_type is not None and field.message_type.GetOptions().map_entry


def _key_text(key: Any) -> str:
    return str(key).lower() if isinstance(key, bool) else str(key)


def _enum_names(enum: EnumDescriptor) -> Convert:
    names = {number: value.name for number, value in enum.values_by_number.items()}
    # A number that a newer schema named is passed on as it is: a map's words can take it.
    return lambda number: names.get(number, number)
