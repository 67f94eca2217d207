"""Names to small integers, exactly, by the bytes.

The integers depend on the order of arrival and never leave the engine: whatever is published is
ordered and hashed by name. A hash that two names share costs a comparison, never a wrong answer.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import numpy as np
from numba import njit, types, uint64
from numpy.typing import NDArray

from monitor.core.decode.batch import Int64, TextColumn

R8 = types.Array(types.uint8, 1, "C", readonly=True)
R64 = types.Array(types.int64, 1, "C", readonly=True)
I64 = types.int64[::1]
U64 = types.uint64[::1]

_PRIME = np.uint64(0x9E3779B97F4A7C15)


@njit(types.uint64(R8, types.int64, types.int64), cache=True, nogil=True)
def hash_bytes(buffer, start, length):  # type: ignore[no-untyped-def]
    """64 bits of hash of a span: eight bytes at a time, multiply and fold (as in wyhash)."""
    h = uint64(length) * uint64(0xD6E8FEB86659FD93) ^ uint64(0x2545F4914F6CDD1D)
    i = start
    end = start + length
    while i + 8 <= end:
        word = uint64(0)
        for k in range(8):
            word |= uint64(buffer[i + k]) << uint64(8 * k)
        h = (h ^ word) * uint64(_PRIME)
        h ^= h >> uint64(29)
        i += 8
    word = uint64(0)
    shift = uint64(0)
    while i < end:
        word |= uint64(buffer[i]) << shift
        shift += uint64(8)
        i += 1
    h = (h ^ word) * uint64(_PRIME)
    h ^= h >> uint64(32)
    h *= uint64(0xBF58476D1CE4E5B9)
    return h ^ (h >> uint64(29))


@njit(types.void(R8, R64, R64, U64), cache=True, nogil=True)
def hash_spans(buffer, start, length, out):  # type: ignore[no-untyped-def]
    """Hash every span; 0 stands for an absent one (and is never a span's own hash)."""
    for i in range(start.size):
        h = uint64(0)
        if length[i] >= 0:
            h = hash_bytes(buffer, start[i], length[i])
            if h == uint64(0):
                h = uint64(1)
        out[i] = h


@njit(
    types.int64(R8, R64, R64, types.int64, I64, I64, U64, I64, types.uint8[::1], I64),
    cache=True,
    nogil=True,
)
def _intern_from(buffer, start, length, row, table, state, hashes, ends, blob, out):  # type: ignore[no-untyped-def]
    """Intern rows from `row` on; stop and return the row for which there was no room."""
    mask = table.size - 1
    n = state[0]
    for i in range(row, start.size):
        size = length[i]
        if size < 0:
            out[i] = -1
            continue
        h = hash_bytes(buffer, start[i], size)
        slot = np.int64(h & uint64(mask))
        while True:
            known = table[slot]
            if known < 0:
                used = ends[n - 1] if n else 0
                if n == ends.size or 2 * (n + 1) > table.size or used + size > blob.size:
                    state[0] = n
                    return i
                for k in range(size):
                    blob[used + k] = buffer[start[i] + k]
                ends[n] = used + size
                hashes[n] = h
                table[slot] = n
                out[i] = n
                n += 1
                break
            if hashes[known] == h:
                first = ends[known - 1] if known else 0
                same = ends[known] - first == size
                k = 0
                while same and k < size:
                    same = blob[first + k] == buffer[start[i] + k]
                    k += 1
                if same:
                    out[i] = known
                    break
            slot = (slot + 1) & mask
    state[0] = n
    return start.size


DICTIONARIES_CACHED_MAX = 16
"""Columns of words whose numbers are remembered."""


class Interner:
    """A growing set of names, each with a small integer."""

    def __init__(self) -> None:
        self._state = np.zeros(1, np.int64)
        self._table = np.full(64, -1, np.int64)
        self._hashes = np.zeros(32, np.uint64)
        self._ends = np.zeros(32, np.int64)
        self._blob = np.zeros(1024, np.uint8)
        # A dictionary column comes in many slices: its words are interned once.
        self._dictionaries: OrderedDict[int, tuple[Int64, Int64]] = OrderedDict()

    def __len__(self) -> int:
        return int(self._state[0])

    def intern(self, text: TextColumn) -> Int64:
        """The integer of every row; -1 where the text is absent."""
        if text.codes is None:
            return self._intern_spans(text)
        # Held together with its key, so that the key stays the address of this very array.
        held = self._dictionaries.get(id(text.start))
        if held is None:
            held = text.start, self._intern_spans(text)
            self._dictionaries[id(text.start)] = held
            if len(self._dictionaries) > DICTIONARIES_CACHED_MAX:
                self._dictionaries.popitem(last=False)
        out = held[1]
        if len(out) == 0:
            return np.full(len(text.codes), -1, np.int64)
        return np.where(text.codes >= 0, out[text.codes], -1)

    def _intern_spans(self, text: TextColumn) -> Int64:
        out = np.empty(len(text.start), np.int64)
        buffer, start, length = _contiguous_spans(text)
        row = 0
        while True:
            row = _intern_from(
                buffer,
                start,
                length,
                row,
                self._table,
                self._state,
                self._hashes,
                self._ends,
                self._blob,
                out,
            )
            if row == len(out):
                break
            self._grow(int(length[row]))
        return out

    def _grow(self, need: int) -> None:
        n = len(self)
        used = int(self._ends[n - 1]) if n else 0
        if n == len(self._ends):
            self._ends = np.concatenate((self._ends, np.zeros(n, np.int64)))
            self._hashes = np.concatenate((self._hashes, np.zeros(n, np.uint64)))
        if used + need > len(self._blob):
            self._blob = np.concatenate((self._blob, np.zeros(used + need, np.uint8)))
        if 2 * (n + 1) > len(self._table):
            self._table = rehash(self._hashes[:n], 4 * len(self._table))

    def names(self, ids: Int64) -> list[str]:
        """The names of the given integers."""
        data, ends = self._blob, self._ends
        return [data[(ends[i - 1] if i else 0) : ends[i]].tobytes().decode() for i in ids.tolist()]

    @property
    def hashes(self) -> NDArray[np.uint64]:
        """The hash of every name: the same wherever and whenever it is met."""
        return self._hashes[: len(self)]

    def keep(self, wanted: NDArray[np.bool_]) -> Int64:
        """Forget all names but the wanted ones; return new integers by old (-1: forgotten)."""
        ids = np.flatnonzero(wanted)
        words: list[str | None] = list(self.names(ids))
        self.__init__()  # type: ignore[misc]
        remap = np.full(len(wanted), -1, np.int64)
        remap[ids] = self.intern(TextColumn.from_strings(words))
        return remap

    def snapshot(self) -> dict[str, Any]:
        n = len(self)
        used = int(self._ends[n - 1]) if n else 0
        return {"ends": self._ends[:n].copy(), "blob": self._blob[:used].copy()}

    def restore(self, state: dict[str, Any]) -> None:
        ends = state["ends"]
        start = np.concatenate((np.zeros(1, np.int64), ends[:-1])) if len(ends) else ends
        self.__init__()  # type: ignore[misc]
        self.intern(TextColumn(state["blob"], start, ends - start))


def _contiguous_spans(text: TextColumn) -> tuple[NDArray[np.uint8], Int64, Int64]:
    return (
        np.ascontiguousarray(text.buffer),
        np.ascontiguousarray(text.start, np.int64),
        np.ascontiguousarray(text.length, np.int64),
    )


def rehash(hashes: NDArray[np.uint64], size: int) -> Int64:
    """An open-addressing table of `size` (a power of two) that finds each hash's index."""
    table = np.full(size, -1, np.int64)
    _fill(hashes, table)
    return table


@njit(types.void(types.Array(types.uint64, 1, "C", readonly=True), I64), cache=True, nogil=True)
def _fill(hashes, table):  # type: ignore[no-untyped-def]
    mask = table.size - 1
    for n in range(hashes.size):
        slot = np.int64(hashes[n] & uint64(mask))
        while table[slot] >= 0:
            slot = (slot + 1) & mask
        table[slot] = n


def hash_text(text: TextColumn) -> NDArray[np.uint64]:
    """The hash of every row; 0 where absent."""
    out = np.empty(len(text.start), np.uint64)
    hash_spans(*_contiguous_spans(text), out)
    if text.codes is None:
        return out
    if len(out) == 0:
        return np.zeros(len(text.codes), np.uint64)
    return np.where(text.codes >= 0, out[text.codes], np.uint64(0))
