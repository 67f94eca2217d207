"""Records of one topic partition as columns, from record batches or from aiokafka's records."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np
from aiokafka.errors import CorruptRecordException
from numba import njit

from detectors.arrays.types import BOOL, I1, I2, INT, RBYTES, RI1, Bool, Int64
from monitor.core.decode.packed import LOOK_AHEAD, PackedRecords
from monitor.kafka.record_batches.raw_batch import RawBatch

# Rows of the columns that `_unpack` writes.
OFFSET, TIMESTAMP, BEGIN, SIZE = range(4)
# What `_unpack` goes on from: rows and bytes written, tombstones; and of the last record the
# offset, the time, and where in the batch key and value begin and how long they are (-1: none).
ROW, BYTE, TOMBSTONES, LAST_OFFSET, LAST_TIME, KEY_AT, KEY_SIZE, VALUE_AT, VALUE_SIZE = range(9)
# What it takes from a batch's header; `APPEND_TIME` below 0: each record has its own time.
BASE_OFFSET, FIRST_OFFSET, FIRST_TIME, APPEND_TIME = range(4)
_LOG_APPEND_TIME = 1
"""The type of a timestamp that the broker sets."""


class LastRecord(NamedTuple):
    """The last record that was handed out, tombstones too; all that a mark of the log needs."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None


class RecordColumns(NamedTuple):
    """Records of one topic partition in the order of their offsets, those without a value left out.

    offsets: Kafka's own. timestamps_ms: Kafka's, not event time. is_append: of each record whether
    its timestamp is the time at which the broker appended it, and not what its producer says.
    tombstones: how many records without a value came. last: None where nothing came at all.
    """

    offsets: Int64
    raws: Sequence[bytes]
    timestamps_ms: Int64
    is_append: Bool
    tombstones: int
    last: LastRecord | None

    @classmethod
    def from_fetched(cls, fetched: Sequence[Any]) -> RecordColumns:
        """What a fetch gave: raw batches, or records where there is no raw fetch and where a batch
        has an old format."""
        runs = [
            _unpack_batches(list(run)) if is_raw else _from_records(list(run))
            for is_raw, run in groupby(fetched, lambda item: isinstance(item, RawBatch))
        ]
        return runs[0] if len(runs) == 1 else _join(runs)


def _from_records(records: list[Any]) -> RecordColumns:
    events = [r for r in records if r.value is not None]
    n, last = len(events), records[-1]
    return RecordColumns(
        np.fromiter((r.offset for r in events), np.int64, n),
        [r.value for r in events],
        np.fromiter((r.timestamp for r in events), np.int64, n),
        np.fromiter((r.timestamp_type == _LOG_APPEND_TIME for r in events), np.bool_, n),
        len(records) - n,
        LastRecord(last.offset, last.timestamp, last.key, last.value),
    )


def _join(runs: list[RecordColumns]) -> RecordColumns:
    """Runs of the one and the other kind, one after another: where a log changes its format."""
    return RecordColumns(
        np.concatenate([run.offsets for run in runs]),
        [raw for run in runs for raw in run.raws],
        np.concatenate([run.timestamps_ms for run in runs]),
        np.concatenate([run.is_append for run in runs]),
        sum(run.tombstones for run in runs),
        next((run.last for run in reversed(runs) if run.last is not None), None),
    )


def _unpack_batches(batches: list[RawBatch]) -> RecordColumns:
    """Raises `CorruptRecordException` where the bytes are no records."""
    payloads = [batch.payload() for batch in batches]
    count = sum(batch.records for batch in batches)
    rows = np.empty((4, count), np.int64)
    # A record is longer than its value: there is room for `END` behind each.
    buffer = np.empty(sum(map(len, payloads)) + LOOK_AHEAD, np.uint8)
    state = np.zeros(9, np.int64)
    is_append = np.zeros(count, np.bool_)
    last = None
    for batch, payload in zip(batches, payloads, strict=True):
        before = state[ROW]
        append_ms = -1 if batch.append_ms is None else batch.append_ms
        head = np.array(
            [batch.base_offset, batch.first_offset, batch.first_timestamp_ms, append_ms], np.int64
        )
        state[LAST_OFFSET] = -1
        if not _unpack(payload, batch.records, head, rows, buffer, state):
            raise CorruptRecordException(f"invalid records from offset {batch.base_offset} on")
        is_append[before : state[ROW]] = batch.append_ms is not None
        if state[LAST_OFFSET] >= 0:
            offset, time_ms, *spans = state[LAST_OFFSET:].tolist()
            last = LastRecord(offset, time_ms, *_cut(payload, spans))
    n = int(state[ROW])
    buffer[state[BYTE] : state[BYTE] + LOOK_AHEAD] = 0
    raws = PackedRecords(buffer, rows[BEGIN, :n], rows[SIZE, :n])
    offsets, times_ms, tombstones = rows[OFFSET, :n], rows[TIMESTAMP, :n], int(state[TOMBSTONES])
    return RecordColumns(offsets, raws, times_ms, is_append[:n], tombstones, last)


def _cut(payload: Any, spans: list[int]) -> list[bytes | None]:
    """Key and value of the record whose spans these are."""
    pairs = zip(spans[::2], spans[1::2], strict=True)
    return [None if size < 0 else payload[at : at + size].tobytes() for at, size in pairs]


@njit(forceinline=True)
def _read_varint(data: Any, at: int, end: int) -> tuple[Any, int]:
    """A number in Kafka's variable length, and the byte after it: -1 where it does not end."""
    value = np.uint64(0)
    shift = np.uint64(0)
    while at < end and shift < np.uint64(70):
        byte = np.uint64(data[at])
        at += 1
        value |= (byte & np.uint64(0x7F)) << shift
        if byte < np.uint64(0x80):
            return np.int64(value >> np.uint64(1)) ^ -np.int64(value & np.uint64(1)), at
        shift += np.uint64(7)
    return 0, -1


@njit(
    BOOL(RBYTES, INT, RI1, I2, RBYTES.copy(readonly=False), I1),
    cache=True,
    nogil=True,
)
def _unpack(data: Any, records: int, head: Any, rows: Any, buffer: Any, state: Any) -> bool:
    """Copy the values of one batch behind those of the batches before; False: no such records."""
    end = len(data)
    at = 0
    row, byte = state[ROW], state[BYTE]
    for _ in range(records):
        length, at = _read_varint(data, at, end)
        if at < 0 or length < 0 or length > end - at:
            return False
        stop = at + length
        at += 1  # attributes, unused
        delta_ms, at = _read_varint(data, at, stop)
        if at < 0:
            return False
        delta, at = _read_varint(data, at, stop)
        if at < 0:
            return False
        key_size, at = _read_varint(data, at, stop)
        if at < 0 or key_size < -1 or key_size > stop - at:
            return False
        key_at = at
        at += max(key_size, 0)
        size, at = _read_varint(data, at, stop)
        if at < 0 or size < -1 or size > stop - at:
            return False
        offset = head[BASE_OFFSET] + delta
        if offset >= head[FIRST_OFFSET]:
            time_ms = head[APPEND_TIME] if head[APPEND_TIME] >= 0 else head[FIRST_TIME] + delta_ms
            if size < 0:
                state[TOMBSTONES] += 1
            else:
                rows[OFFSET, row] = offset
                rows[TIMESTAMP, row] = time_ms
                rows[BEGIN, row] = byte
                rows[SIZE, row] = size
                buffer[byte : byte + size] = data[at : at + size]
                buffer[byte + size] = 0  # `END`
                byte += size + 1
                row += 1
            state[LAST_OFFSET], state[LAST_TIME] = offset, time_ms
            state[KEY_AT], state[KEY_SIZE], state[VALUE_AT], state[VALUE_SIZE] = (
                key_at, key_size, at, size,
            )  # fmt: skip
        at = stop  # behind the headers, which nobody asks for
    state[ROW], state[BYTE] = row, byte
    return at == end
