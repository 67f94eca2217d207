"""The pools of a venue, kept beside its accounts: cross accounts and isolated positions.

To arrange 3.8 million positions takes seconds, so it is done once; afterwards only the rows that
changed are put into their new places. Pools follow from the accounts alone: they are no state of
their own, and a restored engine builds them again. How pools and markets are numbered depends on
arrival and shows nowhere: sums of floats run in the order of the markets' names, and of two equal
holders the one whose account's hash is lower comes first.

An isolated position without a margin on record gets what its leverage implies (entry value /
leverage, taken from the account's cross pool); those are counted as `assumed`.
"""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np

from detectors.arrays.growable import QUARTER_MORE, grow_rows
from detectors.arrays.types import Int64
from monitor.core.accounts.ledger import AccountLedger
from monitor.core.accounts.ledger_kernels import ROW_QUANTITY, ROW_REST, symbol_of
from monitor.core.bands.kernels import pools as kernels
from monitor.core.bands.kernels.arrays import PositionArrays

_Columns = TypeVar("_Columns", bound=tuple[Any, ...])


class Pools:
    """All pools of `accounts`, as of the last `update`."""

    def __init__(self, accounts: AccountLedger) -> None:
        self._ledger = accounts
        self._start_empty()

    def _start_empty(self) -> None:
        self._pools, self._slots = _empty(kernels.NEW_POOL), _empty(kernels.NEW_SLOT)
        self._rows, self._accounts = _empty(kernels.NEW_ROW), _empty(kernels.NEW_ACCOUNT)
        self._free_spans = np.full(len(kernels.SPAN_SIZES), -1, np.int64)
        self._counts = np.zeros(4, np.int64)
        self._counts[kernels.FREE_POOL] = -1
        self._markets = kernels.MarketColumns(*(np.empty(0, np.int64) for _ in range(3)))
        self.market_symbols: Int64 = np.empty(0, np.int64)
        """By market: its symbol's number among the accounts' symbols."""
        self.market_names: list[str] = []
        """By market. Markets are numbered as their first position opens."""
        self.markets_by_name: Int64 = np.empty(0, np.int64)
        """The markets with open positions, in the order of their names. An array of its own only
        where they have changed."""
        self._name_order: Int64 = np.empty(0, np.int64)
        """All markets in the order of their names."""
        self.assumed = 0
        """Isolated positions whose margin is taken from their leverage."""
        self._positions: PositionArrays | None = None
        """As of the last `update`; None: there was none."""

    def accounts(self, pools: Int64) -> Int64:
        """The numbers of the accounts of the given pools."""
        accounts: Int64 = self._pools.account[pools]
        return accounts

    def cross_pool(self, account: int) -> int | None:
        """The cross pool of an account, as of the last `update`; None: it has no open positions."""
        pool = int(self._accounts.cross[account]) if account < len(self._accounts.cross) else -1
        return pool if pool >= 0 and self._pools.length[pool] > 0 else None

    def update(self) -> PositionArrays:
        """Bring everything that changed up to date."""
        touched = self._ledger.take_touched()
        if touched is None:
            self._start_empty()
            owner, _ = self._ledger.row_owners()
            rows, accounts = np.argsort(owner, kind="stable"), np.arange(len(self._ledger.names))
        else:
            rows, accounts = touched
            if not len(accounts) and self._positions is not None:
                return self._positions
        self._number_new_markets(rows)
        self._accounts = _grow(self._accounts, kernels.NEW_ACCOUNT, len(self._ledger.names))
        self._rows = _grow(self._rows, kernels.NEW_ROW, len(self._ledger.position_rows))
        self._update_rows(rows)
        self.assumed = int(self._counts[kernels.ASSUMED])
        kernels.update_cross_cash(
            accounts, self._ledger.account_rows, self._ledger.collateral_outside, self._accounts,
            self._pools,
        )  # fmt: skip
        by_name = self._name_order[self._markets.open_positions[self._name_order] > 0]
        if not np.array_equal(by_name, self.markets_by_name):
            self.markets_by_name = by_name
        pools, slots = self._counts[[kernels.POOLS, kernels.SLOTS]].tolist()
        p, s = self._pools, self._slots
        self._positions = PositionArrays(
            p.start[:pools], p.length[:pools], p.key[:pools], p.cash[:pools], p.isolated[:pools],
            s.row[:slots], s.market[:slots], s.quantity[:slots], s.entry[:slots],
            s.rules[:slots],
        )  # fmt: skip
        return self._positions

    def _update_rows(self, rows: Int64) -> None:
        ledger = self._ledger
        table = kernels.LedgerRows(
            ledger.position_rows, ledger.keys, ledger.names.hashes, ledger.own_rules,
            ledger.isolated_only,
        )  # fmt: skip
        while True:
            done = kernels.update_pools(
                rows, table, self._markets, self._accounts, self._rows, self._pools, self._slots,
                self._free_spans, self._counts,
            )  # fmt: skip
            rows = rows[done:]
            if not len(rows):
                return
            pools, more = int(self._counts[kernels.POOLS]), len(rows) // 8
            self._pools = _grow(self._pools, kernels.NEW_POOL, pools + more + 64)
            self._slots = _grow(self._slots, kernels.NEW_SLOT, len(self._slots.row) + more + 1024)

    def _number_new_markets(self, rows: Int64) -> None:
        """Number markets in which a position has opened for the first time."""
        count = len(self._ledger.symbols)
        market_of = grow_rows(self._markets.market_of, count, -1, 1.0)
        self._markets = self._markets._replace(market_of=market_of)
        rows = rows[market_of[symbol_of(self._ledger.keys[rows])] < 0]
        if not len(rows):
            return
        limbs = self._ledger.position_rows[rows][:, [ROW_QUANTITY, ROW_REST]]
        opened = rows[(limbs != 0).any(axis=1)]
        opened_in = np.bincount(symbol_of(self._ledger.keys[opened]), minlength=count) > 0
        new = np.flatnonzero(opened_in & (market_of < 0))
        if not len(new):
            return
        market_of[new] = len(self.market_names) + np.arange(len(new))
        self.market_symbols = np.concatenate((self.market_symbols, new))
        self.market_names = self.market_names + self._ledger.symbols.names(new)
        order = sorted(range(len(self.market_names)), key=self.market_names.__getitem__)
        self._name_order = np.array(order, np.int64)
        rank = np.argsort(self._name_order)
        open_positions = grow_rows(self._markets.open_positions, len(order), 0, 1.0)
        self._markets = kernels.MarketColumns(market_of, rank, open_positions)


def _empty(new: _Columns) -> _Columns:
    return type(new)(*(np.empty(0, value.dtype) for value in new))


def _grow(columns: _Columns, new: _Columns, rows: int) -> _Columns:
    """Columns with room for `rows`; a quarter more than there was, so that it is seldom needed."""
    return type(columns)(
        *(grow_rows(a, rows, n, QUARTER_MORE) for a, n in zip(columns, new, strict=True))
    )
