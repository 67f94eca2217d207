"""A record batch as it came from the broker: its header read, its records still one run of bytes.

The format is Kafka's third ("magic 2"); aiokafka reads the two before it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from aiokafka import codec
from aiokafka.errors import CorruptRecordException, UnsupportedCodecError
from aiokafka.record.default_records import DefaultRecordBatch
from aiokafka.record.legacy_records import LegacyRecordBatch
from numpy.typing import NDArray

LENGTH_AT, LENGTH_END = 8, 12
MAGIC_AT, COUNT_AT, HEADER_BYTES = 16, 57, 61
MAGIC = 2
OLD_HEADER_BYTES_MIN = 26
"""Of a message in the formats before, which is a batch of its own."""
RECORD_BYTES_MIN = 7
"""No record is shorter: its length, attributes, time, offset, key, value and headers."""

_Codec = tuple[str, Callable[[], bool], Callable[[bytes], bytes]]
_CODECS: dict[int, _Codec] = {
    1: ("gzip", codec.has_gzip, codec.gzip_decode),
    2: ("snappy", codec.has_snappy, codec.snappy_decode),
    3: ("lz4", codec.has_lz4, codec.lz4_decode),
    4: ("zstd", codec.has_zstd, codec.zstd_decode),
}


class RawBatch:
    """One record batch; to aiokafka a batch of a single record, which is the batch itself.

    first_offset: records before it were handed out already.
    """

    def __init__(self, raw: memoryview) -> None:
        self._raw = raw
        self._header = header = DefaultRecordBatch(raw)
        self.base_offset: int = header.base_offset
        self.next_offset: int = header.next_offset
        self.offset = self.next_offset - 1
        self.producer_id: int = header.producer_id
        self.is_control_batch: bool = header.is_control_batch
        self.is_transactional: bool = header.is_transactional
        self.first_timestamp_ms: int = header.first_timestamp
        self.append_ms: int | None = header.max_timestamp if header.timestamp_type else None
        """When the broker appended all of its records; None where each has its producer's time."""
        self.records = int.from_bytes(raw[COUNT_AT:HEADER_BYTES], signed=True)
        self.first_offset = self.base_offset

    def validate_crc(self) -> bool:
        """Whether the checksum is that of the bytes."""
        return bool(self._header.validate_crc())

    def __iter__(self) -> Iterator[RawBatch]:
        yield self

    def __next__(self) -> Any:
        """The record of a control batch, which says how a transaction ended."""
        return next(self._header)

    def payload(self) -> NDArray[np.uint8]:
        """The records one after another, decompressed."""
        packed = self._raw[HEADER_BYTES:]
        number = self._header.compression_type
        if number:
            if number not in _CODECS:
                raise UnsupportedCodecError(f"Unknown compression codec {number:#04x}")
            name, is_there, decompress = _CODECS[number]
            if not is_there():
                raise UnsupportedCodecError(f"Libraries for {name} compression codec not found")
            packed = memoryview(decompress(packed.tobytes()))
        payload = np.frombuffer(packed, np.uint8)
        payload.flags.writeable = False
        if not 0 <= self.records * RECORD_BYTES_MIN <= len(payload):
            raise CorruptRecordException(f"{self.records} records in {len(payload)} bytes")
        return payload


class RawBatches:
    """The record batches of one topic partition in one answer of the broker, as aiokafka's
    own class gives them. The last one may be cut off, and is left out then.
    """

    def __init__(self, message_set: bytes) -> None:
        self._data = memoryview(message_set)
        self._at = 0

    def _end(self) -> int:
        """Where the next batch ends; beyond the data where it is cut off."""
        head = self._data[self._at + LENGTH_AT : self._at + LENGTH_END]
        return self._at + LENGTH_END + int.from_bytes(head, signed=True)

    def has_next(self) -> bool:
        """Whether there is another whole batch."""
        return self._at + LENGTH_END <= len(self._data) and self._end() <= len(self._data)

    def next_batch(self) -> Any:
        """The next batch; of the old formats aiokafka's own object."""
        end = self._end()
        raw = self._data[self._at : end]
        if len(raw) < OLD_HEADER_BYTES_MIN:
            raise CorruptRecordException(f"a record batch of {len(raw)} bytes")
        self._at = end
        magic = raw[MAGIC_AT]
        if magic < MAGIC:
            return LegacyRecordBatch(raw, magic)
        if len(raw) < HEADER_BYTES:
            raise CorruptRecordException(f"a record batch of {len(raw)} bytes")
        return RawBatch(raw)
