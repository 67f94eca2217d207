"""Open addressing: an array of slots, each empty or with the number of an entry.

The entries themselves lie elsewhere. An entry is looked for from the slot that its hash gives, one
slot after another, up to the first empty one. A table holds at most half as many entries as slots.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit, uint64
from numpy.typing import NDArray

from detectors.arrays.types import UINT, UNCALLED

EMPTY = -1


def empty_table(entries: int, dtype: type[np.signedinteger[Any]] = np.int64) -> NDArray[Any]:
    """A table with at least twice as many slots as there may be entries."""
    return np.full(1 << (2 * entries + 1).bit_length(), EMPTY, dtype)


@njit(UINT(UINT), cache=True, nogil=True, inline="always")
def mix(h):  # type: ignore[no-untyped-def]
    """Stafford's 64-bit finaliser."""
    h = (h ^ (h >> uint64(30))) * uint64(0xBF58476D1CE4E5B9)
    h = (h ^ (h >> uint64(27))) * uint64(0x94D049BB133111EB)
    return h ^ (h >> uint64(31))


@njit(nogil=True, **UNCALLED)
def first_slot(table, hashed):  # type: ignore[no-untyped-def]
    """The slot at which to begin."""
    return np.int64(hashed & uint64(table.size - 1))


@njit(nogil=True, **UNCALLED)
def next_slot(table, slot):  # type: ignore[no-untyped-def]
    """The slot after this one, round the end."""
    return (slot + 1) & (table.size - 1)


@njit(nogil=True, **UNCALLED)
def empty_slot(table, hashed):  # type: ignore[no-untyped-def]
    """The first empty slot for an entry of this hash."""
    slot = first_slot(table, hashed)
    while table[slot] >= 0:
        slot = next_slot(table, slot)
    return slot


@njit(nogil=True, **UNCALLED)
def key_slot(table, hashed, keys, key):  # type: ignore[no-untyped-def]
    """The slot of the entry whose key is this one, or the empty slot where it belongs."""
    slot = first_slot(table, hashed)
    while table[slot] >= 0 and keys[table[slot]] != key:
        slot = next_slot(table, slot)
    return slot


@njit(nogil=True, **UNCALLED)
def pair_slot(table, rows, i, column):  # type: ignore[no-untyped-def]
    """The slot of the entry that agrees with row `i` of `rows` in column 0 and in `column`, or the
    empty slot where it belongs. An entry is the number of a row.
    """
    slot = first_slot(table, mix(uint64(rows[i, column]) + uint64(rows[i, 0])))
    while table[slot] >= 0 and (
        rows[table[slot], column] != rows[i, column] or rows[table[slot], 0] != rows[i, 0]
    ):
        slot = next_slot(table, slot)
    return slot
