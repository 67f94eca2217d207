"""Names to small integers, exactly, by the bytes.

The integers depend on the order of arrival and never leave the engine: whatever is published is
ordered and hashed by name. A hash that two names share costs a comparison, never a wrong answer.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numba import njit, types, uint64

from detectors.arrays.growable import grow_rows
from detectors.arrays.hash_table import EMPTY, empty_slot, empty_table, first_slot, next_slot
from detectors.arrays.types import I1, INT, RBYTES, RI1, RU1, U1, UINT, Bool, Int64, UInt64
from monitor.core.decode.batch import TextColumn

_PRIME = np.uint64(0x9E3779B97F4A7C15)


@njit(UINT(RBYTES, INT, INT), cache=True, nogil=True)
def hash_bytes(buffer, start, length):  # type: ignore[no-untyped-def]
    """64 bits of hash of a span: eight bytes at a time, multiply and fold (as in wyhash)."""
    # Indices without a sign, and no sum of mixed signs: numba looks at the sign of any other index.
    one, eight = uint64(1), uint64(8)
    h = uint64(length) * uint64(0xD6E8FEB86659FD93) ^ uint64(0x2545F4914F6CDD1D)
    i = uint64(start)
    end = i + uint64(length)
    while i + eight <= end:
        chunk = uint64(0)
        for k in range(eight):
            chunk |= uint64(buffer[i + k]) << (eight * k)
        h = (h ^ chunk) * uint64(_PRIME)
        h ^= h >> uint64(29)
        i += eight
    chunk = uint64(0)
    shift = uint64(0)
    while i < end:
        chunk |= uint64(buffer[i]) << shift
        shift += eight
        i += one
    h = (h ^ chunk) * uint64(_PRIME)
    h ^= h >> uint64(32)
    h *= uint64(0xBF58476D1CE4E5B9)
    return h ^ (h >> uint64(29))


@njit((RBYTES, RI1, RI1, U1), cache=True, nogil=True)
def hash_spans(buffer, start, length, out):  # type: ignore[no-untyped-def]
    """Hash every span; 0 stands for an absent one (and is never a span's own hash)."""
    for i in range(start.size):
        h = uint64(0)
        if length[i] >= 0:
            h = hash_bytes(buffer, start[i], length[i])
            if h == uint64(0):
                h = uint64(1)
        out[i] = h


class _Names(NamedTuple):
    """Names by number: name n is `blob[ends[n - 1] : ends[n]]`, where `blob` holds bytes."""

    hashes: UInt64
    ends: Int64
    blob: Any

    def texts(self, ids: Int64) -> list[str]:
        """The names of the given integers."""
        _, ends, blob = self
        return [blob[(ends[i - 1] if i else 0) : ends[i]].tobytes().decode() for i in ids.tolist()]


_NAMES = types.NamedTuple([U1, I1, types.uint8[::1]], _Names)  # type: ignore[no-untyped-call]


@njit(nogil=True)
def _is_name(names, n, hashed, buffer, start, length):  # type: ignore[no-untyped-def]
    """Whether name `n` has just these bytes."""
    if names.hashes[n] != hashed:
        return False
    first = names.ends[n - 1] if n else 0
    if names.ends[n] - first != length:
        return False
    for k in range(length):  # noqa: SIM110 - plain loops are what compiles well
        if names.blob[first + k] != buffer[start + k]:
            return False
    return True


@njit((RBYTES, RI1, RI1, INT, INT, I1, _NAMES, I1), cache=True, nogil=True)
def _intern_from(buffer, start, length, row, n, table, names, out):  # type: ignore[no-untyped-def]
    """Intern rows from `row` on, where there are `n` names; returns the row for which there was no
    room, and how many names there are then.
    """
    for i in range(row, start.size):
        size = length[i]
        if size < 0:
            out[i] = -1
            continue
        h = hash_bytes(buffer, start[i], size)
        slot = first_slot(table, h)
        while table[slot] >= 0 and not _is_name(names, table[slot], h, buffer, start[i], size):
            slot = next_slot(table, slot)
        if table[slot] == EMPTY:
            used = names.ends[n - 1] if n else 0
            room = n < names.ends.size and used + size <= names.blob.size
            if not room or 2 * (n + 1) > table.size:
                return i, n
            for k in range(size):
                names.blob[used + k] = buffer[start[i] + k]
            names.ends[n] = used + size
            names.hashes[n] = h
            table[slot] = n
            n += 1
        out[i] = table[slot]
    return start.size, n


DICTIONARIES_CACHED_MAX = 16
"""Dictionary columns whose numbers are remembered."""


class Interner:
    """A growing set of names, each with a small integer."""

    def __init__(self) -> None:
        self._clear()

    def _clear(self) -> None:
        self._n = 0
        self._table = empty_table(32)
        lengths = np.zeros(32, np.uint64), np.zeros(32, np.int64)
        self._names = _Names(*lengths, np.zeros(1024, np.uint8))
        # A dictionary column comes in many slices: its texts are interned once.
        self._dictionaries: OrderedDict[int, tuple[Int64, Int64]] = OrderedDict()

    def __len__(self) -> int:
        return self._n

    def intern(self, text: TextColumn) -> Int64:
        """The integer of every row; -1 where the text is absent."""
        if text.codes is None:
            return self._intern_spans(text)
        # The array stays with its numbers, so that no other array can take the same address.
        cached = self._dictionaries.get(id(text.start))
        if cached is None:
            cached = text.start, np.append(self._intern_spans(text), -1)
            self._dictionaries[id(text.start)] = cached
            if len(self._dictionaries) > DICTIONARIES_CACHED_MAX:
                self._dictionaries.popitem(last=False)
        return cached[1][text.codes]  # absent is code -1, which takes the last

    def _intern_spans(self, text: TextColumn) -> Int64:
        out = np.empty(len(text.start), np.int64)
        spans = _contiguous_spans(text)
        row = 0
        while True:
            row, self._n = _intern_from(*spans, row, self._n, self._table, self._names, out)
            if row == len(out):
                return out
            self._grow(int(text.length[row]))

    def _grow(self, length: int) -> None:
        """Make room for one more name of this length."""
        n = self._n
        hashes, ends, blob = self._names
        used = int(ends[n - 1]) if n else 0
        blob = grow_rows(blob, used + length)
        self._names = _Names(grow_rows(hashes, n + 1), grow_rows(ends, n + 1), blob)
        if 2 * (n + 1) > len(self._table):
            self._table = empty_table(2 * (n + 1))
            _fill(self.hashes, self._table)

    def names(self, ids: Int64) -> list[str]:
        """The names of the given integers."""
        return self._names.texts(ids)

    @property
    def names_as_of_now(self) -> Callable[[Int64], list[str]]:
        """`names` as they are numbered now, whatever is forgotten later."""
        return self._names.texts

    @property
    def hashes(self) -> UInt64:
        """The hash of every name: the same wherever and whenever it is met."""
        return self._names.hashes[: self._n]

    def hashes_of(self, ids: Int64) -> UInt64:
        """The hash of each integer's name; 0 for −1."""
        out = np.zeros(len(ids), np.uint64)
        named = ids >= 0
        out[named] = self.hashes[ids[named]]
        return out

    def keep(self, wanted: Bool) -> Int64:
        """Forget all names but the wanted ones; return new integers by old (-1: forgotten)."""
        ids = np.flatnonzero(wanted)
        names = self.names(ids)
        self._clear()
        remap = np.full(len(wanted), -1, np.int64)
        remap[ids] = self.intern(TextColumn.from_strings(names))
        return remap

    def snapshot(self) -> dict[str, Any]:
        ends = self._names.ends[: self._n].copy()
        return {"ends": ends, "blob": self._names.blob[: ends.max(initial=0)].copy()}

    def restore(self, state: dict[str, Any]) -> None:
        self._clear()
        self.intern(TextColumn.end_to_end(state["blob"], np.diff(state["ends"], prepend=0)))


@njit((RU1, I1), cache=True, nogil=True)
def _fill(hashes, table):  # type: ignore[no-untyped-def]
    for n in range(hashes.size):
        table[empty_slot(table, hashes[n])] = n


def _contiguous_spans(text: TextColumn) -> tuple[Any, Int64, Int64]:
    start, length = (np.ascontiguousarray(a, np.int64) for a in (text.start, text.length))
    return np.ascontiguousarray(text.buffer), start, length


def hash_text(text: TextColumn) -> UInt64:
    """The hash of every row; 0 where absent."""
    if text.codes is not None and len(text.codes) < len(text.start):
        # A few rows of a large dictionary.
        length = np.where(text.codes < 0, -1, text.length[text.codes])
        text = TextColumn(text.buffer, text.start[text.codes], length)
    out = np.empty(len(text.start), np.uint64)
    hash_spans(*_contiguous_spans(text), out)
    if text.codes is None:
        return out
    return np.append(out, np.uint64(0))[text.codes]
