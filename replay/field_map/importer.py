"""`brinkwatch import map`: a venue's own files become a recorded day, by its field map."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from monitor.core.decode import codec
from monitor.core.decode.batch import Batch, Int64
from monitor.core.decode.validate import field_of
from monitor.errors import ConfigError
from monitor.sources.adapter_lines import AdapterTranslator
from monitor.sources.formats.schemas import SchemaStore
from monitor.sources.settings import SourceSettings
from monitor.sources.translators import make_translator
from monitor.venues.adapter import BatchRow, VenueAdapter
from replay.day import feed_files
from replay.day.importer import (
    ACCEPTED_SHARE_MIN,
    HOPELESS_LINES,
    ImportReport,
    NothingImportedError,
    close_day,
)
from replay.day.writer import DayWriter
from replay.field_map.files import SourceFile, find_files, matches
from replay.field_map.merge import UNKNOWN_TS, TimedStream, merge_streams
from replay.field_map.rows import SourceItem, SourceReader

SAMPLES_MAX = 5
_TEXT = ("json", "csv")


class SourceFiles(NamedTuple):
    """A source of a map and the files that are read for it."""

    name: str
    settings: SourceSettings
    files: list[SourceFile]


def choose_files(
    sources: Mapping[str, SourceSettings], named: Sequence[str], base: Path
) -> list[SourceFiles]:
    """Which files are read for each source: those of its own patterns, relative to the folder
    `base`, or of the files that the user named those that are of its patterns.

    Raises `ConfigError` where a file is of no source, or a source has none.
    """
    if not sources:
        raise ConfigError(
            "the map has no source: write [source.orders] and what it is (docs/field-map.md)"
        )
    if named:
        return _choose_named(sources, named)
    chosen = []
    for name, settings in sources.items():
        if not settings.files:
            raise ConfigError(
                f'source.{name} has no files: write files = ["{name}*.csv"], or name the files '
                "before the folder to make"
            )
        try:
            found = [file for place in settings.files for file in find_files(place, base)]
        except ConfigError as error:
            raise ConfigError(f"source.{name}.files: {error}") from None
        chosen.append(SourceFiles(name, settings, list(dict.fromkeys(found))))
    return chosen


def _choose_named(sources: Mapping[str, SourceSettings], named: Sequence[str]) -> list[SourceFiles]:
    files = [file for place in named for file in find_files(place, Path())]
    chosen = []
    for name, settings in sources.items():
        own = [f for f in files if any(matches(f, pattern) for pattern in settings.files)]
        if len(sources) == 1:
            own = files
        if own:
            chosen.append(SourceFiles(name, settings, own))
    for file in files:
        if not any(file in source.files for source in chosen):
            patterns = ", ".join(p for settings in sources.values() for p in settings.files)
            raise ConfigError(
                f"{file} is of no source of the map: its name is none of files = {patterns or '[]'}"
            )
    return chosen


class MapFeed(VenueAdapter):
    """Gathers what the translators make, and lets the contract judge it."""

    NAME = "map"

    def __init__(self) -> None:
        super().__init__()
        self.samples: list[str] = []
        """The first refusals, in words."""

    def read(self, chunk: Sequence[SourceItem]) -> list[Batch]:
        rows: list[BatchRow] = []
        items: list[SourceItem] = []
        for item in chunk:
            translation = item.translation
            self.source_counts[item.reader.name] += 1
            if translation.skipped is not None:
                self.left_out[item.reader.describe_skipped(translation.skipped)] += 1
            elif translation.refused is not None:
                rows.append(
                    (item.reader.guess_kind(item) or codec.UNKNOWN, b"", translation.refused)
                )
                items.append(item)
            else:
                if isinstance(item.original, bytes):
                    self.anomalies.observe_line(item.original)
                rows += [(kind, b"", record) for kind, _, record in translation.records]
                items += [item] * len(translation.records)
        before = Counter(self._offsets)
        batches, _ = self.build_batches(rows)
        for batch in batches:
            if batch.refused:
                of_kind = [i for i, row in zip(items, rows, strict=True) if row[0] == batch.kind]
                for refused in batch.refused:
                    item = of_kind[refused.offset - before[batch.kind]]
                    refused.raw = item.raw
                    refused.detail = self._describe(item, batch.kind, refused.detail)
                    if len(self.samples) < SAMPLES_MAX:
                        self.samples.append(f"{refused.reason}: {refused.detail}")
        return batches

    def _describe(self, item: SourceItem, kind: str, detail: str) -> str:
        """A refusal's detail with the source's own names and the place in the file."""
        if item.translation.refused is None:
            origin = item.reader.origin(kind, field_of(detail))
            detail = f"{detail} (from {origin})" if origin else detail
        return f"{detail}; {item.where}"


def import_map(
    sources: Mapping[str, SourceSettings],
    named: Sequence[str],
    out: Path,
    base: Path,
    *,
    venue: str = "map",
    registry: SchemaStore | None = None,
    progress: Callable[[int], None] | None = None,
) -> ImportReport:
    """Read the files of all sources, put their records in the order of time, and write the recorded
    day `out`.

    named: files that the user named; without them those of the sources' own patterns, relative to
    the folder `base`. `progress` takes the number of records so far. Records that cannot be read
    are refused and counted. Raises `ConfigError`, and `NothingImportedError` where (nearly) nothing
    is as the map says.
    """
    chosen = choose_files(sources, named, base)
    readers = [
        SourceReader(name, make_translator(name, settings, registry))
        for name, settings, _ in chosen
    ]
    feed = MapFeed()
    with DayWriter(out, venue=venue) as day:
        _copy_records(feed, readers, chosen, day, progress)
        left_out = feed.left_out + sum((r.left_out for r in readers), Counter())
        names = [file.name for _, _, files in chosen for file in files]
        return close_day(
            day, venue, feed, names, _notes(readers), dict(sorted(left_out.items())), feed.samples
        )


def _notes(readers: Sequence[SourceReader]) -> dict[str, int]:
    notes = Counter[str]()
    for reader in readers:
        notes.update(reader.missing_paths())
        notes.update(f"{name} is empty" for name in reader.empty)
        notes["lines of over 16 MiB: only their first MiB is kept"] += reader.cut
        if isinstance(reader.translator, AdapterTranslator):
            notes.update(reader.translator.notes)
    return {note: n for note, n in notes.items() if n}


def _streams(
    readers: Sequence[SourceReader], chosen: Sequence[SourceFiles]
) -> Iterator[TimedStream[SourceItem]]:
    """What is merged: each file by itself; of an adapter, which keeps what the feed says, all of
    them one after another."""
    for reader, source in zip(readers, chosen, strict=True):
        if isinstance(reader.translator, AdapterTranslator):
            yield TimedStream(UNKNOWN_TS, partial(_one_after_another, reader, source.files))
            continue
        for file in source.files:
            yield TimedStream(reader.first_ts(file), partial(reader.chunks, file))


def _one_after_another(
    reader: SourceReader, files: Sequence[SourceFile]
) -> Iterator[tuple[list[SourceItem], Int64]]:
    for file in files:
        yield from reader.chunks(file)


def _copy_records(
    feed: MapFeed,
    readers: Sequence[SourceReader],
    chosen: Sequence[SourceFiles],
    day: DayWriter,
    progress: Callable[[int], None] | None,
) -> None:
    """Write the records of all files to `day`; raises `NothingImportedError`."""
    accepted = refused = 0
    for items in merge_streams(list(_streams(readers, chosen))):
        for batch in feed.read(items):
            day.write(batch)
            accepted += len(batch)
            refused += len(batch.refused)
        if refused >= HOPELESS_LINES and accepted < ACCEPTED_SHARE_MIN * refused:
            break
        if progress is not None:
            progress(feed.source_counts.total())
    for reader in readers:
        feed.anomalies.truncated_files += reader.truncated
    if accepted <= ACCEPTED_SHARE_MIN * refused:
        raise NothingImportedError(_nothing_imported(feed, readers, chosen, accepted, refused))


def _nothing_imported(
    feed: MapFeed,
    readers: Sequence[SourceReader],
    chosen: Sequence[SourceFiles],
    accepted: int,
    refused: int,
) -> str:
    """What was read instead, and the first refusals."""
    names = ", ".join(file.name for _, _, files in chosen for file in files[:3])
    skipped = ", ".join(f"{n:,} {what}" for what, n in feed.left_out.most_common(3))
    counts = f"{refused:,} were refused" + (f" and left out were {skipped}" if skipped else "")
    lines = [f"{names}: {accepted or 'no'} records as the map says ({counts}), and no day made"]
    forms = [
        feed_files.describe(f) for _, s, files in chosen for f in files[:1] if s.format in _TEXT
    ]
    lines += [f"it looks like {form}" for form in forms if form][:1]
    lines += [f"refused, {sample}" for sample in feed.samples]
    lines += [f"{name} is empty" for reader in readers for name in reader.empty]
    lines += [sentence for reader in readers for sentence in reader.missing_paths()]
    return "\n".join(lines)
