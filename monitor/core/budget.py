"""Who may make how many of the false alerts a day that the desk will bear.

The operator turns one knob, `alerts.per_day`, for the whole venue. Joint evidence, evidence across
markets, bursts by account, the venue's streams and drift get a share of it; single streams get the
rest. Within a share, all streams (of all symbols) that can judge get the same part, which becomes a
limit on p-values.

The most extreme moments of a day are no false alerts, whatever the budget is. How many of them are
reported follows the budget slowly: a desk that bears a tenth of the false alerts wants half of the
moments.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import fsum

from detectors.calibration.calibrator import FalseAlarmRate

MOMENTS_AT_ONE, MOMENTS_GROWTH = 3.5, 0.3
"""At a budget of ten a day a stream of moments reports its seven most extreme ones, at one a day
half of them: each tenfold of the budget doubles their number. Several streams see each kind."""


@dataclass(frozen=True, slots=True)
class BudgetShare:
    """What one kind of evidence may spend."""

    per_day: float
    """False alerts a day; 0 where this kind of evidence is off."""

    def p_limit(self, window_s: float, streams: int, partitions: int = 1) -> float:
        """A window (of `window_s`, s) of a stream is reported when its p-value is not above this.

        `streams`: those that could judge in the window before; other partitions are taken to have
        as many. 0 where nothing may be spent.

        >>> BudgetShare(8.64).p_limit(1.0, streams=5, partitions=2)
        1e-05
        """
        if self.per_day <= 0:
            return 0.0
        return FalseAlarmRate(self.per_day, window_s, max(1, streams) * partitions).p_limit


NO_SHARE = BudgetShare(0.0)


@dataclass(frozen=True, slots=True)
class AlertBudget:
    """The shares of all kinds of evidence."""

    single_streams: BudgetShare
    joint: BudgetShare
    cross_market: BudgetShare
    account_bursts: BudgetShare
    venue_streams: BudgetShare
    drift: BudgetShare

    @classmethod
    def split(
        cls, per_day: float, joint: float, cross_market: float, account_bursts: float,
        venue_streams: float, drift: float,
    ) -> AlertBudget:  # fmt: skip
        """From false alerts a day and the parts of them, each within [0, 1), that others than
        single streams get. Raises `ValueError` where nothing is left for single streams.
        """
        shares = joint, cross_market, account_bursts, venue_streams, drift
        parts = [per_day * share for share in shares]
        # `sum` rounds otherwise from Python 3.12 on.
        single = per_day - fsum(parts)
        if single <= 0:
            raise ValueError(
                "joint.budget_share, joint.across_share, account_bursts.budget_share, "
                "alerts.venue_share and drift.budget_share leave nothing for single streams: make "
                "them less than 1 together"
            )
        return cls(BudgetShare(single), *(BudgetShare(part) for part in parts))


def moments_per_day(false_per_day: float) -> float:
    """How many moments a day each stream of moments reports, at so many false alerts a day.

    >>> [round(moments_per_day(budget), 1) for budget in (0.1, 1.0, 10.0)]
    [1.8, 3.5, 7.0]
    """
    return MOMENTS_AT_ONE * float(false_per_day**MOMENTS_GROWTH)
