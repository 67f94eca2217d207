"""The margin formulas: one solver for every venue, and what each venue does its own way.

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

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from monitor.core.contract.units import WARN_RATIO
from monitor.core.margin.tiers import Tiers

LIQUIDATION_K = Fraction(1)
BANKRUPTCY_K = Fraction(0)
HYPERLIQUID_BACKSTOP_K = Fraction(2, 3)


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


@dataclass(frozen=True, slots=True)
class RequirementLine:
    """One tier's requirement as a function of price x: `slope`·x − `deduction`."""

    slope: Fraction
    deduction: Fraction


Requirement = Callable[[Position], tuple[RequirementLine, ...]]


@dataclass(frozen=True, slots=True)
class Crossing:
    """Where a pool meets k times its requirement, and the row of the tier table that binds there.
    None: at no price."""

    price: Fraction | None
    tier: int | None


@dataclass(frozen=True, slots=True)
class Prices:
    """The four prices of one position, and its own and the other positions' maintenance margin."""

    warn: Crossing
    liquidation: Crossing
    backstop: Crossing | None
    bankruptcy: Crossing
    maintenance: Fraction
    other_maintenance: Fraction


@dataclass(frozen=True, slots=True)
class LiquidationPath:
    """What happens to a position under water, as data.

    `steps`: in the venue's order. `first_share` of the position is sold at once when its notional
    is at least `partial_above` (quote currency; None: always), the rest after `cooldown_s`. `adl`:
    how counterparties are ranked for auto-deleveraging.
    """

    steps: tuple[str, ...]
    first_share: Fraction = Fraction(1)
    partial_above: Fraction | None = None
    cooldown_s: float = 0.0
    adl: str = ""


@dataclass(frozen=True, slots=True)
class Regime:
    """A venue's rules: its requirement, its mark, its path.

    `mark_rule`: how the venue makes its mark, in words.
    `maintenance_at_entry`: maintenance is counted at entry value and does not move with the mark.
    `counts_fee`: the venue counts a closing fee against equity.
    """

    name: str
    requirement: Requirement
    mark_rule: str
    path: LiquidationPath
    at_entry: bool = False
    counts_fee: bool = False
    backstop_k: Fraction | None = None


def maintenance_at_mark(position: Position) -> tuple[RequirementLine, ...]:
    """Maintenance on the notional at the mark: a line for each tier."""
    z = position.size
    extra = position.size_rate * z
    return tuple(
        RequirementLine(z * (row.rate + extra), row.deduction) for row in position.tiers.rows
    )


def maintenance_at_entry(position: Position) -> tuple[RequirementLine, ...]:
    """Maintenance on the entry value (Bybit): the same at every mark.

    Every row gives a constant; the largest is the one that holds the entry value.
    """
    if position.entry is None:
        raise ValueError(f"{position.symbol}: maintenance at entry value needs the entry price")
    value = position.size * position.entry
    extra = position.size_rate * position.size
    return tuple(
        RequirementLine(Fraction(0), row.deduction - (row.rate + extra) * value)
        for row in position.tiers.rows
    )


def requirement(regime: Regime, position: Position, price: Fraction | None = None) -> Fraction:
    """Maintenance margin (quote currency) of `position` at `price` (its own when left out)."""
    x = position.price if price is None else price
    return max(line.slope * x - line.deduction for line in regime.requirement(position))


def crossing(
    position: Position,
    lines: Sequence[RequirementLine],
    equity: Fraction,
    other: Fraction,
    k: Fraction,
) -> Crossing:
    """The price at which equity falls to `k` times the requirement, and the tier that binds.

    A tier whose requirement rises with the price as fast as the position's value (k·r + fee ≥ 1)
    has no such price for a long position and is skipped. Of equal roots the higher tier binds,
    since a notional on a bound belongs to it.
    """
    q, z = position.quantity, position.size
    best = Crossing(None, None)
    for tier, line in enumerate(lines):
        slope = q - k * line.slope - z * position.fee
        if q > 0 and slope <= 0:
            continue
        x = (k * (other - line.deduction) - equity + q * position.price) / slope
        if best.price is None or (x >= best.price if q > 0 else x <= best.price):
            best = Crossing(x, tier)
    return best if best.price is not None and best.price > 0 else Crossing(None, None)


def prices(
    regime: Regime, position: Position, equity: Fraction, other_maintenance: Fraction
) -> Prices:
    """The four prices of `position` in a pool with `equity` at `position.price`."""
    lines = regime.requirement(position)

    def at(k: Fraction) -> Crossing:
        return crossing(position, lines, equity, other_maintenance, k)

    return Prices(
        warn=at(WARN_RATIO),
        liquidation=at(LIQUIDATION_K),
        backstop=None if regime.backstop_k is None else at(regime.backstop_k),
        bankruptcy=at(BANKRUPTCY_K),
        maintenance=requirement(regime, position),
        other_maintenance=other_maintenance,
    )


def fillable_price(
    position: Position,
    equity: Fraction,
    maintenance: Fraction,
    pool_maintenance: Fraction,
    bankruptcy_adjustment: Fraction = Fraction(1),
    spread_to_maintenance: Fraction = Fraction(3, 2),
) -> Fraction:
    """dYdX v4: the price at which the venue's own liquidation order is sent.

    The lower the equity, the further it lies from the oracle price: by `spread_to_maintenance` ·
    maintenance / size · clamp(`bankruptcy_adjustment` · (1 − equity / pool maintenance), 0, 1).
    Defaults: mainnet genesis.
    Source: dydxprotocol/v4-chain, x/clob/keeper/liquidations.go, GetFillablePrice.
    """
    rating = Fraction(1)
    if pool_maintenance > 0:
        rating = bankruptcy_adjustment * (1 - equity / pool_maintenance)
    rating = min(max(rating, Fraction(0)), Fraction(1))
    return position.price - rating * spread_to_maintenance * maintenance / position.quantity


def deleveraging_price(
    position: Position, equity: Fraction, maintenance: Fraction, pool_maintenance: Fraction
) -> Fraction:
    """dYdX v4: the price at which the position is deleveraged against a counterparty.

    The position takes its share (by maintenance) of the pool's equity along, so in a cross pool
    this is not the price at k = 0. Source: GetBankruptcyPriceInQuoteQuantums, same file.
    """
    share = maintenance / pool_maintenance if pool_maintenance else Fraction(1)
    return position.price - equity * share / position.quantity


def close_to_cover(
    shortage: Fraction,
    price: Fraction,
    margin_rate: Fraction,
    liquidator_fee: Fraction = Fraction(0),
    fund_fee: Fraction = Fraction(0),
    quote_price: Fraction = Fraction(1),
) -> Fraction | None:
    """Drift: base units that must be closed to make up a margin `shortage` (quote currency).

    Each unit of notional closed frees the margin rate less the two fees. None: that is nothing, and
    the whole position is closed. Source: drift protocol-v2, math/liquidation.rs.
    """
    freed = price * quote_price * (margin_rate - liquidator_fee - fund_fee)
    return shortage / freed if freed > 0 else None
