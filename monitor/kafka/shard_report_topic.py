"""The topic of shard reports: each in chunks, with a header that says how far its shard is."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from monitor.core.contract.events import TS_MAX
from monitor.core.event_time.clock_state import NEVER
from monitor.core.shard_report import ShardReport
from monitor.kafka import chunking
from monitor.kafka.messages import Message

_HEADER_NAME = "brinkwatch-word"
Time = Annotated[int, msgspec.Meta(ge=NEVER, lt=TS_MAX)]


class ReportHeader(msgspec.Struct, frozen=True):
    """A header of every record: enough to know whether the report is worth reading.

    `settings`: the fingerprint of the shard's settings.
    """

    settings: str
    partition: Annotated[int, msgspec.Meta(ge=0)]
    closed_ns: Time
    latest_ns: Time
    until: int
    high: dict[str, int]


def messages(report: ShardReport, fingerprint: str, book_ns: int) -> list[Message]:
    """A report as records."""
    times = report.closed_ns, report.latest_ns, report.until
    header = ReportHeader(fingerprint, report.partition, *times, report.high)
    encoded = msgspec.json.encode(header)
    chunks = chunking.split(f"word/{report.partition}", report.pack(fingerprint, book_ns))
    for chunk in chunks:
        chunk.headers.append((_HEADER_NAME, encoded))
    return chunks


def read_header(record: Any, fingerprint: str, partitions: int) -> ReportHeader | None:
    """How far the shard of a record has come; None where the record is no report of one of these
    `partitions` shards under the same settings.
    """
    header = chunking.read_header(record, _HEADER_NAME, ReportHeader)
    if header is None or header.settings != fingerprint or header.partition != record.partition:
        return None
    return header if header.partition < partitions else None
