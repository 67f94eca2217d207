"""How a recorded day lies in its folder: the format's version, `reader.json`, the side tables.

day.json                     what is in it: versions, venue, span, counts, sha256 of each file
<kind>/part-NNNNN.parquet    the records of one topic partition, in offset order (`columns.py`)
control/part-00000.parquet   control records, the day's end among them
refused/part-00000.parquet   what the contract did not accept: original bytes, origin, reason
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa

from monitor.core.contract import events

FORMAT = 1
"""Version of the folder's layout."""
GROUP_ROWS = 131_072
"""Rows of a row group, the unit in which a day is written and read."""
META = "day.json"
CONTROL = "control/part-00000.parquet"
REFUSED = "refused/part-00000.parquet"
UNKNOWN = "unknown"
"""Kind and topic of a refused record whose kind could not be told."""

_PART = re.compile(r"[a-z]+/part-[0-9]{5}\.parquet")


def _table(**fields: pa.DataType) -> pa.Schema:
    return pa.schema([pa.field(name, type_, False) for name, type_ in fields.items()])


CONTROL_SCHEMA = _table(topic=pa.string(), partition=pa.int64(), offset=pa.int64(), ts=pa.int64())
REFUSED_SCHEMA = _table(
    kind=pa.string(),
    topic=pa.string(),
    partition=pa.int64(),
    offset=pa.int64(),
    reason=pa.string(),
    detail=pa.string(),
    raw=pa.binary(),
)


class DayError(ValueError):
    """A folder that is no recorded day, or records that cannot make one; says how to mend it."""


class DayPartition(msgspec.Struct, frozen=True):
    """One topic partition of a day."""

    kind: str
    topic: str
    partition: int
    rows: int
    next_offset: int
    file: str | None = None
    """Its Parquet file, within the folder; none where it holds no accepted record."""


class File(msgspec.Struct, frozen=True):
    """A file's size and sha256, by which damage is known."""

    bytes: int
    sha256: str


class Meta(msgspec.Struct, frozen=True, kw_only=True):
    """What `reader.json` says."""

    format: int
    contract: int
    venue: str
    span: tuple[int, int, int] | None
    """Lowest and highest event time and the day's end, ns; none where no record was accepted."""
    records: dict[str, int]
    """Accepted records by kind, all eight kinds."""
    refused: dict[str, int]
    """Refused records by reason."""
    partitions: list[DayPartition]
    notes: dict[str, Any]
    """How the day came to be and what is odd in it, in the writer's words."""
    files: dict[str, File]


class _Versions(msgspec.Struct):
    format: int
    contract: int


def read_meta(path: Path) -> Meta:
    """Read and check the `reader.json` of the folder `path`; raises `DayError`."""
    try:
        document = (path / META).read_bytes()
    except OSError:
        raise DayError(
            f"{path} is no recorded day: it has no {META} (make one: brinkwatch import)"
        ) from None
    try:
        versions = msgspec.json.decode(document, type=_Versions)
        found = (versions.format, versions.contract)
        if found != (FORMAT, events.VERSION):
            raise DayError(
                f"{path} is of format {found[0]}, contract {found[1]}; this program reads "
                f"{FORMAT} and {events.VERSION}: import it anew, or use the program that wrote it"
            )
        meta = msgspec.json.decode(document, type=Meta)
    except msgspec.DecodeError as error:
        raise DayError(f"{path} is no recorded day: {META}: {error}") from None
    _check(path, meta)
    return meta


def _check(path: Path, meta: Meta) -> None:
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
