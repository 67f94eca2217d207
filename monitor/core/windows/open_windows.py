"""Open windows: integer accumulators by (window, symbol), and by (window, symbol, account).

A slot is the row of one window and symbol in every accumulator.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from detectors.arrays.hash_table import empty_table
from detectors.arrays.state import Stateful
from detectors.arrays.types import Bool, Int64, UInt64
from monitor.core.contract.fixed_point import MONEY_SCALE
from monitor.core.contract.units import SECOND_NS
from monitor.core.decode.batch import ABSENT, Batch
from monitor.core.event_time.clock_state import NEVER
from monitor.core.settings import Limits
from monitor.core.tables.hash_table import GrowableRows, KeyTable, mix_each
from monitor.core.tables.interner import Interner, hash_text
from monitor.core.windows import accumulators as acc
from monitor.core.windows import columns, pending
from monitor.core.windows.accumulators import SUM
from monitor.core.windows.book_depth import add_books
from monitor.core.windows.cancel_ages import add_ages
from monitor.core.windows.closed_windows import ClosedWindows, mark_lowest, name_rank
from monitor.core.windows.columns import KINDS
from monitor.core.windows.margin_modes import MarginModes
from monitor.core.windows.pending import PendingRows
from monitor.core.windows.sequence_gaps import add_sequence_numbers

_SYMBOL_BITS = 24
_ACCOUNT_BITS = 32
_NO_OFFSET = 2**62
_COUNTED_BY_ACCOUNT = KINDS[: len(columns.ACCOUNT_COUNTS)]


class _Accumulators(NamedTuple):
    """What is kept of each slot."""

    sums: GrowableRows
    first: GrowableRows
    last: GrowableRows
    book: GrowableRows
    mark: GrowableRows
    minima: GrowableRows
    ladder: GrowableRows


class _Pending(NamedTuple):
    """What waits for each slot to close."""

    cancels: PendingRows
    leverage_changes: PendingRows
    takers: PendingRows
    unaged_cancels: PendingRows


class _Added(NamedTuple):
    """A batch to add, with the slot, the symbol and the account (−1: none) of each record."""

    batch: Batch
    row: Int64
    symbol: Int64
    account: Int64 | None


class OpenWindows(Stateful):
    """What is known of the windows that are not closed yet.

    `cost_notional`: the notional for which a book's cost to trade is measured, quote currency.
    """

    STATE = (
        "_slots", "_by_slot", "_pairs", "_counts", "_pending", "_placements", "_margin_modes",
        "evicted_symbols", "evicted_accounts",
    )  # fmt: skip

    def __init__(
        self, window_ns: int, limits: Limits, cost_notional: float, symbols: Interner,
        accounts: Interner,
    ) -> None:  # fmt: skip
        self._window_ns, self._limits = window_ns, limits
        self._symbols, self._accounts = symbols, accounts
        self._cost_notional = int(cost_notional * MONEY_SCALE)
        self.evicted_symbols = self.evicted_accounts = 0
        self._slots = KeyTable()
        self._by_slot = _Accumulators(
            sums=GrowableRows(len(columns.SUMS), 0),
            first=GrowableRows(len(KINDS), _NO_OFFSET),
            last=GrowableRows(len(KINDS), -1),
            book=GrowableRows(len(columns.BOOK_COLUMNS), NEVER),
            mark=GrowableRows(columns.MARK_WIDTH * len(columns.MARK_COLUMNS), NEVER),
            minima=GrowableRows(len(columns.MINIMA), columns.NO_MINIMUM),
            ladder=GrowableRows(columns.LADDER_WIDTH, 0),
        )
        self._pending = _Pending(
            cancels=PendingRows(columns.CANCEL_COLUMNS),
            leverage_changes=PendingRows(columns.LEVERAGE_CHANGE_COLUMNS),
            takers=PendingRows(columns.TAKER_COLUMNS),
            unaged_cancels=PendingRows(columns.UNAGED_CANCEL_COLUMNS),
        )
        self._placements = PendingRows(columns.PLACEMENT_COLUMNS)
        self._margin_modes = MarginModes(limits.names)
        self._pairs = KeyTable()
        self._counts = GrowableRows(len(columns.ACCOUNT_COUNTS), 0)
        self._add_kind = {
            "order": self._add_orders, "cancel": self._add_cancels, "fill": self._add_fills,
            "leverage": self._add_leverage, "book": self._add_books, "mark": self._add_marks,
        }  # fmt: skip

    def first_window(self) -> int | None:
        """The earliest window in which anything happened."""
        return int(self._slots.keys.min() >> _SYMBOL_BITS) if self._slots.n else None

    def _slot_rows(self, ts: Int64, symbol: Int64) -> Int64:
        """The slots of these times and symbols."""
        row = self._slots.find_or_add((ts // self._window_ns << _SYMBOL_BITS) | symbol)
        for grid in self._by_slot:
            grid.grow(self._slots.n)
        return row

    def _add_record_numbers(self, batch: Batch, row: Int64) -> None:
        """Note offsets and the venue's own numbers; of late records too, which are not missing."""
        kind = KINDS.index(batch.kind)
        slots = self._by_slot
        acc.add_offsets(slots.first.data, slots.last.data, kind, row, batch.offset)
        sums, minima = slots.sums.data, slots.minima.data
        add_sequence_numbers(kind, sums, minima, row, batch.numbers["seq"])

    def add_late(self, batch: Batch, symbol: Int64, watermark_ns: Int64) -> None:
        """Count late records in the window that was current when they arrived: that of the
        watermark which each met in its topic partition, ns.
        """
        row = self._slot_rows(watermark_ns, symbol)
        self._add_record_numbers(batch, row)
        acc.add_one(self._by_slot.sums.data, row, SUM.late)

    def add(self, batch: Batch, symbol: Int64, account: Int64 | None, behind: Int64) -> None:
        """Add admitted records, with their interned symbols and accounts (−1: none), and how far
        each ran behind in its topic partition, ns.
        """
        if not len(batch):
            return
        row = self._slot_rows(batch.numbers["ts"], symbol)
        self._add_record_numbers(batch, row)
        acc.add_behind(self._by_slot.minima.data, row, behind)
        self._add_kind[batch.kind](_Added(batch, row, symbol, account))
        if account is not None and batch.kind in _COUNTED_BY_ACCOUNT:
            counts = account >= 0
            if batch.kind == "cancel":
                counts &= batch.numbers["quantity"] != 0
            if not counts.all():
                row, account = row[counts], account[counts]
            pair = self._pairs.find_or_add((row << _ACCOUNT_BITS) | account)
            self._counts.grow(self._pairs.n)
            acc.add_one(self._counts.data, pair, KINDS.index(batch.kind))
        if self._slots.n > 2 * self._limits.symbols or self._pairs.n > 2 * self._limits.accounts:
            self._prune()

    def _account_hashes(self, added: _Added) -> UInt64:
        """Of each record the hash of its account: 0 where there is none, and nowhere else."""
        account = added.account
        if account is None or not (named := account >= 0).any():
            return np.zeros(len(added.row), np.uint64)
        hashes: UInt64 = np.maximum(self._accounts.hashes[account], 1)
        hashes[~named] = 0
        return hashes

    def _add_orders(self, added: _Added) -> None:
        n, texts = added.batch.numbers, added.batch.texts
        values = n["side"], n["price"], n["quantity"], n["action"]
        acc.add_orders(self._by_slot.sums.data, added.row, *values)
        if "order_id" in texts:
            order = hash_text(texts["order_id"])
            # An order that changes in place keeps its age.
            fresh = (n["action"] == 0) | (order != hash_text(texts["replaces"]))
            fresh &= order != 0
            self._placements.add(_stack(fresh, n["ts"], order))

    def _add_cancels(self, added: _Added) -> None:
        n, row = added.batch.numbers, added.row
        values = n["ts"], n["side"], n["price"], n["quantity"], n["placed_ts"]
        out = np.empty((len(row), len(columns.CANCEL_COLUMNS)), np.int64)
        sums, accounts = self._by_slot.sums.data, self._account_hashes(added)
        count = acc.add_cancels(sums, row, *values, accounts, out)
        self._pending.cancels.add(out[:count])
        if "order_id" in added.batch.texts:
            order = hash_text(added.batch.texts["order_id"])
            unaged = (n["placed_ts"] == ABSENT) & (order != 0) & (n["quantity"] != 0)
            self._pending.unaged_cancels.add(_stack(unaged, row, n["ts"], order))

    def _add_fills(self, added: _Added) -> None:
        n, row = added.batch.numbers, added.row
        values = n["side"], n["price"], n["quantity"], n["liquidity"], n["cause"], n["fee"]
        acc.add_fills(self._by_slot.sums.data, self._by_slot.minima.data, row, *values)
        if "order_id" in added.batch.texts:
            order = hash_text(added.batch.texts["order_id"])
            takes = (order != 0) & (n["liquidity"] != 0)
            acc.add_one(self._by_slot.sums.data, row[takes], SUM.taker_fills)
            self._pending.takers.add(_stack(takes, row, order))

    def _add_leverage(self, added: _Added) -> None:
        n, row = added.batch.numbers, added.row
        acc.add_leverage(self._by_slot.sums.data, row, n["leverage"], n["previous"])
        names = self._symbols.hashes[added.symbol], self._account_hashes(added)
        key = mix_each(*names) >> np.uint64(1)
        values = row, n["ts"], added.batch.offset, key, n["margin_mode"]
        self._pending.leverage_changes.add(_stack(np.ones(len(row), np.bool_), *values))

    def _add_marks(self, added: _Added) -> None:
        values = np.stack([added.batch.numbers[name] for name in columns.MARK_COLUMNS])
        when = added.batch.numbers["ts"], added.batch.offset
        acc.add_marks(self._by_slot.sums.data, added.row, *when, values, self._by_slot.mark.data)

    def _add_books(self, added: _Added) -> None:
        when = added.batch.numbers["ts"], added.batch.offset
        bids, asks = (added.batch.ladders[name].read_only() for name in ("bids", "asks"))
        slots, size = self._by_slot, self._cost_notional
        books, ladders = slots.book.data, slots.ladder.data
        add_books(slots.sums.data, added.row, *when, bids, asks, size, books, ladders)

    def _window_and_symbol(self) -> tuple[Int64, Int64]:
        """Of each slot."""
        keys = self._slots.keys
        return keys >> _SYMBOL_BITS, keys & ((1 << _SYMBOL_BITS) - 1)

    def _slot_and_account(self) -> tuple[Int64, Int64]:
        """Of each pair."""
        keys = self._pairs.keys
        return keys >> _ACCOUNT_BITS, keys & ((1 << _ACCOUNT_BITS) - 1)

    def _prune(self) -> None:
        """Limit the symbols and the accounts of every window.

        Names alone decide what stays: whatever would be dropped from a part of the records would be
        dropped from all of them.
        """
        window, symbol = self._window_and_symbol()
        if self._slots.n > self._limits.symbols:
            keep = mark_lowest(window, self._symbols.hashes[symbol], self._limits.symbols)
            self.evicted_symbols += int((~keep).sum())
            for waiting in self._pending:
                waiting.take_closed(np.full(len(keep), -1), _new_numbers(keep))
            self._keep_slots(keep)
            window, symbol = self._window_and_symbol()
        if self._pairs.n <= self._limits.accounts:
            return
        slot, account = self._slot_and_account()
        rank = mix_each(self._symbols.hashes[symbol[slot]], self._accounts.hashes[account])
        keep = mark_lowest(window[slot], rank, self._limits.accounts)
        if not keep.all():
            self.evicted_accounts += int((~keep).sum())
            self._counts.keep(np.flatnonzero(keep), self._pairs.n)
            self._pairs.reset(self._pairs.keys[keep])

    def _keep_slots(self, keep: Bool) -> None:
        """Forget all slots but these; what waits for them is not looked at."""
        remap = _new_numbers(keep)
        rows = np.flatnonzero(keep)
        for grid in self._by_slot:
            grid.keep(rows, self._slots.n)
        slot, account = self._slot_and_account()
        stays = keep[slot]
        self._counts.keep(np.flatnonzero(stays), self._pairs.n)
        self._pairs.reset((remap[slot[stays]] << _ACCOUNT_BITS) | account[stays])
        self._slots.reset(self._slots.keys[keep])

    def close(self, until: int) -> ClosedWindows:
        """Take out every window whose index lies below `until`."""
        self._prune()
        window, symbol = self._window_and_symbol()
        closed = window < until
        rows = np.flatnonzero(closed)
        order = np.lexsort((name_rank(self._symbols, symbol[rows]), window[rows]))
        rows = rows[order]
        place = np.full(self._slots.n, -1, np.int64)
        place[rows] = np.arange(len(rows))
        slot, account = self._slot_and_account()
        entries = acc.group_by_row(place[slot], len(rows))
        sums, *others = (grid.data[rows] for grid in self._by_slot)
        cancels, changes, takers, unaged = (
            waiting.take_closed(place, _new_numbers(~closed)) for waiting in self._pending
        )
        placements = self._placements.rows
        if len(unaged):
            add_ages(placements, unaged, empty_table(len(placements), np.int32), sums)
        # Those that are too old for the windows to come.
        self._placements.keep(placements[:, 0] >= until * self._window_ns - SECOND_NS)
        pending.count_distinct_orders(takers, empty_table(len(takers)), sums, SUM.takers)
        self._margin_modes.count_switches(changes, sums, SUM.mode_switches)
        account_row, counts = place[slot[entries]], self._counts.data[entries]
        shape = len(rows), len(columns.ACCOUNT_COUNTS), len(columns.CONCENTRATION_COLUMNS)
        concentration = np.zeros(shape, np.int64)
        accounts_hash = np.zeros(len(rows), np.uint64)
        hashes = self._accounts.hashes[account[entries]]
        acc.add_concentration(account_row, hashes, counts, concentration, accounts_hash)
        out = ClosedWindows(
            window[rows], symbol[rows], sums, *others,
            near_touch=np.zeros((len(rows), len(columns.NEAR_TOUCH_COLUMNS)), np.int64),
            cancels=cancels, account_row=account_row, account=account[entries],
            counts=counts, concentration=concentration, accounts_hash=accounts_hash,
        )  # fmt: skip
        self._keep_slots(~closed)
        return out

    def accounts_in_use(self) -> Int64:
        """The accounts that any open window names."""
        return self._slot_and_account()[1]

    def rename_accounts(self, remap: Int64) -> None:
        """Follow a new numbering of accounts."""
        slot, account = self._slot_and_account()
        self._pairs.reset((slot << _ACCOUNT_BITS) | remap[account])


def _new_numbers(keep: Bool) -> Int64:
    """Of each row its number among those that stay; −1: it goes."""
    return np.where(keep, np.cumsum(keep) - 1, -1)


def _stack(mask: Bool, *values: Any) -> Int64:
    """The values as columns, in the rows of the mask; hashes by the same bits."""
    rows = slice(None) if mask.all() else np.flatnonzero(mask)
    out = np.empty((int(np.count_nonzero(mask)), len(values)), np.int64)
    for column, value in zip(out.T, values, strict=True):
        column[:] = value[rows].view(np.int64)
    return out
