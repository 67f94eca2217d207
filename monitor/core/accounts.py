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

from monitor.core import accountkernels as kernels
from monitor.core.accountkernels import ACCOUNT, ENTRY, MOVED, ROW
from monitor.core.batch import COLUMNS, Int64
from monitor.core.intern import Interner
from monitor.core.poolkernels import SYMBOL_BITS
from monitor.core.tables import Grid, Table, mix_each

TOUCHED_MAX = 1 << 20
"""Entries whose rows are remembered until somebody asks; beyond, everything counts as touched."""
CAUSES = next(column.values for column in COLUMNS["fill"] if column.name == "cause")
_E10 = 10**10
"""price × quantity (1e-16) to money (1e-6)."""
_AT_ACCOUNT, _AT_SYMBOL = ENTRY.index("account"), ENTRY.index("symbol")
_QUANTITY = ROW.index("quantity")
_OPEN, _HEARD = ACCOUNT.index("open"), ACCOUNT.index("ts")


@dataclass(frozen=True, slots=True)
class Split:
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


class Accounts:
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
        self._table = Table()
        self._rows = Grid(len(ROW), 0)
        self._accounts = Grid(len(ACCOUNT), 0)
        self._touched: list[tuple[Int64, Int64]] | None = None
        self._touches = 0
        self.forced: Int64 = np.zeros((len(CAUSES) + 1, 2), np.int64)
        """Fills and their notional by cause; the last row: none told."""
        self.left = {"idle": 0, "accounts": 0, "positions": 0}
        """How many accounts left as idle, and what the limits have dropped."""

    @property
    def rows(self) -> Int64:
        """(positions, `ROW`)"""
        return self._rows.data[: self._table.n]

    @property
    def accounts(self) -> Int64:
        """(accounts, `ACCOUNT`)"""
        self._accounts.grow(len(self.names))
        return self._accounts.data[: len(self.names)]

    def of_rows(self) -> tuple[Int64, Int64]:
        """The account and the symbol of every row."""
        keys = self._table.keys
        return keys >> SYMBOL_BITS, keys & ((1 << SYMBOL_BITS) - 1)

    @property
    def keys(self) -> Int64:
        """What stands for the account and the symbol of every row."""
        return self._table.keys

    def touched(self) -> tuple[Int64, Int64] | None:
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

    def places(self, entries: Int64, numbers: Int64) -> dict[int, dict[int, int]]:
        """Where the rows of some accounts are, by account and market: one walk over all rows.

        Good until anything is forgotten; rows that `entries` will need are made.
        """
        self._place(entries)
        owner, symbol = self.of_rows()
        made: dict[int, dict[int, int]] = {number: {} for number in numbers.tolist()}
        for row in np.flatnonzero(np.isin(owner, numbers)).tolist():
            made[int(owner[row])][int(symbol[row])] = row
        return made

    def _place(self, entries: Int64) -> Int64:
        account, symbol = entries[:, _AT_ACCOUNT], entries[:, _AT_SYMBOL]
        rows = np.full(len(entries), -1, np.int64)
        known = symbol >= 0
        rows[known] = self._table.rows((account[known] << SYMBOL_BITS) | symbol[known])
        self._rows.grow(self._table.n)
        self._accounts.grow(len(self.names))
        return rows

    def apply(self, entries: Int64) -> Int64:
        """Take in (n, `ENTRY`), sorted by the first four columns; returns (n, `MOVED`)."""
        rows = self._place(entries)
        moved = np.zeros((len(entries), len(MOVED)), np.int64)
        state = self._rows.data, self._accounts.data, self.forced
        kernels.apply(np.ascontiguousarray(entries), rows, *state, moved)
        if self._touched is not None:
            self._touched.append((rows[rows >= 0], entries[:, _AT_ACCOUNT].copy()))
            self._touches += len(entries)
            if self._touches > TOUCHED_MAX:
                self._touched = None
        return moved

    def split(self, name: str, marks: dict[str, int]) -> Split:
        """The parts of an account's equity at `marks` (1e-8, by symbol); money rounded down.

        Raises KeyError when a market in which it holds something has no mark.
        """
        every = self.names.names(np.arange(len(self.names)))
        number = every.index(name)
        account, symbol = self.of_rows()
        mine = np.flatnonzero(account == number)
        trade, fees, funding, transfers = (int(v) for v in self.accounts[number, :4])
        markets = self.symbols.names(symbol[mine])
        for market, row in zip(markets, self.rows[mine].tolist(), strict=True):
            held = dict(zip(ROW, row, strict=True))
            trade += held["trade"]
            fees += held["fees"]
            funding += held["funding"]
            if held["quantity"]:
                trade += held["quantity"] * marks[market] // _E10
        return Split(trade, funding, fees, transfers)

    @property
    def full(self) -> bool:
        """Whether there are more than the limits allow."""
        accounts_max, positions_max = self._limits
        # Whose name stands only in entries to come is no account yet: arrival must not show.
        if len(self.names) > accounts_max:
            return bool(self._told.sum() > accounts_max) or self._table.n > positions_max
        return self._table.n > positions_max

    @property
    def _told(self) -> NDArray[np.bool_]:
        told: NDArray[np.bool_] = self.accounts[:, _HEARD] != 0
        return told

    def forget(self, now_ns: int) -> None:
        """Let idle flat accounts go, and what is beyond the limits: flat rows first, then those of
        the accounts with the highest hash. Numbers of accounts are given anew.
        """
        accounts_max, positions_max = self._limits
        heard, held, told = self.accounts[:, _HEARD], self.accounts[:, _OPEN], self._told
        idle = told & (held == 0) & (heard < now_ns - self._idle_ns)
        self.left["idle"] += int(idle.sum())
        stay = ~idle
        beyond = self._beyond(stay & told, accounts_max)
        self.left["accounts"] += int(beyond.sum())
        stay &= ~beyond
        owner, symbol = self.of_rows()
        rows = stay[owner]
        if int(rows.sum()) > positions_max:
            rows &= (self.rows[:, _QUANTITY] != 0) | (self.rows[:, ROW.index("isolated")] != 0)
            rank = mix_each(self.names.hashes[owner], self.symbols.hashes[symbol])
            order = np.flatnonzero(rows)[np.argsort(rank[rows], kind="stable")]
            rows[order[positions_max:]] = False
            self.left["positions"] += int((stay[owner] & ~rows).sum())
        self._keep(stay, np.flatnonzero(rows))

    def _beyond(self, stay: NDArray[np.bool_], most: int) -> NDArray[np.bool_]:
        beyond = np.zeros(len(stay), np.bool_)
        left = np.flatnonzero(stay)
        beyond[left[np.argsort(self.names.hashes[left], kind="stable")[most:]]] = True
        return beyond

    def _keep(self, stay: NDArray[np.bool_], rows: Int64) -> None:
        owner, symbol = self.of_rows()
        data, accounts = self.rows[rows], self.accounts[stay]
        closed = np.setdiff1d(np.arange(self._table.n), rows)
        closed = closed[stay[owner[closed]] & (self.rows[closed, _QUANTITY] != 0)]
        remap = self.names.keep(stay)
        self._touched = None
        self._accounts = Grid(len(ACCOUNT), 0)
        self._accounts.grow(len(accounts))
        self._accounts.data[: len(accounts)] = accounts
        np.add.at(self._accounts.data[:, _OPEN], remap[owner[closed]], -1)
        self._table.reset((remap[owner[rows]] << SYMBOL_BITS) | symbol[rows])
        self._rows = Grid(len(ROW), 0)
        self._rows.grow(len(rows))
        self._rows.data[: len(rows)] = data

    def digest(self) -> bytes:
        """Of all that is held: equal for equal sets of records."""
        owner, symbol = self.of_rows()
        pairs = mix_each(self.names.hashes[owner], self.symbols.hashes[symbol])
        sums = []
        for names, data in ((pairs, self.rows), (self.names.hashes.copy(), self.accounts)):
            # A name that was only ever in a record not yet applied is no state.
            told = data.any(axis=1)
            out = np.empty(int(told.sum()), np.uint64)
            kernels.fold(names[told], np.ascontiguousarray(data[told]), out)
            sums.append(out.sum(dtype=np.uint64).tobytes())
        return b"".join(sums) + self.forced.tobytes() + repr(self.left).encode()

    def snapshot(self) -> dict[str, Any]:
        """All state, as plain arrays."""
        return {
            "names": self.names.snapshot(),
            "symbols": self.symbols.snapshot(),
            "keys": self._table.keys.copy(),
            "rows": self.rows.copy(),
            "accounts": self.accounts.copy(),
            "forced": self.forced,
            "left": self.left,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a snapshot."""
        self.names.restore(state["names"])
        self._touched = None
        self.symbols.restore(state["symbols"])
        self._table.reset(state["keys"])
        for grid, name in ((self._rows, "rows"), (self._accounts, "accounts")):
            grid.data = state[name]
        self.forced = state["forced"]
        self.left = dict(state["left"])
