"""What all accounts of a market have in common: its usual rate, and how many of them act."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np
from numba import njit, types

from detectors.account_burst.columns import READING
from detectors.account_burst.constants import SLOW_WINDOWS
from detectors.arrays.growable import grow_rows
from detectors.arrays.state import Stateful
from detectors.arrays.types import F1, F2, FLOAT, I1, INT, RF1, RI1, UNCALLED, Float64
from detectors.stats.limits import CEILING_FACTOR

FREE_EVENTS = 100.0
"""A window is learnt as at most so many more than `CEILING_FACTOR` times a market's usual rate."""
ACTING_WINDOWS = 600.0
"""Memory of how many accounts act, windows: it follows the hours of the day, and not one flurry."""
USUAL_RATE_MIN = 1.0
"""Events a window: a quieter market counts as one with so many, for a burst is no smaller there."""
ACTING_MIN = 0.1
"""Fewer accounts a window count as this many: one every ten seconds."""
_EVENTS, _FIRST, _LAST, _ACTING, _WINDOW_EVENTS, _WINDOW_ACTS, _COLUMNS = range(7)
"""Of a market: the decayed sum of the last hour's events; its first window (-1: none yet) and its
last; the decayed sum of accounts that acted; and the sums of the window that is being learnt."""


@njit(FLOAT(INT, F1), cache=True, nogil=True, **UNCALLED)
def usual_rate(window, m):  # type: ignore[no-untyped-def]
    """Events a window of a market, over about the last hour; 0: none yet."""
    age = window - m[_FIRST]
    if m[_FIRST] < 0.0 or age <= 0.0:
        return 0.0
    events = m[_EVENTS] * math.exp(-(window - m[_LAST] - 1.0) / SLOW_WINDOWS)
    return events / (SLOW_WINDOWS * (1.0 - math.exp(-age / SLOW_WINDOWS)))


@njit(types.void(INT, RI1, F2, I1, READING), cache=True, nogil=True, **UNCALLED)
def read_markets(window, market, rows, place, reading):  # type: ignore[no-untyped-def]
    """Fill in how it stands before `window` in each act's market.

    `place` (markets,) may hold anything; it becomes the first act of each market.
    """
    for i in range(market.size):
        first = place[market[i]]
        if 0 <= first < i and market[first] == market[i]:
            reading.usual_rate[i], reading.cost[i] = reading.usual_rate[first], reading.cost[first]
            continue
        place[market[i]] = i
        m = rows[market[i]]
        age = window - m[_FIRST]
        reading.usual_rate[i] = max(USUAL_RATE_MIN, usual_rate(window, m))
        reading.cost[i] = 0.0
        if m[_FIRST] >= 0.0 and age > 0.0:
            acted = m[_ACTING] * math.exp(-(window - m[_LAST] - 1.0) / ACTING_WINDOWS)
            seen = ACTING_WINDOWS * (1.0 - math.exp(-age / ACTING_WINDOWS))
            reading.cost[i] = math.log(max(ACTING_MIN, (acted + 1.0) / (seen + 1.0)))


@njit(types.void(INT, I1, RI1, RF1, F2), cache=True, nogil=True, **UNCALLED)
def learn_market_counts(window, row, market, count, rows):  # type: ignore[no-untyped-def]
    """Learn the counts of a window by market, of the accounts that have a `row`."""
    for i in range(market.size):
        if row[i] >= 0:
            rows[market[i], _WINDOW_EVENTS] += count[i]
            rows[market[i], _WINDOW_ACTS] += 1.0
    for i in range(market.size):
        m = rows[market[i]]
        if m[_WINDOW_EVENTS] == 0.0:
            continue  # an earlier act of this market has done it
        total, m[_WINDOW_EVENTS] = m[_WINDOW_EVENTS], 0.0
        if m[_FIRST] < 0.0:
            m[_FIRST], m[_LAST] = window, window - 1.0
        gap = window - m[_LAST] - 1.0
        total = min(total, CEILING_FACTOR * usual_rate(window, m) + FREE_EVENTS)
        m[_EVENTS] = m[_EVENTS] * math.exp(-(gap + 1.0) / SLOW_WINDOWS) + total
        m[_ACTING] = m[_ACTING] * math.exp(-(gap + 1.0) / ACTING_WINDOWS) + m[_WINDOW_ACTS]
        m[_WINDOW_ACTS] = 0.0
        m[_LAST] = window


class MarketRates(Stateful):
    """The rates of markets, numbered from 0."""

    STATE: ClassVar = ("rows",)

    def __init__(self) -> None:
        self.rows: Float64 = np.zeros((0, _COLUMNS))
        """For kernels to read and change."""

    def grow(self, markets: int) -> None:
        """Have at least so many markets; new ones have seen nothing."""
        have = len(self.rows)
        # To the market: how many rows there are does not depend on how acts arrive.
        self.rows = grow_rows(self.rows, markets, growth=1.0)
        self.rows[have:, _FIRST] = -1.0
