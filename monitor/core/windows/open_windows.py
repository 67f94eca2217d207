"""Open windows: integer accumulators by (window, symbol), and by (window, symbol, account)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.core.decode.batch import ABSENT, Batch, Int64
from monitor.core.event_time.watermark import NEVER
from monitor.core.settings import Limits
from monitor.core.tables import hash_table
from monitor.core.tables.hash_table import GrowableRows, KeyTable
from monitor.core.tables.interner import Interner, hash_text
from monitor.core.windows import accumulators as acc
from monitor.core.windows import pending, sequence_gaps
from monitor.core.windows.book_depth import add_books
from monitor.core.windows.closed_windows import (
    ACCOUNT_COUNTS,
    ClosedWindows,
    mark_lowest,
    name_rank,
)
from monitor.core.windows.margin_modes import MarginModes
from monitor.core.windows.pending import PendingRows

_SYMBOL_BITS = 24
_ACCOUNT_BITS = 32
_NO_OFFSET = 2**62
_SECOND_NS = 1_000_000_000


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
        self._slots = KeyTable()
        self._sums = GrowableRows(len(acc.SUMS), 0)
        self._first = GrowableRows(len(acc.KINDS), _NO_OFFSET)
        self._last = GrowableRows(len(acc.KINDS), -1)
        self._book = GrowableRows(len(acc.BOOK_COLUMNS), NEVER)
        self._mark = GrowableRows(3 * len(acc.MARK_COLUMNS), NEVER)
        self._lows = GrowableRows(len(acc.MINIMA), acc.NO_MINIMUM)
        self._pending_cancels = PendingRows(len(pending.CANCEL_COLUMNS))
        self._pending_leverage_changes = PendingRows(len(pending.LEVERAGE_CHANGE_COLUMNS))
        self._pending_takers = PendingRows(len(pending.TAKER_COLUMNS))
        self._margin_modes = MarginModes(limits.names)
        self._pairs = KeyTable()
        self._counts = GrowableRows(len(ACCOUNT_COUNTS), 0)
        # Placements and cancels that wait for each other: (key, ts) and (key, ts, slot).
        self._order_placements: list[tuple[NDArray[np.uint64], Int64]] = []
        self._cancels_without_age: list[tuple[NDArray[np.uint64], Int64, Int64]] = []

    def _accumulators(self) -> tuple[GrowableRows, ...]:
        return self._sums, self._first, self._last, self._book, self._mark, self._lows

    def _pending_rows(self) -> tuple[PendingRows, ...]:
        return self._pending_cancels, self._pending_leverage_changes, self._pending_takers

    def first_window(self) -> int | None:
        """The earliest window in which anything is held."""
        return int(self._slots.keys.min() >> _SYMBOL_BITS) if self._slots.n else None

    def _slot_rows(self, ts: Int64, symbol: Int64) -> Int64:
        """The slots of these times and symbols."""
        row = self._slots.find_or_add((ts // self._window_ns << _SYMBOL_BITS) | symbol)
        for grid in self._accumulators():
            grid.grow(self._slots.n)
        return row

    def add_late(self, batch: Batch, symbol: Int64, came: Int64) -> None:
        """Count records that are too late, in the windows of the times `came` (ns) that their topic
        partition had come to.
        """
        row = self._slot_rows(came, symbol)
        kind = acc.KINDS.index(batch.kind)
        acc.add_offsets(self._first.data, self._last.data, kind, row, batch.offset)
        hash_table.add_one(self._sums.data, row, acc.SUMS.index("late"))
        self._add_sequence_numbers(batch, kind, row)

    def add(self, batch: Batch, symbol: Int64, account: Int64 | None, behind: Int64) -> None:
        """Add admitted records (with their interned symbols and accounts, and how far each ran
        behind in its topic partition, ns).
        """
        if not len(batch):
            return
        row = self._slot_rows(batch.numbers["ts"], symbol)
        kind = acc.KINDS.index(batch.kind)
        acc.add_offsets(self._first.data, self._last.data, kind, row, batch.offset)
        acc.add_behind(self._lows.data, row, behind)
        self._add_sequence_numbers(batch, kind, row)
        who = None if account is None else self._account_hashes(account)
        getattr(self, f"_add_{batch.kind}")(batch, row, symbol, who)
        if account is not None and batch.kind in ("order", "cancel", "fill", "leverage"):
            known = account >= 0
            if batch.kind == "cancel":
                known &= batch.numbers["quantity"] != 0
            if not known.all():
                row, account = row[known], account[known]
            pair = self._pairs.find_or_add((row << _ACCOUNT_BITS) | account)
            self._counts.grow(self._pairs.n)
            hash_table.add_one(self._counts.data, pair, kind)
        if self._slots.n > 2 * self._limits.symbols or self._pairs.n > 2 * self._limits.accounts:
            self._prune()

    def _add_sequence_numbers(self, batch: Batch, kind: int, row: Int64) -> None:
        """A record that is late is not missing."""
        sequence_gaps.add_sequence_numbers(
            kind, self._sums.data, self._lows.data, row, batch.numbers["seq"]
        )

    def _account_hashes(self, account: Int64) -> NDArray[np.uint64]:
        """Hashes of accounts' names, never 0; 0 where there is none."""
        out = np.zeros(len(account), np.uint64)
        known = account >= 0
        out[known] = np.maximum(self._accounts.hashes[account[known]], 1)
        return out

    def _add_order(self, batch: Batch, row: Int64, *_: Any) -> None:
        n = batch.numbers
        acc.add_orders(self._sums.data, row, n["side"], n["price"], n["quantity"], n["action"])
        if "order_id" in batch.texts:
            key = hash_text(batch.texts["order_id"])
            # An order that changes in place keeps its age.
            fresh = (n["action"] == 0) | (key != hash_text(batch.texts["replaces"]))
            fresh &= key != 0
            if fresh.any():
                self._order_placements.append((key[fresh], n["ts"][fresh]))

    def _add_cancel(
        self, batch: Batch, row: Int64, _: Int64, who: NDArray[np.uint64] | None
    ) -> None:
        n = batch.numbers
        columns = n["ts"], n["side"], n["price"], n["quantity"], n["placed_ts"]
        acc.add_cancels(self._sums.data, row, *columns)
        if who is None:
            who = np.zeros(len(batch), np.uint64)
        out = np.empty((len(batch), len(pending.CANCEL_COLUMNS)), np.int64)
        self._pending_cancels.add(
            out[: pending.write_cancels(row, n["side"], n["price"], n["quantity"], who, out)]
        )
        if "order_id" in batch.texts:
            key = hash_text(batch.texts["order_id"])
            open_age = (n["placed_ts"] == ABSENT) & (key != 0) & (n["quantity"] != 0)
            if open_age.any():
                self._cancels_without_age.append((key[open_age], n["ts"][open_age], row[open_age]))

    def _add_fill(self, batch: Batch, row: Int64, *_: Any) -> None:
        n = batch.numbers
        columns = n["side"], n["price"], n["quantity"], n["liquidity"], n["cause"], n["fee"]
        acc.add_fills(self._sums.data, self._lows.data, row, *columns)
        if "order_id" in batch.texts:
            key = hash_text(batch.texts["order_id"])
            takes = (key != 0) & (n["liquidity"] != 0)
            if takes.any():
                hash_table.add_one(self._sums.data, row[takes], acc.SUMS.index("taker_fills"))
                self._pending_takers.add(np.stack((row[takes], key[takes].view(np.int64)), axis=1))

    def _add_leverage(
        self, batch: Batch, row: Int64, symbol: Int64, who: NDArray[np.uint64] | None
    ) -> None:
        n = batch.numbers
        acc.add_leverage(self._sums.data, row, n["leverage"], n["previous"])
        assert who is not None  # the contract asks for the account
        key = hash_table.mix_each(self._symbols.hashes[symbol], who) >> np.uint64(1)
        columns = row, n["ts"], batch.offset, key.view(np.int64), n["margin_mode"]
        self._pending_leverage_changes.add(np.stack(columns, axis=1))

    def _add_mark(self, batch: Batch, row: Int64, *_: Any) -> None:
        values = np.stack([batch.numbers[name] for name in acc.MARK_COLUMNS])
        ts = batch.numbers["ts"]
        acc.add_marks(self._sums.data, row, ts, batch.offset, values, self._mark.data)

    def _add_book(self, batch: Batch, row: Int64, *_: Any) -> None:
        bids, asks = batch.ladders["bids"], batch.ladders["asks"]
        ts = batch.numbers["ts"]
        sides = bids.offset, bids.price, bids.quantity, asks.offset, asks.price, asks.quantity
        data = self._sums.data, row, ts, batch.offset
        add_books(*data, *sides, self._cost_notional, self._book.data)

    def _window_and_symbol(self) -> tuple[Int64, Int64]:
        keys = self._slots.keys
        return keys >> _SYMBOL_BITS, keys & ((1 << _SYMBOL_BITS) - 1)

    def _prune(self) -> None:
        """Hold every window to its caps. What stays is decided by names alone: whatever would be
        dropped from a part of the records would be dropped from all of them.
        """
        window, symbol = self._window_and_symbol()
        if self._slots.n > self._limits.symbols:
            keep = mark_lowest(window, self._symbols.hashes[symbol], self._limits.symbols)
            self.evicted_symbols += int((~keep).sum())
            self._keep_slots(keep)
            window, symbol = self._window_and_symbol()
        if self._pairs.n <= self._limits.accounts:
            return
        slot = self._pairs.keys >> _ACCOUNT_BITS
        account = self._pairs.keys & ((1 << _ACCOUNT_BITS) - 1)
        rank = hash_table.mix_each(
            self._symbols.hashes[symbol[slot]], self._accounts.hashes[account]
        )
        keep = mark_lowest(window[slot], rank, self._limits.accounts)
        if not keep.all():
            self.evicted_accounts += int((~keep).sum())
            self._counts.keep(np.flatnonzero(keep), self._pairs.n)
            self._pairs.reset(self._pairs.keys[keep])

    def _keep_slots(self, keep: NDArray[np.bool_]) -> None:
        """Forget all slots but these."""
        remap = np.cumsum(keep) - 1
        rows = np.flatnonzero(keep)
        for grid in self._accumulators():
            grid.keep(rows, self._slots.n)
        slot = self._pairs.keys >> _ACCOUNT_BITS
        stays = keep[slot]
        account = self._pairs.keys & ((1 << _ACCOUNT_BITS) - 1)
        self._counts.keep(np.flatnonzero(stays), self._pairs.n)
        self._pairs.reset((remap[slot[stays]] << _ACCOUNT_BITS) | account[stays])
        self._slots.reset(self._slots.keys[keep])
        for waiting in self._pending_rows():
            waiting.keep(keep, remap)
        self._cancels_without_age = [
            (key[keep[row]], ts[keep[row]], remap[row[keep[row]]])
            for key, ts, row in self._cancels_without_age
        ]

    def _age_cancels(self, until_ns: int) -> None:
        """Give the cancels of the windows that close the age of their orders."""
        if self._cancels_without_age:
            key, ts, row = (
                np.concatenate(part) for part in zip(*self._cancels_without_age, strict=True)
            )
            now = ts < until_ns
            placed_key, placed_ts = self._placements()
            table = np.full(1 << int(2 * len(placed_key) + 2).bit_length(), -1, np.int64)
            cancels = key[now], ts[now], row[now]
            acc.join_ages(placed_key, placed_ts, *cancels, table, self._sums.data)
            self._cancels_without_age = [(key[~now], ts[~now], row[~now])] if not now.all() else []
        if self._order_placements:
            placed_key, placed_ts = self._placements()
            recent = placed_ts >= until_ns - _SECOND_NS
            self._order_placements = (
                [(placed_key[recent], placed_ts[recent])] if recent.any() else []
            )

    def _placements(self) -> tuple[NDArray[np.uint64], Int64]:
        if not self._order_placements:
            return np.empty(0, np.uint64), np.empty(0, np.int64)
        key, ts = (np.concatenate(part) for part in zip(*self._order_placements, strict=True))
        return key, ts

    def close(self, until: int) -> ClosedWindows:
        """Take out every window whose index lies below `until`."""
        self._age_cancels(until * self._window_ns)
        self._prune()
        window, symbol = self._window_and_symbol()
        closed = window < until
        rows = np.flatnonzero(closed)
        order = np.lexsort((name_rank(self._symbols, symbol[rows]), window[rows]))
        rows = rows[order]
        place = np.full(self._slots.n, -1, np.int64)
        place[rows] = np.arange(len(rows))
        slot = self._pairs.keys >> _ACCOUNT_BITS
        account = self._pairs.keys & ((1 << _ACCOUNT_BITS) - 1)
        entries = hash_table.group_by_row(place[slot], len(rows))
        sums, first, last, book, mark, lows = (grid.data[rows] for grid in self._accumulators())
        takers = self._pending_takers.take_closed(place)
        pending.count_distinct_orders(
            takers, pending.empty_hash_table(len(takers)), sums, acc.SUMS.index("takers")
        )
        changes = self._pending_leverage_changes.take_closed(place)
        self._margin_modes.count_switches(changes, sums, acc.SUMS.index("mode_switches"))
        pulled = self._pending_cancels.take_closed(place)
        pulled = pulled[hash_table.group_by_row(np.ascontiguousarray(pulled[:, 0]), len(rows))]
        account_row, counts = place[slot[entries]], self._counts.data[entries]
        spread = np.zeros((len(rows), len(ACCOUNT_COUNTS), 4), np.int64)
        fold = np.zeros(len(rows), np.uint64)
        hashes = self._accounts.hashes[account[entries]]
        hash_table.concentration(account_row, hashes, counts, spread, fold)
        facts = ClosedWindows(
            window[rows],
            symbol[rows],
            *(sums, first, last, book, mark, lows),
            np.zeros((len(rows), len(pending.NEAR_TOUCH_COLUMNS)), np.int64),
            pulled,
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
        unaged = [np.concatenate(part) for part in zip(*self._cancels_without_age, strict=True)]
        return {
            "slots": self._slots.keys.copy(),
            "grids": [grid.data[: self._slots.n] for grid in self._accumulators()],
            "pairs": self._pairs.keys.copy(),
            "counts": self._counts.data[: self._pairs.n],
            "held": [waiting.snapshot() for waiting in self._pending_rows()],
            "modes": self._margin_modes.snapshot(),
            "placed": list(self._placements()) if self._order_placements else [],
            "unaged": unaged,
            "evicted": [self.evicted_symbols, self.evicted_accounts],
        }

    def restore(self, state: dict[str, Any]) -> None:
        self._slots.reset(state["slots"])
        for grid, data in zip(self._accumulators(), state["grids"], strict=True):
            grid.data = data
        self._pairs.reset(state["pairs"])
        self._counts.data = state["counts"]
        for waiting, rows in zip(self._pending_rows(), state["held"], strict=True):
            waiting.restore(rows)
        self._margin_modes.restore(state["modes"])
        self._order_placements = [tuple(state["placed"])] if state["placed"] else []
        self._cancels_without_age = [tuple(state["unaged"])] if state["unaged"] else []
        self.evicted_symbols, self.evicted_accounts = state["evicted"]
