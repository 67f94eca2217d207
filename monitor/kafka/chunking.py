"""Values longer than a Kafka record may be: compressed, split into chunks, reassembled.

One writer sends all chunks of a value in one transaction, so a reader of committed records gets
them complete and in order. Each chunk carries the digest of the compressed value. Whoever may write
to the topic may write anything else between them: that is refused, and disturbs no value.
"""

from __future__ import annotations

import hashlib
from typing import Annotated, Any, TypeVar

import cramjam
import msgspec

from monitor.kafka.messages import Message

CHUNK_BYTES = 900_000
"""Below Kafka's own default limit for a record, 1,048,588 bytes."""
_HEADER_NAME = "brinkwatch-chunk"

VALUE_BYTES_MAX = 2 << 30
"""Of a value before it is compressed; a chunk that claims more is refused."""
PARTIAL_MAX = 1_000
"""Values that are not complete, at most; each writer has one under way."""

H = TypeVar("H")
Natural = Annotated[int, msgspec.Meta(ge=0)]


class ChunkHeader(msgspec.Struct, frozen=True):
    """A header of every chunk; `digest`: sha256 of the compressed value; `size`: of the value
    before it was compressed, bytes.
    """

    digest: str
    count: Natural
    index: Natural
    size: Annotated[int, msgspec.Meta(ge=0, le=VALUE_BYTES_MAX)]


class DamagedError(ValueError):
    """A record is no chunk, or the chunks together do not have their digest."""


def split(key: str, raw: bytes) -> list[Message]:
    """`raw`, compressed, as records with the keys `key`/0, `key`/1 and so on."""
    value = bytes(cramjam.zstd.compress(raw, 1))
    digest = hashlib.sha256(value).hexdigest()
    chunks = [value[at : at + CHUNK_BYTES] for at in range(0, len(value), CHUNK_BYTES)]
    headers = [ChunkHeader(digest, len(chunks), i, len(raw)) for i in range(len(chunks))]
    encoded = [msgspec.json.encode(header) for header in headers]
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
    except (KeyError, TypeError, ValueError, RecursionError):
        return None


class Reassembler:
    """Puts the chunks of each key together, in the order of their offsets."""

    def __init__(self) -> None:
        self._partial: dict[tuple[str, str], list[bytes]] = {}
        """By key and digest, the chunks so far of a value."""

    def add_chunk(self, record: Any) -> bytes | None:
        """The decompressed value if this record is its last chunk. Raises `DamagedError`."""
        header = read_header(record, _HEADER_NAME, ChunkHeader)
        if header is None or record.value is None:
            raise DamagedError(f"the record at offset {record.offset} is no chunk")
        at = value_key(record), header.digest
        if header.index == 0:
            self._partial.pop(at, None)  # the newest comes last
            self._partial[at] = []
            if len(self._partial) > PARTIAL_MAX:
                del self._partial[next(iter(self._partial))]
        chunks = self._partial.get(at)
        if chunks is None or header.index != len(chunks):
            self._partial.pop(at, None)  # reading began in the middle of this value
            return None
        chunks.append(record.value)
        if len(chunks) < header.count:
            return None
        value = b"".join(self._partial.pop(at))
        if hashlib.sha256(value).hexdigest() != header.digest:
            raise DamagedError(f"the value that ends at offset {record.offset} is damaged")
        return _decompress(value, header.size)


def _decompress(value: bytes, size: int) -> bytes:
    """The value of `size` bytes; never more, whatever the bytes claim."""
    raw = bytearray(size)
    try:
        written = cramjam.zstd.decompress_into(value, raw)
    except cramjam.DecompressionError as error:
        raise DamagedError(f"a value cannot be decompressed: {error}") from error
    if written != size:
        raise DamagedError(f"a value has {written:,} bytes, not {size:,}")
    return bytes(raw)
