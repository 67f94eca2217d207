"""Marks and books as rows of integers, until their time comes and as the last ones by market.

Prices, quantities and open interest are codes of stepped decimals, times in ns, funding intervals
in s; `ABSENT` where a mark has no value.
"""

from __future__ import annotations

import numpy as np
from numba import njit, types

from detectors.arrays.types import I2, Int64
from monitor.core.decode.batch import ABSENT, Batch
from monitor.core.tables.interner import Interner

TS, PARTITION, OFFSET, SYMBOL = range(4)
"""The first columns of every row; `SYMBOL`: the number of the interned name."""
VALUES = 4
"""The first column of values."""

MARK_VALUES = ("mark", "index", "last", "open_interest", "funding_interval_s")
MARK_COLUMNS = ("ts", "partition", "offset", "symbol", *MARK_VALUES)
MARK, INDEX, LAST, OPEN_INTEREST, FUNDING_INTERVAL = range(VALUES, len(MARK_COLUMNS))

LEVELS = 50
"""Levels of a book that are kept on each side."""
BOOK_WIDTH = VALUES + 4 * LEVELS
"""Bid prices, bid quantities, ask prices, ask quantities, from the best level on; 0: no level."""
BEST_BID, BEST_ASK = VALUES, VALUES + 2 * LEVELS


def mark_rows(batch: Batch, symbols: Interner) -> Int64:
    """(n, `MARK_COLUMNS`) of mark records."""
    n = batch.numbers
    symbol = symbols.intern(batch.texts["symbol"])
    partition = np.full(len(batch), batch.partition)
    columns = (n["ts"], partition, batch.offset, symbol, *(n[name] for name in MARK_VALUES))
    return np.stack(columns, axis=1).astype(np.int64)


def uncrossed_books(batch: Batch) -> Batch:
    """The books whose best bid is not above the best ask."""
    ends = []
    for name in ("bids", "asks"):
        ladder = batch.ladders[name]
        begin = ladder.offset[:-1]
        empty = begin == ladder.offset[1:]
        ends.append((np.append(ladder.price, 0)[np.where(empty, -1, begin)], empty))
    (bid, no_bid), (ask, no_ask) = ends
    keep = (bid <= ask) | no_bid | no_ask
    return batch if keep.all() else batch.select_rows(keep)


def book_rows(batch: Batch, symbols: Interner, cell_ns: int) -> Int64:
    """(n, `BOOK_WIDTH`): the last uncrossed book of each symbol in each `cell_ns` of event time."""
    batch = uncrossed_books(batch)
    symbol, ts = symbols.intern(batch.texts["symbol"]), batch.numbers["ts"]
    order = np.lexsort((batch.offset, ts, ts // cell_ns, symbol))
    group = np.stack((symbol[order], ts[order] // cell_ns))
    ends = np.append((group[:, 1:] != group[:, :-1]).any(axis=0), True)
    last = order[ends[: len(order)]]
    rows = np.zeros((len(last), BOOK_WIDTH), np.int64)
    rows[:, TS], rows[:, PARTITION] = ts[last], batch.partition
    rows[:, OFFSET], rows[:, SYMBOL] = batch.offset[last], symbol[last]
    for best, name in ((BEST_BID, "bids"), (BEST_ASK, "asks")):
        ladder = batch.ladders[name].select_rows(last)
        size = np.diff(ladder.offset)
        row = np.repeat(np.arange(len(last)), size)
        column = best + np.arange(len(row)) - np.repeat(ladder.offset[:-1], size)
        rows[row, column] = ladder.price
        rows[row, column + LEVELS] = ladder.quantity
    return rows


@njit(types.void(I2, I2, I2, I2, I2), cache=True, nogil=True)
def set_last_marks(rows, trusted, raw_marks, trusted_marks, mark_times):  # type: ignore[no-untyped-def]
    """Put what mark rows (n, `MARK_COLUMNS`) give into the last of their symbols.

    `trusted`: the same rows without what is not trusted. By symbol: `raw_marks`, mark and index;
    `trusted_marks`, `MARK_VALUES`; `mark_times`, of the last trusted mark and index, ns.
    """
    for i in range(rows.shape[0]):
        symbol = rows[i, SYMBOL]
        for column in range(trusted_marks.shape[1]):
            if column < 2 and rows[i, VALUES + column] != ABSENT:
                raw_marks[symbol, column] = rows[i, VALUES + column]
            if trusted[i, VALUES + column] != ABSENT:
                trusted_marks[symbol, column] = trusted[i, VALUES + column]
                if column < 2:
                    mark_times[symbol, column] = rows[i, TS]
