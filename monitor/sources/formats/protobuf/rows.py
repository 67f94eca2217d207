"""Protobuf messages as rows.

A field that tracks presence (an optional one, one of a oneof, a message, any of proto2) and is not
there is absent, or its declared default. A field of proto3 that does not has its zero value, as
Protobuf says: numbers, flags and enums of 0 are present, an empty text or bytes counts as absent.
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


_TEXTS = (FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES)


class MessageRows:
    """Makes the rows of one type of message, and of the types within it."""

    def __init__(
        self, descriptor: Descriptor, others: dict[str, MessageRows] | None = None
    ) -> None:
        self._others = {} if others is None else others
        self._others[descriptor.full_name] = self
        self._names = {field.number: field.name for field in descriptor.fields}
        self._always: list[tuple[str, Convert]] = []
        self._unless_empty: list[tuple[str, Convert]] = []
        self._if_there: list[tuple[str, Convert, Any]] = []
        for field in descriptor.fields:
            name, convert = field.name, self._convert_field(field)
            if field.has_presence:
                default = convert(field.default_value) if field.has_default_value else None
                self._if_there.append((name, convert, default))
            elif field.type in _TEXTS and not field.is_repeated:
                self._unless_empty.append((name, convert))
            else:
                self._always.append((name, convert))
        # `optional` of proto3 is written as a oneof of its own, which no user named.
        written = (o.name for o in descriptor.oneofs if o.name != f"_{o.fields[0].name}")
        self._choices = list(written)

    def row(self, message: Any) -> Row:
        """Raises `UnreadableError` where a field has another type than the schema says."""
        row: Row = {name: convert(getattr(message, name)) for name, convert in self._always}
        for name, convert in self._unless_empty:
            if value := getattr(message, name):
                row[name] = convert(value)
        for name, convert, default in self._if_there:
            if message.HasField(name):
                row[name] = convert(getattr(message, name))
            elif default is not None:
                row[name] = default
        for choice in self._choices:
            row[choice] = message.WhichOneof(choice)
        for unknown in UnknownFieldSet(message):
            if name := self._names.get(unknown.field_number, ""):
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
