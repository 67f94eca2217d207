"""Arrays by account key, bounded: who has to leave follows from times and keys alone."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from detectors.account_burst.likelihood import LAST, PROFILE_COLUMNS
from detectors.arrays.hash_table import empty_slot, empty_table, key_slot
from detectors.arrays.types import I1, INT, INT32_1, RU1, U1

Keys = NDArray[np.uint64]
Rows = NDArray[np.int64]

_INITIAL_ROWS = 1024
"""Rows to begin with."""
KEEP_SHARE = 0.75
"""The share of the accounts that stay when the table is full: making room is then rare."""


@njit((RU1, INT32_1, U1, I1), cache=True, nogil=True)
def find_rows(wanted, table, keys, row):  # type: ignore[no-untyped-def]
    """The row of each wanted key in `keys`, -1 where it has none."""
    for i in range(wanted.size):
        key = wanted[i]
        row[i] = table[key_slot(table, key ^ (key >> np.uint64(32)), keys, key)]


@njit((RU1, INT, INT32_1), cache=True, nogil=True)
def insert_rows(keys, first, table):  # type: ignore[no-untyped-def]
    """Enter new keys as rows `first`, `first` + 1, …"""
    for i in range(keys.size):
        table[empty_slot(table, keys[i] ^ (keys[i] >> np.uint64(32)))] = first + i


class AccountTable:
    """Habits and times of at most `capacity` accounts.

    Parameters
    ----------
    most
        Accounts held, ≥ 1. When it is full, the three quarters that acted last stay; of equals,
        those with the lowest keys.

    Attributes
    ----------
    habits, times
        (rows, columns): see `accountlaw`; rows from `n` on mean nothing.
    evicted
        How many had to leave so far, those that never found room included.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.n = self.evicted = 0
        self.keys: Keys = np.empty(0, np.uint64)
        self.habits = np.empty((0, PROFILE_COLUMNS), np.float32)
        self.times = np.empty((0, 3), np.int64)
        self._resize(min(capacity, _INITIAL_ROWS))

    def _resize(self, room: int) -> None:
        for name in ("keys", "habits", "times"):
            old = getattr(self, name)
            new = np.zeros((room, *old.shape[1:]), old.dtype)
            new[: self.n] = old[: self.n]
            setattr(self, name, new)
        self._table = empty_table(room, np.int32)
        insert_rows(self.keys[: self.n], 0, self._table)

    def rows(self, keys: Keys) -> Rows:
        """The row of each key, -1 where it has none."""
        row = np.empty(len(keys), np.int64)
        find_rows(keys, self._table, self.keys, row)
        return row

    def grow(self, keys: Keys, row: Rows, window: int) -> Rows:
        """Make rows for the keys (distinct, rising) that have none; the rows of all, -1 for those
        that do not fit."""
        unknown = keys[row < 0]
        if not len(unknown):
            return row
        new = unknown[: self.capacity]
        self.evicted += len(unknown) - len(new)
        if self.n + len(new) > self.capacity:
            self._make_room(len(new))
        if self.n + len(new) > len(self.keys):
            self._resize(min(self.capacity, max(2 * len(self.keys), self.n + len(new))))
        insert_rows(new, self.n, self._table)
        part = slice(self.n, self.n + len(new))
        self.keys[part], self.habits[part] = new, 0.0
        self.times[part] = window
        self.times[part, LAST] = window - 1
        self.n += len(new)
        return self.rows(keys)

    def _make_room(self, wanted: int) -> None:
        stay = max(0, min(int(KEEP_SHARE * self.capacity), self.capacity - wanted))
        last = self.times[: self.n, LAST]
        order = np.lexsort((self.keys[: self.n], -last))[:stay]
        self.evicted += self.n - stay
        for name in ("keys", "habits", "times"):
            getattr(self, name)[:stay] = getattr(self, name)[order]
        self.n = stay
        self._resize(len(self.keys))

    @property
    def bytes_per_account(self) -> float:
        """Of all arrays, for each row there is room for."""
        arrays = self.keys, self.habits, self.times, self._table
        return sum(a.nbytes for a in arrays) / len(self.keys)

    def snapshot(self) -> dict[str, Any]:
        order = np.argsort(self.keys[: self.n])
        return {
            "evicted": self.evicted,
            "keys": self.keys[order].tobytes(),
            "habits": self.habits[order].tobytes(),
            "times": self.times[order].tobytes(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        keys = np.frombuffer(state["keys"], np.uint64)
        self.n, self.evicted = 0, state["evicted"]
        self._resize(min(self.capacity, max(_INITIAL_ROWS, len(keys))))
        self.n = len(keys)
        self.keys[: self.n] = keys
        self.habits[: self.n] = np.frombuffer(state["habits"], np.float32).reshape(
            -1, PROFILE_COLUMNS
        )
        self.times[: self.n] = np.frombuffer(state["times"], np.int64).reshape(-1, 3)
        insert_rows(self.keys[: self.n], 0, self._table)
