"""Protobuf: records framed with a schema's id and the place of the message in it, or bare messages
of one type."""

from __future__ import annotations

from typing import Any

from google.protobuf.descriptor import Descriptor
from google.protobuf.descriptor_pb2 import DescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

from monitor.errors import nearest_name
from monitor.sources.formats.base import Row
from monitor.sources.formats.protobuf.compiler import load_schema
from monitor.sources.formats.protobuf.rows import MessageRows
from monitor.sources.formats.schemas import Reader, Schema, SchemaError, SchemaRecords
from monitor.venues.parse import UnreadableError

INDEX_DEPTH_MAX = 32
"""How deep a record's message may be nested within the messages of its schema."""


class ProtobufRecords(SchemaRecords):
    """Reads Protobuf messages, each by the schema that it was written with."""

    form = "PROTOBUF"

    def make_reader(self, schema: Schema, message: str | None) -> Reader:
        pool, file = load_schema(schema)
        if message is not None:
            read = message_reader(_find_message(pool, file, message))
            return lambda raw, offset: read(raw[offset:])
        return _framed_reader(pool, file)


def message_reader(descriptor: Descriptor) -> Any:
    """A function from the bytes of a message to its row; it raises `UnreadableError`."""
    parse = GetMessageClass(descriptor).FromString
    make_row, named = MessageRows(descriptor).row, {"@type": descriptor.full_name}

    def read(raw: bytes) -> Row:
        try:
            return make_row(parse(raw)) | named
        except UnreadableError:
            raise
        except Exception as error:  # whatever the parser's C code raises for bytes that are none
            detail = f"{descriptor.full_name}: {ascii(str(error))[:100]}"
            raise UnreadableError("not_of_schema", detail) from None

    return read


def _framed_reader(pool: DescriptorPool, file: FileDescriptorProto) -> Reader:
    readers: dict[tuple[int, ...], Any] = {}

    def read(raw: bytes, offset: int) -> Row:
        path, offset = read_message_path(raw, offset)
        if path not in readers:
            name = _name_at(file, path)
            readers[path] = message_reader(pool.FindMessageTypeByName(name))
        row: Row = readers[path](raw[offset:])
        return row

    return read


def read_message_path(raw: bytes, offset: int) -> tuple[tuple[int, ...], int]:
    """The place of a record's message among those of its schema, and where its bytes begin.

    Zigzag varints: how many numbers follow, then the place of a message, of one within it, and so
    on; a single 0 stands for the first message. Raises `UnreadableError`.

    >>> read_message_path(bytes([4, 2, 0, 99]), 0)
    ((1, 0), 3)
    """
    count, offset = _read_varint(raw, offset)
    if not 0 <= count <= INDEX_DEPTH_MAX:
        raise UnreadableError("not_of_schema", f"a message nested {count} deep")
    path = []
    for _ in range(count):
        place, offset = _read_varint(raw, offset)
        path.append(place)
    return tuple(path) or (0,), offset


def _read_varint(raw: bytes, offset: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 35, 7):
        if offset >= len(raw):
            break
        byte = raw[offset]
        offset += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return (value >> 1) ^ -(value & 1), offset
    raise UnreadableError("not_of_schema", "no place of a message after the schema's id")


def _name_at(file: FileDescriptorProto, path: tuple[int, ...]) -> str:
    messages, parts = file.message_type, [file.package] if file.package else []
    for place in path:
        # Counted as they stand in the text, where the messages of a map's pairs are not written.
        written = [message for message in messages if not message.options.map_entry]
        if not 0 <= place < len(written):
            raise UnreadableError("not_of_schema", f"the schema has no message at {list(path)}")
        parts.append(written[place].name)
        messages = written[place].nested_type
    return ".".join(parts)


def _find_message(pool: DescriptorPool, file: FileDescriptorProto, name: str) -> Descriptor:
    """The message that a source names, with or without its package; the only one where it names
    none."""
    names = list(_message_names(file.package, file.message_type))
    if not name and len(names) == 1:
        return pool.FindMessageTypeByName(names[0])
    full = [each for each in names if each == name or each.endswith(f".{name}")]
    if name and len(full) == 1:
        return pool.FindMessageTypeByName(full[0])
    try:
        return pool.FindMessageTypeByName(name)
    except KeyError:
        pass
    if not name:
        raise SchemaError(f"of several messages: set `message` to one of {', '.join(names)}")
    spelled = names if "." in name else [each.rpartition(".")[2] for each in names]
    raise SchemaError(f"without a message {name}; {nearest_name(name, spelled)}")


def _message_names(prefix: str, messages: Any) -> Any:
    message: DescriptorProto
    for message in messages:
        if not message.options.map_entry:
            name = f"{prefix}.{message.name}" if prefix else message.name
            yield name
            yield from _message_names(name, message.nested_type)
