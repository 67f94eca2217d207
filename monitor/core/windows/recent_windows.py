"""The last minutes of closed windows: who acted, and where the records lie.

Every alert names the accounts that carry it and the offsets of its records; both come from here.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.core.decode.batch import Int64
from monitor.core.finding import OffsetRange
from monitor.core.tables import hash_table
from monitor.core.tables.interner import Interner
from monitor.core.windows import accumulators as acc
from monitor.core.windows.closed_windows import ACCOUNT_COUNTS, ClosedWindows

WINDOWS_KEPT = 300
"""How far back the evidence of an alert is told in full, in windows."""
ACCOUNTS_KEPT = 64
"""Accounts kept for each window and symbol, or for each count where there are more: those with the
highest counts, which are exact. Of equals that are too many, none is kept."""


@dataclass(slots=True)
class _ClosedChunk:
    window: Int64
    symbol: Int64
    first: Int64
    last: Int64
    account_row: Int64
    account: Int64
    counts: Int64


class RecentWindows:
    """A bounded memory of `ClosedWindows`."""

    def __init__(self, symbols: Interner, accounts: Interner) -> None:
        self._symbols = symbols
        self._accounts = accounts
        self._chunks: deque[_ClosedChunk] = deque()

    def add(self, facts: ClosedWindows, first: int) -> None:
        """Remember windows closed together, forget what no alert on the `first` of them reaches."""
        if len(facts.window):
            entries = facts.account_row, facts.account, facts.counts
            keep = _entries_to_keep(facts)
            if not keep.all():
                entries = entries[0][keep], entries[1][keep], entries[2][keep]
            self._chunks.append(
                _ClosedChunk(
                    facts.window, facts.symbol, facts.first_offset, facts.last_offset, *entries
                )
            )
        while self._chunks and self._chunks[0].window[-1] <= first - WINDOWS_KEPT:
            self._chunks.popleft()

    def account_shares(
        self, symbol: int, low: int, high: int, count: str, total: float | None, most: int = 5
    ) -> list[tuple[str, float]]:
        """The accounts with most of `count` in windows `low` to `high` inclusive, with their share
        of `total` (None: of what all those remembered have), by share and name.
        """
        column = ACCOUNT_COUNTS.index(count)
        low = max(low, high - WINDOWS_KEPT + 1)
        by_account: dict[int, int] = {}
        for chunk in self._chunks:
            row = self._rows_of_symbol(chunk, symbol, low, high)
            begin = np.searchsorted(chunk.account_row, row, "left").tolist()
            end = np.searchsorted(chunk.account_row, row, "right").tolist()
            for a, b in zip(begin, end, strict=True):
                pairs = zip(
                    chunk.account[a:b].tolist(), chunk.counts[a:b, column].tolist(), strict=True
                )
                for account, n in pairs:
                    by_account[account] = by_account.get(account, 0) + n
        acted = [(account, n) for account, n in by_account.items() if n]
        total = sum(n for _, n in acted) if total is None else total
        names = self._accounts.names(np.array([account for account, _ in acted], np.int64))
        counted = zip(names, (n for _, n in acted), strict=True)
        ranked = sorted(counted, key=lambda pair: (-pair[1], pair[0]))
        return [(name, n / total) for name, n in ranked[:most]] if total > 0 else []

    def record_ranges(
        self, symbol: int, low: int, high: int, kinds: tuple[str, ...]
    ) -> list[OffsetRange]:
        """Where the records of `kinds` in windows `low` to `high` inclusive lie."""
        low = max(low, high - WINDOWS_KEPT + 1)
        ranges = []
        for kind in kinds:
            column = acc.KINDS.index(kind)
            rows = [(c, self._rows_of_symbol(c, symbol, low, high)) for c in self._chunks]
            first = min((int(c.first[r, column].min()) for c, r in rows if len(r)), default=-1)
            last = max((int(c.last[r, column].max()) for c, r in rows if len(r)), default=-1)
            if last >= 0:
                ranges.append(OffsetRange(kind, first, last))
        return ranges

    @staticmethod
    def _rows_of_symbol(chunk: _ClosedChunk, symbol: int, low: int, high: int) -> Int64:
        a = int(np.searchsorted(chunk.window, low, "left"))
        b = int(np.searchsorted(chunk.window, high, "right"))
        return a + np.flatnonzero(chunk.symbol[a:b] == symbol)

    def accounts_in_use(self) -> Int64:
        """The accounts that are remembered."""
        parts = [chunk.account for chunk in self._chunks]
        return np.concatenate(parts) if parts else np.empty(0, np.int64)

    def rename_accounts(self, remap: Int64) -> None:
        """Follow a new numbering of accounts."""
        for chunk in self._chunks:
            chunk.account = remap[chunk.account]

    def snapshot(self) -> list[Any]:
        names = _ClosedChunk.__slots__
        return [[getattr(chunk, name) for name in names] for chunk in self._chunks]

    def restore(self, state: list[Any]) -> None:
        self._chunks = deque(_ClosedChunk(*parts) for parts in state)


def _entries_to_keep(facts: ClosedWindows) -> NDArray[np.bool_]:
    """The entries to keep: all of a row with few, else the highest of each count."""
    keep = np.zeros(len(facts.account), np.bool_)
    begin = np.searchsorted(facts.account_row, np.arange(len(facts.window) + 1))
    hash_table.mark_most_active(begin, facts.counts, ACCOUNTS_KEPT, keep)
    return keep
