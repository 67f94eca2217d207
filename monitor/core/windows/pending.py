"""What waits for its window to close: cancels until the book before them is known, changes of
margin mode until all before them are, takers' orders until each can be counted once.

Rows of integers, the first of which is the slot of the window and symbol. Bounded by the records of
the windows that are open.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit, types, uint64
from numpy.typing import NDArray

from monitor.core.contract.feature_catalogue import NEAR_BPS
from monitor.core.decode.batch import ABSENT, Int64
from monitor.core.event_time.watermark import NEVER
from monitor.core.tables.hash_table import mix
from monitor.core.tables.interner import I64, R64
from monitor.core.windows.accumulators import I64_2, U64R, notional

CANCEL_COLUMNS = ("row", "side", "price", "notional", "account")
"""A cancel with a price and a side; `account`: the hash of its name, 0 where there is none."""
LEVERAGE_CHANGE_COLUMNS = ("row", "ts", "offset", "key", "mode")
"""A change of leverage; `key`: a hash of symbol and account."""
TAKER_COLUMNS = ("row", "order")
"""A taker's fill that names its order, by the hash of its id."""

NEAR_TOUCH_COLUMNS = ("priced", "near", "near_notional", "near_named", "near_top")
"""Of a window's cancels: those with a price and a book before them; of those the ones near the
touch; the notional of these (1e-6), what of it has accounts, and what the top account has."""


class PendingRows:
    """Rows that wait."""

    def __init__(self, width: int) -> None:
        self._width = width
        self._parts: list[Int64] = []

    def add(self, rows: Int64) -> None:
        if len(rows):
            self._parts.append(rows)

    @property
    def rows(self) -> Int64:
        """All of them, in the order in which they came."""
        if len(self._parts) != 1:
            self._parts = [np.concatenate((np.empty((0, self._width), np.int64), *self._parts))]
        return self._parts[0]

    def take_closed(self, place: Int64) -> Int64:
        """Take out the rows whose slot has a place (not below 0), with the place for the slot."""
        rows = self.rows
        at = place[rows[:, 0]]
        now = at >= 0
        out = rows[now]
        out[:, 0] = at[now]
        self._parts = [rows[~now]] if not now.all() else []
        return out

    def keep(self, keep: NDArray[np.bool_], remap: Int64) -> None:
        """Follow the slots that stay to their new numbers."""
        rows = self.rows
        rows = rows[keep[rows[:, 0]]]
        rows[:, 0] = remap[rows[:, 0]]
        self._parts = [rows] if len(rows) else []

    def snapshot(self) -> Any:
        return self.rows

    def restore(self, rows: Int64) -> None:
        self._parts = [rows] if len(rows) else []


@njit(types.int64(R64, R64, R64, R64, U64R, I64_2), cache=True, nogil=True)
def write_cancels(row, side, price, quantity, account, out):  # type: ignore[no-untyped-def]
    """Write the cancels that tell price, side and quantity to `out` as `CANCEL_COLUMNS`; gives how many."""
    n = 0
    for i in range(row.size):
        if quantity[i] == 0 or quantity[i] == ABSENT or price[i] == ABSENT or side[i] == ABSENT:
            continue
        out[n, 0] = row[i]
        out[n, 1] = side[i]
        out[n, 2] = price[i]
        out[n, 3] = notional(price[i], quantity[i])
        out[n, 4] = np.int64(account[i])
        n += 1
    return n


@njit(types.void(I64_2, R64, I64_2, I64, I64, I64_2), cache=True, nogil=True)
def add_near_touch(pulled, cell, book, table, total, out):  # type: ignore[no-untyped-def]
    """Add up the cancels within `NEAR_BPS` of the best price of their side, in `NEAR_TOUCH_COLUMNS`.

    `cell`: of each row of `out`, the row of `book` (ts, bid, ask) that was the last before its
    window. `table` (all -1) and `total` (all 0) have room for twice, and once, the cancels.
    """
    mask = table.size - 1
    for i in range(pulled.shape[0]):
        row = pulled[i, 0]
        b = book[cell[row]]
        best = b[1] if pulled[i, 1] > 0 else b[2]
        if b[0] == NEVER or best == ABSENT:
            continue
        n = out[row]
        n[0] += 1
        away = (best - pulled[i, 2]) * pulled[i, 1]
        if away > best // 10_000 * NEAR_BPS:
            continue
        n[1] += 1
        n[2] += pulled[i, 3]
        account = pulled[i, 4]
        if account == 0:
            continue
        n[3] += pulled[i, 3]
        slot = np.int64(mix(uint64(account) + uint64(row)) & uint64(mask))
        while True:
            j = table[slot]
            if j < 0:
                table[slot] = i
                j = i
                break
            if pulled[j, 4] == account and pulled[j, 0] == row:
                break
            slot = (slot + 1) & mask
        total[j] += pulled[i, 3]
        n[4] = max(n[4], total[j])


@njit(types.void(I64_2, I64, I64_2, types.int64), cache=True, nogil=True)
def count_distinct_orders(takers, table, sums, column):  # type: ignore[no-untyped-def]
    """Count the different orders of each row into one column; `table` is all -1 and has room for
    twice the rows of `takers`.
    """
    mask = table.size - 1
    for i in range(takers.shape[0]):
        row = takers[i, 0]
        order = takers[i, 1]
        slot = np.int64(mix(uint64(order) + uint64(row)) & uint64(mask))
        while True:
            j = table[slot]
            if j < 0:
                table[slot] = i
                sums[row, column] += 1
                break
            if takers[j, 1] == order and takers[j, 0] == row:
                break
            slot = (slot + 1) & mask


def empty_hash_table(rows: int) -> Int64:
    """An empty table for twice so many rows."""
    return np.full(1 << int(2 * rows + 2).bit_length(), -1, np.int64)
