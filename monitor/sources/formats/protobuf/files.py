"""Files of Protobuf messages, each after its length: what Java's writeDelimitedTo and Python's
serialize_length_prefixed write."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from monitor.core.contract.events import RECORD_BYTES_MAX
from monitor.errors import ConfigError

_LENGTH_BYTES_MAX = 5


def split_messages(name: str, stream: BinaryIO) -> Iterator[bytes]:
    """The bytes of each message of a file. name: the file's, for errors.

    Raises `ConfigError` where a length cannot be one, or the file ends within a message.
    """
    messages = 0
    while (length := _read_length(stream)) is not None:
        message = stream.read(length) if 0 <= length <= RECORD_BYTES_MAX else b""
        if len(message) != length:
            raise ConfigError(
                f"{name} is damaged after {messages} messages, or is no file of Protobuf messages "
                "each of which stands after its length as a varint (Java's writeDelimitedTo)"
            )
        yield message
        messages += 1


def _read_length(stream: BinaryIO) -> int | None:
    """A varint; None at the file's end, -1 where there is none."""
    value = 0
    for place in range(_LENGTH_BYTES_MAX):
        byte = stream.read(1)
        if not byte:
            return None if place == 0 else -1
        value |= (byte[0] & 0x7F) << 7 * place
        if byte[0] < 0x80:
            return value
    return -1
