"""The bytes of many records in one buffer, as the scanner reads them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import overload

import numpy as np
from numpy.typing import NDArray

from monitor.core.decode.batch import Int64
from monitor.core.decode.scanner import END

LOOK_AHEAD = 64
"""Bytes behind the last record, none of them part of a token: the scanner may look at them."""


class PackedRecords(Sequence[bytes]):
    """Records as spans of a buffer; each is followed by `END`, the last by `LOOK_AHEAD` bytes.

    buffer: (byte), not to be written any more. begin, size: (record), of each its span. A slice
    shares the buffer.
    """

    __slots__ = ("begin", "buffer", "size")

    def __init__(self, buffer: NDArray[np.uint8], begin: Int64, size: Int64) -> None:
        buffer.flags.writeable = False
        self.buffer, self.begin, self.size = buffer, begin, size

    @classmethod
    def pack(cls, raws: Sequence[bytes]) -> PackedRecords:
        """Put records into one buffer."""
        buffer = np.frombuffer(END.join([*raws, bytes(LOOK_AHEAD)]), np.uint8)
        size = np.fromiter(map(len, raws), np.int64, len(raws))
        begin = np.zeros(len(raws), np.int64)
        np.cumsum(size[:-1] + 1, out=begin[1:])
        return cls(buffer, begin, size)

    def __len__(self) -> int:
        return len(self.size)

    @overload
    def __getitem__(self, at: int) -> bytes: ...
    @overload
    def __getitem__(self, at: slice) -> PackedRecords: ...
    def __getitem__(self, at: int | slice) -> bytes | PackedRecords:
        if isinstance(at, slice):
            return PackedRecords(self.buffer, self.begin[at], self.size[at])
        begin = self.begin[at]
        return self.buffer[begin : begin + self.size[at]].tobytes()

    def __iter__(self) -> Iterator[bytes]:
        data = self.buffer.data
        for begin, size in zip(self.begin.tolist(), self.size.tolist(), strict=True):
            yield bytes(data[begin : begin + size])
