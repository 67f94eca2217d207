"""Values longer than a record may be: cut in chunks, and made whole again.

All chunks of a value are sent in one transaction by one writer, so whoever reads what is committed
finds them whole and in a row. Compressed, with a digest that each chunk carries.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any

import cramjam
import msgspec

CHUNK_BYTES = 900_000
"""Below Kafka's own default limit for a record."""
_HEADER_NAME = "brinkwatch-chunk"


class ChunkHeader(msgspec.Struct, frozen=True):
    """Goes with every chunk, as a header."""

    digest: str
    """sha256 of the whole, as it is stored."""
    count: int
    index: int


class DamagedError(ValueError):
    """What was put together is not what was cut, or no chunk at all."""


@dataclass(slots=True)
class Message:
    """One record on its way."""

    key: bytes
    value: bytes
    headers: list[tuple[str, bytes]] = field(default_factory=list)


def split(key: str, raw: bytes) -> list[Message]:
    """`raw` as records with the keys `key`/0, `key`/1 and so on."""
    whole = bytes(cramjam.zstd.compress(raw, 1))
    digest = hashlib.sha256(whole).hexdigest()
    parts = [whole[at : at + CHUNK_BYTES] for at in range(0, len(whole), CHUNK_BYTES)]
    made = []
    for index, part in enumerate(parts):
        head = msgspec.json.encode(ChunkHeader(digest, len(parts), index))
        made.append(Message(f"{key}/{index}".encode(), part, [(_HEADER_NAME, head)]))
    return made


def value_key(record: Any) -> str:
    """The key that the record's value was cut under."""
    return (record.key or b"").rpartition(b"/")[0].decode(errors="replace")


class Reassembler:
    """Puts the chunks of one key together, in the order in which they lie."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._digest = ""

    def add_chunk(self, record: Any) -> bytes | None:
        """The whole value where this record is its last chunk. Raises `DamagedError`."""
        try:
            head = msgspec.json.decode(dict(record.headers)[_HEADER_NAME], type=ChunkHeader)
        except (KeyError, msgspec.DecodeError):
            raise DamagedError(f"the record at offset {record.offset} is no chunk") from None
        if head.index == 0:
            self._digest, self._parts = head.digest, []
        elif head.digest != self._digest or head.index != len(self._parts):
            # Reading began in the middle of it.
            self._parts = []
            return None
        self._parts.append(record.value)
        if len(self._parts) < head.count:
            return None
        whole, self._parts = b"".join(self._parts), []
        if hashlib.sha256(whole).hexdigest() != head.digest:
            raise DamagedError(f"the value that ends at offset {record.offset} is damaged")
        return bytes(cramjam.zstd.decompress(whole))
