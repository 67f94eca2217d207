"""The margin pool of one account's position, in exact integers and rationals.

The rules are those of `monitor/core/bands/pools.py`, which prices all pools of a venue in floats; a
test holds the two together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from monitor.core.accounts.ledger_kernels import ISOLATED
from monitor.core.contract.fixed_point import MONEY_SCALE, SCALE
from monitor.core.margin.formulas import Position, Regime, crossing, requirement
from monitor.core.margin.tiers import Tiers

MODES = ("cross", "isolated")
RowValues = dict[str, int]
"""A row of the ledger by the names of its columns."""


@dataclass(frozen=True, slots=True)
class MarginPool:
    """The open rows of a pool by market, and its `cash` (1e-6): equity less quantity × mark.

    `reason`: a verdict that says why the cash is not known; empty where it is.
    """

    rows: Mapping[int, RowValues]
    cash: int
    mode: str
    reason: str = ""


def pool_of(account: RowValues, rows: Mapping[int, RowValues], symbol: int) -> MarginPool:
    """The pool of an account's position in `symbol`; `rows`: all of its positions by market."""
    position = rows[symbol]
    if position["mode"] == ISOLATED:
        margin = _isolated_margin(position)
        reason = "" if margin > 0 else "no_margin"
        return MarginPool({symbol: position}, _own_cash(position) + margin, MODES[1], reason)
    cash = account["trade"] - account["fees"] + account["funding"] + account["transfers"]
    for row in rows.values():
        cash += -_isolated_margin(row) if row["mode"] == ISOLATED else _own_cash(row)
    crossed = {s: r for s, r in rows.items() if r["quantity"] and r["mode"] != ISOLATED}
    return MarginPool(crossed, cash, MODES[0], "" if account["transfers"] else "no_collateral")


def _own_cash(row: RowValues) -> int:
    return row["trade"] + row["funding"] - row["fees"]


def _isolated_margin(row: RowValues) -> int:
    """Margin of an isolated position; entry value / leverage where the records give no margin."""
    if row["isolated"] > 0 or not row["quantity"] or row["leverage"] <= 0:
        return row["isolated"]
    return round(Fraction(row["entry"] * SCALE, row["leverage"]))


@dataclass(frozen=True, slots=True)
class PricedPool:
    """A pool at its markets' marks, seen from one of its positions. Quote currency."""

    regime: Regime
    position: Position
    equity: Fraction
    other_maintenance: Fraction
    """Maintenance margin of the pool's other positions."""

    @property
    def meets_maintenance(self) -> bool:
        own = requirement(self.regime, self.position)
        return self.equity >= self.other_maintenance + own

    def price_at(self, k: Fraction) -> Fraction | None:
        """The position's price at which equity is `k` times the requirement; None: no price is."""
        return crossing(self.regime, self.position, self.equity, self.other_maintenance, k).price


def price_pool(
    pool: MarginPool, symbol: int, markets: Mapping[int, tuple[int, Regime, Tiers]]
) -> PricedPool:
    """`markets`: mark (1e-8) and rules of every market of the pool, by its number."""
    positions = {s: _position(s, row, *markets[s]) for s, row in pool.rows.items()}
    others = (requirement(*positions[s]) for s in positions if s != symbol)
    value = sum(row["quantity"] * markets[s][0] for s, row in pool.rows.items())
    equity = Fraction(pool.cash, MONEY_SCALE) + Fraction(value, SCALE**2)
    return PricedPool(*positions[symbol], equity, sum(others, Fraction(0)))


def _position(
    symbol: int, row: RowValues, mark: int, regime: Regime, tiers: Tiers
) -> tuple[Regime, Position]:
    quantity = Fraction(row["quantity"], SCALE)
    entry = Fraction(row["entry"], MONEY_SCALE) / abs(quantity) if regime.at_entry else None
    return regime, Position(str(symbol), quantity, Fraction(mark, SCALE), tiers, entry)
