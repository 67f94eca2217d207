"""Values longer than a Kafka record may be: compressed, split into chunks, reassembled.

One writer sends all chunks of a value in one transaction, so a reader of committed records gets
them complete and in order. Each chunk carries the digest of the compressed value.
"""

from __future__ import annotations

import hashlib
from typing import Any, TypeVar

import cramjam
import msgspec

from monitor.kafka.messages import Message

CHUNK_BYTES = 900_000
"""Below Kafka's own default limit for a record, 1,048,588 bytes."""
_HEADER_NAME = "brinkwatch-chunk"

H = TypeVar("H")


class ChunkHeader(msgspec.Struct, frozen=True):
    """A header of every chunk; `digest`: sha256 of the compressed value."""

    digest: str
    count: int
    index: int


class DamagedError(ValueError):
    """A record is no chunk, or the chunks together do not have their digest."""


def split(key: str, raw: bytes) -> list[Message]:
    """`raw`, compressed, as records with the keys `key`/0, `key`/1 and so on."""
    value = bytes(cramjam.zstd.compress(raw, 1))
    digest = hashlib.sha256(value).hexdigest()
    chunks = [value[at : at + CHUNK_BYTES] for at in range(0, len(value), CHUNK_BYTES)]
    encoded = [msgspec.json.encode(ChunkHeader(digest, len(chunks), i)) for i in range(len(chunks))]
    return [
        Message(f"{key}/{index}".encode(), chunk, [(_HEADER_NAME, encoded[index])])
        for index, chunk in enumerate(chunks)
    ]


def value_key(record: Any) -> str:
    """The key that the value of this chunk was split under."""
    return (record.key or b"").rpartition(b"/")[0].decode(errors="replace")


def read_header(record: Any, name: str, kind: type[H]) -> H | None:
    """The header `name` of a record, decoded as `kind`; None where it is absent or not one."""
    try:
        return msgspec.json.decode(dict(record.headers)[name], type=kind)
    except (KeyError, msgspec.DecodeError):
        return None


class Reassembler:
    """Puts the chunks of each key together, in the order of their offsets."""

    def __init__(self) -> None:
        self._partial: dict[str, tuple[str, list[bytes]]] = {}
        """Digest and chunks so far of each value."""

    def add_chunk(self, record: Any) -> bytes | None:
        """The decompressed value if this record is its last chunk. Raises `DamagedError`."""
        header = read_header(record, _HEADER_NAME, ChunkHeader)
        if header is None:
            raise DamagedError(f"the record at offset {record.offset} is no chunk")
        key = value_key(record)
        if header.index == 0:
            self._partial[key] = header.digest, []
        digest, chunks = self._partial.get(key, ("", []))
        if header.digest != digest or header.index != len(chunks):
            self._partial.pop(key, None)  # reading began in the middle of this value
            return None
        chunks.append(record.value)
        if len(chunks) < header.count:
            return None
        value = b"".join(self._partial.pop(key)[1])
        if hashlib.sha256(value).hexdigest() != digest:
            raise DamagedError(f"the value that ends at offset {record.offset} is damaged")
        return bytes(cramjam.zstd.decompress(value))
