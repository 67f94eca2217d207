"""`brinkwatch import`: a venue's recorded feed becomes a recorded day."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import entry_points
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from monitor.core.decode.batch import Batch, Int64
from monitor.errors import BrinkwatchError, ConfigError, nearest_name
from monitor.venues.adapter import LineAdapter, OptionError, VenueAdapter
from monitor.venues.parse import UnreadableError
from replay.day import feed_files
from replay.day.layout import DayMeta
from replay.day.writer import DayWriter
from replay.field_map.merge import UNKNOWN_TS, TimedStream, merge_streams

PARQUET_ROWS = 131_072
"""Rows of a venue's Parquet file that are read at once."""
ACCEPTED_SHARE_MIN = 0.01
"""An import with fewer accepted for each refused record is taken for one of the wrong format."""
HOPELESS_LINES = 100_000
"""Such an import ends after so many refused lines."""
SAMPLE_LINES = 200


class IngestError(ConfigError):
    """Files that cannot be imported as this venue's feed; the message says how to mend it."""


class NothingImportedError(BrinkwatchError):
    """Files of which (nearly) nothing is of the venue's format; the message says what they are."""


@dataclass(frozen=True)
class ImportReport:
    """What an import read and wrote: source events by the venue's own kinds (refused ones
    included), records by kind, refused records by reason, `odd`: the feed's anomalies, and what
    else the adapter noticed: sentences, and how often; `left_out`: sound lines that make no record,
    by what they are; `numbers_left_out`: numbers out of range without which their records stay, by
    field; `first_refused`: the first refusals of an import by a map, in words."""

    venue: str
    source: dict[str, int]
    records: dict[str, int]
    refused: dict[str, int]
    odd: dict[str, Any]
    notes: dict[str, int]
    left_out: dict[str, int]
    numbers_left_out: dict[str, int]
    day: DayMeta
    first_refused: list[str] = field(default_factory=list)


def load_adapter(name: str, options: Mapping[str, str] | None = None) -> VenueAdapter:
    """The adapter called `name`; raises `IngestError` that lists the adapters where none is."""
    installed = {e.name: e for e in entry_points(group="brinkwatch.venues")}
    if name not in installed:
        names = sorted(installed)
        every = ", ".join(names)
        near = nearest_name(name, names, otherwise="")
        listed = f"there are: {every}; {near}" if near else f"there are {every}"
        raise IngestError(
            f"no venue {name!r}; {listed}; any other feed is read by its field map, with "
            "brinkwatch import map"
        )
    try:
        venue: VenueAdapter = installed[name].load()(options)
    except OptionError as error:
        raise IngestError(str(error)) from None
    return venue


def _read_files(venue: VenueAdapter, paths: list[Path]) -> Iterator[tuple[Path, int, list[Batch]]]:
    """The file, lines (or rows) read, and the batches that they make: file by file, or several
    files of a feed whose lines have times in the order of those.
    """
    if isinstance(venue, LineAdapter) and len(paths) > 1:
        starts = [t for path in paths if (t := _first_time(venue, path)) is not None]
        if len(starts) == len(paths):
            yield from _read_by_time(venue, paths, starts)
            return
    for path in paths:
        for count, batches in _read_file(venue, path):
            yield path, count, batches


def _first_time(venue: LineAdapter, path: Path) -> int | None:
    """When a file's lines begin; None: none of the first ones says it."""
    if feed_files.is_parquet(path):
        return None
    venue.begin_file(str(path))
    first = next(iter(feed_files.LineReader(path)), [])[:SAMPLE_LINES]
    return next((t for t in map(venue.line_time, first) if t is not None), None)


def _read_by_time(
    venue: LineAdapter, paths: list[Path], starts: list[int]
) -> Iterator[tuple[Path, int, list[Batch]]]:
    def chunks(path: Path) -> Iterator[tuple[list[tuple[Path, bytes]], Int64]]:
        lines = feed_files.LineReader(path)
        for chunk in lines:
            venue.begin_file(str(path))
            times = [venue.line_time(raw) for raw in chunk]
            places = [UNKNOWN_TS if t is None else t for t in times]
            yield [(path, raw) for raw in chunk], np.array(places, np.int64)
        _note_lines(venue, path, lines)

    opened = (partial(chunks, path) for path in paths)
    for items in merge_streams([*map(TimedStream, starts, opened)]):
        for path, run in groupby(items, key=itemgetter(0)):
            raws = [raw for _, raw in run]
            venue.begin_file(str(path))
            yield path, len(raws), venue.read(raws)


def _note_lines(venue: VenueAdapter, path: Path, lines: feed_files.LineReader) -> None:
    """What was odd about a file as a whole, when it has been read."""
    venue.left_out["blank"] += lines.blank
    venue.notes["lines of over 16 MiB: only their first MiB is kept"] += lines.cut
    if lines.truncated:
        venue.anomalies.truncated_files.append(path.name)


def _read_file(venue: VenueAdapter, path: Path) -> Iterator[tuple[int, list[Batch]]]:
    """Lines (or rows) read, and the batches that they make."""
    if feed_files.is_parquet(path) != venue.READS_PARQUET:
        form = "Parquet" if venue.READS_PARQUET else "lines (plain, gzip, xz or zstd)"
        head = f"{path}: {venue.NAME} is read from {form}, so no day is made"
        raise NothingImportedError(_add_advice(head, path, venue.NAME))
    venue.begin_file(str(path))
    if venue.READS_PARQUET:
        yield from _read_parquet(venue, path)
        return
    lines = feed_files.LineReader(path)
    for chunk in lines:
        yield len(chunk), venue.read(chunk)
    _note_lines(venue, path, lines)


def _read_parquet(venue: VenueAdapter, path: Path) -> Iterator[tuple[int, list[Batch]]]:
    try:
        for batch in pq.ParquetFile(path).iter_batches(PARQUET_ROWS):
            table = pa.Table.from_batches([batch])
            table.validate(full=True)
            yield table.num_rows, venue.read(table)
    except UnreadableError as error:
        head = f"{path}: not of {venue.NAME}'s format ({error.detail}), and no day made"
        raise NothingImportedError(_add_advice(head, path, venue.NAME)) from None
    except MemoryError:
        raise
    except (
        pa.ArrowException,
        OSError,
        ValueError,
        TypeError,
        AttributeError,
        LookupError,
    ) as error:
        if isinstance(error, ConfigError):
            raise
        first = str(error).partition("\n")[0][:200] or type(error).__name__
        raise IngestError(
            f"{path} is damaged or not of {venue.NAME}'s format ({first}): copy it anew"
        ) from None


def ingest(
    venue: str,
    files: list[Path],
    out: Path,
    progress: Callable[[Path, int], None] | None = None,
    options: Mapping[str, str] | None = None,
) -> ImportReport:
    """Read `files` (or folders) as one feed of `venue` and write the recorded day `out`.

    `progress` takes the file being read and the number of source events so far. Lines that cannot
    be read are refused and counted. Raises `IngestError`, `DayError`, and `NothingImportedError`
    where nothing, or nearly nothing, is of the venue's format.
    """
    adapter = load_adapter(venue, options)
    paths = feed_files.list_files(files)
    missing = [str(path) for path in paths if not path.is_file()]
    if missing or not paths:
        if not missing:
            raise IngestError(f"{', '.join(map(str, files))} has no files: name the feed's files")
        raise IngestError(f"no such file: {', '.join(missing)}")
    with DayWriter(out, venue=venue) as day:
        _copy_records(adapter, paths, day, progress)
        notes = {note: n for note, n in sorted(adapter.notes.items()) if n}
        left_out = {what: n for what, n in sorted(adapter.left_out.items()) if n}
        return close_day(day, venue, adapter, [path.name for path in paths], notes, left_out)


def close_day(
    day: DayWriter,
    venue: str,
    feed: VenueAdapter,
    files: list[str],
    notes: dict[str, int],
    left_out: dict[str, int],
    first_refused: Sequence[str] = (),
) -> ImportReport:
    """Write what was noticed of a feed into its day, close it, and report.

    files: their names. notes, left_out, first_refused: as in the report.
    """
    source, odd = dict(sorted(feed.source_counts.items())), feed.anomalies.facts()
    day.note("files", files)
    day.note("source", source)
    day.note("odd", odd)
    day.note("noticed", notes)
    day.note("left_out", left_out)
    meta = day.close()
    numbers = meta.notes.get("numbers_left_out", {})
    return ImportReport(
        venue, source, meta.records, meta.refused, odd, notes, left_out, numbers, meta,
        list(first_refused),
    )  # fmt: skip


def _copy_records(
    adapter: VenueAdapter,
    paths: list[Path],
    day: DayWriter,
    progress: Callable[[Path, int], None] | None,
) -> None:
    """Write the records of all files to `day`; raises `NothingImportedError`."""
    lines = accepted = refused = 0

    def write(batches: list[Batch]) -> None:
        nonlocal accepted, refused
        for batch in batches:
            day.write(batch)
            accepted += len(batch)
            refused += len(batch.refused)

    for path, count, batches in _read_files(adapter, paths):
        write(batches)
        lines += count
        if refused >= HOPELESS_LINES and refused > (1 - ACCEPTED_SHARE_MIN) * lines:
            raise NothingImportedError(_nothing_imported(adapter, path, accepted, refused))
        if progress is not None:
            progress(path, adapter.source_counts.total())
    write(adapter.finish())
    if accepted <= ACCEPTED_SHARE_MIN * refused:
        raise NothingImportedError(_nothing_imported(adapter, paths[0], accepted, refused))


def _nothing_imported(adapter: VenueAdapter, path: Path, accepted: int, refused: int) -> str:
    """What was read instead of the venue's feed, as far as it can be told, and what to do."""
    left_out = ", ".join(f"{n:,} {what}" for what, n in adapter.left_out.most_common(3) if n)
    counts = f"{refused:,} lines were refused"
    counts += f" and left out were {left_out}" if left_out else ""
    head = f"{path}: {accepted or 'no'} records of {adapter.NAME} in it ({counts}), and no day made"
    return _add_advice(head, path, adapter.NAME)


def _add_advice(head: str, path: Path, besides: str) -> str:
    """The sentence `head` with what the file looks like, and how it can be imported."""
    is_parquet = feed_files.is_parquet(path)
    if not is_parquet and (form := feed_files.describe(path)):
        return f"{head}: it looks like {form}"
    others = " or ".join(_venues_that_read(path, besides, is_parquet))
    if others:
        return f"{head}: it reads as a feed of {others}; import it as that"
    fields = _parquet_columns(path) if is_parquet else feed_files.describe_fields(path)
    looks = f"it looks like {fields}, of no venue here" if fields else "no venue here writes so"
    return (
        f"{head}: {looks}; say what its fields mean in a field map (docs/field-map.md), and use "
        "brinkwatch import map"
    )


def _parquet_columns(path: Path) -> str | None:
    try:
        names = pq.read_schema(path).names
    except (pa.ArrowException, OSError, ValueError):
        return None
    return f"Parquet with {feed_files.list_fields(names)}"


def _venues_that_read(path: Path, besides: str, is_parquet: bool) -> list[str]:
    """The venues whose adapters accept most of the first lines or rows."""
    names = []
    for entry in entry_points(group="brinkwatch.venues"):
        adapter = load_adapter(entry.name)
        if besides == adapter.NAME or is_parquet != adapter.READS_PARQUET:
            continue
        try:
            adapter.begin_file(str(path))
            batches = [*adapter.read(_first_rows(path, is_parquet)), *adapter.finish()]
        except (UnreadableError, OptionError, pa.ArrowException, OSError, ValueError, TypeError,
                LookupError, AttributeError):  # fmt: skip
            continue  # what cannot be read at all is not of this venue
        if sum(map(len, batches)) > sum(len(b.refused) for b in batches):
            names.append(adapter.NAME)
    return sorted(names)


def _first_rows(path: Path, is_parquet: bool) -> Any:
    if not is_parquet:
        return next(iter(feed_files.LineReader(path)), [])[:SAMPLE_LINES]
    return pa.Table.from_batches([next(pq.ParquetFile(path).iter_batches(SAMPLE_LINES))])
