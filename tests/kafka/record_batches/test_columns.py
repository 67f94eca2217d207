"""Columns of record batches are what aiokafka's own records say."""

from __future__ import annotations

import random
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from aiokafka.errors import CorruptRecordException, UnsupportedCodecError
from aiokafka.record.default_records import DefaultRecordBatch, DefaultRecordBatchBuilder
from aiokafka.record.legacy_records import LegacyRecordBatchBuilder

from monitor.kafka.record_batches import raw_batch
from monitor.kafka.record_batches.columns import RecordColumns
from monitor.kafka.record_batches.raw_batch import HEADER_BYTES, RawBatch, RawBatches

CODECS = {"none": 0, "gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}


def some_bytes(rng: random.Random, none: float, size: int) -> bytes | None:
    return None if rng.random() < none else rng.randbytes(rng.randrange(size))


def batch_bytes(rng: random.Random, codec: int = 0, records: int = 40) -> bytes:
    """A batch with gaps in its offsets, as compaction leaves them, and records of all shapes."""
    builder = DefaultRecordBatchBuilder(2, codec, 0, -1, -1, -1, 1 << 24)
    offset = 0
    for _ in range(records):
        key, value = some_bytes(rng, 0.3, 40), some_bytes(rng, 0.2, rng.choice([2, 70, 20_000]))
        names = [f"h{n}" for n in range(rng.choice([0, 0, 1, 17, 70]))]
        headers = [(name, some_bytes(rng, 0.3, 10)) for name in names]
        builder.append(offset, 10**12 + rng.randrange(-500, 500), key, value, headers)
        offset += rng.choice([1, 1, 2, 900])
    return moved(bytes(builder.build()), rng.randrange(10**9))


def moved(raw: bytes, first_offset: int) -> bytes:
    """The batch where the broker puts it; its checksum does not cover that."""
    return first_offset.to_bytes(8) + raw[8:]


def by_aiokafka(raw: bytes) -> list[Any]:
    return list(DefaultRecordBatch(raw))


def read_all(message_set: bytes) -> Iterator[Any]:
    batches = RawBatches(message_set)
    while batches.has_next():
        yield batches.next_batch()


def assert_equal(columns: RecordColumns, records: list[Any]) -> None:
    events = [r for r in records if r.value is not None]
    assert columns.offsets.tolist() == [r.offset for r in events]
    assert columns.timestamps_ms.tolist() == [r.timestamp for r in events]
    assert columns.is_append.tolist() == [r.timestamp_type == 1 for r in events]
    assert list(columns.raws) == [r.value for r in events]
    assert columns.tombstones == len(records) - len(events)
    last = columns.last
    assert last is not None
    end = records[-1]
    assert tuple(last) == (end.offset, end.timestamp, end.key, end.value)


@pytest.mark.parametrize("codec", CODECS)
def test_any_batches_give_what_aiokafka_reads(codec: str) -> None:
    rng = random.Random(codec)
    raws = [batch_bytes(rng, CODECS[codec]) for _ in range(6)]
    columns = RecordColumns.from_fetched(list(read_all(b"".join(raws))))
    assert_equal(columns, [record for raw in raws for record in by_aiokafka(raw)])


def test_records_before_the_position_are_left_out() -> None:
    raw = batch_bytes(random.Random(1))
    for first in (by_aiokafka(raw)[n].offset + 1 for n in (0, 20, 38)):
        (batch,) = read_all(raw)
        batch.first_offset = first
        columns = RecordColumns.from_fetched([batch])
        assert_equal(columns, [r for r in by_aiokafka(raw) if r.offset >= first])


def test_a_batch_whose_times_the_broker_set_has_one_time() -> None:
    raw = bytearray(batch_bytes(random.Random(2)))
    raw[22] |= 0x08
    columns = RecordColumns.from_fetched(list(read_all(bytes(raw))))
    assert columns.is_append.all()
    assert len(set(columns.timestamps_ms.tolist())) == 1
    assert_equal(columns, by_aiokafka(bytes(raw)))


def test_a_batch_that_compaction_emptied_gives_nothing() -> None:
    raw = bytes(DefaultRecordBatchBuilder(2, 0, 0, -1, -1, -1, 1_000).build())
    columns = RecordColumns.from_fetched(list(read_all(raw)))
    assert columns.last is None
    assert len(columns.offsets) == 0


def test_what_is_cut_off_at_the_end_is_left_out() -> None:
    raws = [batch_bytes(random.Random(3)) for _ in range(2)]
    whole = b"".join(raws)
    for cut in (1, len(raws[1]) - 13, len(raws[1]) - 5):
        (batch,) = read_all(whole[:-cut])
        assert_equal(RecordColumns.from_fetched([batch]), by_aiokafka(raws[0]))


def test_batches_of_the_old_format_come_as_records_between_the_others() -> None:
    new = [batch_bytes(random.Random(seed), records=3) for seed in (4, 5)]
    builder = LegacyRecordBatchBuilder(1, 0, 10_000)
    builder.append(0, 10**12, b"k", b"old")
    old = bytes(builder.build())
    items: list[Any] = []
    for batch in read_all(new[0] + old + new[1]):
        # aiokafka's own iteration over what is no batch of ours
        items += [batch] if isinstance(batch, RawBatch) else list(batch)
    columns = RecordColumns.from_fetched(items)
    old_record = SimpleNamespace(
        offset=0, timestamp=10**12, timestamp_type=0, key=b"k", value=b"old"
    )
    assert_equal(columns, [*by_aiokafka(new[0]), old_record, *by_aiokafka(new[1])])


def test_damaged_batches_are_refused_and_never_crash() -> None:
    """The checksum finds all of it, where it is asked; what follows has to stand it anyway."""
    rng = random.Random(6)
    raw = batch_bytes(rng, records=8)
    outcomes = set()
    for _ in range(2_000):
        damaged = bytearray(raw)
        for _ in range(rng.choice([1, 1, 4])):
            damaged[rng.randrange(57, min(len(raw), 400))] = rng.choice([0, 255, 128, 77])
        try:
            columns = RecordColumns.from_fetched(list(read_all(bytes(damaged))))
        except CorruptRecordException:
            outcomes.add("refused")
        else:
            outcomes.add("read")
            assert sum(map(len, columns.raws)) <= len(raw)
            assert not next(read_all(bytes(damaged))).validate_crc() or bytes(damaged) == raw
    assert outcomes == {"refused", "read"}
    with pytest.raises(CorruptRecordException, match="a record batch of 30 bytes"):
        list(read_all(bytes(8) + (18).to_bytes(4) + bytes(4) + b"\2" + bytes(13)))


def test_a_codec_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = batch_bytes(random.Random(7), CODECS["zstd"])
    (batch,) = read_all(raw)
    unavailable = ("zstd", lambda: False, bytes)
    monkeypatch.setitem(raw_batch._CODECS, CODECS["zstd"], unavailable)
    with pytest.raises(UnsupportedCodecError, match="zstd"):
        RecordColumns.from_fetched([batch])


def test_a_batch_has_one_copy_of_each_value() -> None:
    """The scanner reads the values where they are put: a slice shares the buffer."""
    columns = RecordColumns.from_fetched(list(read_all(batch_bytes(random.Random(8)))))
    piece = columns.raws[3:9]
    assert np.shares_memory(piece.buffer, columns.raws.buffer)  # type: ignore[attr-defined]
    assert list(piece) == list(columns.raws)[3:9]
    assert columns.raws[4] == piece[1]
    assert HEADER_BYTES == 61
