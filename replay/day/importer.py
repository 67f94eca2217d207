"""`brinkwatch import`: a venue's recorded feed becomes a recorded day."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from monitor.core.decode.batch import Batch
from monitor.errors import ConfigError
from monitor.venues.adapter import OptionError, VenueAdapter
from monitor.venues.parse import UnreadableError
from replay.day import feed_files
from replay.day.layout import DayMeta
from replay.day.writer import DayWriter


class IngestError(ConfigError):
    """Files that cannot be imported as this venue's feed; the message says how to mend it."""


@dataclass(frozen=True)
class ImportReport:
    """What an import read and wrote: source events by the venue's own kinds (refused ones
    included), records by kind, refused records by reason, `odd`: the feed's anomalies, and what
    else the adapter noticed: sentences, and how often."""

    venue: str
    source: dict[str, int]
    records: dict[str, int]
    refused: dict[str, int]
    odd: dict[str, Any]
    notes: dict[str, int]
    day: DayMeta


def load_adapter(name: str, options: Mapping[str, str] | None = None) -> VenueAdapter:
    """The adapter called `name`; raises `IngestError` that lists the adapters where none is."""
    installed = {e.name: e for e in entry_points(group="brinkwatch.venues")}
    if name not in installed:
        raise IngestError(f"no venue {name!r}; there are: {', '.join(sorted(installed))}")
    try:
        venue: VenueAdapter = installed[name].load()(options)
    except OptionError as error:
        raise IngestError(str(error)) from None
    return venue


def _read_file(venue: VenueAdapter, path: Path) -> Iterator[list[Batch]]:
    if feed_files.is_parquet(path) != venue.READS_PARQUET:
        form = "Parquet" if venue.READS_PARQUET else "lines (plain, gzip, xz or zstd)"
        raise IngestError(f"{path}: {venue.NAME} is read from {form}")
    venue.begin_file(str(path))
    if venue.READS_PARQUET:
        file = pq.ParquetFile(path)
        for group in range(file.num_row_groups):
            table = file.read_row_group(group)
            try:
                yield venue.read(table)
            except UnreadableError as error:
                raise IngestError(f"{path}: not of {venue.NAME}'s format: {error.detail}") from None
        return
    lines = feed_files.LineReader(path)
    for chunk in lines:
        yield venue.read(chunk)
    if lines.truncated:
        venue.anomalies.truncated_files.append(path.name)


def ingest(
    venue: str,
    files: list[Path],
    out: Path,
    progress: Callable[[Path, int], None] | None = None,
    options: Mapping[str, str] | None = None,
) -> ImportReport:
    """Read `files` (or folders) in order as one feed of `venue` and write the recorded day `out`.

    `progress` takes the file being read and the number of source events so far. Lines that cannot
    be read are refused and counted. Raises `IngestError` and `DayError`.
    """
    adapter = load_adapter(venue, options)
    paths = feed_files.list_files(files)
    missing = [str(path) for path in paths if not path.is_file()]
    if missing or not paths:
        raise IngestError(f"no such file: {', '.join(missing) or 'the folder has none'}")
    with DayWriter(out, venue=venue) as day:
        for path in paths:
            for batches in _read_file(adapter, path):
                for batch in batches:
                    day.write(batch)
                if progress is not None:
                    progress(path, adapter.source_counts.total())
        for batch in adapter.finish():
            day.write(batch)
        notes = {note: n for note, n in sorted(adapter.notes.items()) if n}
        source, odd = dict(sorted(adapter.source_counts.items())), adapter.anomalies.facts()
        day.note("files", [path.name for path in paths])
        day.note("source", source)
        day.note("odd", odd)
        day.note("noticed", notes)
        meta = day.close()
    return ImportReport(venue, source, meta.records, meta.refused, odd, notes, meta)
