"""What is learnt of accounts, by key and bounded: times and keys alone decide who has to leave."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from detectors.account_burst import columns as col
from detectors.account_burst.columns import STATE
from detectors.arrays.hash_table import empty_slot, empty_table, key_slot
from detectors.arrays.types import I1, INT, INT32_1, RU1, U1

Keys = NDArray[np.uint64]
Rows = NDArray[np.int64]

INITIAL_ROWS = 1024
KEEP_SHARE = 0.75
"""The share of the accounts that stay when the table is full: making room is then rare."""


@njit((RU1, INT32_1, U1, I1), cache=True, nogil=True)
def find_rows(wanted, table, keys, row):  # type: ignore[no-untyped-def]
    """The row of each wanted key in `keys`, -1 where it has none."""
    for i in range(wanted.size):
        key = wanted[i]
        row[i] = table[key_slot(table, key ^ (key >> np.uint64(32)), keys, key)]


@njit(INT(RU1, I1, INT, INT, U1, STATE, INT32_1), cache=True, nogil=True)
def add_rows(wanted, row, window, n, keys, state, table):  # type: ignore[no-untyped-def]
    """Give each wanted key whose `row` is -1 a row from `n` on, as long as there are; returns how
    many rows are taken. New accounts act in `window` for the first time."""
    for i in range(wanted.size):
        if row[i] < 0 and n < keys.size:
            table[empty_slot(table, wanted[i] ^ (wanted[i] >> np.uint64(32)))] = n
            keys[n], row[i] = wanted[i], n
            state.profiles[n] = 0.0
            state.times[n] = window
            state.times[n, col.LAST] = window - 1
            n += 1
    return n


@njit((RU1, INT, INT32_1), cache=True, nogil=True)
def insert_rows(keys, first, table):  # type: ignore[no-untyped-def]
    """Enter new keys as rows `first`, `first` + 1, …"""
    for i in range(keys.size):
        table[empty_slot(table, keys[i] ^ (keys[i] >> np.uint64(32)))] = first + i


class AccountTable:
    """Profiles and times of at most `capacity` accounts, ≥ 1, and of their population: see
    `AccountState`. When it is full, the three quarters that acted last stay; of equals, those with
    the lowest keys.

    `n`: accounts in the table; rows of the arrays from `n` on mean nothing. `evicted`: how many had
    to leave so far, those that never had room included.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.n = self.evicted = 0
        self.keys: Keys = np.empty(0, np.uint64)
        self.profiles = np.empty((0, col.PROFILE_COLUMNS), np.float32)
        self.times = np.empty((0, col.TIME_COLUMNS), np.int64)
        self.population = np.zeros(col.POPULATION_COLUMNS)
        self.population[col.P_RATE] = 1.0
        self._resize(min(capacity, INITIAL_ROWS))

    @property
    def state(self) -> col.AccountState:
        """The arrays, for kernels to read and change."""
        return col.AccountState(self.profiles, self.times, self.population)

    def _resize(self, room: int) -> None:
        """Give all arrays `room` rows, and enter the keys of the first `n` anew."""
        for name in ("keys", "profiles", "times"):
            old = getattr(self, name)
            new = np.zeros((room, *old.shape[1:]), old.dtype)
            new[: self.n] = old[: self.n]
            setattr(self, name, new)
        self.slots = empty_table(room, np.int32)
        insert_rows(self.keys[: self.n], 0, self.slots)

    def rows(self, keys: Keys) -> Rows:
        """The row of each key, -1 where it has none."""
        row = np.empty(len(keys), np.int64)
        find_rows(keys, self.slots, self.keys, row)
        return row

    def grow(self, keys: Keys, row: Rows, window: int) -> Rows:
        """Make rows for the keys (distinct, rising) whose `row` is -1; returns the rows of all, -1
        for those that have no room. New accounts act in `window` for the first time."""
        is_new = row < 0
        unknown = int(np.count_nonzero(is_new))
        if not unknown:
            return row
        new = min(unknown, self.capacity)
        self.evicted += unknown - new
        if self.n + new > self.capacity:
            self._make_room(new)
        if self.n + new > len(self.keys):
            self._resize(min(self.capacity, max(2 * len(self.keys), self.n + new)))
        place = self.rows(keys)
        had_to_leave = (place < 0) & ~is_new
        place[had_to_leave] = 0
        self.n = add_rows(keys, place, window, self.n, self.keys, self.state, self.slots)
        place[had_to_leave] = -1
        return place

    def _make_room(self, wanted: int) -> None:
        stay = max(0, min(int(KEEP_SHARE * self.capacity), self.capacity - wanted))
        order = np.lexsort((self.keys[: self.n], -self.times[: self.n, col.LAST]))[:stay]
        self.evicted += self.n - stay
        for array in (self.keys, self.profiles, self.times):
            array[:stay] = array[order]
        self.n = stay
        self._resize(len(self.keys))

    def snapshot(self) -> dict[str, Any]:
        """The accounts in the order of their keys, so that equal states are equal bytes."""
        order = np.argsort(self.keys[: self.n])
        return {
            "evicted": self.evicted,
            "population": self.population.copy(),
            "keys": self.keys[order],
            "profiles": self.profiles[order],
            "times": self.times[order],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continue, bit for bit, where the table that gave `snapshot` stood."""
        self.n, self.evicted = len(state["keys"]), state["evicted"]
        self.population = np.array(state["population"])
        for name in ("keys", "profiles", "times"):
            setattr(self, name, np.array(state[name]))
        self._resize(min(self.capacity, max(INITIAL_ROWS, self.n)))
