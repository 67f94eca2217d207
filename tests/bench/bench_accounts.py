"""The cost of a fill to the ledger, and the ledger's memory, at the size of a large venue."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from monitor.core.accounts.ledger import AccountLedger
from monitor.core.accounts.ledger_kernels import (
    ACCOUNT,
    ENTRY_COLUMNS,
    FILL,
    FILL_FEE,
    FILL_PRICE,
    FILL_QUANTITY,
    OP,
    SYMBOL,
    TS,
)
from monitor.core.decode.batch import TextColumn
from monitor.core.decode.stepped_kernels import from_e8
from tests.bench.figures import Figure

CASES = {
    "full": ({"accounts": 1_000_000, "positions": 3_830_000, "count": 1_000_000},),
    "quick": ({"accounts": 100_000, "positions": 383_000, "count": 200_000},),
    "tiny": ({"accounts": 100, "positions": 300, "count": 1_000},),
}
MARKETS = 500
BATCHES = (100, 1_000, 100_000)
"""Fills that come at a time."""


def measure(scratch: Path, accounts: int, positions: int, count: int) -> Iterator[Figure]:
    rng = np.random.default_rng(1)
    ledger = AccountLedger(accounts, 10 * accounts, 3600 * 10**9)
    ledger.names.intern(TextColumn.from_strings([f"account-{i}" for i in range(accounts)]))
    ledger.symbols.intern(TextColumn.from_strings([f"M{i}-PERP" for i in range(MARKETS)]))
    pairs = np.unique(rng.integers(0, accounts * MARKETS, positions))

    def fills(chosen: np.ndarray, begin: int) -> np.ndarray:
        out = np.zeros((len(chosen), len(ENTRY_COLUMNS)), np.int64)
        out[:, TS], out[:, OP] = begin + np.arange(len(chosen)), FILL
        out[:, ACCOUNT], out[:, SYMBOL] = np.divmod(chosen, MARKETS)
        signs = rng.choice((-1, 1), len(chosen))
        out[:, FILL_QUANTITY] = from_e8(rng.integers(1, 10**10, len(chosen)) * signs)
        out[:, FILL_PRICE] = from_e8(rng.integers(1, 10**12, len(chosen)))
        out[:, FILL_FEE] = 1000
        return out

    for part in np.array_split(rng.permutation(pairs), 8):
        ledger.apply_entries(fills(part, 10**18))
    for size in BATCHES:
        entries = fills(rng.choice(pairs, count), 2 * 10**18)
        began = time.process_time()
        for low in range(0, count, size):
            ledger.apply_entries(entries[low : low + size])
        cost = (time.process_time() - began) / count * 1e9
        yield Figure(f"a fill, {size:,} at a time", cost, "ns", count)
    began = time.process_time()
    ledger.digest()
    rows = len(ledger.position_rows)
    yield Figure("digest of everything", (time.process_time() - began) * 1e3, "ms", rows)
    size = ledger.position_rows.nbytes + ledger.account_rows.nbytes + ledger._table._table.nbytes
    yield Figure("memory of rows, accounts and table", size / 2**20, "MB", rows)
