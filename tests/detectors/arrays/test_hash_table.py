"""Open addressing against a dict."""

from __future__ import annotations

import numpy as np
import pytest
from numba import njit

from detectors.arrays.hash_table import EMPTY, empty_slot, empty_table, key_slot, pair_slot


@njit
def count_pairs(rows, table):  # type: ignore[no-untyped-def]
    count = 0
    for i in range(rows.shape[0]):
        slot = pair_slot(table, rows, i, 1)
        if table[slot] == EMPTY:
            table[slot] = i
            count += 1
    return count


@pytest.mark.parametrize("entries", [0, 1, 31, 32, 33, 1000])
def test_a_table_is_a_power_of_two_and_at_most_half_full(entries: int) -> None:
    size = len(empty_table(entries))
    assert size > 2 * entries
    assert size & (size - 1) == 0


@njit
def find_empty(table, hashed):  # type: ignore[no-untyped-def]
    return empty_slot(table, hashed)


@njit
def find_key(table, hashed, keys, key):  # type: ignore[no-untyped-def]
    return key_slot(table, hashed, keys, key)


def test_every_key_is_at_its_slot_even_where_all_hashes_are_the_same() -> None:
    keys = np.arange(100, 120)
    table = empty_table(len(keys))
    for row, _ in enumerate(keys):
        table[find_empty(table, np.uint64(7))] = row
    slots = [find_key(table, np.uint64(7), keys, key) for key in keys]
    assert table[slots].tolist() == list(range(20))
    assert table[find_key(table, np.uint64(7), keys, 999)] == EMPTY


def test_pairs_are_distinct_by_both_columns() -> None:
    rows = np.random.default_rng(1).integers(0, 12, (500, 2))
    assert count_pairs(rows, empty_table(len(rows))) == len({*map(tuple, rows.tolist())})
