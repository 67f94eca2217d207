"""Growing tables of integers: keys to rows, and rows of integers beside them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit, uint64
from numpy.typing import NDArray

from detectors.arrays.growable import QUARTER_MORE, grow_rows
from detectors.arrays.hash_table import empty_table, key_slot, mix
from detectors.arrays.types import I1, INT, INT32_1, RI1, Int64, UInt64

__all__ = ["GrowableRows", "KeyTable", "mix", "mix_each"]


def mix_each(a: UInt64, b: UInt64) -> UInt64:
    """One hash of each pair of hashes."""
    with np.errstate(over="ignore"):
        h = (a ^ (b >> np.uint64(17))) * np.uint64(0x9E3779B97F4A7C15) + b
        h = (h ^ (h >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    return h ^ (h >> np.uint64(31))


@njit((RI1, INT32_1, I1, INT, I1), cache=True, nogil=True)
def _find_or_add(wanted, table, keys, n, out):  # type: ignore[no-untyped-def]
    """The row of each wanted key in `keys[:n]`, to which new ones are added. Returns the place of
    the key for which there was no room, and how many keys there are then.
    """
    last_key = np.int64(-1)
    last_row = np.int64(-1)
    for i in range(wanted.size):
        key = wanted[i]
        if key == last_key:
            out[i] = last_row
            continue
        slot = key_slot(table, mix(uint64(key)), keys, key)
        row = np.int64(table[slot])
        if row < 0:
            if n == keys.size:
                return i, n
            row = n
            keys[row] = key
            table[slot] = row
            n += 1
        out[i] = row
        last_key = key
        last_row = row
    return wanted.size, n


class KeyTable:
    """A growing set of integer keys; the row of a key is its place in the order of arrival."""

    def __init__(self) -> None:
        self.n = 0
        self._table: NDArray[np.int32]
        self._keys: Int64
        self._rebuild(np.empty(0, np.int64), 64)

    @property
    def keys(self) -> Int64:
        return self._keys[: self.n]

    def find_or_add(self, keys: Int64) -> Int64:
        """The row of each key; a key that is new gets the next row."""
        out = np.empty(len(keys), np.int64)
        done = 0
        while done < len(keys):
            if self.n == len(self._keys):
                self._rebuild(self.keys, 2 * self.n)
            rest = keys[done:], self._table, self._keys, self.n, out[done:]
            more, self.n = _find_or_add(*rest)
            done += more
        return out

    def _rebuild(self, keys: Int64, room: int) -> None:
        """Hold these keys, with room for so many."""
        # Slots of 32 bits: a table that fits a cache is twice as fast.
        self._table = empty_table(room, np.int32)
        self._keys = np.zeros(room, np.int64)
        _, self.n = _find_or_add(keys, self._table, self._keys, 0, np.empty(len(keys), np.int64))

    def reset(self, keys: Int64) -> None:
        """Forget all keys but these, which take the rows in their order."""
        # About as many may come again, and each step of growth looks all of them up anew.
        self._rebuild(np.ascontiguousarray(keys), max(64, len(keys), self.n + self.n // 2))

    def snapshot(self) -> Int64:
        return self.keys.copy()

    def restore(self, state: Int64) -> None:
        self.reset(state)


class GrowableRows:
    """Rows of integers that grow with a table; new rows hold `start` in each column."""

    def __init__(self, width: int, start: int) -> None:
        self._fill_value = start
        self._used = 0
        self.data: Int64 = np.full((0, width), start, np.int64)

    def grow(self, rows: int) -> None:
        """Make at least so many rows; a snapshot holds these."""
        self._used = rows
        if rows > len(self.data):
            # A quarter more each time: half of the room of millions of rows is a lot of memory.
            room = max(rows, len(self.data) + 64)
            self.data = grow_rows(self.data, room, self._fill_value, QUARTER_MORE)

    def keep(self, rows: Int64, used: int) -> None:
        """Keep these of the first `used` rows (rising), and the room of all."""
        self._used = len(rows)
        if len(rows) < used:
            self.data[: len(rows)] = self.data[rows]
            self.data[len(rows) : used] = self._fill_value

    def snapshot(self) -> Any:
        return self.data[: self._used].copy()

    def restore(self, state: Any) -> None:
        self.data, self._used = state.copy(), len(state)
