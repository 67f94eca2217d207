"""What a million accounts take of memory: cancels of few accounts, and as many of many."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from monitor.core.contract.events import TOPICS, Control
from monitor.core.contract.units import SECOND_NS
from monitor.core.decode.batch import ABSENT, Batch, TextColumn
from monitor.core.engine import Engine
from monitor.core.settings import EngineSettings
from tests.bench.figures import Figure

CASES = {
    "full": (
        {"cancels": 1_000_000, "accounts": 1_000},
        {"cancels": 1_000_000, "accounts": 1_000_000},
    ),
    "quick": (
        {"cancels": 200_000, "accounts": 1_000},
        {"cancels": 200_000, "accounts": 200_000},
    ),
    "tiny": ({"cancels": 20_000, "accounts": 1_000},),
}
BATCH_ROWS = 20_000


def read_cancels(cancels: int, accounts: int) -> int:
    """Cancels of so many accounts in ten minutes through the engine; returns the windows."""
    engine = Engine(EngineSettings(streams=()), [])
    start = 1_764_000_000 * SECOND_NS
    others = [t for t in TOPICS.values() if t != "cancels"]
    end = start + 10_000 * SECOND_NS
    engine.control([Control(topic=t, partition=0, offset=0, ts=end) for t in others])
    for begin in range(0, cancels, BATCH_ROWS):
        index = np.arange(begin, begin + BATCH_ROWS)
        absent = np.full(BATCH_ROWS, ABSENT)
        numbers = dict.fromkeys(("seq", "side", "price", "quantity", "placed_ts", "reason"), absent)
        numbers["ts"] = start + index * (600 * SECOND_NS // cancels)
        names = [f"0x{i * 2_654_435_761 % accounts:040x}" for i in index.tolist()]
        texts = {
            "symbol": TextColumn.from_strings(["BTC-PERP"] * BATCH_ROWS),
            "account": TextColumn.from_strings(names),
            "order_id": TextColumn.from_strings([f"{i}" for i in index.tolist()]),
        }
        engine.step(Batch("cancel", "cancels", 0, index, numbers, texts))
    return engine.windows


def measure(scratch: Path, cancels: int, accounts: int) -> Iterator[Figure]:
    windows = read_cancels(cancels, accounts)
    yield Figure(f"peak, {cancels:,} cancels of {accounts:,} accounts", peak_mb(), "MB", windows)


def peak_mb() -> float:
    """This program's own: `ru_maxrss` would begin with that of the process it was forked from."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024
