"""Words of the shards on their topic: each whole, with a head that says what is in it."""

from __future__ import annotations

from typing import Any

import msgspec

from monitor.core.shard_report import ShardReport
from monitor.kafka.chunking import Message, Reassembler, split, value_key

_HEADER_NAME = "brinkwatch-word"


class ReportHeader(msgspec.Struct, frozen=True):
    """Goes with every record of the topic: enough to know whether the word is worth reading."""

    partition: int
    closed_ns: int
    latest_ns: int
    until: int
    high: dict[str, int]


def messages(word: ShardReport, fingerprint: str, book_ns: int) -> list[Message]:
    """A word as records."""
    told = ReportHeader(word.partition, word.closed_ns, word.latest_ns, word.until, word.high)
    head = msgspec.json.encode(told)
    made = split(f"word/{word.partition}", word.pack(fingerprint, book_ns))
    for message in made:
        message.headers.append((_HEADER_NAME, head))
    return made


def read_header(record: Any) -> ReportHeader | None:
    """What a record of the topic speaks of; None where it is no word."""
    try:
        return msgspec.json.decode(dict(record.headers)[_HEADER_NAME], type=ReportHeader)
    except (KeyError, msgspec.DecodeError):
        return None


class ReportAssembler:
    """Puts words together from the records of all partitions of the topic."""

    def __init__(self, fingerprint: str) -> None:
        self._fingerprint = fingerprint
        self._reassemblers: dict[str, Reassembler] = {}

    def add_record(self, record: Any) -> ShardReport | None:
        """The word that is whole with this record. Raises `DamagedError` and `SnapshotError`."""
        raw = self._reassemblers.setdefault(value_key(record), Reassembler()).add_chunk(record)
        return None if raw is None else ShardReport.unpack(raw, self._fingerprint)
