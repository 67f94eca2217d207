"""The margin formulas: one solver for every venue.

A *pool* is one isolated position or one cross account. With q the signed quantity, z = |q|, p0 the
price at which the pool's equity A0 stands, and M_other the maintenance margin of its other
positions, the pool meets `k` times its requirement at the price

    x_t = (k·(M_other − d_t) − A0 + q·p0) / (q − z·(k·r_t + fee)),    max over t long, min short

k = 5/4: warn (maintenance is 80 % of equity); 1: liquidation; 2/3: Hyperliquid's backstop; 0:
bankruptcy. x ≤ 0 means that there is no such price. Everything is an exact rational here;
`monitor/core/bands/refresh.py` runs the same formula in floats over a whole venue, and its tests
compare it with this file.

An inverse position of Q in quote currency is worth Q/x in coin and gains Q·(1/p0 − 1/x): in the
coordinate y = 1/x it is a linear position of −Q, and the same formula holds. A quanto position is a
linear one of contracts·multiplier. All amounts are in the currency that the pool settles in.

In hedge mode both legs of one market move with its price: q, and the lines of the requirement, are
sums over the legs. Such a pool may be due on either side of today's price.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import isqrt
from typing import NamedTuple

from monitor.core.contract.units import WARN_RATIO
from monitor.core.margin.paths.path import LiquidationPath
from monitor.core.margin.tiers import Tiers

LIQUIDATION_K = Fraction(1)
BANKRUPTCY_K = Fraction(0)
_ROOT_SCALE = 10**40
"""Square roots are taken to this part of a unit; the only numbers here that are not exact."""


@dataclass(frozen=True, slots=True)
class Position:
    """One position as the solver sees it.

    `quantity`: signed, not 0; base units (linear), quote currency (inverse), or settlement currency
    for each unit of price (quanto). `price`: the price at which the pool's equity stands.
    `entry`: average entry price, needed where maintenance is counted at entry value.
    `fee`: closing fee as a fraction of notional that the venue counts against equity.
    `size_rate`: addition to the maintenance rate for each base unit held (Deribit); of an inverse
    position for each coin of value, which moves with the price. `contracts`: how many they are,
    where the tiers go by it.
    """

    symbol: str
    quantity: Fraction
    price: Fraction
    tiers: Tiers
    entry: Fraction | None = None
    fee: Fraction = Fraction(0)
    size_rate: Fraction = Fraction(0)
    inverse: bool = False
    contracts: Fraction | None = None

    @property
    def size(self) -> Fraction:
        return abs(self.quantity)

    @property
    def drift(self) -> Fraction:
        """What the position gains as its coordinate rises by one."""
        return -self.quantity if self.inverse else self.quantity

    def coordinate(self, price: Fraction) -> Fraction:
        """The coordinate in which the position is linear: the price, or one over it."""
        return 1 / price if self.inverse else price

    def profit(self, start: Fraction, end: Fraction) -> Fraction:
        """What the position gains between two prices, in the settlement currency."""
        return self.drift * (self.coordinate(end) - self.coordinate(start))

    def value(self, price: Fraction) -> Fraction:
        """Notional at `price`, in the settlement currency."""
        return self.size * self.coordinate(price)

    @property
    def notional(self) -> Fraction:
        return self.value(self.price)

    @property
    def tier_amount(self) -> Fraction:
        """What the position's tier goes by today."""
        by_contracts = self.tiers.by_contracts and self.contracts is not None
        return abs(self.contracts) if by_contracts and self.contracts else self.notional

    def size_rate_at(self, price: Fraction) -> Fraction:
        """Addition to the maintenance rate at `price`."""
        return self.size_rate * (self.value(price) if self.inverse else self.size)


class Crossing(NamedTuple):
    """Where a pool meets k times its requirement, and the tier that binds; None: at no price.

    `other_side`: in hedge mode, the price on the other side of today's at which it does so too.
    """

    price: Fraction | None
    tier: int | None
    other_side: Fraction | None = None


class Prices(NamedTuple):
    """The four prices of one position, and its own and the other positions' maintenance margin."""

    warn: Crossing
    liquidation: Crossing
    backstop: Crossing | None
    bankruptcy: Crossing
    maintenance: Fraction
    other_maintenance: Fraction


class MaintenanceLine(NamedTuple):
    """Requires bend·y² + slope·y − deduction at the coordinate y; `tier`: that it stands for."""

    tier: int
    slope: Fraction
    deduction: Fraction
    bend: Fraction = Fraction(0)

    def at(self, y: Fraction) -> Fraction:
        return self.bend * y * y + self.slope * y - self.deduction


@dataclass(frozen=True, slots=True)
class Regime:
    """A venue's rules: its requirement, its mark, and what happens under water.

    `mark_rule`: how the venue makes its mark, in words. `path`: what happens under water.
    `at_entry`: maintenance is counted at entry value and does not move with the mark.
    `at_todays_mark`: it is today's, and does not move with the mark either. `closing_fee`: the fee
    that the venue counts against equity where the account's own is not given, a fraction of
    notional; None: it counts none. `whole_position`: the rate of a position's tier applies to all
    of it. `hedge_mode`: an account may be long and short in one market. `keeps_tables`: an open
    position keeps the tier table that it was opened with when the market's changes.
    `extra_margin_fee`: the fee by which margin added to an isolated position counts for less than
    its amount. `rule`: the version of the venue's rule, in words.
    """

    name: str
    mark_rule: str
    path: LiquidationPath
    at_entry: bool = False
    at_todays_mark: bool = False
    closing_fee: Fraction | None = None
    whole_position: bool = False
    hedge_mode: bool = False
    keeps_tables: bool = False
    extra_margin_fee: Fraction = Fraction(0)
    rule: str = ""

    @property
    def backstop_k(self) -> Fraction | None:
        """The multiple of maintenance below which the path's backstop takes over."""
        return self.path.backstop_k

    def requirement(self, position: Position) -> list[MaintenanceLine]:
        """Maintenance margin as lines, one for each tier, of which the largest at a price counts;
        one alone where the tier does not move with the price.

        Raises ValueError for a position without an entry price where maintenance is at entry value.
        """
        z, rows = position.size, position.tiers.rows
        fixed = position.tiers.fixed_rate(position.tier_amount)
        rates = [(i, row.rate, row.deduction) for i, row in enumerate(rows)]
        if fixed is not None:
            rates = [(position.tiers.index_at(position.tier_amount), fixed, Fraction(0))]
        if self.at_entry or self.at_todays_mark:
            price = position.price if self.at_todays_mark else position.entry
            if price is None:
                raise ValueError(f"{position.symbol}: maintenance at entry value needs the entry")
            value, extra = position.value(price), position.size_rate_at(price)
            return [MaintenanceLine(t, Fraction(0), d - (r + extra) * value) for t, r, d in rates]
        if position.inverse:
            bend = position.size_rate * z * z
            return [MaintenanceLine(t, z * r, d, bend) for t, r, d in rates]
        extra = position.size_rate * z
        return [MaintenanceLine(t, z * (r + extra), d) for t, r, d in rates]


def requirement(regime: Regime, position: Position, price: Fraction | None = None) -> Fraction:
    """Maintenance margin (settlement currency) of `position` at `price` (its own when left out)."""
    y = position.coordinate(position.price if price is None else price)
    return max(line.at(y) for line in regime.requirement(position))


def crossing(
    regime: Regime,
    position: Position,
    equity: Fraction,
    other: Fraction,
    k: Fraction,
    opposite: Position | None = None,
) -> Crossing:
    """The price at which equity falls to `k` times the requirement, and the tier that binds.

    A tier whose requirement rises with the price as fast as the position's value (k·r + fee ≥ 1)
    has no such price for a long position and is skipped. Of equal roots the higher tier binds,
    since a notional on a bound belongs to it. `opposite`: the other leg of the same market in hedge
    mode; `other` is then what the rest of the pool requires beside both legs.
    """
    legs = [position] if opposite is None else [position, opposite]
    drift = sum((leg.drift for leg in legs), Fraction(0))
    fee = sum((leg.size * leg.fee for leg in legs), Fraction(0))
    start = sum((leg.drift * leg.coordinate(leg.price) for leg in legs), Fraction(0)) - equity
    low: tuple[Fraction, int] | None = None
    high: tuple[Fraction, int] | None = None
    for lines in _binding_together([regime.requirement(leg) for leg in legs]):
        slope = drift - fee - k * sum((line.slope for line in lines), Fraction(0))
        bend = k * sum((line.bend for line in lines), Fraction(0))
        level = k * (other - sum((line.deduction for line in lines), Fraction(0))) + start
        below, above = _roots(slope, bend, level)
        if below is not None and (low is None or below >= low[0]):
            low = below, lines[0].tier
        if above is not None and (high is None or above <= high[0]):
            high = above, lines[0].tier
    sides = [_as_crossing(position, low), _as_crossing(position, high)]
    if opposite is None:
        return sides[0 if drift > 0 else 1]
    if _slope_now(legs, regime, k, drift) <= 0:
        sides.reverse()
    if sides[0].price is None:
        sides.reverse()
    return sides[0]._replace(other_side=sides[1].price)


def _binding_together(legs: list[list[MaintenanceLine]]) -> Iterator[tuple[MaintenanceLine, ...]]:
    """The lines of the legs that bind at the same coordinate, from 0 upwards."""
    kept: list[list[MaintenanceLine]] = []
    for lines in legs:
        rising: list[MaintenanceLine] = []
        for line in lines:
            # Of parallel lines one is above the other everywhere.
            if rising and rising[-1].slope == line.slope:
                if line.deduction > rising[-1].deduction:
                    continue
                rising.pop()
            rising.append(line)
        kept.append(rising)
    at = [0] * len(legs)
    while True:
        yield tuple(lines[i] for lines, i in zip(kept, at, strict=True))
        ends = [
            (
                (lines[i + 1].deduction - lines[i].deduction)
                / (lines[i + 1].slope - lines[i].slope),
                n,
            )
            for n, (lines, i) in enumerate(zip(kept, at, strict=True))
            if i + 1 < len(lines)
        ]
        if not ends:
            return
        at[min(ends)[1]] += 1


def _roots(
    slope: Fraction, bend: Fraction, level: Fraction
) -> tuple[Fraction | None, Fraction | None]:
    """Where slope·y − bend·y² = level, the lower and the upper side of what lies above it."""
    if bend == 0:
        if slope == 0:
            return None, None
        return (level / slope, None) if slope > 0 else (None, level / slope)
    square = slope * slope - 4 * bend * level
    if square < 0:
        return None, None
    scaled = isqrt(square.numerator * square.denominator * _ROOT_SCALE**2)
    root = Fraction(scaled, square.denominator * _ROOT_SCALE)
    lower = 2 * level / (slope + root) if slope + root != 0 else None
    upper = 2 * level / (slope - root) if slope - root != 0 else None
    return lower, upper


def _as_crossing(position: Position, root: tuple[Fraction, int] | None) -> Crossing:
    if root is None or root[0] <= 0:
        return Crossing(None, None)
    return Crossing(position.coordinate(root[0]), root[1])


def _slope_now(legs: Sequence[Position], regime: Regime, k: Fraction, drift: Fraction) -> Fraction:
    """How equity less k times the requirement of both legs changes with the coordinate, today."""
    for leg in legs:
        y = leg.coordinate(leg.price)
        line = max(regime.requirement(leg), key=lambda line, y=y: line.at(y))  # type: ignore[misc]
        drift -= k * (line.slope + 2 * line.bend * y) + leg.size * leg.fee
    return drift


def prices(
    regime: Regime,
    position: Position,
    equity: Fraction,
    other: Fraction,
    opposite: Position | None = None,
) -> Prices:
    """The four prices in a pool with `equity` beside positions that require `other`.

    `opposite`: the other leg of the same market, whose requirement `other` leaves out.
    """

    def at(k: Fraction) -> Crossing:
        return crossing(regime, position, equity, other, k, opposite)

    backstop = None if regime.backstop_k is None else at(regime.backstop_k)
    own = requirement(regime, position)
    beside = other if opposite is None else other + requirement(regime, opposite)
    return Prices(at(WARN_RATIO), at(LIQUIDATION_K), backstop, at(BANKRUPTCY_K), own, beside)
