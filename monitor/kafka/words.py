"""Words of the shards on their topic: each whole, with a head that says what is in it."""

from __future__ import annotations

from typing import Any

import msgspec

from monitor.core.word import Word
from monitor.kafka.whole import Gathering, Message, cut, owner

_HEAD = "brinkwatch-word"


class Head(msgspec.Struct, frozen=True):
    """Goes with every record of the topic: enough to know whether the word is worth reading."""

    partition: int
    closed_ns: int
    latest_ns: int
    until: int
    high: dict[str, int]


def messages(word: Word, fingerprint: str, book_ns: int) -> list[Message]:
    """A word as records."""
    told = Head(word.partition, word.closed_ns, word.latest_ns, word.until, word.high)
    head = msgspec.json.encode(told)
    made = cut(f"word/{word.partition}", word.pack(fingerprint, book_ns))
    for message in made:
        message.headers.append((_HEAD, head))
    return made


def head(record: Any) -> Head | None:
    """What a record of the topic speaks of; None where it is no word."""
    try:
        return msgspec.json.decode(dict(record.headers)[_HEAD], type=Head)
    except (KeyError, msgspec.DecodeError):
        return None


class Listener:
    """Puts words together from the records of all partitions of the topic."""

    def __init__(self, fingerprint: str) -> None:
        self._fingerprint = fingerprint
        self._gathering: dict[str, Gathering] = {}

    def take(self, record: Any) -> Word | None:
        """The word that is whole with this record. Raises `DamagedError` and `SnapshotError`."""
        raw = self._gathering.setdefault(owner(record), Gathering()).take(record)
        return None if raw is None else Word.unpack(raw, self._fingerprint)
