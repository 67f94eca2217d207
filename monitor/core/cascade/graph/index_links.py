"""What indices do in a system: how far each follows the common factor, and the others' books.

A common move of indices is a shock from outside, and no cascade: forced flow moves the venue's own
book, and outside prices only as far as they follow that book. So a correlation of indices makes an
edge in proportion to the share of a premium that an index was seen to follow; where none was, there
is no edge, however alike two markets move.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from detectors.arrays.types import Float64, Int64
from monitor.core.cascade.graph.system import MarketSystem
from monitor.core.marks.index_moves import READY_RETURNS, STEP_S, CommonMoves

NAMES_MAX = 5


class IndexLinks(NamedTuple):
    """`betas`: by market of `order`, None: not known. `beta` and `index_carry`: see `MarketSystem`.
    `against`: the markets that move against the factor, as places in `order`."""

    betas: list[float | None]
    beta: Float64
    index_carry: Float64 | None
    against: list[int]

    @classmethod
    def find(cls, moves: CommonMoves, order: Int64, system: MarketSystem) -> IndexLinks:
        """`moves`: of the markets `order` of the system."""
        betas = moves.betas(system.open_notional[order])
        beta = np.ones(len(system.mark))
        beta[order] = np.maximum(np.where(np.isnan(betas), 1.0, betas), 0.0)
        carry = None
        if moves.follow.any():
            carry = np.zeros((len(system.mark), len(system.mark)))
            # Of a book's move κ is in its own mark already, whether outside prices follow or not.
            slopes = np.maximum(moves.slopes().T, 0.0)
            np.fill_diagonal(slopes, 1.0 - system.kappa[order])
            carry[np.ix_(order, order)] = moves.follow[:, None] * slopes
        against = np.flatnonzero(betas < 0.0).tolist()
        given = [None if b != b else b for b in betas.tolist()]
        return cls(given, beta, carry, against)

    def applied_to(self, system: MarketSystem) -> MarketSystem:
        return replace(system, beta=self.beta, index_carry=self.index_carry)

    def unknown(self, names: list[str]) -> list[str]:
        """What is not known of several markets (`names`: as in `order`), and what is assumed."""
        new = [name for name, beta in zip(names, self.betas, strict=True) if beta is None]
        lines = []
        if new:
            lines.append(
                f"{_list(new)}: how far the index moves with the others' (fewer than "
                f"{READY_RETURNS} returns of {STEP_S:g} s); taken to move as the common factor does"
            )
        if self.against:
            lines.append(
                f"{_list([names[k] for k in self.against])}: moves against the common factor; "
                "taken to stand still when that moves"
            )
        return lines


def _list(names: list[str]) -> str:
    more = len(names) - NAMES_MAX
    return ", ".join(names[:NAMES_MAX]) + (f" and {more} more" if more > 0 else "")
