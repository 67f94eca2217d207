"""Where a cross account is due when all of its markets move together.

After a move f of the common factor every mark is p·(1 + f), and the gap between equity and
requirement is

    gap(f) = A0 + Σ q·p·f − Σ MM(p·(1 + f))

which is concave and a straight line between the bounds of the tiers: its roots are exact.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from itertools import pairwise
from typing import NamedTuple

from monitor.core.margin.liquidation_price import Position, Regime, requirement

ZERO, ONE = Fraction(0), Fraction(1)
Holding = tuple[Regime, Position]
"""A position, and the regime of its market."""


class FactorMoves(NamedTuple):
    """The fall (≥ −1) and the rise of the common factor at which an account is due, as fractions
    of the marks; 0: it is due already, None: at none."""

    fall: Fraction | None
    rise: Fraction | None


def factor_moves(holdings: Sequence[Holding], equity: Fraction) -> FactorMoves:
    """The moves that make a pool of linear positions due; `equity` stands at their prices."""

    def gap(f: Fraction) -> Fraction:
        gained = sum((p.quantity * p.price * f for _, p in holdings), equity)
        return gained - sum((requirement(r, p, p.price * (1 + f)) for r, p in holdings), ZERO)

    if gap(ZERO) < 0:
        return FactorMoves(ZERO, ZERO)
    bends = sorted({f for holding in holdings for f in _bends(*holding)})
    falls = [ZERO, *(f for f in reversed(bends) if f < 0), -ONE]
    rises = [ZERO, *(f for f in bends if f > 0)]
    return FactorMoves(_first_root(gap, falls), _first_root(gap, [*rises, rises[-1] + 1], True))


def _bends(regime: Regime, position: Position) -> Iterator[Fraction]:
    """The moves above −1 at which another tier binds."""
    for lower, upper in pairwise(regime.requirement(position)):
        if upper.slope != lower.slope:
            price = (upper.deduction - lower.deduction) / (upper.slope - lower.slope)
            if price > 0:
                yield price / position.price - 1


def _first_root(
    gap: Callable[[Fraction], Fraction], points: Sequence[Fraction], endless: bool = False
) -> Fraction | None:
    """Where `gap`, straight between `points` and not negative at the first, falls below 0.

    `endless`: the last line goes on behind the last point.
    """
    last = len(points) - 2
    for i, (a, b) in enumerate(pairwise(points)):
        at_a, at_b = gap(a), gap(b)
        if at_b < 0 or (endless and i == last and at_b < at_a):
            return a + (b - a) * at_a / (at_a - at_b)
    return None
