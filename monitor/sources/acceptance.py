"""What the contract makes of the translated records of one partition of a source."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from monitor.core.decode.batch import RefusedRecord
from monitor.core.decode.codec import decode
from monitor.core.decode.validate import field_of
from monitor.core.event_time.clock_state import NEVER
from monitor.sources.translation import Translation


class Event(NamedTuple):
    """A record that the contract accepts, with the key of its message."""

    kind: str
    key: str
    raw: bytes


@dataclass(slots=True)
class SourceRecord:
    """One record of a source, and what became of it.

    ts: the first event time in it, ns; `NEVER` where there is none. skipped: the word for a kind
    that the map leaves out. refused: the record itself, with its own bytes, and why it, or one of
    the several that it makes, is not accepted.
    """

    offset: int
    timestamp_ms: int
    """Kafka's."""
    ts: int = NEVER
    events: list[Event] = field(default_factory=list)
    skipped: str | None = None
    refused: RefusedRecord | None = None


class SourceBatch(NamedTuple):
    """Records of one partition of a source, in the order of their offsets."""

    topic: str
    partition: int
    offsets: Sequence[int]
    raws: Sequence[bytes]
    timestamps_ms: Sequence[int]


Origin = Callable[[str, str], str | None]
"""Where the source has a field of the contract, by kind and name, for sentences."""


def judge(
    batch: SourceBatch, translations: Sequence[Translation], origin: Origin | None = None
) -> list[SourceRecord]:
    """Let the contract judge what a translator made of `batch`, one item for each record."""
    pairs = zip(batch.offsets, batch.timestamps_ms, strict=True)
    records = [SourceRecord(offset, timestamp_ms) for offset, timestamp_ms in pairs]
    rows: dict[str, list[tuple[int, Event]]] = defaultdict(list)
    for i, translation in enumerate(translations):
        records[i].skipped = translation.skipped
        if translation.refused is not None:
            error = translation.refused
            _refuse(records[i], batch, i, error.reason, error.detail)
        for event in translation.records:
            rows[event[0]].append((i, Event(*event)))
    for kind, of_kind in rows.items():
        for i, refused in _judge_kind(records, batch, kind, of_kind):
            detail = refused.detail
            if origin is not None and (place := origin(kind, field_of(detail))):
                detail = f"{detail} (from {place})"
            _refuse(records[i], batch, i, refused.reason, detail)
    return records


def _judge_kind(
    records: list[SourceRecord], batch: SourceBatch, kind: str, rows: list[tuple[int, Event]]
) -> list[tuple[int, RefusedRecord]]:
    """Put what is accepted into `records`; returns the rest, with the rows of their records."""
    numbers = np.arange(len(rows), dtype=np.int64)
    decoded = decode(kind, batch.topic, batch.partition, numbers, [e.raw for _, e in rows])
    times = decoded.numbers["ts"].tolist() if len(decoded) else []
    for row, ts in zip(decoded.offset.tolist(), times, strict=True):
        i, event = rows[row]
        record = records[i]
        record.events.append(event)
        record.ts = ts if record.ts == NEVER else min(record.ts, ts)
    return [(rows[refused.offset][0], refused) for refused in decoded.refused]


def _refuse(record: SourceRecord, batch: SourceBatch, i: int, reason: str, detail: str) -> None:
    record.refused = RefusedRecord(
        batch.topic, batch.partition, record.offset, reason, detail, batch.raws[i]
    )
