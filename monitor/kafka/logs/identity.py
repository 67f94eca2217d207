"""Whether a topic partition still has the log that was read.

Offsets alone do not say: a topic that is deleted and created again begins at 0, and soon holds the
offset that reading had come to. So a position is kept with a mark of the log: the last record read,
and the topic's id.
"""

from __future__ import annotations

import hashlib
from typing import Any, NamedTuple

import msgspec

from monitor.errors import ConfigError
from monitor.kafka.partitions import PartitionKey

NO_RECORD = -1


class LogChangedError(ConfigError):
    """Records that were not read are gone, or the log is another one: people have to decide."""


class LogMark(msgspec.Struct, frozen=True, array_like=True):
    """Which log a topic partition is.

    lift: the engine's offsets less Kafka's: a log made anew goes on where the old one ended.
    topic_id: empty where Kafka gives none. offset, timestamp_ms, digest: of the last record read;
    the offset is Kafka's own, `NO_RECORD` before the first.
    """

    lift: int = 0
    topic_id: str = ""
    offset: int = NO_RECORD
    timestamp_ms: int = 0
    digest: bytes = b""

    def after(self, record: Any) -> LogMark:
        """The mark once `record` was read."""
        fingerprint = record.offset, record.timestamp, record_digest(record)
        return LogMark(self.lift, self.topic_id, *fingerprint)

    def matches(self, record: Any) -> bool:
        """Whether `record` is the last one read."""
        return self.after(record) == self


def record_digest(record: Any) -> bytes:
    """A hash of a record's key and value."""
    parts = (b"-" if part is None else b"+" + part for part in (record.key, record.value))
    return hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).digest()[:16]


class LogRange(NamedTuple):
    """What a topic partition holds, in Kafka's offsets: from `first` to below `end`."""

    first: int
    end: int


class LogChange(NamedTuple):
    """A log that is not the one that was read up to `position`, or has lost what follows it."""

    at: PartitionKey
    position: int
    range: LogRange
    is_new_log: bool

    def sentence(self, snapshots_topic: str) -> str:
        """What happened and what to do."""
        (topic, partition), first, end = self.at, *self.range
        other = ""
        if self.is_new_log and self.position <= end:
            other = ", but not the record that was read last"
        return (
            f"reading had come to offset {self.position:,} of {topic}/{partition}, which holds "
            f"{first:,} to {end:,}{other}: records were deleted or the topic was made anew; to go "
            f"on without them use brinkwatch run --accept-gap {topic}, to begin anew delete the "
            f"topic {snapshots_topic}"
        )
