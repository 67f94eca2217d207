"""What a shock would set off in each market, as bands carry it.

`monitor/core/cascade/zone_shocks.py` works it out from the zones; here are only its numbers. A
*critical shock* is one at which the mark's rest jumps: forced flow carries it further, by the
*jump*. Distances are logarithms of the mark. All of it is given for several shares of the book that
survive, the last of them what the market has shown.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from detectors.arrays.types import F1, I1, Float64, Int64
from monitor.core.bands.kernels.arrays import tuple_type
from monitor.core.bands.refresh import BandArrays
from monitor.core.contract.alert import StakeShock
from monitor.core.contract.units import YEAR_S

SURVIVES = (1.0, 0.3, 0.1)
"""Shares of the book's quantities that survive; behind them stands what the market has shown."""
SHARES = len(SURVIVES) + 1
RATE, SHOCK, JUMP, FORCED = range(4)
"""Columns of `CascadeColumns.answers`: the reproduction number at the mark, the critical shock with
the longest jump, that jump, and the notional forced behind it. NaN: no shock, or no book."""
NEAR_SHOCK, NEAR_JUMP, NEAR_FORCED, NEAR_BOOK, NEAR_ZONES = range(5)
"""Columns of `CascadeColumns.near`: the same three of the shocks that an hour's move may bring (not
what is due with no move at all), the notional that the book takes up to that shock, and how many
zones are forced."""
HOUR_MOVES = 2.0
"""What a market moves in an hour is so many standard deviations of an hour's return: one move in
twenty is larger."""
HOUR_OF_YEAR = math.sqrt(3_600.0 / YEAR_S)
"""Standard deviation of an hour's return over that of a year's."""


class CascadeInputs(NamedTuple):
    """What the pass takes of each market beside its zones, in the order of the bands.

    `symbol`: its number. `kappa`: the part of the book's move that passes into the mark. `mark`:
    today's. By number of the symbol: `sigma`, volatility a year, and `shown`, the share of today's
    book that it has shown; NaN: not known.
    """

    symbol: Int64
    kappa: Float64
    mark: Float64
    sigma: Float64
    shown: Float64


CASCADE_INPUTS = tuple_type(CascadeInputs, I1, F1, F1, F1, F1)


@dataclass(frozen=True)
class CascadeColumns:
    """The answers for the markets `symbols`, those with positions and a mark, by name.

    `near` (side, market, `NEAR_SHOCK` to `NEAR_ZONES`): of shocks within the hour's move, for the
    share of the book that the market has shown, else for all of it; NaN: none. By market: `shown`,
    the share of today's book that it has shown, and `hour`, one standard deviation of an hour's
    return; NaN: not known. `inside`: how many sides have a critical shock within the hour's move
    that carries the mark an hour further. `answer_all`: works `answers` out.
    """

    symbols: list[str]
    near: Float64
    shown: Float64
    hour: Float64
    kappa: Float64
    inside: int
    answer_all: Callable[[], Float64]

    @cached_property
    def answers(self) -> Float64:
        """(side, market, share, `RATE` to `FORCED`); worked out when it is asked for."""
        return self.answer_all()

    def of_market(self, k: int) -> MarketCascade:
        """Those of one market."""
        sides = tuple(SideCascade(self.answers[s, k], self.near[s, k]) for s in (0, 1))
        shown, hour = float(self.shown[k]), float(self.hour[k])
        return MarketCascade(
            None if shown != shown else shown, None if hour != hour else hour,
            float(self.kappa[k]), (sides[0], sides[1]),
        )  # fmt: skip


class SideCascade(NamedTuple):
    """One side of a market: a row for each share, `RATE` to `FORCED`; and `NEAR_SHOCK` and on."""

    answers: Float64
    near: Float64


def as_fraction(shock: float, side: int) -> float:
    """A log distance as a fraction of the mark, six digits; side 0 falls."""
    return float(f"{math.expm1(-shock if side == 0 else shock):.6g}") or 0.0


class MarketCascade(NamedTuple):
    """One market: see `CascadeColumns`. `sides`: falls, which force longs, and rises."""

    shown: float | None
    hour: float | None
    kappa: float
    sides: tuple[SideCascade, SideCascade]

    @property
    def survives(self) -> tuple[float | None, ...]:
        """The shares of the book, in the order of the answers."""
        return *SURVIVES, self.shown

    def critical_shock(self, side: int) -> StakeShock | None:
        """The critical shock for what the book has shown (all of it, where that is not known): of
        those that an hour's move may bring, else of all; None: there is none."""
        share = SHARES - 1 if self.shown is not None else 0
        near = self.sides[side].near[NEAR_SHOCK : NEAR_FORCED + 1].tolist()
        every = self.sides[side].answers[share, SHOCK : FORCED + 1].tolist()
        within_hour = near[0] == near[0]
        shock, jump, forced = near if within_hour else every
        if shock != shock:
            return None
        return StakeShock(
            as_fraction(shock, side), float(f"{jump:.6g}"), float(f"{forced:.6g}"),
            float(f"{self.survives[share]:.6g}"), within_hour,
        )  # fmt: skip


CascadePass = Callable[[list[str], CascadeInputs, Int64, BandArrays], CascadeColumns]
"""Works the answers out: from the names of the markets, its inputs, the books (symbols,
`BOOK_WIDTH`) and the zones."""
