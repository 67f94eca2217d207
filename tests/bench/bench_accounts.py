"""The cost of a fill to the ledger: ns each, and memory.

python -m tests.bench.bench_accounts [accounts] [positions]
"""

from __future__ import annotations

import resource
import sys
import time

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

MARKETS, FILLS = 500, 1_000_000


def main() -> None:
    accounts = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    positions = int(sys.argv[2]) if len(sys.argv) > 2 else 3_830_000
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
    print(f"{accounts:,} accounts, {len(ledger.position_rows):,} positions")
    for size in (100, 1_000, 100_000):
        entries = fills(rng.choice(pairs, FILLS), 2 * 10**18)
        cost = []
        for low in range(0, FILLS, size):
            began = time.perf_counter()
            ledger.apply_entries(entries[low : low + size])
            cost.append((time.perf_counter() - began) / size * 1e9)
        print(
            f"a fill, {size:,} at a time: p50 {np.percentile(cost, 50):.0f} ns, "
            f"p99 {np.percentile(cost, 99):.0f} ns"
        )
    began = time.perf_counter()
    ledger.digest()
    print(f"digest of everything: {(time.perf_counter() - began) * 1e3:.0f} ms")
    size = ledger.position_rows.nbytes + ledger.account_rows.nbytes + ledger._table._table.nbytes
    print(f"rows, accounts and table: {size / 2**20:.0f} MB; highest memory of the process: "
          f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GB")  # fmt: skip


if __name__ == "__main__":
    main()
