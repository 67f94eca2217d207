"""What one step of a liquidation sends: how much of the position, and at which price at worst.

Everything is exact: quantities and prices are rationals, times int ns. Orders are whole lots, but
for one that closes the whole position.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

from monitor.core.contract.units import SECOND_NS
from monitor.core.margin.tiers import Tiers


class BookLevel(NamedTuple):
    """A level of the book that an order meets, and what an order takes of one."""

    price: Fraction
    quantity: Fraction


@dataclass(frozen=True, slots=True)
class DuePosition:
    """A position under liquidation as a step meets it.

    `side`: 1 long, −1 short; `size`: its quantity, positive. `tier_price`: at which its tier is
    looked up, the mark or, where maintenance is counted at entry value, the entry. `equity` and
    `need`: the account's equity and maintenance at the mark; `own_need`: this position's part of
    it; `need_at`: the account's maintenance with another size. `bankruptcy_price`: at which the
    position's part of the equity is used up. `orders`: sent before; `waited_ns`: since it fell
    under water.
    """

    side: int
    size: Fraction
    mark: Fraction
    lot: Fraction
    tiers: Tiers
    tier_price: Fraction
    equity: Fraction
    need: Fraction
    own_need: Fraction
    need_at: Callable[[Fraction], Fraction]
    bankruptcy_price: Fraction
    orders: int
    waited_ns: int

    @property
    def notional(self) -> Fraction:
        return self.size * self.mark

    def lots_up(self, quantity: Fraction) -> Fraction:
        """The least number of lots that covers `quantity`, at most the whole position."""
        return min(-(-quantity // self.lot) * self.lot, self.size)

    def lots_down(self, quantity: Fraction) -> Fraction:
        """The largest number of lots within `quantity`, at least one, at most the position."""
        return min(max(quantity // self.lot, 1) * self.lot, self.size)

    def enough_to_be_safe(self) -> Fraction:
        """The least number of lots after which equity is above maintenance, sold at the mark."""
        low, high = 1, int(-(-self.size // self.lot))
        while low < high:
            middle = (low + high) // 2
            if self.equity > self.need_at(max(self.size - middle * self.lot, Fraction(0))):
                high = middle
            else:
                low = middle + 1
        return min(low * self.lot, self.size)


# How much an order takes. ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class FirstShare:
    """`share` of the position with the first order where its notional is `above` (quote currency;
    None: always) or more, all of it otherwise and later."""

    share: Fraction = Fraction(1)
    above: Fraction | None = None

    def quantity(self, due: DuePosition) -> Fraction:
        partial = due.orders == 0 and due.notional >= (self.above or 0)
        return due.lots_up(due.size * self.share) if partial else due.size


@dataclass(frozen=True, slots=True)
class ShareEachStep:
    """`share` of the notional that is left with every order: at least `notional_min`, at most
    `notional_max` (quote currency)."""

    share: Fraction
    notional_min: Fraction
    notional_max: Fraction

    def quantity(self, due: DuePosition) -> Fraction:
        most = min(max(due.notional * self.share, self.notional_min), self.notional_max)
        return due.size if due.notional <= most else due.lots_down(most / due.mark)


@dataclass(frozen=True, slots=True)
class TiersDown:
    """What brings the position `tiers` down in the tier table; nothing from its lowest `tiers`
    ones, where the venue takes the position over without an order."""

    tiers: int

    def quantity(self, due: DuePosition) -> Fraction:
        price = Fraction(1) if due.tiers.by_contracts else due.tier_price
        tier = due.tiers.index_at(due.size * price)
        if tier < self.tiers:
            return Fraction(0)
        most = due.tiers.rows[tier - self.tiers + 1].lower_bound / price
        # The bound itself belongs to the higher tier.
        kept = (-(-most // due.lot) - 1) * due.lot
        return due.size - max(kept, Fraction(0))


@dataclass(frozen=True, slots=True)
class UntilSafe:
    """As much as brings equity back above maintenance."""

    def quantity(self, due: DuePosition) -> Fraction:
        return due.enough_to_be_safe()


@dataclass(frozen=True, slots=True)
class GrowingShare:
    """A share of what brings equity back above maintenance: `first` at once, all of it after
    `seconds` under water; all at once where less than `shortage_min` (quote currency) is missing.
    """

    first: Fraction
    seconds: int
    shortage_min: Fraction

    def quantity(self, due: DuePosition) -> Fraction:
        needed = due.enough_to_be_safe()
        if due.need - due.equity < self.shortage_min:
            return needed
        share = self.first + Fraction(due.waited_ns, self.seconds * SECOND_NS)
        return due.lots_up(needed * min(share, Fraction(1)))


OrderSize = FirstShare | ShareEachStep | TiersDown | UntilSafe | GrowingShare


# The worst price of an order. -----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class AnyPrice:
    """An order without a limit; what it loses beyond the margin is the account's debt."""

    def price(self, due: DuePosition) -> Fraction | None:
        return None


@dataclass(frozen=True, slots=True)
class AtBankruptcy:
    """The bankruptcy price: the order itself never makes a debt."""

    def price(self, due: DuePosition) -> Fraction | None:
        return due.bankruptcy_price


@dataclass(frozen=True, slots=True)
class FillablePrice:
    """The mark, worse by a spread that grows as equity falls from maintenance to 0:
    p·(1 ∓ spread·rate·min(1, adjustment·(1 − equity/maintenance))), rate: of maintenance."""

    spread: Fraction
    adjustment: Fraction

    def price(self, due: DuePosition) -> Fraction | None:
        rating = min(max(self.adjustment * (1 - due.equity / due.need), Fraction(0)), Fraction(1))
        worst = due.mark - due.side * rating * self.spread * due.own_need / due.size
        return max(worst, Fraction(0))


@dataclass(frozen=True, slots=True)
class AuctionPrice:
    """The mark less a discount for whoever takes the position: `first` for `grace_s`, then rising
    by `rise` a second up to `most` (fractions)."""

    first: Fraction
    grace_s: int
    rise: Fraction
    most: Fraction

    def price(self, due: DuePosition) -> Fraction | None:
        late_s = max(Fraction(due.waited_ns, SECOND_NS) - self.grace_s, Fraction(0))
        return due.mark * (1 - due.side * min(self.first + self.rise * late_s, self.most))


PriceLimit = AnyPrice | AtBankruptcy | FillablePrice | AuctionPrice


def match_order(
    levels: Sequence[BookLevel], quantity: Fraction, limit: Fraction | None, side: int
) -> list[BookLevel]:
    """What an order takes from `levels`, the best first, while they are within its limit.

    `side`: of the position that it closes; 1 sells into bids, −1 buys from asks.
    """
    taken = []
    for level in levels:
        if quantity <= 0 or (limit is not None and side * (level.price - limit) < 0):
            break
        part = min(quantity, level.quantity)
        if part > 0:
            taken.append(BookLevel(level.price, part))
            quantity -= part
    return taken
