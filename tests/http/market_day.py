"""A short recorded day of two markets, and what a sidecar's port would keep of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from monitor.core.engine import Engine
from monitor.core.settings import EngineSettings
from monitor.http.recent_markets import RecentMarkets
from replay.day import Day
from replay.day.importer import ingest
from tests.cases.markets import at, book, mark

SECONDS = 31
LEVELS = 40
"""Of a book, 10 contracts at each basis point: those within 25 bps of the middle are its depth."""
HELD = "A/B"
"""The market with positions; BARE has a book alone, and no mark."""


def _records() -> list[dict[str, Any]]:
    """A long that is due 1 % below the first mark, a short 3 % above it; the mark falls slowly."""
    reference = {"kind": "reference", "ts": at(0), "symbol": HELD}
    every: list[dict[str, Any]] = [
        {**reference, "about": "market", "contract": {"type": "linear"}, "mark_rule": "last",
         "path": "market", "tiers": [{"lower_bound": 0, "maintenance_rate": 0.01}]},
    ]  # fmt: skip
    for account, quantity, amount in (("long", "10", "20"), ("short", "-10", "40")):
        every.append({**reference, "about": "position", "account": account, "quantity": quantity,
                      "entry_price": "100", "margin_mode": "cross"})  # fmt: skip
        every.append({"kind": "collateral", "ts": at(0), "account": account, "amount": amount,
                      "cause": "deposit"})  # fmt: skip
    for second in range(SECONDS):
        price = 100 - second / 1000
        every.append(mark(second, HELD, price))
        every.append(book(second + 0.1, HELD, price - 0.05, price + 0.05, levels=LEVELS))
        every.append(book(second + 0.2, "BARE", 9.99, 10.01, levels=LEVELS))
    return every


def two_markets(folder: Path) -> Day:
    """The day, below `folder`."""
    source = folder / "in.jsonl"
    source.write_text("".join(json.dumps(record) + "\n" for record in _records()))
    ingest("canonical", [source], folder / "day")
    return Day(folder / "day")


def read(day: Day) -> RecentMarkets:
    """What the venue stage of a sidecar would keep of the day."""
    settings, recent = EngineSettings(streams=()), RecentMarkets()
    engine = Engine(settings, [], day.partition_count)
    engine.control(day.controls(settings.accounts.bands_interval_ns, settings.topics))
    for batch in day.batches(6):
        bands = engine.step(batch).bands
        recent.take(engine.venue, bands[-1] if bands else None)
    return recent
