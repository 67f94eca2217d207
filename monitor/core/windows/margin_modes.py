"""The margin mode that each account last chose in each market, to know a switch when there is one.

A change of leverage tells the mode, not the one before. Changes are taken in the order of time when
their window closes, so what was before is the same for every order of arrival.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit, types

from monitor.core.decode.batch import Int64
from monitor.core.tables.hash_table import GrowableRows, KeyTable
from monitor.core.tables.interner import R64
from monitor.core.windows.accumulators import I64_2

_UNKNOWN = -1


@njit(types.void(I64_2, R64, I64_2, I64_2, types.int64), cache=True, nogil=True)
def _count_in_order(changes, key, mode, sums, column):  # type: ignore[no-untyped-def]
    for i in range(changes.shape[0]):
        before = mode[key[i], 0]
        now = changes[i, 4]
        if before >= 0 and before != now:
            sums[changes[i, 0], column] += 1
        mode[key[i], 0] = now


class MarginModes:
    """A bounded memory: of more than `most` accounts times markets, those with the lowest hash of
    their names stay.
    """

    def __init__(self, most: int) -> None:
        self._capacity = most
        self._keys = KeyTable()
        self._mode = GrowableRows(1, _UNKNOWN)
        self.evicted = 0

    def count_switches(self, changes: Int64, sums: Int64, column: int) -> None:
        """Count, in a column of `sums` by row, the changes that switch the mode.

        `changes`: `pending.CHANGE` with rows in the order of time, in any order.
        """
        if not len(changes):
            return
        changes = changes[np.lexsort((changes[:, 2], changes[:, 1]))]
        if self._keys.n + len(changes) <= self._capacity:
            self._apply_changes(changes, sums, column)
            return
        # Near the bound window by window: what is forgotten must not hang on how many closed.
        cuts = np.flatnonzero(np.diff(changes[:, 0])) + 1
        for part in np.split(changes, cuts):
            self._apply_changes(part, sums, column)
            self._evict()

    def _apply_changes(self, changes: Int64, sums: Int64, column: int) -> None:
        key = self._keys.find_or_add(np.ascontiguousarray(changes[:, 3]))
        self._mode.grow(self._keys.n)
        _count_in_order(np.ascontiguousarray(changes), key, self._mode.data, sums, column)

    def _evict(self) -> None:
        over = self._keys.n - self._capacity
        if over > 0:
            rows = np.sort(np.argsort(self._keys.keys, kind="stable")[: self._capacity])
            keys = self._keys.keys[rows]
            self._mode.keep(rows, self._keys.n)
            self._keys.reset(keys)
            self.evicted += over

    def snapshot(self) -> dict[str, Any]:
        n = self._keys.n
        return {
            "keys": self._keys.keys.copy(),
            "mode": self._mode.data[:n],
            "evicted": self.evicted,
        }

    def restore(self, state: dict[str, Any]) -> None:
        self._keys.reset(state["keys"])
        self._mode.data = state["mode"]
        self.evicted = state["evicted"]
