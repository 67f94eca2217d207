"""Liquidations that tests set up: an account, the other side, a fund."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from monitor.core.margin.paths.holdings import Holding, MarginHolding
from monitor.core.margin.paths.liquidation import Liquidation
from monitor.core.margin.paths.orders import BookLevel
from monitor.core.margin.regimes import REGIMES
from monitor.core.margin.tiers import Tiers

SECOND = 10**9
Number = int | str | Fraction


def exact(value: Number) -> Fraction:
    return Fraction(value)


def book(*levels: tuple[Number, Number]) -> list[BookLevel]:
    """Levels from price and quantity, the best first."""
    return [BookLevel(exact(price), exact(quantity)) for price, quantity in levels]


def holding(
    name: str, quantity: Number, entry: Number, margin: Number, other_need: Number = 0
) -> MarginHolding:
    """A position bought (or sold) at `entry` with so much money behind it."""
    q, p = exact(quantity), exact(entry)
    return MarginHolding(q, exact(margin) - q * p, name, p, exact(other_need))


def liquidation(
    regime: str, tiers: Tiers, account: MarginHolding, others: Sequence[MarginHolding] = (),
    fund: Number = 0, lot: Number = "0.001", **more: Any,
) -> Liquidation:  # fmt: skip
    cash = Holding(cash=exact(fund))
    return Liquidation(REGIMES[regime], tiers, exact(lot), account, others, cash, **more)


def flat(rate: Number) -> Tiers:
    return Tiers.flat(exact(rate))


def tiers(*rows: tuple[Number, Number], **more: bool) -> Tiers:
    """Lower bound and maintenance rate of each tier."""
    return Tiers.from_rows([(exact(bound), exact(rate), None) for bound, rate in rows], **more)
