"""The margin formulas: one solver for every venue.

A *pool* is one isolated position or one cross account. With q the signed quantity, z = |q|, p0 the
price at which the pool's equity A0 stands, and M_other the maintenance margin of its other
positions, the pool meets `k` times its requirement at the price

    x_t = (k·(M_other − d_t) − A0 + q·p0) / (q − z·(k·r_t + fee)),    max over t long, min short

k = 5/4: warn (maintenance is 80 % of equity); 1: liquidation; 2/3: Hyperliquid's backstop; 0:
bankruptcy. x ≤ 0 means that there is no such price. Everything is an exact rational here;
`monitor/core/bands/refresh.py` runs the same formula in floats over a whole venue, and its tests
compare it with this file.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

from monitor.core.contract.units import WARN_RATIO
from monitor.core.margin.tiers import Tiers

LIQUIDATION_K = Fraction(1)
BANKRUPTCY_K = Fraction(0)


@dataclass(frozen=True, slots=True)
class Position:
    """One position as the solver sees it.

    `quantity`: signed base units, not 0. `price`: the price at which the pool's equity stands.
    `entry`: average entry price, needed where maintenance is counted at entry value.
    `fee`: closing fee as a fraction of notional that the venue counts against equity.
    `size_rate`: addition to the maintenance rate for each base unit held (Deribit).
    """

    symbol: str
    quantity: Fraction
    price: Fraction
    tiers: Tiers
    entry: Fraction | None = None
    fee: Fraction = Fraction(0)
    size_rate: Fraction = Fraction(0)

    @property
    def size(self) -> Fraction:
        return abs(self.quantity)

    @property
    def notional(self) -> Fraction:
        return self.size * self.price


class Crossing(NamedTuple):
    """Where a pool meets k times its requirement, and the tier that binds; None: at no price."""

    price: Fraction | None
    tier: int | None


class Prices(NamedTuple):
    """The four prices of one position, and its own and the other positions' maintenance margin."""

    warn: Crossing
    liquidation: Crossing
    backstop: Crossing | None
    bankruptcy: Crossing
    maintenance: Fraction
    other_maintenance: Fraction


@dataclass(frozen=True, slots=True)
class Regime:
    """A venue's rules: its requirement, its mark, and what happens under water.

    `mark_rule`: how the venue makes its mark, in words. `steps`: of a liquidation, in order.
    `first_share` of the position is sold at once when its notional is at least `partial_above`
    (quote currency; None: always), the rest after `cooldown_s`. `adl`: how counterparties are
    ranked for auto-deleveraging. `at_entry`: maintenance is counted at entry value and does not
    move with the mark. `counts_fee`: the venue counts a closing fee against equity. `backstop_k`:
    the multiple of maintenance below which its backstop takes over.
    """

    name: str
    mark_rule: str
    steps: tuple[str, ...]
    first_share: Fraction = Fraction(1)
    partial_above: Fraction | None = None
    cooldown_s: float = 0.0
    adl: str = ""
    at_entry: bool = False
    counts_fee: bool = False
    backstop_k: Fraction | None = None

    def requirement(self, position: Position) -> list[tuple[Fraction, Fraction]]:
        """Maintenance margin as lines, one for each tier, of which the largest at a price counts: a
        pair (slope, deduction) requires slope·x − deduction at price x.

        Raises ValueError for a position without an entry price where maintenance is at entry value.
        """
        z, extra = position.size, position.size_rate * position.size
        rows = position.tiers.rows
        if not self.at_entry:
            return [(z * (row.rate + extra), row.deduction) for row in rows]
        if position.entry is None:
            raise ValueError(f"{position.symbol}: maintenance at entry value needs the entry price")
        value = z * position.entry
        return [(Fraction(0), row.deduction - (row.rate + extra) * value) for row in rows]


def requirement(regime: Regime, position: Position, price: Fraction | None = None) -> Fraction:
    """Maintenance margin (quote currency) of `position` at `price` (its own when left out)."""
    x = position.price if price is None else price
    return max(slope * x - deduction for slope, deduction in regime.requirement(position))


def crossing(
    regime: Regime, position: Position, equity: Fraction, other: Fraction, k: Fraction
) -> Crossing:
    """The price at which equity falls to `k` times the requirement, and the tier that binds.

    A tier whose requirement rises with the price as fast as the position's value (k·r + fee ≥ 1)
    has no such price for a long position and is skipped. Of equal roots the higher tier binds,
    since a notional on a bound belongs to it.
    """
    q, z = position.quantity, position.size
    best = Crossing(None, None)
    for tier, (rise, deduction) in enumerate(regime.requirement(position)):
        slope = q - k * rise - z * position.fee
        if q > 0 and slope <= 0:
            continue
        x = (k * (other - deduction) - equity + q * position.price) / slope
        if best.price is None or (x >= best.price if q > 0 else x <= best.price):
            best = Crossing(x, tier)
    return best if best.price is not None and best.price > 0 else Crossing(None, None)


def prices(regime: Regime, position: Position, equity: Fraction, other: Fraction) -> Prices:
    """The four prices in a pool with `equity` beside positions that require `other`."""

    def at(k: Fraction) -> Crossing:
        return crossing(regime, position, equity, other, k)

    backstop = None if regime.backstop_k is None else at(regime.backstop_k)
    own = requirement(regime, position)
    return Prices(at(WARN_RATIO), at(LIQUIDATION_K), backstop, at(BANKRUPTCY_K), own, other)
