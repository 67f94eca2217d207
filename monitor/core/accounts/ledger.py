"""Every account's positions and money, rebuilt from the records.

Quantities and money are integer sums: the same for the same records in any order. Leverage and mode
are the last write, and the entry value follows the order of event time, kind, partition and offset,
which is the order in which entries must be given: all before one moment, then all before a later
one. Equity splits exactly: price + funding − fees + transfers.

What stays of a position once it is flat belongs to the account, and so does the margin that was put
aside for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.core.accounts import ledger_kernels as kernels
from monitor.core.accounts.ledger_kernels import (
    ACCOUNT_COLUMNS,
    EFFECT_COLUMNS,
    ENTRY_COLUMNS,
    POSITION_COLUMNS,
)
from monitor.core.bands.kernel_pools import SYMBOL_BITS
from monitor.core.decode.batch import COLUMNS, Int64
from monitor.core.tables.hash_table import GrowableRows, KeyTable, mix_each
from monitor.core.tables.interner import Interner

TOUCHED_MAX = 1 << 20
"""Entries whose rows are remembered until somebody asks; beyond, everything counts as touched."""
CAUSES = next(column.values for column in COLUMNS["fill"] if column.name == "cause")
_E10 = 10**10
"""price × quantity (1e-16) to money (1e-6)."""
_AT_ACCOUNT, _AT_SYMBOL = ENTRY_COLUMNS.index("account"), ENTRY_COLUMNS.index("symbol")
_QUANTITY = POSITION_COLUMNS.index("quantity")
_OPEN, _LAST_TS = ACCOUNT_COLUMNS.index("open"), ACCOUNT_COLUMNS.index("ts")


@dataclass(frozen=True, slots=True)
class EquitySplit:
    """Where an account's equity came from, 1e-6 of the quote currency."""

    price: int
    """Made by price moves, open positions at the marks given."""
    funding: int
    fees: int
    """Paid; negative where rebates were more."""
    transfers: int

    @property
    def equity(self) -> int:
        return self.price + self.funding - self.fees + self.transfers


class AccountLedger:
    """All accounts of a venue.

    Parameters
    ----------
    accounts_max, positions_max
        Most accounts, and most rows (an account in a market, flat ones with a leverage too).
    idle_ns
        A flat account leaves when nothing was heard of it for so long, ns.
    """

    def __init__(self, accounts_max: int, positions_max: int, idle_ns: int) -> None:
        self._limits = accounts_max, positions_max
        self._idle_ns = idle_ns
        self.names, self.symbols = Interner(), Interner()
        self._table = KeyTable()
        self._rows = GrowableRows(len(POSITION_COLUMNS), 0)
        self._accounts = GrowableRows(len(ACCOUNT_COLUMNS), 0)
        self._touched: list[tuple[Int64, Int64]] | None = None
        self._touches = 0
        self.fills_by_cause: Int64 = np.zeros((len(CAUSES) + 1, 2), np.int64)
        """Fills and their notional by cause; the last row: none told."""
        self.dropped = {"idle": 0, "accounts": 0, "positions": 0}
        """How many accounts left as idle, and what the limits have dropped."""

    @property
    def position_rows(self) -> Int64:
        """(positions, `ROW`)"""
        return self._rows.data[: self._table.n]

    @property
    def account_rows(self) -> Int64:
        """(accounts, `ACCOUNT_COLUMNS`)"""
        self._accounts.grow(len(self.names))
        return self._accounts.data[: len(self.names)]

    def row_owners(self) -> tuple[Int64, Int64]:
        """The account and the symbol of every row."""
        keys = self._table.keys
        return keys >> SYMBOL_BITS, keys & ((1 << SYMBOL_BITS) - 1)

    @property
    def keys(self) -> Int64:
        """What stands for the account and the symbol of every row."""
        return self._table.keys

    def take_touched(self) -> tuple[Int64, Int64] | None:
        """The rows and the accounts that changed since this was last asked, some perhaps twice.

        None: all of them may have changed, or were numbered anew.
        """
        held, self._touched, self._touches = self._touched, [], 0
        if held is None:
            return None
        none = np.empty(0, np.int64)
        return (
            np.concatenate([none, *(rows for rows, _ in held)]),
            np.concatenate([none, *(accounts for _, accounts in held)]),
        )

    def rows_by_market(self, entries: Int64, numbers: Int64) -> dict[int, dict[int, int]]:
        """Where the rows of some accounts are, by account and market: one walk over all rows.

        Good until anything is forgotten; rows that `entries` will need are made.
        """
        self._rows_for_entries(entries)
        owner, symbol = self.row_owners()
        made: dict[int, dict[int, int]] = {number: {} for number in numbers.tolist()}
        for row in np.flatnonzero(np.isin(owner, numbers)).tolist():
            made[int(owner[row])][int(symbol[row])] = row
        return made

    def _rows_for_entries(self, entries: Int64) -> Int64:
        account, symbol = entries[:, _AT_ACCOUNT], entries[:, _AT_SYMBOL]
        rows = np.full(len(entries), -1, np.int64)
        known = symbol >= 0
        rows[known] = self._table.find_or_add((account[known] << SYMBOL_BITS) | symbol[known])
        self._rows.grow(self._table.n)
        self._accounts.grow(len(self.names))
        return rows

    def apply_entries(self, entries: Int64) -> Int64:
        """Take in (n, `ENTRY_COLUMNS`), sorted by the first four columns; returns (n, `MOVED`)."""
        rows = self._rows_for_entries(entries)
        moved = np.zeros((len(entries), len(EFFECT_COLUMNS)), np.int64)
        state = self._rows.data, self._accounts.data, self.fills_by_cause
        kernels.apply_entries(np.ascontiguousarray(entries), rows, *state, moved)
        if self._touched is not None:
            self._touched.append((rows[rows >= 0], entries[:, _AT_ACCOUNT].copy()))
            self._touches += len(entries)
            if self._touches > TOUCHED_MAX:
                self._touched = None
        return moved

    def split_equity(self, name: str, marks: dict[str, int]) -> EquitySplit:
        """The parts of an account's equity at `marks` (1e-8, by symbol); money rounded down.

        Raises KeyError when a market in which it holds something has no mark.
        """
        every = self.names.names(np.arange(len(self.names)))
        number = every.index(name)
        account, symbol = self.row_owners()
        mine = np.flatnonzero(account == number)
        trade, fees, funding, transfers = (int(v) for v in self.account_rows[number, :4])
        markets = self.symbols.names(symbol[mine])
        for market, row in zip(markets, self.position_rows[mine].tolist(), strict=True):
            held = dict(zip(POSITION_COLUMNS, row, strict=True))
            trade += held["trade"]
            fees += held["fees"]
            funding += held["funding"]
            if held["quantity"]:
                trade += held["quantity"] * marks[market] // _E10
        return EquitySplit(trade, funding, fees, transfers)

    @property
    def is_over_limits(self) -> bool:
        """Whether there are more than the limits allow."""
        accounts_max, positions_max = self._limits
        # Whose name stands only in entries to come is no account yet: arrival must not show.
        if len(self.names) > accounts_max:
            return bool(self._has_records.sum() > accounts_max) or self._table.n > positions_max
        return self._table.n > positions_max

    @property
    def _has_records(self) -> NDArray[np.bool_]:
        told: NDArray[np.bool_] = self.account_rows[:, _LAST_TS] != 0
        return told

    def forget(self, now_ns: int) -> None:
        """Let idle flat accounts go, and what is beyond the limits: flat rows first, then those of
        the accounts with the highest hash. Numbers of accounts are given anew.
        """
        accounts_max, positions_max = self._limits
        heard, held, told = (
            self.account_rows[:, _LAST_TS],
            self.account_rows[:, _OPEN],
            self._has_records,
        )
        idle = told & (held == 0) & (heard < now_ns - self._idle_ns)
        self.dropped["idle"] += int(idle.sum())
        stay = ~idle
        beyond = self._over_limit(stay & told, accounts_max)
        self.dropped["accounts"] += int(beyond.sum())
        stay &= ~beyond
        owner, symbol = self.row_owners()
        rows = stay[owner]
        if int(rows.sum()) > positions_max:
            rows &= (self.position_rows[:, _QUANTITY] != 0) | (
                self.position_rows[:, POSITION_COLUMNS.index("isolated")] != 0
            )
            rank = mix_each(self.names.hashes[owner], self.symbols.hashes[symbol])
            order = np.flatnonzero(rows)[np.argsort(rank[rows], kind="stable")]
            rows[order[positions_max:]] = False
            self.dropped["positions"] += int((stay[owner] & ~rows).sum())
        self._keep(stay, np.flatnonzero(rows))

    def _over_limit(self, stay: NDArray[np.bool_], most: int) -> NDArray[np.bool_]:
        beyond = np.zeros(len(stay), np.bool_)
        left = np.flatnonzero(stay)
        beyond[left[np.argsort(self.names.hashes[left], kind="stable")[most:]]] = True
        return beyond

    def _keep(self, stay: NDArray[np.bool_], rows: Int64) -> None:
        owner, symbol = self.row_owners()
        data, accounts = self.position_rows[rows], self.account_rows[stay]
        closed = np.setdiff1d(np.arange(self._table.n), rows)
        closed = closed[stay[owner[closed]] & (self.position_rows[closed, _QUANTITY] != 0)]
        remap = self.names.keep(stay)
        self._touched = None
        self._accounts = GrowableRows(len(ACCOUNT_COLUMNS), 0)
        self._accounts.grow(len(accounts))
        self._accounts.data[: len(accounts)] = accounts
        np.add.at(self._accounts.data[:, _OPEN], remap[owner[closed]], -1)
        self._table.reset((remap[owner[rows]] << SYMBOL_BITS) | symbol[rows])
        self._rows = GrowableRows(len(POSITION_COLUMNS), 0)
        self._rows.grow(len(rows))
        self._rows.data[: len(rows)] = data

    def digest(self) -> bytes:
        """Of all that is held: equal for equal sets of records."""
        owner, symbol = self.row_owners()
        pairs = mix_each(self.names.hashes[owner], self.symbols.hashes[symbol])
        sums = []
        for names, data in (
            (pairs, self.position_rows),
            (self.names.hashes.copy(), self.account_rows),
        ):
            # A name that was only ever in a record not yet applied is no state.
            told = data.any(axis=1)
            out = np.empty(int(told.sum()), np.uint64)
            kernels.hash_rows(names[told], np.ascontiguousarray(data[told]), out)
            sums.append(out.sum(dtype=np.uint64).tobytes())
        return b"".join(sums) + self.fills_by_cause.tobytes() + repr(self.dropped).encode()

    def snapshot(self) -> dict[str, Any]:
        """All state, as plain arrays."""
        return {
            "names": self.names.snapshot(),
            "symbols": self.symbols.snapshot(),
            "keys": self._table.keys.copy(),
            "rows": self.position_rows.copy(),
            "accounts": self.account_rows.copy(),
            "forced": self.fills_by_cause,
            "left": self.dropped,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a snapshot."""
        self.names.restore(state["names"])
        self._touched = None
        self.symbols.restore(state["symbols"])
        self._table.reset(state["keys"])
        for grid, name in ((self._rows, "rows"), (self._accounts, "accounts")):
            grid.data = state[name]
        self.fills_by_cause = state["forced"]
        self.dropped = dict(state["left"])
