"""Growing tables of integers: keys to rows, rows of counts, and the kernels that walk them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit, types, uint64
from numpy.typing import NDArray

from monitor.core.decode.batch import Int64
from monitor.core.tables.interner import I64, R64

I64_2 = types.int64[:, ::1]
I64_1 = types.int64
U64R = types.Array(types.uint64, 1, "C", readonly=True)


@njit(types.uint64(types.uint64), cache=True, nogil=True, inline="always")
def mix(h):  # type: ignore[no-untyped-def]
    """Stafford's 64-bit finaliser."""
    h = (h ^ (h >> uint64(30))) * uint64(0xBF58476D1CE4E5B9)
    h = (h ^ (h >> uint64(27))) * uint64(0x94D049BB133111EB)
    return h ^ (h >> uint64(31))


def mix_each(a: NDArray[np.uint64], b: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """One hash of each pair of hashes."""
    with np.errstate(over="ignore"):
        h = (a ^ (b >> np.uint64(17))) * np.uint64(0x9E3779B97F4A7C15) + b
        h = (h ^ (h >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    return h ^ (h >> np.uint64(31))


@njit(types.int64(R64, I64, I64, types.int64, I64), cache=True, nogil=True)
def find_or_add(keys, table, known, n, out):  # type: ignore[no-untyped-def]
    """Grid of `keys` in the open-addressing `table` over `known[:n]`; returns the new n.

    The table must have at least twice the room that all keys could need.
    """
    mask = table.size - 1
    last_key = np.int64(-1)
    last_row = np.int64(-1)
    for i in range(keys.size):
        key = keys[i]
        if key == last_key:
            out[i] = last_row
            continue
        slot = np.int64(mix(uint64(key)) & uint64(mask))
        while True:
            row = table[slot]
            if row < 0:
                known[n] = key
                table[slot] = n
                row = n
                n += 1
                break
            if known[row] == key:
                break
            slot = (slot + 1) & mask
        out[i] = row
        last_key = key
        last_row = row
    return n


@njit(types.int64[::1](R64, types.int64), cache=True, nogil=True)
def group_by_row(place, rows):  # type: ignore[no-untyped-def]
    """The entries whose place is not negative, in the order of their places (below `find_or_add`)."""
    begin = np.zeros(rows + 1, np.int64)
    for i in range(place.size):
        if place[i] >= 0:
            begin[place[i] + 1] += 1
    for r in range(rows):
        begin[r + 1] += begin[r]
    order = np.empty(begin[rows], np.int64)
    for i in range(place.size):
        if place[i] >= 0:
            order[begin[place[i]]] = i
            begin[place[i]] += 1
    return order


@njit(
    types.void(R64, U64R, I64_2, types.int64[:, :, ::1], types.uint64[::1]),
    cache=True,
    nogil=True,
)
def concentration(account_row, account_hash, counts, measured, fold):  # type: ignore[no-untyped-def]
    """How each count spreads over a row's accounts, and one number that stands for all of them.

    `measured`: (rows, counts, 4): accounts, total, the highest, sum of squares. `fold`: a sum of
    hashes, so that the order of entries does not matter.
    """
    for i in range(account_row.size):
        r = account_row[i]
        h = account_hash[i]
        for c in range(counts.shape[1]):
            n = counts[i, c]
            h = mix(h ^ (uint64(n) + uint64(0x9E3779B97F4A7C15)))
            if n > 0:
                m = measured[r, c]
                m[0] += 1
                m[1] += n
                m[2] = max(m[2], n)
                m[3] += n * n
        fold[r] += h


_COUNT_CEILING = 256
"""Counts from here on are alike when the most active are chosen."""


@njit(types.void(R64, I64_2, I64_1, types.boolean[::1]), cache=True, nogil=True)
def mark_most_active(begin, counts, most, keep):  # type: ignore[no-untyped-def]
    """Mark the entries of each row (from `begin[r]` to `begin[r + 1]`) that stay: all where there
    are at most `most`; else, of each count, those so high that no more than `most` are as high.
    """
    number = np.empty(_COUNT_CEILING + 1, np.int64)
    for r in range(begin.size - 1):
        low, high = begin[r], begin[r + 1]
        if high - low <= most:
            keep[low:high] = True
            continue
        for c in range(counts.shape[1]):
            number[:] = 0
            for i in range(low, high):
                number[min(counts[i, c], _COUNT_CEILING)] += 1
            least = _COUNT_CEILING + 1
            above = 0
            while least > 1 and above + number[least - 1] <= most:
                least -= 1
                above += number[least]
            for i in range(low, high):
                if counts[i, c] >= least:
                    keep[i] = True


@njit(types.void(I64_2, R64, I64_1), cache=True, nogil=True)
def add_one(counts, row, column):  # type: ignore[no-untyped-def]
    """Count rows in one column."""
    for i in range(row.size):
        counts[row[i], column] += 1


class KeyTable:
    """A growing set of integer keys, each with a row."""

    def __init__(self) -> None:
        self.n = 0
        self._keys = np.zeros(64, np.int64)
        self._table = np.full(256, -1, np.int64)

    @property
    def keys(self) -> Int64:
        return self._keys[: self.n]

    def find_or_add(self, keys: Int64) -> Int64:
        out = np.empty(len(keys), np.int64)
        for low in range(0, len(keys), 65_536):
            part = slice(low, min(low + 65_536, len(keys)))
            room = self.n + part.stop - part.start
            if room > len(self._keys):
                self._keys = np.concatenate((self._keys, np.zeros(room, np.int64)))
            if 2 * room > len(self._table):
                self._rebuild(self.keys.copy(), 1 << int(4 * room).bit_length())
            self.n = find_or_add(keys[part], self._table, self._keys, self.n, out[part])
        return out

    def _rebuild(self, keys: Int64, size: int) -> None:
        self._table = np.full(size, -1, np.int64)
        self._keys = np.zeros(max(64, len(keys), size // 4), np.int64)
        self.n = 0
        if len(keys):
            found = np.empty(len(keys), np.int64)
            self.n = find_or_add(keys, self._table, self._keys, 0, found)

    def reset(self, keys: Int64) -> None:
        """Hold just these keys, in this order."""
        self._rebuild(np.ascontiguousarray(keys), 1 << int(4 * max(64, len(keys))).bit_length())


class GrowableRows:
    """Grid of integers that grow with a table, each column set beginning at its own value."""

    def __init__(self, width: int, start: int) -> None:
        self._fill_value = start
        self.data: Int64 = np.full((0, width), start, np.int64)

    def grow(self, rows: int) -> None:
        have, width = self.data.shape
        if rows > have:
            # A quarter more each time: half of the room of millions of rows is a lot of memory.
            room = max(rows, have + have // 4 + 64)
            more = np.full((room - have, width), self._fill_value, np.int64)
            self.data = np.concatenate((self.data, more))

    def keep(self, rows: Int64, used: int) -> None:
        """Hold just these of the first `used` rows (in rising order); the room stays."""
        if len(rows) < used:
            self.data[: len(rows)] = self.data[rows]
            self.data[len(rows) : used] = self._fill_value

    def snapshot(self) -> Any:
        return self.data.copy()

    def restore(self, state: Any) -> None:
        self.data = state.copy()
