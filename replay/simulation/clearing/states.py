"""What every account has at a moment, and a file of it minute by minute.

With that file what an engine rebuilds from the records of the day is compared with the venue's own
books.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numba import njit

from detectors.arrays.types import I1, INT, RI1, Int64
from replay.simulation.clearing import columns as c
from replay.simulation.clearing.columns import LEDGER, Ledger

STATE_COLUMNS = pa.schema(
    [
        ("ts", pa.int64()), ("fills", pa.int64()), ("moves", pa.int64()), ("account", pa.int32()),
        ("market", pa.int32()), ("value", pa.int64()),
    ]
)  # fmt: skip
"""`fills`, `moves`: how many records of fills and of collateral had been written by then. Accounts
and markets are numbers. Market −1: `value` is the equity of the account, 1e-6; else the signed lots
of its open position there."""


@njit(INT(LEDGER, INT, RI1), cache=True, nogil=True)
def equity_of(ledger, account, marks):  # type: ignore[no-untyped-def]
    """Equity of an account at the marks: of its cross pool and its isolated positions."""
    equity = ledger.pools[account, c.CASH]
    row = ledger.first[account] - 1
    while row >= 0:
        position = ledger.positions[row]
        market = position[c.MARKET]
        equity += position[c.LOTS] * marks[market] * ledger.markets[market, c.TICK_VALUE]
        equity += ledger.pools[ledger.first.size + row, c.CASH]
        row = position[c.NEXT] - 1
    return equity


@njit(I1(LEDGER, RI1), cache=True, nogil=True)
def equities(ledger, marks):  # type: ignore[no-untyped-def]
    """Equity of every account, of the vault and of the fund, 1e-6."""
    out = np.empty(ledger.first.size, np.int64)
    for account in range(out.size):
        out[account] = equity_of(ledger, account, marks)
    return out


class StateTrail:
    """Writes the states of all accounts to a Parquet file (`STATE_COLUMNS`), one time after the
    other. Its memory is bounded by one of them."""

    def __init__(self, path: Path) -> None:
        self._writer = pq.ParquetWriter(path, STATE_COLUMNS, compression="zstd")

    def write(self, ts: int, ledger: Ledger, marks: Int64, fills: int, moves: int) -> None:
        """Write the states at event time `ts` (ns), after so many records, at these marks (ticks).

        A time alone does not say which records it stands for: forced orders of one market reach the
        book after the second's end, when another market trades on.
        """
        equity = equities(ledger, marks)
        positions = ledger.positions[: ledger.totals[c.ROWS]]
        positions = positions[positions[:, c.LOTS] != 0]
        account = np.concatenate((np.arange(len(equity)), positions[:, c.HOLDER]))
        market = np.concatenate((np.full(len(equity), -1), positions[:, c.MARKET]))
        value = np.concatenate((equity, positions[:, c.LOTS]))
        same = [np.full(len(value), number) for number in (ts, fills, moves)]
        self._writer.write_table(pa.table([*same, account, market, value], schema=STATE_COLUMNS))

    def close(self) -> None:
        self._writer.close()
