"""The pools of a venue, kept beside its accounts: cross accounts and isolated positions.

Arranging 3.8 million positions takes seconds, so it is done once; then only what the records
touched is put in its new place. What is kept hangs on the accounts alone: it is no state of its
own, and a restored engine makes it anew. How pools and markets are numbered follows arrival and
shows nowhere: sums of floats run in the order of the markets' names, and of equals the one whose
account's hash is lower comes first.

An isolated position for which no margin is on record has what its leverage says (entry value /
leverage, taken from the account's cross pool); those are counted as `assumed`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from monitor.core.accounts.ledger import AccountLedger
from monitor.core.accounts.ledger_kernels import POSITION_COLUMNS
from monitor.core.bands import kernel_pools as kernels
from monitor.core.bands.inputs import PositionArrays
from monitor.core.bands.kernel_pools import ASSUMED, FREE, POOLS, SLOTS, SPAN_SIZES, SYMBOL_BITS
from monitor.core.decode.batch import Int64

_QUANTITY = POSITION_COLUMNS.index("quantity")
_BY_POOL = {
    "start": np.int64, "size": np.int32, "count": np.int32, "account": np.int64,
    "key": np.uint64, "isolated": np.bool_, "cash": np.float64,
}  # fmt: skip
_BY_SLOT = {"row": np.int32, "market": np.int32, "quantity": np.float64, "entry": np.float64}
_BY_ROW = {"share": np.int64, "pool_of": np.int32, "assumed": np.uint8}
_BY_ACCOUNT = {"rest": np.int64, "cross": np.int32}
_FILLED_WITH_NONE = ("size", "pool_of", "cross")
"""Arrays that begin at −1, not at 0."""


class Pools:
    """All pools of `accounts`, as of the last `update`."""

    def __init__(self, accounts: AccountLedger) -> None:
        self._ledger = accounts
        self._start_empty()

    def _start_empty(self) -> None:
        every = {**_BY_POOL, **_BY_SLOT, **_BY_ROW, **_BY_ACCOUNT}
        self._columns: dict[str, Any] = {name: np.empty(0, kind) for name, kind in every.items()}
        self._free_spans = np.full(len(SPAN_SIZES), -1, np.int64)
        self._counts = np.zeros(4, np.int64)
        self._counts[FREE] = -1
        self._market_of = np.empty(0, np.int64)
        self._name_rank = self.open_positions = np.empty(0, np.int64)
        self.market_symbols: Int64 = np.empty(0, np.int64)
        """By market: its symbol's number among the accounts' symbols."""
        self.market_names: list[str] = []
        """By market. Markets are numbered as their first position opens."""

    @property
    def markets_by_name(self) -> Int64:
        """The markets in which somebody holds something, in the order of their names."""
        order = np.argsort(self._name_rank)
        return order[self.open_positions[order] > 0]

    @property
    def assumed(self) -> int:
        """Isolated positions whose margin is taken from their leverage."""
        return int(self._counts[ASSUMED])

    def owners(self, pools: Int64) -> list[str]:
        """The accounts' names of the given pools."""
        return self._ledger.names.names(self._columns["account"][pools])

    def update(self) -> PositionArrays:
        """Bring all that was touched up to date."""
        touched = self._ledger.take_touched()
        if touched is None:
            self._start_empty()
            owner, _ = self._ledger.row_owners()
            rows, accounts = np.argsort(owner, kind="stable"), np.arange(len(self._ledger.names))
        else:
            rows, accounts = touched
        self._number_new_markets(rows)
        self._grow(_BY_ACCOUNT, len(self._ledger.names))
        self._grow(_BY_ROW, len(self._ledger.position_rows))
        self._update_rows(rows)
        h = self._columns
        kernels.update_cross_cash(
            accounts, self._ledger.account_rows, h["rest"], h["cross"], h["count"], h["cash"]
        )
        pools, slots = int(self._counts[POOLS]), int(self._counts[SLOTS])
        return PositionArrays(
            **{name: h[name][:pools] for name in ("start", "count", "key", "cash", "isolated")},
            **{name: h[name][:slots] for name in _BY_SLOT},
        )

    def _update_rows(self, rows: Int64) -> None:
        a, h = self._ledger, self._columns
        while True:
            every = [h[name] for name in (*_BY_POOL, *_BY_SLOT)]
            done = kernels.update_pools(  # type: ignore[call-arg]
                rows, a.position_rows, a.keys, a.names.hashes, self._market_of, self._name_rank, self.open_positions,
                h["rest"], h["share"], h["pool_of"], h["cross"], h["assumed"],
                *every, self._free_spans, self._counts,
            )  # fmt: skip
            rows = rows[done:]
            if not len(rows):
                return
            self._grow(_BY_POOL, int(self._counts[POOLS]) + len(rows) // 8 + 64)
            self._grow(_BY_SLOT, len(h["row"]) + len(rows) // 8 + 1024)

    def _grow(self, names: Mapping[str, Any], need: int) -> None:
        """Room for `need`; a quarter more than there was, so that it is seldom asked."""
        have = len(self._columns[next(iter(names))])
        if need <= have:
            return
        for name in names:
            old = self._columns[name]
            start = -1 if name in _FILLED_WITH_NONE else 0
            new = np.full(max(need, have + have // 4), start, old.dtype)
            new[:have] = old
            self._columns[name] = new

    def _number_new_markets(self, rows: Int64) -> None:
        """Number markets in which a position has opened for the first time."""
        count = len(self._ledger.symbols)
        more = np.full(count - len(self._market_of), -1, np.int64)
        self._market_of = np.concatenate((self._market_of, more))
        opened = rows[self._ledger.position_rows[rows, _QUANTITY] != 0]
        symbols = self._ledger.keys[opened] & ((1 << SYMBOL_BITS) - 1)
        met = np.bincount(symbols, minlength=count) > 0
        new = np.flatnonzero(met & (self._market_of < 0))
        if not len(new):
            return
        self._market_of[new] = len(self.market_names) + np.arange(len(new))
        self.market_symbols = np.concatenate((self.market_symbols, new))
        self.market_names = self.market_names + self._ledger.symbols.names(new)
        order = sorted(range(len(self.market_names)), key=self.market_names.__getitem__)
        self._name_rank = np.empty(len(order), np.int64)
        self._name_rank[order] = np.arange(len(order))
        self.open_positions = np.concatenate((self.open_positions, np.zeros(len(new), np.int64)))
