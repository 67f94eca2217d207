"""Margin tier tables: how much equity a notional needs before the venue steps in.

    MM(N) = max_t (r_t · N − d_t),   d_0 = 0,   d_t = d_(t−1) + lower_bound_t · (r_t − r_(t−1))

The deductions (the "cumulative amount" of Binance) make the requirement continuous at each bound.
Because rates never fall from tier to tier, the maximum over all rows is that of the row which holds
the notional, so no solver here needs to search for its tier. All numbers are exact rationals, so
that a notional on a bound is compared exactly.

Other venues apply the rate of a position's tier to the whole of it, MM(N) = r_t · N (OKX, the risk
limits of BitMEX), or bound their tiers by contracts. Such a tier does not move with the price.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from monitor.core.contract.events import Tier
from monitor.core.contract.fixed_point import MONEY_SCALE, SCALE


class TierError(ValueError):
    """A table that cannot be used; the message names the row and says how to mend it."""


@dataclass(frozen=True, slots=True)
class TierRow:
    """One tier: from `lower_bound` (inclusive) of what the table goes by upwards.

    `rate` and `initial_rate` are fractions of notional. `lower_bound` and `deduction` are in the
    currency of the notional, or in contracts where the table is by contracts.
    """

    lower_bound: Fraction
    rate: Fraction
    deduction: Fraction
    initial_rate: Fraction | None = None


@dataclass(frozen=True, slots=True)
class Tiers:
    """A whole table, lowest tier first.

    `whole`: the rate of the tier that holds the position applies to all of it, and nothing is
    deducted. `by_contracts`: bounds are numbers of contracts, else they are notional.

    >>> table = Tiers.from_rows([(Fraction(0), Fraction("0.05"), None),
    ...                   (Fraction(1000), Fraction("0.1"), None)])
    >>> table.rows[1].deduction, table.index_at(Fraction(1000))
    (Fraction(50, 1), 1)
    """

    rows: tuple[TierRow, ...]
    whole: bool = False
    by_contracts: bool = False

    @classmethod
    def from_rows(
        cls,
        rows: Iterable[tuple[Fraction, Fraction, Fraction | None]],
        first_deduction: Fraction = Fraction(0),
        *,
        whole: bool = False,
        by_contracts: bool = False,
    ) -> Tiers:
        """Build from (lower bound, maintenance rate, initial rate or None), lowest first.

        `first_deduction`: the amount of the first row when the table is an upper part of a longer
        one (a venue's worked example that names one tier and its cumulative amount).
        Raises `TierError` when the table is empty, a rate is outside [0, 1], bounds do not rise or
        rates fall.
        """
        table: list[TierRow] = []
        for number, (bound, rate, initial) in enumerate(rows):
            deduction = first_deduction
            if not 0 <= rate <= 1:
                raise TierError(
                    f"tier {number}: maintenance rate {float(rate):g} is no fraction "
                    "of 1: write 1 % as 0.01"
                )
            if initial is not None and initial <= 0:
                raise TierError(
                    f"tier {number}: initial rate {float(initial):g} is not above 0: "
                    "leave it out where it is not known"
                )
            if table:
                deduction = _next_deduction(table[-1], number, bound, rate)
                deduction = Fraction(0) if whole else deduction
            elif bound != 0 and first_deduction == 0:
                raise TierError(
                    f"tier 0 starts at {float(bound):g}: the first lower bound must be 0"
                )
            table.append(TierRow(bound, rate, deduction, initial))
        if not table:
            raise TierError("the table has no rows: give at least one maintenance rate")
        return cls(tuple(table), whole, by_contracts)

    @classmethod
    def flat(cls, rate: Fraction) -> Tiers:
        """A venue with one maintenance rate."""
        return cls.from_rows([(Fraction(0), rate, None)])

    @classmethod
    def from_reference(
        cls, tiers: Sequence[Tier], *, whole: bool = False, by_contracts: bool = False
    ) -> Tiers:
        """From a `reference` record's rows (grid integers of the contract)."""
        rows = []
        for t in tiers:
            bound, rate = Fraction(t.lower_bound, MONEY_SCALE), Fraction(t.maintenance_rate, SCALE)
            initial = None if t.initial_rate is None else Fraction(t.initial_rate, SCALE)
            rows.append((bound, rate, initial))
        return cls.from_rows(rows, whole=whole, by_contracts=by_contracts)

    def times(self, units: Fraction) -> Tiers:
        """The table whose amounts are counted in units so many times smaller."""
        rows = (
            replace(row, lower_bound=row.lower_bound * units, deduction=row.deduction * units)
            for row in self.rows
        )
        return replace(self, rows=tuple(rows))

    def index_at(self, amount: Fraction) -> int:
        """Index of the row that holds `amount`; a bound itself belongs to the higher row."""
        return max(bisect_right(self.rows, amount, key=lambda row: row.lower_bound) - 1, 0)

    def fixed_rate(self, amount: Fraction) -> Fraction | None:
        """The rate of all of a position of `amount`, where its tier does not move with the price;
        None: it does."""
        if not (self.whole or self.by_contracts):
            return None
        row = self.rows[self.index_at(amount)]
        return row.rate - row.deduction / amount


def _next_deduction(last: TierRow, number: int, bound: Fraction, rate: Fraction) -> Fraction:
    if bound <= last.lower_bound:
        raise TierError(
            f"tier {number} starts at {float(bound):g}, not above tier {number - 1}'s "
            f"{float(last.lower_bound):g}: list the tiers by rising lower bound"
        )
    if rate < last.rate:
        raise TierError(
            f"tier {number}: maintenance rate {float(rate):g} falls below tier "
            f"{number - 1}'s {float(last.rate):g}: a larger position never needs less; "
            "check the row"
        )
    return last.deduction + bound * (rate - last.rate)
