"""The margin mode that each account last chose in each market, to count switches.

A change of leverage tells the mode, not the one before. Changes are taken in the order of time when
their window closes, so the mode before is the same for every order of arrival.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from detectors.arrays.columns import column_numbers
from detectors.arrays.state import Stateful
from detectors.arrays.types import I2, INT, RI1, Int64
from monitor.core.tables.hash_table import GrowableRows, KeyTable
from monitor.core.windows.columns import LEVERAGE_CHANGE_COLUMNS

_UNKNOWN = -1
_CHANGE = column_numbers(LEVERAGE_CHANGE_COLUMNS)


@njit((I2, RI1, I2, I2, INT), cache=True, nogil=True)
def _count_in_order(changes, key, mode, sums, column):  # type: ignore[no-untyped-def]
    for i in range(changes.shape[0]):
        before = mode[key[i], 0]
        now = changes[i, _CHANGE.mode]
        if before != _UNKNOWN and before != now:
            sums[changes[i, _CHANGE.row], column] += 1
        mode[key[i], 0] = now


class MarginModes(Stateful):
    """The last mode of at most `capacity` accounts times markets: of more, those with the lowest
    hash of their names stay.
    """

    STATE = ("_keys", "_mode", "evicted")

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._keys = KeyTable()
        self._mode = GrowableRows(1, _UNKNOWN)
        self.evicted = 0

    def count_switches(self, changes: Int64, sums: Int64, column: int) -> None:
        """Count, in a column of `sums` by row, the changes that switch the mode.

        `changes`: by `LEVERAGE_CHANGE_COLUMNS`, in any order; their rows rise with time.
        """
        if not len(changes):
            return
        changes = changes[np.lexsort((changes[:, _CHANGE.offset], changes[:, _CHANGE.ts]))]
        if self._keys.n + len(changes) <= self._capacity:
            self._apply_changes(changes, sums, column)
            return
        # Near the bound window by window: what is forgotten must not hang on how many closed.
        cuts = np.flatnonzero(np.diff(changes[:, _CHANGE.row])) + 1
        for part in np.split(changes, cuts):
            self._apply_changes(part, sums, column)
            over = self._keys.n - self._capacity
            if over > 0:
                rows = np.sort(np.argsort(self._keys.keys, kind="stable")[: self._capacity])
                keys = self._keys.keys[rows]
                self._mode.keep(rows, self._keys.n)
                self._keys.reset(keys)
                self.evicted += over

    def _apply_changes(self, changes: Int64, sums: Int64, column: int) -> None:
        key = self._keys.find_or_add(np.ascontiguousarray(changes[:, _CHANGE.key]))
        self._mode.grow(self._keys.n)
        _count_in_order(np.ascontiguousarray(changes), key, self._mode.data, sums, column)
