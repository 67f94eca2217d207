"""What is known of closed windows, all of it in integers; and what orders and bounds it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitor.core.decode.batch import Int64
from monitor.core.tables.interner import Interner

ACCOUNT_COUNTS = ("orders", "cancels", "fills", "leverage")
"""What is counted for every account in a window."""


@dataclass(slots=True)
class ClosedWindows:
    """Closed windows: one row for each window and symbol in which anything happened, in the order
    of time and name.
    """

    window: Int64
    """Index of the window: its start in ns divided by its length."""
    symbol: Int64
    sums: Int64
    """(rows, `accumulators.SUMS`)"""
    first_offset: Int64
    """(rows, `accumulators.KINDS`): lowest offset; 2**62 where there was none."""
    last_offset: Int64
    """(rows, `accumulators.KINDS`): highest offset; -1 where there was none."""
    book: Int64
    """(rows, `accumulators.BOOK`): the last book; ts is `NEVER` where there was none."""
    mark: Int64
    """(rows, 3 · `accumulators.MARK`): ts, offset and value of the last of each."""
    minima: Int64
    """(rows, `accumulators.MINIMA`)"""
    near_touch: Int64
    """(rows, `pending.NEAR`): what `FeatureCalculator` finds of `cancels`, beside the book before the window."""
    cancels: Int64
    """(cancels, `pending.CANCEL_COLUMNS`), by row, rising; within one in no order that means anything."""
    account_row: Int64
    """The row to which each entry of `account` belongs, rising; entries of a row are in no order
    that means anything."""
    account: Int64
    counts: Int64
    """(entries, `ACCOUNT_COUNTS`)"""
    concentration: Int64
    """(rows, `ACCOUNT_COUNTS`, 4): accounts, total, the highest, sum of squares."""
    accounts_hash: NDArray[np.uint64]
    """(rows): all accounts with their counts as one hash."""


def mark_lowest(group: Int64, rank: NDArray[np.uint64], most: int) -> NDArray[np.bool_]:
    """Which entries are among the `most` lowest-ranked of their group."""
    keep = np.ones(len(group), np.bool_)
    if len(group) <= most:
        return keep
    order = np.lexsort((rank, group))
    ordered = group[order]
    begin = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))
    size = np.diff(np.concatenate((begin, [len(ordered)])))
    keep[order] = np.arange(len(ordered)) - np.repeat(begin, size) < most
    return keep


def name_rank(symbols: Interner, ids: Int64) -> Int64:
    """The place of each symbol in the order of names."""
    known, inverse = np.unique(ids, return_inverse=True)
    rank = np.empty(len(known), np.int64)
    names = symbols.names(known)
    rank[sorted(range(len(names)), key=names.__getitem__)] = np.arange(len(names))
    return rank[inverse]
