"""The newest entries of the ledger, each with the rows that it changed as they were before it.

With them an account that gets an entry late is put back to the time of that entry, and its entries
from there on are applied again in their order: as if it had come in time.
"""

from __future__ import annotations

from bisect import bisect_left

import numpy as np

from detectors.arrays.state import Stateful
from detectors.arrays.types import Bool, Int64
from monitor.core.accounts.ledger_kernels import ACCOUNT, JOURNAL_COLUMNS, ORDER_COLUMNS, TS
from monitor.core.contract.units import SECOND_NS

SPAN_NS = 600 * SECOND_NS
"""How far back it reaches. Records that a producer sends again after a lost connection are late by
seconds to minutes."""
ROWS_MAX = 1 << 17
"""Its longest: 29 MB in a snapshot."""


class EntryJournal(Stateful):
    """Rows of `JOURNAL_COLUMNS` in the order of entries. All entries from event time `since` (ns)
    on are in it.
    """

    STATE = "since", "_rows"

    def __init__(self) -> None:
        self.since = -(2**62)
        self._rows: Int64 = np.zeros((0, len(JOURNAL_COLUMNS)), np.int64)
        self._begin = self._end = 0

    @property
    def rows(self) -> Int64:
        return self._rows[self._begin : self._end]

    def extend(self, entries: Int64) -> Int64:
        """Add entries behind all others; returns their rows, in which the rest is to be written."""
        end = self._end + len(entries)
        if end > len(self._rows):
            rows = self.rows
            self._rows = np.zeros((max(1024, 2 * (len(rows) + len(entries))), rows.shape[1]), int)
            self._rows[: len(rows)] = rows
            self._begin, self._end, end = 0, len(rows), len(rows) + len(entries)
        new = self._rows[self._end : end]
        new[:, : entries.shape[1]] = entries
        self._end = end
        return new

    def position_of(self, ts: int) -> int:
        """The first of `rows` that is not before event time `ts`, ns."""
        # Not `searchsorted`, which would copy the column.
        return bisect_left(self.rows, ts, key=lambda row: row[TS])

    def replace(self, first: int, rows: Int64) -> None:
        """Put these rows in the place of those from `first` on; they are brought into order."""
        self._end = self._begin + first
        order = np.lexsort(rows[:, :ORDER_COLUMNS].T[::-1])
        self.extend(np.empty((len(rows), 0), np.int64))[:] = rows[order]

    def trim(self) -> None:
        """Forget what is older than `SPAN_NS` or beyond `ROWS_MAX`, by event time."""
        times = self.rows[:, TS]
        if not len(times):
            return
        self.since = max(self.since, int(times[-1]) - SPAN_NS)
        if len(times) > ROWS_MAX:
            self.since = max(self.since, int(times[-ROWS_MAX - 1]) + 1)
        self._begin += self.position_of(self.since)

    def rename(self, new_numbers: Int64, stays: Bool) -> None:
        """Forget the entries of accounts that do not stay, and give the others new numbers."""
        rows = self.rows[stays[self.rows[:, ACCOUNT]]]
        rows[:, ACCOUNT] = new_numbers[rows[:, ACCOUNT]]
        self._rows, self._begin, self._end = rows, 0, len(rows)

    def snapshot(self) -> dict[str, object]:
        return {"since": self.since, "rows": self.rows.copy()}

    def restore(self, state: dict[str, object]) -> None:
        super().restore(state)
        self._begin, self._end = 0, len(self._rows)
