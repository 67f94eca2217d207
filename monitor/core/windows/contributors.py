"""Who contributed to the last minutes of closed windows, and at which offsets the records lie."""

from __future__ import annotations

from collections import deque
from typing import Any, NamedTuple

import numpy as np

from detectors.arrays.types import Int64
from monitor.core.finding import OffsetRange
from monitor.core.tables.interner import Interner
from monitor.core.windows.accumulators import mark_most_active
from monitor.core.windows.closed_windows import ClosedWindows
from monitor.core.windows.columns import ACCOUNT_COUNTS, KINDS

WINDOWS_KEPT = 300
"""How far back an alert's evidence reaches, in windows."""
ACCOUNTS_KEPT = 64
"""Accounts kept for each window and symbol: all where there are at most so many, else the highest
of each count. Where equal counts would exceed the limit, none of the equals is kept."""


class _ClosedChunk(NamedTuple):
    """Of windows that closed together, what evidence needs; as in `ClosedWindows`."""

    window: Int64
    symbol: Int64
    first: Int64
    last: Int64
    account_row: Int64
    account: Int64
    counts: Int64


class RecentWindows:
    """The last `WINDOWS_KEPT` windows, for the accounts and the offsets that an alert names."""

    def __init__(self, symbols: Interner, accounts: Interner) -> None:
        self._symbols = symbols
        self._accounts = accounts
        self._chunks: deque[_ClosedChunk] = deque()

    def add(self, closed: ClosedWindows, first: int) -> None:
        """Remember windows that closed together, the earliest of index `first`; forget those that
        lie too far before it for any alert.
        """
        if len(closed.window):
            keep = np.zeros(len(closed.account), np.bool_)
            begin = np.searchsorted(closed.account_row, np.arange(len(closed.window) + 1))
            mark_most_active(begin, closed.counts, ACCOUNTS_KEPT, keep)
            entries = (a[keep] for a in (closed.account_row, closed.account, closed.counts))
            offsets = closed.first_offset, closed.last_offset
            self._chunks.append(_ClosedChunk(closed.window, closed.symbol, *offsets, *entries))
        while self._chunks and self._chunks[0].window[-1] <= first - WINDOWS_KEPT:
            self._chunks.popleft()

    def account_shares(
        self, symbol: int, low: int, high: int, count: str, total: float | None, most: int = 5
    ) -> list[tuple[str, float]]:
        """The `most` accounts that have most of `count` in windows `low` to `high` inclusive, with
        their share of `total` (None: of the sum over all accounts kept), by share and name.
        """
        column = ACCOUNT_COUNTS.index(count)
        low = max(low, high - WINDOWS_KEPT + 1)
        by_account: dict[int, int] = {}
        for chunk in self._chunks:
            row = self._rows_of_symbol(chunk, symbol, low, high)
            begin = np.searchsorted(chunk.account_row, row, "left").tolist()
            end = np.searchsorted(chunk.account_row, row, "right").tolist()
            for a, b in zip(begin, end, strict=True):
                counts = chunk.counts[a:b, column].tolist()
                for account, n in zip(chunk.account[a:b].tolist(), counts, strict=True):
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
        """The offsets of the records of `kinds` in windows `low` to `high` inclusive."""
        low = max(low, high - WINDOWS_KEPT + 1)
        ranges = []
        for kind in kinds:
            column = KINDS.index(kind)
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
        """The accounts that the windows kept name."""
        parts = (chunk.account for chunk in self._chunks)
        return np.concatenate((np.empty(0, np.int64), *parts))

    def rename_accounts(self, remap: Int64) -> None:
        """Follow a new numbering of accounts."""
        self._chunks = deque(c._replace(account=remap[c.account]) for c in self._chunks)

    def snapshot(self) -> list[Any]:
        return [list(chunk) for chunk in self._chunks]

    def restore(self, state: list[Any]) -> None:
        self._chunks = deque(_ClosedChunk(*parts) for parts in state)
