"""Real recordings, imported once for all tests of a worker."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from replay.day.importer import ImportReport, ingest
from tests.support import recording

FILES = {
    "dydx": "dydx-full-node-2024-06-29/feed.jsonl.gz",
    "bitstamp": "bitstamp-l3-2015-05-01/feed.log.xz",
    "lobster": "lobster-aapl-2012-06-21/message.csv.gz",
    "binance": "binance-usdm-btcusdt-2023-04-05",
    "standx": "standx-btc-perp-2026-01",
}
"""A recording of each venue, below the folder of recordings."""
Imported = Callable[[str], tuple[Path, ImportReport]]


@pytest.fixture(scope="session")
def imported(tmp_path_factory: pytest.TempPathFactory) -> Imported:
    """The recorded day of a venue's recording, and the report of its import."""

    @cache
    def import_once(venue: str) -> tuple[Path, ImportReport]:
        source = recording(FILES[venue])
        out = tmp_path_factory.mktemp(venue) / "day"
        return out, ingest(venue, [source], out)

    return import_once
