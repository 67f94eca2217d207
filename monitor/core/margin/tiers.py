"""Margin tier tables: how much equity a notional needs before the venue steps in.

    MM(N) = max_t (r_t · N − d_t),   d_0 = 0,   d_t = d_(t−1) + lower_bound_t · (r_t − r_(t−1))

The deductions (the "cumulative amount" of Binance) make the requirement continuous at each bound.
Because rates never fall from tier to tier, the maximum over all rows is that of the row which holds
the notional, so no solver here needs to search for its tier. All numbers are exact rationals, so
that a notional on a bound is compared exactly.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from monitor.core.contract.events import Tier
from monitor.core.contract.fixed_point import MONEY_SCALE, SCALE


class TierError(ValueError):
    """A table that cannot be used; the message names the row and says how to mend it."""


@dataclass(frozen=True, slots=True)
class TierRow:
    """One tier: from `lower_bound` of notional (quote currency, inclusive) upwards.

    `rate` and `initial_rate` are fractions of notional; `deduction` is quote currency.
    """

    lower_bound: Fraction
    rate: Fraction
    deduction: Fraction
    initial_rate: Fraction | None = None


@dataclass(frozen=True, slots=True)
class Tiers:
    """A whole table, lowest tier first.

    >>> table = Tiers.from_rows([(Fraction(0), Fraction("0.05"), None),
    ...                   (Fraction(1000), Fraction("0.1"), None)])
    >>> table.rows[1].deduction, table.index_at(Fraction(1000))
    (Fraction(50, 1), 1)
    """

    rows: tuple[TierRow, ...]

    @classmethod
    def from_rows(
        cls,
        rows: Iterable[tuple[Fraction, Fraction, Fraction | None]],
        first_deduction: Fraction = Fraction(0),
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
            elif bound != 0 and first_deduction == 0:
                raise TierError(
                    f"tier 0 starts at {float(bound):g}: the first lower bound must be 0"
                )
            table.append(TierRow(bound, rate, deduction, initial))
        if not table:
            raise TierError("the table has no rows: give at least one maintenance rate")
        return cls(tuple(table))

    @classmethod
    def flat(cls, rate: Fraction) -> Tiers:
        """A venue with one maintenance rate."""
        return cls.from_rows([(Fraction(0), rate, None)])

    @classmethod
    def from_reference(cls, tiers: Sequence[Tier]) -> Tiers:
        """From a `reference` record's rows (grid integers of the contract)."""
        rows = []
        for t in tiers:
            bound, rate = Fraction(t.lower_bound, MONEY_SCALE), Fraction(t.maintenance_rate, SCALE)
            initial = None if t.initial_rate is None else Fraction(t.initial_rate, SCALE)
            rows.append((bound, rate, initial))
        return cls.from_rows(rows)

    def index_at(self, notional: Fraction) -> int:
        """Index of the row that holds `notional`; a bound itself belongs to the higher row."""
        return max(bisect_right(self.rows, notional, key=lambda row: row.lower_bound) - 1, 0)

    def initial(self, notional: Fraction) -> Fraction | None:
        """Initial margin (quote currency) at the highest leverage allowed, if the table says."""
        rate = self.rows[self.index_at(notional)].initial_rate
        return None if rate is None else rate * notional


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
