"""A highest leverage for positions that were opened without one.

Records say what accounts did, not what they would have done under a cap. What a position would have
had behind it can be said all the same: at its entry price, at least its entry value divided by the
cap. A pool (a cross account, an isolated position) whose collateral falls short of that counts as
if it had put up the difference. For one market that gives the same liquidation price as a smaller
position with the same collateral; the notional stays, so what is forced is an upper bound.

Collateral is equity without unrealised profit. So realised losses, funding and withdrawals after
the entry are made up for as well where they bring it below the margin that the cap demands.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np

from detectors.arrays.types import Float64
from monitor.core.accounts.ledger import AccountLedger
from monitor.core.accounts.liquidation_outcomes import MarginPool, Outcome, Outcomes, RowValues
from monitor.core.bands.kernels.arrays import PositionArrays
from monitor.core.bands.pools import Pools
from monitor.core.contract.fixed_point import SCALE
from monitor.core.decode.batch import expand_spans
from replay.counterfactual.rules import OverrideRules


class LeverageCaps:
    """The highest leverage by market."""

    def __init__(self, rules: OverrideRules) -> None:
        self._rules = rules
        self._by_market: dict[str, int | None] = {}

    @property
    def are_any(self) -> bool:
        """Whether any market has one."""
        return any(rules.leverage_max for rules in self._rules.by_market.values())

    def of(self, symbol: str) -> int | None:
        """That of a market, 1e-8; None: it has none."""
        if symbol not in self._by_market:
            self._by_market[symbol] = self._rules.of(symbol).leverage_max
        return self._by_market[symbol]

    def margin_rates(self, symbols: list[str]) -> Float64:
        """The part of a position's entry value that each market demands; 0: nothing."""
        caps = (self.of(symbol) for symbol in symbols)
        return np.array([0.0 if cap is None else SCALE / cap for cap in caps])


class CappedPools(Pools):
    """The pools of `accounts`, each with the collateral that the caps demand."""

    def __init__(self, accounts: AccountLedger, caps: LeverageCaps) -> None:
        super().__init__(accounts)
        self._caps = caps
        self._rates: tuple[list[str], Float64] = [], np.empty(0)

    def update(self) -> PositionArrays:
        """See `Pools.update`."""
        positions = super().update()
        if self._rates[0] is not self.market_names:
            self._rates = self.market_names, self._caps.margin_rates(self.market_names)
        if not len(positions.quantity) or not self._rates[1].any():
            return positions
        slots = expand_spans(positions.start, positions.length.astype(np.int64))
        pool = np.repeat(np.arange(len(positions.cash)), positions.length)
        value = positions.quantity[slots] * positions.entry[slots]
        rates = self._rates[1][positions.market[slots]]
        pools = len(positions.cash)
        demanded = np.bincount(pool, np.abs(value) * rates, pools)
        collateral = positions.cash + np.bincount(pool, value, pools)
        missing = np.where(demanded > 0.0, np.maximum(demanded - collateral, 0.0), 0.0)
        return positions._replace(cash=positions.cash + missing)


class ForcedFillLog(Outcomes):
    """All outcomes of a run, with the collateral that the caps demand (None: there are none)."""

    def __init__(self, ledger: AccountLedger, caps: LeverageCaps | None) -> None:
        super().__init__()
        self._ledger, self._caps = ledger, caps
        self._earlier: list[Outcome] = []

    @property
    def every(self) -> list[Outcome]:
        """Those of the run so far, in the order in which they were judged."""
        return self._earlier + self.last

    def begin_cell(self, ts: int) -> None:
        """See `Outcomes.begin_cell`."""
        self._earlier += self.last
        super().begin_cell(ts)

    def pool_of(self, account: RowValues, rows: Mapping[int, RowValues], symbol: int) -> MarginPool:
        """See `Outcomes.pool_of`."""
        pool = super().pool_of(account, rows, symbol)
        if self._caps is None:
            return pool
        demanded, collateral = 0, pool.cash
        names = self._ledger.symbols.names(np.array(list(pool.rows), np.int64))
        for name, row in zip(names, pool.rows.values(), strict=True):
            collateral += row["entry"] if row["quantity"] > 0 else -row["entry"]
            cap = self._caps.of(name)
            if cap is not None:
                demanded += row["entry"] * SCALE // cap
        if not demanded or demanded <= collateral:
            return pool
        return dataclasses.replace(pool, cash=pool.cash + demanded - collateral)
