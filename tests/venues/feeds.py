"""Running an adapter over a few lines, and its records as canonical JSON."""

from __future__ import annotations

import json
from typing import Any

from monitor.core.decode.batch import Batch, RefusedRecord
from monitor.core.decode.codec import UNKNOWN, encode
from monitor.venues.base import VenueAdapter

Record = dict[str, Any]


def records_from(venue: VenueAdapter, *lines: str | bytes) -> list[Record]:
    """The records that the lines make, each line read on its own, in order."""
    found: list[Record] = []
    for line in lines:
        for batch in read_lines(venue, line):
            if batch.kind != UNKNOWN:
                found += [json.loads(raw) for raw in encode(batch)]
    return found


def refused_from(venue: VenueAdapter, *lines: str | bytes) -> list[RefusedRecord]:
    """What is refused of the lines."""
    return [r for batch in read_lines(venue, *lines) for r in batch.refused]


def read_lines(venue: VenueAdapter, *lines: str | bytes) -> list[Batch]:
    """The batches of one chunk of lines."""
    return venue.read([line.encode() if isinstance(line, str) else line for line in lines])
