"""Every account's positions and money, rebuilt from the records.

Quantities and money are integer sums, so the same records give the same sums in any order. Leverage
and margin mode are those of the last write. The entry value depends on the order of entries, which
is that of event time, operation, partition and offset: the caller gives all entries before one
moment, sorted so, and then those before a later moment. For an entry that comes late, the newest
ones of its account are undone and applied again in order (`journal`). Equity is exactly profit by
price + funding − fees + transfers.

When a position becomes flat, what it earned and its isolated margin go to its account.

Beside the sums stand the few facts that no sum of records gives: rules that a position has of its
own, collateral that an account has outside, and markets without cross margin.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from detectors.arrays.state import Stateful
from detectors.arrays.types import Bool, Int64, UInt64
from monitor.core.accounts import ledger_kernels as kernels
from monitor.core.accounts.journal import EntryJournal
from monitor.core.accounts.ledger_kernels import account_of, pack_key, symbol_of
from monitor.core.decode.batch import COLUMNS
from monitor.core.decode.stepped_kernels import LIMB
from monitor.core.tables.hash_table import GrowableRows, KeyTable, mix_each
from monitor.core.tables.interner import Interner

TOUCHED_MAX = 1 << 20
"""Entries whose rows are remembered for `take_touched`; beyond, all rows count as touched."""
_RARE_FACTS = "own_rules", "collateral_outside", "isolated_only"
CAUSES = next(column.values for column in COLUMNS["fill"] if column.name == "cause")


class AccountLedger(Stateful):
    """All accounts of a venue.

    `accounts_max`, `positions_max`: limits of accounts, and of rows: one for each account and
    market, and a flat position keeps its row as long as its account stays. `idle_ns`: a flat
    account is dropped when it has no record for so long, ns.
    """

    STATE = ("names", "symbols", "fills_by_cause", "dropped", "late", "_journal")

    def __init__(self, accounts_max: int, positions_max: int, idle_ns: int) -> None:
        self._limits = accounts_max, positions_max
        self._idle_ns = idle_ns
        self.names, self.symbols = Interner(), Interner()
        self._table = KeyTable()
        self._rows = GrowableRows(len(kernels.POSITION_COLUMNS), 0)
        self._accounts = GrowableRows(len(kernels.ACCOUNT_COLUMNS), 0)
        self._own_rules, self._outside = GrowableRows(1, 0), GrowableRows(1, 0)
        self._isolated_only = GrowableRows(1, 0)
        self._touched: list[tuple[Int64, Int64]] | None = None
        self._touches = 0
        self.fills_by_cause: Int64 = np.zeros((len(CAUSES) + 1, 2), np.int64)
        """Count and notional of fills by cause; the last row: fills without one."""
        self.dropped = {"idle": 0, "accounts": 0, "positions": 0}
        """Accounts dropped because idle, and accounts and positions dropped over the limits."""
        self.late = {"in_order": 0, "unordered": 0}
        """Late entries that count as if they had come in time, and those older than the journal."""
        self._journal = EntryJournal()

    @property
    def position_rows(self) -> Int64:
        """(positions, `POSITION_COLUMNS`)"""
        return self._rows.data[: self._table.n]

    @property
    def account_rows(self) -> Int64:
        """(accounts, `ACCOUNT_COLUMNS`)"""
        self._accounts.grow(len(self.names))
        return self._accounts.data[: len(self.names)]

    @property
    def own_rules(self) -> Int64:
        """(positions, 1): the number of the rules that a position has of its own; 0: none."""
        return self._own_rules.data[: self._table.n]

    @property
    def collateral_outside(self) -> Int64:
        """(accounts, 1): what counts for an account beside the collateral on record, 1e-6; may be
        negative."""
        self._outside.grow(len(self.names))
        return self._outside.data[: len(self.names)]

    @property
    def isolated_only(self) -> Int64:
        """(symbols, 1): 1 where every position has a margin of its own, whatever its mode."""
        self._isolated_only.grow(len(self.symbols))
        return self._isolated_only.data[: len(self.symbols)]

    def set_own_rules(self, rows: Int64, number: int) -> None:
        self.own_rules[rows, 0] = number
        self._touch(rows, account_of(self.keys[rows]))

    def set_collateral_outside(self, account: int, units: int) -> None:
        self.collateral_outside[account, 0] = units
        self._touch(np.empty(0, np.int64), np.array([account]))

    def set_isolated_only(self, symbol: int, flag: bool) -> None:
        self.isolated_only[symbol, 0] = flag
        rows = np.flatnonzero(symbol_of(self.keys) == symbol)
        self._touch(rows, account_of(self.keys[rows]))

    def find_rows(self, accounts: Int64, symbols: Int64) -> Int64:
        """The position row of each account in each market; both are numbers."""
        rows = self._table.find_or_add(pack_key(accounts, symbols))
        self._grow()
        return rows

    @property
    def is_open(self) -> Bool:
        """Whether the position of each row is not flat."""
        limbs = self.position_rows[:, [kernels.ROW_QUANTITY, kernels.ROW_REST]]
        out: Bool = (limbs != 0).any(axis=1)
        return out

    def row_owners(self) -> tuple[Int64, Int64]:
        """The numbers of the account and of the market of every position row."""
        return account_of(self.keys), symbol_of(self.keys)

    def account_values(self, number: int) -> dict[str, int]:
        """The row of an account by the names of its columns."""
        return dict(zip(kernels.ACCOUNT_COLUMNS, self.account_rows[number].tolist(), strict=True))

    def position_values(self, row: int) -> dict[str, int]:
        """A position row by the names of its columns; its quantity in one number, 1e-8; isolated
        where its market has no other mode; and the number of its own rules."""
        values = dict(zip(kernels.POSITION_COLUMNS, self.position_rows[row].tolist(), strict=True))
        values["quantity"] = values["quantity"] * LIMB + values.pop("rest")
        values["own_rules"] = int(self.own_rules[row, 0])
        if self.isolated_only[symbol_of(self.keys[row]), 0]:
            values["mode"] = kernels.ISOLATED
        return values

    @property
    def keys(self) -> Int64:
        """The key (`pack_key`) of every position row."""
        return self._table.keys

    def take_touched(self) -> tuple[Int64, Int64] | None:
        """The rows and the accounts changed since the last call, with repetitions.

        None: all of them may have changed, or have new numbers.
        """
        touched, self._touched, self._touches = self._touched, [], 0
        if touched is None:
            return None
        none = np.empty(0, np.int64)
        rows, accounts = zip((none, none), *touched, strict=True)
        return np.concatenate(rows), np.concatenate(accounts)

    def rows_by_market(self, entries: Int64, numbers: Int64) -> dict[int, dict[int, int]]:
        """The rows of the accounts `numbers`: row by account and market.

        Rows that `entries` will need are added. Row numbers hold until the next `forget`.
        """
        self._rows_for_entries(entries)
        owner, symbol = self.row_owners()
        rows: dict[int, dict[int, int]] = {number: {} for number in numbers.tolist()}
        for row in np.flatnonzero(np.isin(owner, numbers)).tolist():
            rows[int(owner[row])][int(symbol[row])] = row
        return rows

    def _rows_for_entries(self, entries: Int64) -> Int64:
        account, symbol = entries[:, kernels.ACCOUNT], entries[:, kernels.SYMBOL]
        rows = np.full(len(entries), -1, np.int64)
        has_market = symbol >= 0
        rows[has_market] = self._table.find_or_add(pack_key(account, symbol)[has_market])
        self._grow()
        return rows

    def _grow(self) -> None:
        self._rows.grow(self._table.n)
        self._own_rules.grow(self._table.n)
        self._accounts.grow(len(self.names))

    def apply_entries(self, entries: Int64, as_read: Int64 | None = None) -> Int64:
        """Apply (n, `ENTRY_COLUMNS`), sorted by the first four columns. `as_read`: the same before
        they were converted (`coin_entries`), whose fills are counted; None: they are as read.

        Returns what each did to its position: (n, `EFFECT_COLUMNS`).
        """
        rows = self._rows_for_entries(entries)
        effects = np.zeros((len(entries), len(kernels.EFFECT_COLUMNS)), np.int64)
        fills = self.fills_by_cause
        if as_read is not None:
            kernels.count_fills(np.ascontiguousarray(as_read), fills)
            fills = np.zeros_like(fills)
        state = self._rows.data, self._accounts.data, fills
        journal = self._journal.extend(entries)
        kernels.apply_entries(
            np.ascontiguousarray(entries), rows, *state, effects, journal, self._own_rules.data
        )
        self._journal.trim()
        self._touch(rows[rows >= 0], entries[:, kernels.ACCOUNT].copy())
        return effects

    def _touch(self, rows: Int64, accounts: Int64) -> None:
        if self._touched is not None:
            self._touched.append((rows, accounts))
            self._touches += len(accounts)
            if self._touches > TOUCHED_MAX:
                self._touched = None

    def apply_late(self, late: Int64, as_read: Int64 | None = None) -> Int64:
        """Apply (n, `ENTRY_COLUMNS`) that belong before entries which are applied already;
        `as_read` as in `apply_entries`.

        Their accounts are put back to where the first of them belongs, and all entries from there
        on are applied in their order. What is older than the journal is applied as if it came at
        the journal's beginning: sums and last writes are exact, only the entry value depends on
        arrival. Returns the position row of each, −1: none.
        """
        unordered = late[:, kernels.TS] < self._journal.since
        self.late["unordered"] += int(unordered.sum())
        self.late["in_order"] += int((~unordered).sum())
        first = 0 if unordered.any() else self._journal.position_of(late[:, kernels.TS].min())
        tail = self._journal.rows[first:]
        again = np.isin(tail[:, kernels.ACCOUNT], late[:, kernels.ACCOUNT])
        self._put_back(tail[again])
        journal = np.zeros((int(again.sum()) + len(late), tail.shape[1]), np.int64)
        width = late.shape[1]
        journal[:, :width] = np.concatenate((tail[again, :width], late))
        journal = journal[np.lexsort(journal[:, : kernels.ORDER_COLUMNS].T[::-1])]
        entries = np.ascontiguousarray(journal[:, :width])
        rows = self._rows_for_entries(entries)
        effects = np.zeros((len(entries), len(kernels.EFFECT_COLUMNS)), np.int64)
        state = self._rows.data, self._accounts.data, np.zeros_like(self.fills_by_cause)
        # Rules of their own are no part of the journal: they end with what is flat at last.
        own_rules = np.zeros_like(self._own_rules.data)
        kernels.apply_entries(entries, rows, *state, effects, journal, own_rules)
        is_flat = ~(self._rows.data[rows][:, [kernels.ROW_QUANTITY, kernels.ROW_REST]] != 0).any(1)
        self._own_rules.data[rows[(rows >= 0) & is_flat]] = 0
        counted = late if as_read is None else as_read
        kernels.count_fills(np.ascontiguousarray(counted), self.fills_by_cause)
        journal = journal[journal[:, kernels.TS] >= self._journal.since]
        self._journal.replace(first, np.concatenate((tail[~again], journal)))
        self._journal.trim()
        self._touch(rows[rows >= 0], entries[:, kernels.ACCOUNT].copy())
        return self._rows_for_entries(late)

    def _put_back(self, journal: Int64) -> None:
        """Give positions and accounts the rows that they had before the first of these entries."""
        account, symbol = journal[:, kernels.ACCOUNT], journal[:, kernels.SYMBOL]
        in_market = np.flatnonzero(symbol >= 0)
        keys, first = np.unique(pack_key(account, symbol)[in_market], return_index=True)
        before = journal[:, kernels.BEFORE_POSITION : kernels.BEFORE_ACCOUNT]
        self._rows.data[self._table.find_or_add(keys)] = before[in_market[first]]
        numbers, first = np.unique(account, return_index=True)
        self._accounts.data[numbers] = journal[first, kernels.BEFORE_ACCOUNT :]

    @property
    def is_over_limits(self) -> bool:
        """Whether `forget` has something to drop beside idle accounts."""
        accounts_max, positions_max = self._limits
        if self._table.n > positions_max:
            return True
        # Names that only later entries have do not count, or the order of arrival would show.
        times = self.account_rows[:, kernels.ACCOUNT_TS]
        return len(self.names) > accounts_max and bool(np.count_nonzero(times) > accounts_max)

    def forget(self, now_ns: int) -> None:
        """Drop idle flat accounts; then, over the limits, accounts with the highest hash first and
        positions, flat ones first. Accounts get new numbers.
        """
        accounts_max, positions_max = self._limits
        accounts, times = self.account_rows, self.account_rows[:, kernels.ACCOUNT_TS]
        has_records, is_old = times != 0, times < now_ns - self._idle_ns
        idle = has_records & (accounts[:, kernels.ACCOUNT_OPEN] == 0) & is_old
        self.dropped["idle"] += int(idle.sum())
        stay = ~idle
        numbers = np.flatnonzero(stay & has_records)
        by_hash = numbers[np.argsort(self.names.hashes[numbers], kind="stable")]
        stay[by_hash[accounts_max:]] = False
        self.dropped["accounts"] += max(len(numbers) - accounts_max, 0)
        owner, symbol = self.row_owners()
        kept = stay[owner]
        if int(kept.sum()) > positions_max:
            kept &= self.is_open | (self.position_rows[:, kernels.ROW_ISOLATED] != 0)
            rank = mix_each(self.names.hashes[owner], self.symbols.hashes[symbol])
            order = np.flatnonzero(kept)[np.argsort(rank[kept], kind="stable")]
            kept[order[positions_max:]] = False
            self.dropped["positions"] += int((stay[owner] & ~kept).sum())
        open_owners = owner[stay[owner] & ~kept & self.is_open]
        whole = stay.copy()
        whole[owner[~kept]] = False
        data, accounts = self.position_rows[kept], accounts[stay]
        own_rules, outside = self.own_rules[kept], self.collateral_outside[stay]
        remap = self.names.keep(stay)
        np.add.at(accounts[:, kernels.ACCOUNT_OPEN], remap[open_owners], -1)
        # An account that has lost a position cannot be put back to when it had it.
        self._journal.rename(remap, whole)
        self._set_rows(pack_key(remap[owner[kept]], symbol[kept]), data, accounts)
        self._own_rules.data, self._outside.data = own_rules, outside

    def _set_rows(self, keys: Int64, rows: Int64, accounts: Int64) -> None:
        self._table.reset(keys)
        self._rows.data, self._accounts.data = rows, accounts
        self._touched = None

    def digest(self) -> bytes:
        """A digest of the state; equal sets of records give equal digests."""
        owner, symbol = self.row_owners()
        pairs = mix_each(self.names.hashes[owner], self.symbols.hashes[symbol])
        sums = []
        for names, data in ((pairs, self.position_rows), (self.names.hashes, self.account_rows)):
            # A name that only records not yet applied have is no state.
            applied = data.any(axis=1)
            out = np.empty(int(applied.sum()), np.uint64)
            kernels.hash_rows(names[applied], np.ascontiguousarray(data[applied]), out)
            sums.append(out.sum(dtype=np.uint64).tobytes())
        for names, data in self._rare_facts(pairs):
            out = np.empty(len(data), np.uint64)
            kernels.hash_rows(names, data, out)
            sums.append(out.sum(dtype=np.uint64).tobytes() if len(data) else b"")
        return b"".join(sums) + self.fills_by_cause.tobytes() + repr(self.dropped).encode()

    def _rare_facts(self, pairs: UInt64) -> Iterator[tuple[UInt64, Int64]]:
        """Of each kind those that there are: the hash of what they belong to, and the fact.

        `pairs`: the hash of each position row's account and market.
        """
        hashes = pairs, self.names.hashes, self.symbols.hashes
        columns = self.own_rules, self.collateral_outside, self.isolated_only
        for names, column in zip(hashes, columns, strict=True):
            there = np.flatnonzero(column)
            yield names[there], np.ascontiguousarray(column[there])

    def snapshot(self) -> dict[str, Any]:
        rows, accounts = self.position_rows.copy(), self.account_rows.copy()
        facts = {}
        for name in _RARE_FACTS:
            column = getattr(self, name)
            at = np.flatnonzero(column)
            facts[name] = np.column_stack((at, column[at, 0]))
        return super().snapshot() | {
            "keys": self.keys.copy(), "rows": rows, "accounts": accounts, **facts
        }  # fmt: skip

    def restore(self, state: dict[str, Any]) -> None:
        super().restore(state)
        self._set_rows(state["keys"], state["rows"], state["accounts"])
        self._own_rules.grow(self._table.n)
        for name in _RARE_FACTS:
            at, values = state[name].T
            column = getattr(self, name)
            column[:] = 0
            column[at, 0] = values
