"""Keys of records, and their partitions: that of a symbol is the same in each topic."""

from __future__ import annotations

import zlib


def key_column(kind: str) -> str:
    """The field that is the key of the records of a kind."""
    return "account" if kind == "collateral" else "symbol"


def partition_of(key: str, partitions: int) -> int:
    """The partition of a key: a hash of its UTF-8 bytes, the same in every run.

    >>> partition_of("BTC-USD", 4), partition_of("ETH-USD", 4)
    (0, 3)
    """
    return zlib.crc32(key.encode()) % partitions
