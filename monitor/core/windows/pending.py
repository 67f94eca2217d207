"""What waits for its window to close: cancels until the book before them is known, changes of
margin mode until all before them are, takers' orders until each can be counted once, cancels until
the placement of their order is known.

Rows of integers, the first of which is the slot of the window and symbol. Bounded by the records of
the windows that are open.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from detectors.arrays.columns import column_numbers
from detectors.arrays.hash_table import EMPTY, pair_slot
from detectors.arrays.types import I1, I2, INT, RI1, Bool, Int64
from monitor.core.contract.feature_catalogue import NEAR_BPS
from monitor.core.decode.batch import ABSENT
from monitor.core.decode.stepped_kernels import reach
from monitor.core.event_time.clock_state import NEVER
from monitor.core.windows import columns
from monitor.core.windows.book_depth import BOOK

_CANCEL = column_numbers(columns.CANCEL_COLUMNS)
_NEAR = column_numbers(columns.NEAR_TOUCH_COLUMNS)
_TAKER = column_numbers(columns.TAKER_COLUMNS)


class PendingRows:
    """Rows that wait, (rows, columns)."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self._width = len(names)
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

    def take_closed(self, place: Int64, remap: Int64) -> Int64:
        """Take out the rows of the slots that close, in the order of their places and with these in
        place of the slot. The other rows get the new numbers of their slots.

        By slot: `place`, −1 where it does not close; `remap`, −1 where it is forgotten.
        """
        rows = self.rows
        closed, rest = np.empty_like(rows), np.empty_like(rows)
        begin = np.zeros(int(place.max(initial=-1)) + 2, np.int64)
        stay = _part_rows(rows, place, remap, begin, closed, rest)
        self._parts = [rest[:stay].copy()]
        return closed[: begin[-1]]

    def keep(self, mask: Bool) -> None:
        """Keep the rows of the mask alone."""
        if not mask.all():
            self._parts = [self.rows[mask]]

    def snapshot(self) -> Int64:
        return self.rows.copy()

    def restore(self, state: Int64) -> None:
        self._parts = [state.copy()]


@njit(INT(I2, RI1, RI1, I1, I2, I2), cache=True, nogil=True)
def _part_rows(rows, place, remap, begin, closed, rest):  # type: ignore[no-untyped-def]
    """Write the rows to `closed`, by their places, and to `rest`; returns how many go there.

    `begin`: zeros, one more than there are places. Afterwards where the rows of each place end; the
    last one: how many there are.
    """
    for i in range(rows.shape[0]):
        at = place[rows[i, 0]]
        if at >= 0:
            begin[at + 1] += 1
    for at in range(1, begin.size):
        begin[at] += begin[at - 1]
    stay = 0
    for i in range(rows.shape[0]):
        slot = rows[i, 0]
        at = place[slot]
        # Column by column: numba assigns a whole row more slowly.
        if at >= 0:
            n = begin[at]
            closed[n, 0] = at
            for column in range(1, rows.shape[1]):
                closed[n, column] = rows[i, column]
            begin[at] += 1
        elif remap[slot] >= 0:
            rest[stay, 0] = remap[slot]
            for column in range(1, rows.shape[1]):
                rest[stay, column] = rows[i, column]
            stay += 1
    return stay


@njit((I2, RI1, I2, I1, I2), cache=True, nogil=True)
def add_near_touch(cancels, cell, book, table, out):  # type: ignore[no-untyped-def]
    """Add up the cancels within `NEAR_BPS` of the best price of their side (`NEAR_TOUCH_COLUMNS`).

    `cell`: of each row of `out`, the row of `book` (`BOOK_COLUMNS`) that was the last before its
    window. `table`: an empty table for as many entries as there are cancels.
    """
    total = np.zeros(cancels.shape[0], np.int64)
    for i in range(cancels.shape[0]):
        cancel = cancels[i]
        b = book[cell[cancel[_CANCEL.row]]]
        best = b[BOOK.bid] if cancel[_CANCEL.side] > 0 else b[BOOK.ask]
        if b[BOOK.ts] == NEVER or best == ABSENT:
            continue
        n = out[cancel[_CANCEL.row]]
        n[_NEAR.priced] += 1
        low, high = reach(best, NEAR_BPS)
        price = cancel[_CANCEL.price]
        if price < low if cancel[_CANCEL.side] > 0 else price > high:
            continue
        n[_NEAR.near] += 1
        n[_NEAR.near_notional] += cancel[_CANCEL.notional]
        if cancel[_CANCEL.account] == 0:
            continue
        n[_NEAR.near_named] += cancel[_CANCEL.notional]
        slot = pair_slot(table, cancels, i, _CANCEL.account)
        if table[slot] == EMPTY:
            table[slot] = i
        j = table[slot]
        total[j] += cancel[_CANCEL.notional]
        n[_NEAR.near_top] = max(n[_NEAR.near_top], total[j])


@njit((I2, I1, I2, INT), cache=True, nogil=True)
def count_distinct_orders(takers, table, sums, column):  # type: ignore[no-untyped-def]
    """Count the different orders of each row into one column; `table`: an empty one for as many
    entries as there are takers.
    """
    for i in range(takers.shape[0]):
        slot = pair_slot(table, takers, i, _TAKER.order)
        if table[slot] == EMPTY:
            table[slot] = i
            sums[takers[i, _TAKER.row], column] += 1
