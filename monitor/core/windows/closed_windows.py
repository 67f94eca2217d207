"""Closed windows, all of it in integers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from detectors.arrays.types import Bool, Int64, UInt64
from monitor.core.tables.interner import Interner

_BY_ROW = (
    "window", "symbol", "sums", "first_offset", "last_offset", "book", "mark", "minima",
    "ladder", "near_touch", "concentration", "accounts_hash",
)  # fmt: skip


@dataclass(slots=True)
class ClosedWindows:
    """Closed windows: one row for each window and symbol in which anything happened, in the order
    of time and name. The second axis of each array has the columns of `columns.py`.
    """

    window: Int64
    """Index of the window: its start in ns divided by its length."""
    symbol: Int64
    sums: Int64
    first_offset: Int64
    last_offset: Int64
    """(rows, `KINDS`): the lowest and highest offset; 2**62 and -1 where there was none."""
    book: Int64
    """The last book; ts is `NEVER` where there was none."""
    mark: Int64
    """(rows, `MARK_WIDTH` · `MARK_COLUMNS`): ts, offset and value of the last of each."""
    minima: Int64
    ladder: Int64
    """(rows, `LADDER_WIDTH`): the best levels of the last book."""
    near_touch: Int64
    """Zeros until `FeatureCalculator` compares `cancels` with the book before the window."""
    cancels: Int64
    """(cancels, `CANCEL_COLUMNS`), by row, rising; those of a row in the order of arrival."""
    account_row: Int64
    """(entries): the row to which each entry of `account` belongs, rising; the entries of a row in
    the order of arrival."""
    account: Int64
    counts: Int64
    """(entries, `ACCOUNT_COUNTS`)"""
    concentration: Int64
    """(rows, `ACCOUNT_COUNTS`, `CONCENTRATION_COLUMNS`)"""
    accounts_hash: UInt64
    """(rows): all accounts with their counts as one hash."""

    def slice(self, low: int, high: int) -> ClosedWindows:
        """The windows from `low` up to `high`. Arrays are views, except for `cancels` and
        `account_row`, whose rows count from the first of the slice.
        """
        begin, end = np.searchsorted(self.window, (low, high)).tolist()
        entries = slice(*np.searchsorted(self.account_row, (begin, end)).tolist())
        cancels = self.cancels[slice(*np.searchsorted(self.cancels[:, 0], (begin, end)).tolist())]
        return ClosedWindows(
            **{name: getattr(self, name)[begin:end] for name in _BY_ROW},
            cancels=cancels - (np.arange(cancels.shape[1]) == 0) * begin,
            account_row=self.account_row[entries] - begin,
            account=self.account[entries],
            counts=self.counts[entries],
        )


def mark_lowest(group: Int64, rank: UInt64, most: int) -> Bool:
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
    distinct, inverse = np.unique(ids, return_inverse=True)
    rank = np.empty(len(distinct), np.int64)
    names = symbols.names(distinct)
    rank[sorted(range(len(names)), key=names.__getitem__)] = np.arange(len(names))
    return rank[inverse]
