"""Who takes part in a liquidation: a quantity and an amount of money each.

Every step moves quantity and money from one of them to another, so that their sums never change.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

NOTHING = Fraction(0)


@dataclass(slots=True)
class Holding:
    """A signed quantity of one market, and money: what is left of it if the quantity is worth
    nothing (quote currency). Equity at the mark is cash + quantity·mark."""

    quantity: Fraction = NOTHING
    cash: Fraction = NOTHING

    def equity(self, mark: Fraction) -> Fraction:
        return self.cash + self.quantity * mark

    def move(self, quantity: Fraction, price: Fraction, to: Holding) -> None:
        """Hand over a signed quantity at a price."""
        self.quantity -= quantity
        self.cash += quantity * price
        to.quantity += quantity
        to.cash -= quantity * price

    def pay(self, amount: Fraction, to: Holding) -> None:
        self.cash -= amount
        to.cash += amount


@dataclass(slots=True)
class MarginHolding(Holding):
    """An account's position in the market, under its account's name.

    `entry`: average entry price. `other_need`: maintenance of what else the account has open; its
    equity is part of `cash`.
    """

    name: str = ""
    entry: Fraction = NOTHING
    other_need: Fraction = NOTHING
