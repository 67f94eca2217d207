"""Run an adapter over a few lines; its records as canonical JSON."""

from __future__ import annotations

import json
from typing import Any

from monitor.core.decode.batch import Batch, RefusedRecord
from monitor.core.decode.codec import UNKNOWN, encode
from monitor.venues.adapter import VenueAdapter

Record = dict[str, Any]
T = 1_700_000_000_000
"""A time in ms."""
NS = T * 1_000_000
"""The same in ns."""


def records_from(venue: VenueAdapter, *lines: str | bytes) -> list[Record]:
    """The records that the lines make, each line read on its own, in order."""
    records: list[Record] = []
    for line in lines:
        for batch in read_lines(venue, line):
            if batch.kind != UNKNOWN:
                records += [json.loads(raw) for raw in encode(batch)]
    return records


def refused_from(venue: VenueAdapter, *lines: str | bytes) -> list[RefusedRecord]:
    """The refused records of the lines."""
    return [r for batch in read_lines(venue, *lines) for r in batch.refused]


def read_lines(venue: VenueAdapter, *lines: str | bytes) -> list[Batch]:
    """The batches of one chunk of lines."""
    return venue.read([line.encode() if isinstance(line, str) else line for line in lines])


def created(ms: int, amount: str = "2") -> str:
    """A line of Bitstamp: an order placed at `ms`."""
    return (
        f'{ms} order_created {{"price":"5","amount":"{amount}","datetime":"0",'
        '"id":1,"order_type":0}'
    )
