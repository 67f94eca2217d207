"""Open windows: integer accumulators by (window, symbol), and by (window, symbol, account)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.core import accumulate as acc
from monitor.core import held, numbering, tables
from monitor.core.batch import ABSENT, Batch, Int64
from monitor.core.bookkernels import add_books
from monitor.core.facts import ACCOUNT_COUNTS, Facts, lowest, name_rank
from monitor.core.held import Held
from monitor.core.intern import Interner, hash_text
from monitor.core.modes import Modes
from monitor.core.settings import Limits
from monitor.core.tables import Grid, Table
from monitor.core.watermark import NEVER

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
        self._slots = Table()
        self._sums = Grid(len(acc.SUMS), 0)
        self._first = Grid(len(acc.KINDS), _NO_OFFSET)
        self._last = Grid(len(acc.KINDS), -1)
        self._book = Grid(len(acc.BOOK), NEVER)
        self._mark = Grid(3 * len(acc.MARK), NEVER)
        self._lows = Grid(len(acc.LOWS), acc.NO_LOW)
        self._pulled = Held(len(held.PULLED))
        self._changes = Held(len(held.CHANGE))
        self._takers = Held(len(held.TAKER))
        self._modes = Modes(limits.names)
        self._pairs = Table()
        self._counts = Grid(len(ACCOUNT_COUNTS), 0)
        # Placements and cancels that wait for each other: (key, ts) and (key, ts, slot).
        self._placed: list[tuple[NDArray[np.uint64], Int64]] = []
        self._unaged: list[tuple[NDArray[np.uint64], Int64, Int64]] = []

    def _grids(self) -> tuple[Grid, ...]:
        return self._sums, self._first, self._last, self._book, self._mark, self._lows

    def _held(self) -> tuple[Held, ...]:
        return self._pulled, self._changes, self._takers

    def first_window(self) -> int | None:
        """The earliest window in which anything is held."""
        return int(self._slots.keys.min() >> _SYMBOL_BITS) if self._slots.n else None

    def _rows(self, ts: Int64, symbol: Int64) -> Int64:
        """The slots of these times and symbols."""
        row = self._slots.rows((ts // self._window_ns << _SYMBOL_BITS) | symbol)
        for grid in self._grids():
            grid.grow(self._slots.n)
        return row

    def add_late(self, batch: Batch, symbol: Int64, came: Int64) -> None:
        """Count records that are too late, in the windows of the times `came` (ns) that their topic
        partition had come to.
        """
        row = self._rows(came, symbol)
        kind = acc.KINDS.index(batch.kind)
        acc.span(self._first.data, self._last.data, kind, row, batch.offset)
        tables.add_one(self._sums.data, row, acc.SUMS.index("late"))
        self._number(batch, kind, row)

    def add(self, batch: Batch, symbol: Int64, account: Int64 | None, behind: Int64) -> None:
        """Add admitted records (with their interned symbols and accounts, and how far each ran
        behind in its topic partition, ns).
        """
        if not len(batch):
            return
        row = self._rows(batch.numbers["ts"], symbol)
        kind = acc.KINDS.index(batch.kind)
        acc.span(self._first.data, self._last.data, kind, row, batch.offset)
        acc.add_behind(self._lows.data, row, behind)
        self._number(batch, kind, row)
        who = None if account is None else self._hashes(account)
        getattr(self, f"_add_{batch.kind}")(batch, row, symbol, who)
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

    def _number(self, batch: Batch, kind: int, row: Int64) -> None:
        """A record that is late is not missing."""
        numbering.add(kind, self._sums.data, self._lows.data, row, batch.numbers["seq"])

    def _hashes(self, account: Int64) -> NDArray[np.uint64]:
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
                self._placed.append((key[fresh], n["ts"][fresh]))

    def _add_cancel(
        self, batch: Batch, row: Int64, _: Int64, who: NDArray[np.uint64] | None
    ) -> None:
        n = batch.numbers
        columns = n["ts"], n["side"], n["price"], n["quantity"], n["placed_ts"]
        acc.add_cancels(self._sums.data, row, *columns)
        if who is None:
            who = np.zeros(len(batch), np.uint64)
        out = np.empty((len(batch), len(held.PULLED)), np.int64)
        self._pulled.add(out[: held.pull(row, n["side"], n["price"], n["quantity"], who, out)])
        if "order_id" in batch.texts:
            key = hash_text(batch.texts["order_id"])
            open_age = (n["placed_ts"] == ABSENT) & (key != 0) & (n["quantity"] != 0)
            if open_age.any():
                self._unaged.append((key[open_age], n["ts"][open_age], row[open_age]))

    def _add_fill(self, batch: Batch, row: Int64, *_: Any) -> None:
        n = batch.numbers
        columns = n["side"], n["price"], n["quantity"], n["liquidity"], n["cause"], n["fee"]
        acc.add_fills(self._sums.data, self._lows.data, row, *columns)
        if "order_id" in batch.texts:
            key = hash_text(batch.texts["order_id"])
            takes = (key != 0) & (n["liquidity"] != 0)
            if takes.any():
                tables.add_one(self._sums.data, row[takes], acc.SUMS.index("taker_fills"))
                self._takers.add(np.stack((row[takes], key[takes].view(np.int64)), axis=1))

    def _add_leverage(
        self, batch: Batch, row: Int64, symbol: Int64, who: NDArray[np.uint64] | None
    ) -> None:
        n = batch.numbers
        acc.add_leverage(self._sums.data, row, n["leverage"], n["previous"])
        assert who is not None  # the contract asks for the account
        key = tables.mix_each(self._symbols.hashes[symbol], who) >> np.uint64(1)
        columns = row, n["ts"], batch.offset, key.view(np.int64), n["margin_mode"]
        self._changes.add(np.stack(columns, axis=1))

    def _add_mark(self, batch: Batch, row: Int64, *_: Any) -> None:
        values = np.stack([batch.numbers[name] for name in acc.MARK])
        ts = batch.numbers["ts"]
        acc.add_marks(self._sums.data, row, ts, batch.offset, values, self._mark.data)

    def _add_book(self, batch: Batch, row: Int64, *_: Any) -> None:
        bids, asks = batch.ladders["bids"], batch.ladders["asks"]
        ts = batch.numbers["ts"]
        sides = bids.offset, bids.price, bids.quantity, asks.offset, asks.price, asks.quantity
        data = self._sums.data, row, ts, batch.offset
        add_books(*data, *sides, self._cost_notional, self._book.data)

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
        for waiting in self._held():
            waiting.keep(keep, remap)
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
        sums, first, last, book, mark, lows = (grid.data[rows] for grid in self._grids())
        takers = self._takers.close(place)
        held.distinct(takers, held.room(len(takers)), sums, acc.SUMS.index("takers"))
        changes = self._changes.close(place)
        self._modes.switches(changes, sums, acc.SUMS.index("mode_switches"))
        pulled = self._pulled.close(place)
        pulled = pulled[tables.grouped(np.ascontiguousarray(pulled[:, 0]), len(rows))]
        account_row, counts = place[slot[entries]], self._counts.data[entries]
        spread = np.zeros((len(rows), len(ACCOUNT_COUNTS), 4), np.int64)
        fold = np.zeros(len(rows), np.uint64)
        hashes = self._accounts.hashes[account[entries]]
        tables.concentration(account_row, hashes, counts, spread, fold)
        facts = Facts(
            window[rows],
            symbol[rows],
            *(sums, first, last, book, mark, lows),
            np.zeros((len(rows), len(held.NEAR)), np.int64),
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
        unaged = [np.concatenate(part) for part in zip(*self._unaged, strict=True)]
        return {
            "slots": self._slots.keys.copy(),
            "grids": [grid.data[: self._slots.n] for grid in self._grids()],
            "pairs": self._pairs.keys.copy(),
            "counts": self._counts.data[: self._pairs.n],
            "held": [waiting.snapshot() for waiting in self._held()],
            "modes": self._modes.snapshot(),
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
        for waiting, rows in zip(self._held(), state["held"], strict=True):
            waiting.restore(rows)
        self._modes.restore(state["modes"])
        self._placed = [tuple(state["placed"])] if state["placed"] else []
        self._unaged = [tuple(state["unaged"])] if state["unaged"] else []
        self.evicted_symbols, self.evicted_accounts = state["evicted"]
