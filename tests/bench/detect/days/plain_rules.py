"""Plain rules that a desk could write in an afternoon, at the rate that the product realises.

Each rule has one threshold: the lowest with which it alarms no more often outside planted places
than the product does, over the same seconds of the same changed day. Alarms less than ten minutes
apart are one. A threshold that is set on the very day that it is judged on is more than a desk
would have: the comparison favours the rules.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from tests.bench.detect.days.planting import Planting
from tests.bench.detect.days.series import (
    SPREAD_LEAST_BPS,
    MarketSeries,
    Numbers,
    below_usual,
    short_least,
    trailing_median,
)

QUIET_S = 600
AFTER_S = 30
"""So long after its end a change may still raise a score: the longest is over 20 s."""


def _both_sides(market: MarketSeries, width: int) -> Numbers:
    both = np.logaddexp(market.log_bids, market.log_asks)
    return below_usual(both, market.trailing_s, width)


def _sides(market: MarketSeries, width: int) -> tuple[Numbers, Numbers]:
    trailing_s = market.trailing_s
    return (
        below_usual(market.log_bids, trailing_s, width),
        below_usual(market.log_asks, trailing_s, width),
    )


def _spread(market: MarketSeries, width: int) -> Numbers:
    usual = trailing_median(market.spread_bps, market.trailing_s)
    return short_least(market.spread_bps, width) / np.maximum(usual, SPREAD_LEAST_BPS)


RULES: dict[str, Callable[[MarketSeries], Numbers]] = {
    "both sides' depth, 10 s": lambda market: _both_sides(market, 10),
    "thicker side's depth, 20 s": lambda market: np.minimum(*_sides(market, 20)),
    "thinner side's depth, 20 s": lambda market: np.maximum(*_sides(market, 20)),
    "lowest spread in 5 s": lambda market: _spread(market, 5),
    "lowest spread in 10 s": lambda market: _spread(market, 10),
}
"""A score for each second: an alarm where it exceeds the threshold."""


def alarm_count(score: Numbers, threshold: float) -> int:
    """Alarms of a rule; NaN gives none."""
    at = np.flatnonzero(score > threshold)
    return int(len(at) > 0) + int((np.diff(at) > QUIET_S).sum())


def set_threshold(score: Numbers, allowed: int) -> float:
    """The lowest threshold with which there are at most `allowed` alarms."""
    there = score[~np.isnan(score)]
    if not len(there):
        return np.inf
    low, high = float(there.min()) - 1.0, float(there.max())
    for _ in range(40):
        middle = (low + high) / 2
        # Below some threshold all alarms run into one: with too few quiet seconds it is too low.
        if alarm_count(score, middle) > allowed or np.mean(there > middle) > 0.1:
            low = middle
        else:
            high = middle
    return high


def delays_of(
    score: Numbers, market: MarketSeries, planting: Planting, begin_s: float, allowed: int
) -> list[float | None]:
    """How soon a rule finds what is planted from `begin_s` on, s; None: it does not in time.

    A second is judged when it has passed.
    """
    seconds = market.start + np.arange(market.seconds, dtype=np.float64)
    outside = np.where(planting.is_near(seconds, AFTER_S) | (seconds < begin_s), np.nan, score)
    threshold = set_threshold(outside, allowed)
    alarms: NDArray[np.bool_] = np.nan_to_num(score, nan=-np.inf) > threshold
    delays: list[float | None] = []
    for start in planting.starts.tolist():
        at = start - market.start
        hits = np.flatnonzero(alarms[at : at + planting.change.within_s + 1])
        delays.append(1.0 + float(hits[0]) if len(hits) else None)
    return delays
