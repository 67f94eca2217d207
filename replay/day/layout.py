"""The files of a recorded day's folder: the format's version, `day.json`, the side tables.

day.json                     versions, venue, span, counts, notes, sha256 of each file and of itself
<kind>/part-NNNNN.parquet    the records of one topic partition, in offset order (`columns.py`)
control/part-00000.parquet   control records, the day's end among them
refused/part-00000.parquet   records that were refused: original bytes, origin, reason
<name>.json                  what a writer attached, as the incidents planted in a simulated day
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pyarrow as pa

from monitor.core.contract import events
from monitor.core.contract.events import TS_MAX, TS_MIN
from monitor.core.contract.fixed_point import INT64_MAX
from monitor.core.decode.codec import UNKNOWN
from monitor.errors import ConfigError
from replay.day.columns import ORIGIN_COLUMNS

FORMAT = 2
"""Version of the folder's layout."""
GROUP_ROWS = 131_072
"""Rows of a row group, the unit in which a day is written and read."""
GROUP_BYTES = 1 << 28
"""A row group is written earlier where its rows have so many bytes (records of very long text)."""
GROUP_BYTES_MAX = 1 << 30
"""A row group of more bytes is not read."""
META_BYTES_MAX = 1 << 26
PARTITIONS_MAX = 1_024
"""Partitions of a topic at most: the engine has a shard for each, of about a megabyte."""
MEND = "copy the day anew, or make it anew from its source"
META = "day.json"
CONTROL = "control/part-00000.parquet"
REFUSED = "refused/part-00000.parquet"

ATTACHMENT = re.compile(r"[a-z]+\.json")
_PART = re.compile(r"[a-z]+/part-[0-9]{5}\.parquet")

_REASON = (("reason", pa.string()), ("detail", pa.string()), ("raw", pa.binary()))
CONTROL_SCHEMA, REFUSED_SCHEMA = (
    pa.schema([pa.field(name, type_, False) for name, type_ in fields])
    for fields in (
        (*ORIGIN_COLUMNS, ("ts", pa.int64())),
        (("kind", pa.string()), *ORIGIN_COLUMNS, *_REASON),
    )
)


class DayError(ConfigError):
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
    seal: str = ""
    """sha256 of the document without its seal, keys sorted, no white space."""

    def sealed(self) -> DayMeta:
        """The same, as a reader will have it, with its seal."""
        document = msgspec.json.encode(msgspec.structs.replace(self, seal=""), order="sorted")
        meta = msgspec.json.decode(document, type=DayMeta)
        return msgspec.structs.replace(meta, seal=hashlib.sha256(document).hexdigest())


class _FormatVersions(msgspec.Struct):
    format: int
    contract: int


def read_meta(path: Path, whole: bool = True) -> DayMeta:
    """The content of `day.json` in the folder `path`; raises `DayError` where it is not right.

    `whole`: whether all of its files must be there.
    """
    file = path / META
    if not file.is_file():
        why = f"it has no {META}" if path.exists() else "there is nothing of that name"
        raise DayError(f"{path} is no recorded day: {why} (make one: brinkwatch import)")
    try:
        with file.open("rb") as stream:
            document = stream.read(META_BYTES_MAX + 1)
        if len(document) > META_BYTES_MAX:
            raise DayError(f"{path} is no recorded day: {META} is longer than 64 MiB")
        versions = msgspec.json.decode(document, type=_FormatVersions)
        if (versions.format, versions.contract) != (FORMAT, events.VERSION):
            raise DayError(
                f"{path} is of format {versions.format}, contract {versions.contract}; "
                f"this program reads {FORMAT} and {events.VERSION}: import it anew, or use the "
                "program that wrote it"
            )
        meta = msgspec.json.decode(document, type=DayMeta)
        unchanged = meta.sealed() == meta
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        detail = "nested too deep" if isinstance(error, RecursionError) else str(error)
        raise DayError(f"{path} is no recorded day: {META}: {detail}") from None
    if not unchanged:
        raise DayError(f"{path}: {META} was changed after it was written: {MEND}")
    _check_files(path, meta, whole)
    try:
        _check_counts(meta)
    except ValueError as error:
        raise DayError(f"{path}: {META} does not fit itself ({error}): {MEND}") from None
    return meta


def _check_files(path: Path, meta: DayMeta, whole: bool) -> None:
    """Every file that the day needs is named and (`whole`) there, with its size."""
    for name, file in meta.files.items():
        if not (_PART.fullmatch(name) or ATTACHMENT.fullmatch(name)) or name == META:
            raise DayError(f"{path}: {META} names {name!a}, which no recorded day has")
        if not whole:
            continue
        if not (path / name).is_file():
            raise DayError(f"{path}: {name} is missing: copy the whole folder")
        size = (path / name).stat().st_size
        if size != file.bytes:
            raise DayError(f"{path}: {name} has {size} bytes, not {file.bytes}: {MEND}")
    parts = Counter(part.file for part in meta.partitions if part.file is not None)
    tables = (name for name in meta.files if _PART.fullmatch(name))
    if parts + Counter([CONTROL, REFUSED]) != Counter(tables):
        raise DayError(f"{path}: {META} does not name each file once with its sha256: {MEND}")


def _check_counts(meta: DayMeta) -> None:
    """Raises `ValueError` where the numbers of `day.json` contradict each other or the contract."""
    rows, places = dict.fromkeys(events.KINDS, 0), set()
    for part in meta.partitions:
        name = f"{part.topic!a}/{part.partition}"
        if part.kind not in events.KINDS and part.kind != UNKNOWN:
            raise ValueError(f"{name} has the kind {part.kind!a}")
        if not 0 <= part.partition < PARTITIONS_MAX:
            raise ValueError(f"{name}: partitions are from 0 to {PARTITIONS_MAX - 1}")
        if not part.topic or not part.topic.isprintable() or (part.topic, part.partition) in places:
            raise ValueError(f"{name} is no topic partition, or is there twice")
        places.add((part.topic, part.partition))
        in_file = part.file is not None and part.file.startswith(f"{part.kind}/")
        if (part.rows > 0) != in_file or not part.rows <= part.next_offset <= INT64_MAX:
            raise ValueError(f"{name} has {part.rows} records up to offset {part.next_offset}")
        rows[part.kind] = rows.get(part.kind, 0) + part.rows
    if {kind: n for kind, n in rows.items() if kind != UNKNOWN} != meta.records:
        raise ValueError("records of its kinds and of its parts differ in number")
    if (meta.span is None) != (sum(rows.values()) == 0):
        raise ValueError("a span without records, or records without a span")
    if meta.span is not None:
        first, last, end = meta.span
        if not (TS_MIN <= first <= last < TS_MAX and TS_MIN <= end <= TS_MAX):
            raise ValueError("a span that is no time")
