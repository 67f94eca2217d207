"""The topic of shard reports: each in chunks, with a header that says how far its shard is."""

from __future__ import annotations

from typing import Any

import msgspec

from monitor.core.shard_report import ShardReport
from monitor.kafka import chunking
from monitor.kafka.messages import Message

_HEADER_NAME = "brinkwatch-word"


class ReportHeader(msgspec.Struct, frozen=True):
    """A header of every record: enough to know whether the report is worth reading."""

    partition: int
    closed_ns: int
    latest_ns: int
    until: int
    high: dict[str, int]


def messages(report: ShardReport, fingerprint: str, book_ns: int) -> list[Message]:
    """A report as records."""
    closed_ns, latest_ns = report.closed_ns, report.latest_ns
    header = ReportHeader(report.partition, closed_ns, latest_ns, report.until, report.high)
    encoded = msgspec.json.encode(header)
    chunks = chunking.split(f"word/{report.partition}", report.pack(fingerprint, book_ns))
    for chunk in chunks:
        chunk.headers.append((_HEADER_NAME, encoded))
    return chunks


def read_header(record: Any) -> ReportHeader | None:
    """How far the shard of a record has come; None where the record is no report."""
    return chunking.read_header(record, _HEADER_NAME, ReportHeader)
