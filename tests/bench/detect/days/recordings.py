"""The recorded days that are judged: those imported from the recordings that are here."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from replay.day.importer import ingest
from tests.bench.detect.counts import DATA
from tests.bench.detect.levels import FEEDS

RECORDINGS = {
    **FEEDS,
    "Binance": ("binance", "binance-usdm-btcusdt-2023-04-05/*.dat.gz"),
    "LOBSTER": ("lobster", "lobster-aapl-2012-06-21/message.csv.gz"),
    "dYdX": ("dydx", "dydx-full-node-2024-06-29/feed.jsonl.gz"),
}
"""Of each the venue and its files. Without books there are no series to judge by."""


def recorded_days(quick: bool) -> Iterator[tuple[str, Path]]:
    """Name and folder of each; `quick` leaves out those of more than two files."""
    for name, (_, pattern) in RECORDINGS.items():
        files = sorted(DATA.glob(pattern))
        if files and not (quick and len(files) > 2):
            yield name, _imported_day(name)


@cache
def _scratch() -> tempfile.TemporaryDirectory[str]:
    """Removed when the process ends."""
    return tempfile.TemporaryDirectory(prefix="brinkwatch-days-")


@cache
def _imported_day(name: str) -> Path:
    venue, pattern = RECORDINGS[name]
    folder = Path(_scratch().name) / name.lower()
    ingest(venue, sorted(DATA.glob(pattern)), folder)
    return folder
