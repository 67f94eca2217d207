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

from monitor.core import poolkernels as kernels
from monitor.core.accountkernels import ROW
from monitor.core.accounts import Accounts
from monitor.core.bandinput import Positions
from monitor.core.batch import Int64
from monitor.core.poolkernels import ASSUMED, FREE, POOLS, SIZES, SLOTS, SYMBOL_BITS

_QUANTITY = ROW.index("quantity")
_BY_POOL = {
    "start": np.int64, "size": np.int32, "count": np.int32, "account": np.int64,
    "key": np.uint64, "isolated": np.bool_, "cash": np.float64,
}  # fmt: skip
_BY_SLOT = {"row": np.int32, "market": np.int32, "quantity": np.float64, "entry": np.float64}
_BY_ROW = {"share": np.int64, "pool_of": np.int32, "assumed": np.uint8}
_BY_ACCOUNT = {"rest": np.int64, "cross": np.int32}
_NONE_YET = ("size", "pool_of", "cross")
"""Arrays that begin at −1, not at 0."""


class Pools:
    """All pools of `accounts`, as of the last `update`."""

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts
        self._begin()

    def _begin(self) -> None:
        every = {**_BY_POOL, **_BY_SLOT, **_BY_ROW, **_BY_ACCOUNT}
        self._held: dict[str, Any] = {name: np.empty(0, kind) for name, kind in every.items()}
        self._left = np.full(len(SIZES), -1, np.int64)
        self._counts = np.zeros(4, np.int64)
        self._counts[FREE] = -1
        self._market_of = np.empty(0, np.int64)
        self._place = self.held = np.empty(0, np.int64)
        self.symbols: Int64 = np.empty(0, np.int64)
        """By market: its symbol's number among the accounts' symbols."""
        self.names: list[str] = []
        """By market. Markets are numbered as their first position opens."""

    @property
    def by_name(self) -> Int64:
        """The markets in which somebody holds something, in the order of their names."""
        order = np.argsort(self._place)
        return order[self.held[order] > 0]

    @property
    def assumed(self) -> int:
        """Isolated positions whose margin is taken from their leverage."""
        return int(self._counts[ASSUMED])

    def owners(self, pools: Int64) -> list[str]:
        """The accounts' names of the given pools."""
        return self._accounts.names.names(self._held["account"][pools])

    def update(self) -> Positions:
        """Bring all that was touched up to date."""
        touched = self._accounts.touched()
        if touched is None:
            self._begin()
            owner, _ = self._accounts.of_rows()
            rows, accounts = np.argsort(owner, kind="stable"), np.arange(len(self._accounts.names))
        else:
            rows, accounts = touched
        self._meet(rows)
        self._grow(_BY_ACCOUNT, len(self._accounts.names))
        self._grow(_BY_ROW, len(self._accounts.rows))
        self._put(rows)
        h = self._held
        kernels.pay(accounts, self._accounts.accounts, h["rest"], h["cross"], h["count"], h["cash"])
        pools, slots = int(self._counts[POOLS]), int(self._counts[SLOTS])
        return Positions(
            **{name: h[name][:pools] for name in ("start", "count", "key", "cash", "isolated")},
            **{name: h[name][:slots] for name in _BY_SLOT},
        )

    def _put(self, rows: Int64) -> None:
        a, h = self._accounts, self._held
        while True:
            every = [h[name] for name in (*_BY_POOL, *_BY_SLOT)]
            done = kernels.put(  # type: ignore[call-arg]
                rows, a.rows, a.keys, a.names.hashes, self._market_of, self._place, self.held,
                h["rest"], h["share"], h["pool_of"], h["cross"], h["assumed"],
                *every, self._left, self._counts,
            )  # fmt: skip
            rows = rows[done:]
            if not len(rows):
                return
            self._grow(_BY_POOL, int(self._counts[POOLS]) + len(rows) // 8 + 64)
            self._grow(_BY_SLOT, len(h["row"]) + len(rows) // 8 + 1024)

    def _grow(self, names: Mapping[str, Any], need: int) -> None:
        """Room for `need`; a quarter more than there was, so that it is seldom asked."""
        have = len(self._held[next(iter(names))])
        if need <= have:
            return
        for name in names:
            old = self._held[name]
            start = -1 if name in _NONE_YET else 0
            new = np.full(max(need, have + have // 4), start, old.dtype)
            new[:have] = old
            self._held[name] = new

    def _meet(self, rows: Int64) -> None:
        """Number markets in which a position has opened for the first time."""
        count = len(self._accounts.symbols)
        more = np.full(count - len(self._market_of), -1, np.int64)
        self._market_of = np.concatenate((self._market_of, more))
        opened = rows[self._accounts.rows[rows, _QUANTITY] != 0]
        symbols = self._accounts.keys[opened] & ((1 << SYMBOL_BITS) - 1)
        met = np.bincount(symbols, minlength=count) > 0
        new = np.flatnonzero(met & (self._market_of < 0))
        if not len(new):
            return
        self._market_of[new] = len(self.names) + np.arange(len(new))
        self.symbols = np.concatenate((self.symbols, new))
        self.names = self.names + self._accounts.symbols.names(new)
        order = sorted(range(len(self.names)), key=self.names.__getitem__)
        self._place = np.empty(len(order), np.int64)
        self._place[order] = np.arange(len(order))
        self.held = np.concatenate((self.held, np.zeros(len(new), np.int64)))
