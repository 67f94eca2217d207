"""The files of a recorded day's folder: the format's version, `day.json`, the side tables.

day.json                     versions, venue, span, counts, notes, sha256 of each file
<kind>/part-NNNNN.parquet    the records of one topic partition, in offset order (`columns.py`)
control/part-00000.parquet   control records, the day's end among them
refused/part-00000.parquet   records that were refused: original bytes, origin, reason
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pyarrow as pa

from monitor.core.contract import events
from monitor.core.decode.codec import UNKNOWN
from replay.day.columns import ORIGIN_COLUMNS

FORMAT = 1
"""Version of the folder's layout."""
GROUP_ROWS = 131_072
"""Rows of a row group, the unit in which a day is written and read."""
META = "day.json"
CONTROL = "control/part-00000.parquet"
REFUSED = "refused/part-00000.parquet"

_PART = re.compile(r"[a-z]+/part-[0-9]{5}\.parquet")


_REASON = (("reason", pa.string()), ("detail", pa.string()), ("raw", pa.binary()))
CONTROL_SCHEMA, REFUSED_SCHEMA = (
    pa.schema([pa.field(name, type_, False) for name, type_ in fields])
    for fields in (
        (*ORIGIN_COLUMNS, ("ts", pa.int64())),
        (("kind", pa.string()), *ORIGIN_COLUMNS, *_REASON),
    )
)


class DayError(ValueError):
    """A folder is no recorded day, or records cannot make one; the message says how to mend it."""


class DayPartition(msgspec.Struct, frozen=True):
    """One topic partition of a day."""

    kind: str
    topic: str
    partition: int
    rows: int
    next_offset: int
    file: str | None = None
    """Its Parquet file, relative to the folder; None where it has no accepted record."""


class DayFile(msgspec.Struct, frozen=True):
    """A file's size and sha256: damage shows as a difference."""

    bytes: int
    sha256: str


class DaySpan(NamedTuple):
    """Event times of a day, ns UTC: the lowest and the highest of its records, and the day's end,
    up to which every topic partition is complete."""

    first_ts: int
    last_ts: int
    end_ts: int


class DayMeta(msgspec.Struct, frozen=True, kw_only=True):
    """The content of `day.json`.

    `span`: None where no record was accepted. `records`: accepted ones by each of the eight kinds;
    `refused` by reason. `notes`: how the day came to be and what is odd in it.
    """

    format: int
    contract: int
    venue: str
    span: DaySpan | None
    records: dict[str, int]
    refused: dict[str, int]
    partitions: list[DayPartition]
    notes: dict[str, Any]
    files: dict[str, DayFile]


class _FormatVersions(msgspec.Struct):
    format: int
    contract: int


def read_meta(path: Path) -> DayMeta:
    """The content of `day.json` in the folder `path`; raises `DayError` where it is not right."""
    try:
        document = (path / META).read_bytes()
    except OSError:
        raise DayError(
            f"{path} is no recorded day: it has no {META} (make one: brinkwatch import)"
        ) from None
    try:
        versions = msgspec.json.decode(document, type=_FormatVersions)
        if (versions.format, versions.contract) != (FORMAT, events.VERSION):
            raise DayError(
                f"{path} is of format {versions.format}, contract {versions.contract}; "
                f"this program reads {FORMAT} and {events.VERSION}: import it anew, or use the "
                "program that wrote it"
            )
        meta = msgspec.json.decode(document, type=DayMeta)
    except msgspec.DecodeError as error:
        raise DayError(f"{path} is no recorded day: {META}: {error}") from None
    for name, file in meta.files.items():
        if not _PART.fullmatch(name):
            raise DayError(f"{path}: {META} names {name!r}, which no recorded day has")
        try:
            size = (path / name).stat().st_size
        except OSError:
            raise DayError(f"{path}: {name} is missing: copy the whole folder") from None
        if size != file.bytes:
            raise DayError(f"{path}: {name} has {size} bytes, not {file.bytes}: copy it anew")
    for part in meta.partitions:
        if part.kind not in events.KINDS and part.kind != UNKNOWN:
            raise DayError(f"{path}: {META} has a kind that the contract has not: {part.kind!r}")
        if part.file is not None and part.file not in meta.files:
            raise DayError(f"{path}: {META} names {part.file!r} without its sha256")
    if not {CONTROL, REFUSED} <= meta.files.keys():
        raise DayError(f"{path}: {META} does not name {CONTROL} and {REFUSED}")
    return meta
