"""What accounts did in a window: counts by account, how they spread, and which of them to keep."""

from __future__ import annotations

import numpy as np
from numba import njit, uint64

from detectors.arrays.columns import column_numbers
from detectors.arrays.hash_table import mix
from detectors.arrays.types import B1, I1, I2, I3, INT, RI1, RU1, U1
from monitor.core.windows.columns import CONCENTRATION_COLUMNS

_SPREAD = column_numbers(CONCENTRATION_COLUMNS)


@njit(I1(RI1, INT), cache=True, nogil=True)
def group_by_row(row, rows):  # type: ignore[no-untyped-def]
    """The entries whose row is not negative, in the order of their rows (below `rows`)."""
    begin = np.zeros(rows + 1, np.int64)
    for i in range(row.size):
        if row[i] >= 0:
            begin[row[i] + 1] += 1
    for r in range(rows):
        begin[r + 1] += begin[r]
    order = np.empty(begin[rows], np.int64)
    for i in range(row.size):
        if row[i] >= 0:
            order[begin[row[i]]] = i
            begin[row[i]] += 1
    return order


@njit((RI1, RU1, I2, I3, U1), cache=True, nogil=True)
def add_concentration(account_row, account_hash, counts, spread, hash_sum):  # type: ignore[no-untyped-def]
    """Add up how each count spreads over a row's accounts, and a hash of all of them.

    `spread`: (rows, counts, `CONCENTRATION_COLUMNS`). `hash_sum`: (rows), a sum of hashes of
    accounts with their counts, in which the order of entries cannot show.
    """
    for i in range(account_row.size):
        r = account_row[i]
        h = account_hash[i]
        for c in range(counts.shape[1]):
            n = counts[i, c]
            h = mix(h ^ (uint64(n) + uint64(0x9E3779B97F4A7C15)))
            if n > 0:
                s = spread[r, c]
                s[_SPREAD.accounts] += 1
                s[_SPREAD.total] += n
                s[_SPREAD.top] = max(s[_SPREAD.top], n)
                s[_SPREAD.squares] += n * n
        hash_sum[r] += h


_COUNT_CEILING = 256
"""Counts from here on are alike when the most active are chosen."""


@njit((RI1, I2, INT, B1), cache=True, nogil=True)
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


@njit((I2, RI1, INT), cache=True, nogil=True)
def add_one(counts, row, column):  # type: ignore[no-untyped-def]
    """Count rows in one column."""
    for i in range(row.size):
        counts[row[i], column] += 1
