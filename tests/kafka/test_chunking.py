"""A value split into chunks comes back whole, whatever lies between its chunks."""

from __future__ import annotations

import random
from dataclasses import dataclass

import pytest

from monitor.kafka.chunking import CHUNK_BYTES, DamagedError, Reassembler, split
from monitor.kafka.messages import Message

VALUE = random.Random(1).randbytes(2 * CHUNK_BYTES + 5)
"""Random bytes do not compress: three chunks."""


@dataclass
class Record:
    """A message as a consumer hands it out."""

    offset: int
    key: bytes | None
    value: bytes
    headers: list[tuple[str, bytes]]


def records(messages: list[Message]) -> list[Record]:
    return [Record(at, m.key, m.value, m.headers) for at, m in enumerate(messages)]


def values(messages: list[Message]) -> list[bytes]:
    """What a reassembler gives of these records."""
    reassembler = Reassembler()
    whole = [reassembler.add_chunk(record) for record in records(messages)]
    return [value for value in whole if value is not None]


def test_a_value_of_several_chunks_comes_back_once_its_last_chunk_is_there() -> None:
    chunks = split("a", VALUE)
    assert [chunk.key for chunk in chunks] == [b"a/0", b"a/1", b"a/2"]
    assert values(chunks) == [VALUE]
    assert values(chunks[:-1]) == []


def test_values_of_several_keys_may_interleave() -> None:
    first, second = split("a", VALUE), split("b", VALUE[::-1])
    pairs = zip(first, second, strict=True)
    assert values([chunk for pair in pairs for chunk in pair]) == [VALUE, VALUE[::-1]]


def test_reading_that_begins_in_the_middle_of_a_value_gives_the_next_one() -> None:
    assert values([*split("a", VALUE)[1:], *split("a", VALUE[1:])]) == [VALUE[1:]]


def test_a_value_without_its_last_chunk_is_dropped_for_the_next_one() -> None:
    assert values([*split("a", VALUE)[:2], *split("a", VALUE[1:])]) == [VALUE[1:]]


def test_a_changed_byte_and_a_record_without_a_header_are_damage() -> None:
    chunks = split("a", b"some value")
    chunks[0].value = chunks[0].value[:-1] + b"!"
    with pytest.raises(DamagedError, match="ends at offset 0 is damaged"):
        values(chunks)
    with pytest.raises(DamagedError, match="offset 0 is no chunk"):
        values([Message(b"a/0", b"some value")])
