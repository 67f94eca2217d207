"""Open windows: integer accumulators by (window, symbol), and by (window, symbol, account)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.core import accumulate as acc
from monitor.core import tables
from monitor.core.batch import ABSENT, Batch, Int64
from monitor.core.intern import Interner, hash_text
from monitor.core.settings import Limits
from monitor.core.tables import Grid, Table
from monitor.core.watermark import NEVER

ACCOUNT_COUNTS = ("orders", "cancels", "fills", "leverage")
"""What is counted for every account in a window."""

_SYMBOL_BITS = 24
_ACCOUNT_BITS = 32
_NO_OFFSET = 2**62
_SECOND_NS = 1_000_000_000


@dataclass(slots=True)
class Facts:
    """Closed windows: one row for each window and symbol in which anything happened, in the order
    of time and name.
    """

    window: Int64
    """Index of the window: its start in ns divided by its length."""
    symbol: Int64
    sums: Int64
    """(rows, `accumulate.SUMS`)"""
    first: Int64
    """(rows, `accumulate.KINDS`): lowest offset; 2**62 where there was none."""
    last: Int64
    """(rows, `accumulate.KINDS`): highest offset; -1 where there was none."""
    book: Int64
    """(rows, `accumulate.BOOK`): the last book; ts is `NEVER` where there was none."""
    mark: Int64
    """(rows, 3 · `accumulate.MARK`): ts, offset and value of the last of each."""
    account_row: Int64
    """The row to which each entry of `account` belongs, rising; entries of a row are in no order
    that means anything."""
    account: Int64
    counts: Int64
    """(entries, `ACCOUNT_COUNTS`)"""
    spread: Int64
    """(rows, `ACCOUNT_COUNTS`, 4): accounts, total, the highest, sum of squares."""
    fold: NDArray[np.uint64]
    """(rows): all accounts with their counts as one hash."""


class OpenWindows:
    """What is known of the windows that are not closed yet."""

    def __init__(
        self,
        window_ns: int,
        limits: Limits,
        cost_notional: float,
        symbols: Interner,
        accounts: Interner,
    ) -> None:
        self._window_ns = window_ns
        self._symbols = symbols
        self._accounts = accounts
        self._limits = limits
        self._cost_notional = int(cost_notional * 1_000_000)
        self.evicted_symbols = 0
        self.evicted_accounts = 0
        self._slots = Table()
        self._sums = Grid(len(acc.SUMS), 0)
        self._first = Grid(len(acc.KINDS), _NO_OFFSET)
        self._last = Grid(len(acc.KINDS), -1)
        self._book = Grid(len(acc.BOOK), NEVER)
        self._mark = Grid(3 * len(acc.MARK), NEVER)
        self._pairs = Table()
        self._counts = Grid(len(ACCOUNT_COUNTS), 0)
        # Placements and cancels that wait for each other: (key, ts) and (key, ts, slot).
        self._placed: list[tuple[NDArray[np.uint64], Int64]] = []
        self._unaged: list[tuple[NDArray[np.uint64], Int64, Int64]] = []

    def _grids(self) -> tuple[Grid, ...]:
        return self._sums, self._first, self._last, self._book, self._mark

    def first_window(self) -> int | None:
        """The earliest window in which anything is held."""
        return int(self._slots.keys.min() >> _SYMBOL_BITS) if self._slots.n else None

    def add(self, batch: Batch, symbol: Int64, account: Int64 | None) -> None:
        """Add admitted records (with their interned symbols and accounts)."""
        if not len(batch):
            return
        ts = batch.numbers["ts"]
        row = self._slots.rows((ts // self._window_ns << _SYMBOL_BITS) | symbol)
        for grid in self._grids():
            grid.grow(self._slots.n)
        kind = acc.KINDS.index(batch.kind)
        acc.span(self._first.data, self._last.data, kind, row, batch.offset)
        getattr(self, f"_add_{batch.kind}")(batch, row)
        if account is not None and batch.kind in ("order", "cancel", "fill", "leverage"):
            known = account >= 0
            if batch.kind == "cancel":
                known &= batch.numbers["quantity"] != 0
            if not known.all():
                row, account = row[known], account[known]
            pair = self._pairs.rows((row << _ACCOUNT_BITS) | account)
            self._counts.grow(self._pairs.n)
            tables.add_one(self._counts.data, pair, kind)
        if self._slots.n > 2 * self._limits.symbols or self._pairs.n > 2 * self._limits.accounts:
            self._prune()

    def _add_order(self, batch: Batch, row: Int64) -> None:
        n = batch.numbers
        acc.add_orders(self._sums.data, row, n["side"], n["price"], n["quantity"], n["action"])
        if "order_id" in batch.texts:
            key = hash_text(batch.texts["order_id"])
            # An order that changes in place keeps its age.
            fresh = (n["action"] == 0) | (key != hash_text(batch.texts["replaces"]))
            fresh &= key != 0
            if fresh.any():
                self._placed.append((key[fresh], n["ts"][fresh]))

    def _add_cancel(self, batch: Batch, row: Int64) -> None:
        n = batch.numbers
        columns = n["ts"], n["side"], n["price"], n["quantity"], n["placed_ts"]
        acc.add_cancels(self._sums.data, row, *columns)
        if "order_id" in batch.texts:
            key = hash_text(batch.texts["order_id"])
            open_age = (n["placed_ts"] == ABSENT) & (key != 0) & (n["quantity"] != 0)
            if open_age.any():
                self._unaged.append((key[open_age], n["ts"][open_age], row[open_age]))

    def _add_fill(self, batch: Batch, row: Int64) -> None:
        n = batch.numbers
        columns = n["side"], n["price"], n["quantity"], n["liquidity"], n["cause"]
        acc.add_fills(self._sums.data, row, *columns)

    def _add_leverage(self, batch: Batch, row: Int64) -> None:
        n = batch.numbers
        acc.add_leverage(self._sums.data, row, n["leverage"], n["previous"])

    def _add_mark(self, batch: Batch, row: Int64) -> None:
        values = np.stack([batch.numbers[name] for name in acc.MARK])
        ts = batch.numbers["ts"]
        acc.add_marks(self._sums.data, row, ts, batch.offset, values, self._mark.data)

    def _add_book(self, batch: Batch, row: Int64) -> None:
        bids, asks = batch.ladders["bids"], batch.ladders["asks"]
        ts = batch.numbers["ts"]
        sides = bids.offset, bids.price, bids.quantity, asks.offset, asks.price, asks.quantity
        data = self._sums.data, row, ts, batch.offset
        acc.add_books(*data, *sides, self._cost_notional, self._book.data)

    def _slot_parts(self) -> tuple[Int64, Int64]:
        keys = self._slots.keys
        return keys >> _SYMBOL_BITS, keys & ((1 << _SYMBOL_BITS) - 1)

    def _prune(self) -> None:
        """Hold every window to its caps. What stays is decided by names alone: whatever would be
        dropped from a part of the records would be dropped from all of them.
        """
        window, symbol = self._slot_parts()
        if self._slots.n > self._limits.symbols:
            keep = lowest(window, self._symbols.hashes[symbol], self._limits.symbols)
            self.evicted_symbols += int((~keep).sum())
            self._keep_slots(keep)
            window, symbol = self._slot_parts()
        if self._pairs.n <= self._limits.accounts:
            return
        slot = self._pairs.keys >> _ACCOUNT_BITS
        account = self._pairs.keys & ((1 << _ACCOUNT_BITS) - 1)
        rank = tables.mix_each(self._symbols.hashes[symbol[slot]], self._accounts.hashes[account])
        keep = lowest(window[slot], rank, self._limits.accounts)
        if not keep.all():
            self.evicted_accounts += int((~keep).sum())
            self._counts.keep(np.flatnonzero(keep), self._pairs.n)
            self._pairs.reset(self._pairs.keys[keep])

    def _keep_slots(self, keep: NDArray[np.bool_]) -> None:
        """Forget all slots but these."""
        remap = np.cumsum(keep) - 1
        rows = np.flatnonzero(keep)
        for grid in self._grids():
            grid.keep(rows, self._slots.n)
        slot = self._pairs.keys >> _ACCOUNT_BITS
        stays = keep[slot]
        account = self._pairs.keys & ((1 << _ACCOUNT_BITS) - 1)
        self._counts.keep(np.flatnonzero(stays), self._pairs.n)
        self._pairs.reset((remap[slot[stays]] << _ACCOUNT_BITS) | account[stays])
        self._slots.reset(self._slots.keys[keep])
        self._unaged = [
            (key[keep[row]], ts[keep[row]], remap[row[keep[row]]]) for key, ts, row in self._unaged
        ]

    def _age_cancels(self, until_ns: int) -> None:
        """Give the cancels of the windows that close the age of their orders."""
        if self._unaged:
            key, ts, row = (np.concatenate(part) for part in zip(*self._unaged, strict=True))
            now = ts < until_ns
            placed_key, placed_ts = self._placements()
            table = np.full(1 << int(2 * len(placed_key) + 2).bit_length(), -1, np.int64)
            cancels = key[now], ts[now], row[now]
            acc.join_ages(placed_key, placed_ts, *cancels, table, self._sums.data)
            self._unaged = [(key[~now], ts[~now], row[~now])] if not now.all() else []
        if self._placed:
            placed_key, placed_ts = self._placements()
            recent = placed_ts >= until_ns - _SECOND_NS
            self._placed = [(placed_key[recent], placed_ts[recent])] if recent.any() else []

    def _placements(self) -> tuple[NDArray[np.uint64], Int64]:
        if not self._placed:
            return np.empty(0, np.uint64), np.empty(0, np.int64)
        key, ts = (np.concatenate(part) for part in zip(*self._placed, strict=True))
        return key, ts

    def close(self, until: int) -> Facts:
        """Take out every window whose index lies below `until`."""
        self._age_cancels(until * self._window_ns)
        self._prune()
        window, symbol = self._slot_parts()
        closed = window < until
        rows = np.flatnonzero(closed)
        order = np.lexsort((name_rank(self._symbols, symbol[rows]), window[rows]))
        rows = rows[order]
        place = np.full(self._slots.n, -1, np.int64)
        place[rows] = np.arange(len(rows))
        slot = self._pairs.keys >> _ACCOUNT_BITS
        account = self._pairs.keys & ((1 << _ACCOUNT_BITS) - 1)
        entries = tables.grouped(place[slot], len(rows))
        sums, first, last, book, mark = (grid.data[rows] for grid in self._grids())
        account_row, counts = place[slot[entries]], self._counts.data[entries]
        spread = np.zeros((len(rows), len(ACCOUNT_COUNTS), 4), np.int64)
        fold = np.zeros(len(rows), np.uint64)
        hashes = self._accounts.hashes[account[entries]]
        tables.concentration(account_row, hashes, counts, spread, fold)
        facts = Facts(
            window[rows],
            symbol[rows],
            *(sums, first, last, book, mark),
            account_row,
            account[entries],
            counts,
            spread,
            fold,
        )
        self._keep_slots(~closed)
        return facts

    def accounts_in_use(self) -> Int64:
        """The accounts that any open window names."""
        return self._pairs.keys & ((1 << _ACCOUNT_BITS) - 1)

    def rename_accounts(self, remap: Int64) -> None:
        """Follow a new numbering of accounts."""
        account = remap[self.accounts_in_use()]
        slot = self._pairs.keys >> _ACCOUNT_BITS
        self._pairs.reset((slot << _ACCOUNT_BITS) | account)

    def snapshot(self) -> dict[str, Any]:
        unaged = [np.concatenate(part) for part in zip(*self._unaged, strict=True)]
        return {
            "slots": self._slots.keys.copy(),
            "grids": [grid.data[: self._slots.n] for grid in self._grids()],
            "pairs": self._pairs.keys.copy(),
            "counts": self._counts.data[: self._pairs.n],
            "placed": list(self._placements()) if self._placed else [],
            "unaged": unaged,
            "evicted": [self.evicted_symbols, self.evicted_accounts],
        }

    def restore(self, state: dict[str, Any]) -> None:
        self._slots.reset(state["slots"])
        for grid, data in zip(self._grids(), state["grids"], strict=True):
            grid.data = data
        self._pairs.reset(state["pairs"])
        self._counts.data = state["counts"]
        self._placed = [tuple(state["placed"])] if state["placed"] else []
        self._unaged = [tuple(state["unaged"])] if state["unaged"] else []
        self.evicted_symbols, self.evicted_accounts = state["evicted"]


def lowest(group: Int64, rank: NDArray[np.uint64], most: int) -> NDArray[np.bool_]:
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
