"""A map tried on the first records of files: what each becomes, and what does not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from monitor.core.decode.codec import encode
from monitor.sources.formats.base import BY_SCHEMA
from monitor.sources.formats.schemas import SchemaStore
from monitor.sources.settings import SourceSettings
from monitor.sources.translators import make_translator
from replay.field_map.importer import MapFeed, choose_files
from replay.field_map.rows import SourceReader

RECORDS = 1_000
"""So many records of each file are tried."""
SHOWN = 3
SHOWN_CHARS = 300


@dataclass(slots=True)
class SourceTrial:
    """What the first records of one source became.

    `examples`: a record as it stands (of a binary form, where it stands) and the canonical records
    that it makes. `accepted` by kind, `left_out` and `refused` by what they are and why;
    `first_refused` and `missing`: sentences.
    """

    source: str
    records: int = 0
    accepted: dict[str, int] = field(default_factory=dict)
    left_out: dict[str, int] = field(default_factory=dict)
    refused: dict[str, int] = field(default_factory=dict)
    examples: list[tuple[str, list[str]]] = field(default_factory=list)
    first_refused: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)


def try_map(
    sources: Mapping[str, SourceSettings],
    named: Sequence[str],
    base: Path,
    registry: SchemaStore | None = None,
) -> list[SourceTrial]:
    """What the first records of the files become, source by source; nothing is written.

    named: files that the user named; without them those of the sources' own patterns, relative to
    the folder `base`. Raises `ConfigError`.
    """
    trials = []
    for name, settings, files in choose_files(sources, named, base):
        reader = SourceReader(name, make_translator(name, settings, registry))
        feed, trial = MapFeed(), SourceTrial(name)
        accepted, refused = Counter[str](), Counter[str]()
        for file in files:
            for items, _ in islice(reader.chunks(file, RECORDS), 1):
                for item in items[:RECORDS]:
                    batches = feed.read([item])
                    accepted.update({b.kind: len(b) for b in batches if len(b)})
                    refused.update(r.reason for b in batches for r in b.refused)
                    made = [text.decode() for b in batches if len(b) for text in encode(b)]
                    if made and len(trial.examples) < SHOWN:
                        # Bytes that are no text would tell a reader nothing.
                        is_text = settings.format not in BY_SCHEMA
                        original = item.raw[:SHOWN_CHARS].decode(errors="replace")
                        trial.examples.append((original if is_text else item.where, made))
        trial.records = reader.records
        trial.accepted, trial.refused = dict(accepted), dict(refused)
        trial.left_out = dict(feed.left_out + reader.left_out)
        trial.first_refused, trial.missing = feed.samples, reader.missing_paths()
        trials.append(trial)
    return trials
