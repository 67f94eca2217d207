"""Crowding: is everybody on one side, and more of them than usual? Funding beyond its own past, and
open interest beyond its own.

Funding alone is a weak signal, for it rises with every rally. So funding a year is divided by
realised volatility, and a second number has to be beyond its own past too: the open interest where
the venue publishes it, else the premium of mark over index, with funding's sign. Both are measured
in robust standard deviations, and the smaller of the two counts. (Funding is the mean premium of
its interval, so that premium adds little to it; open interest is other evidence.)

Everything is measured in event time, not in windows: of a feed that speaks once an hour, and whose
shard rests between, a week holds 168 values, of a feed of seconds 604,800.
"""

from __future__ import annotations

from math import copysign, exp, log, sqrt

import numpy as np
from numba import njit

from detectors.arrays.columns import column_numbers
from detectors.arrays.growable import grow_rows
from detectors.arrays.state import Stateful
from detectors.arrays.types import F1, F2, FLOAT, I1, INT, Float64, Int64
from monitor.core.contract.units import DAY_S, YEAR_S

MEMORY_S = 7.0 * DAY_S
"""A value of this age, s, weighs 1/e: a week holds every hour of the day and a weekend."""
READY_S = 1.0 * DAY_S
"""There is no value before a whole daily cycle was seen, s."""
VOLATILITY_S, VOLATILITY_READY_S = 1.0 * DAY_S, 0.25 * DAY_S
"""Memory of realised volatility, and how much of it there must be, s. A move across a break that is
longer than the memory is left out."""
VOLATILITY_LEAST = 0.01
"""Funding is divided by this volatility a year at least."""
VALUE_MOST_S = 3600.0
"""A value stands for an hour at most, the longest time between records of an hourly feed: after a
break of weeks the first one is no week of the past."""
DEVIATION = 1.2533
"""Standard deviation of a normal law over its mean absolute deviation."""
OUTLIER_DEVIATIONS = 6.0
"""A value farther away than so many deviations moves its centre as one at that distance would."""
FLOOR = 1e-9

INPUT_COLUMNS = ("at_s", "price", "funding_apr", "premium", "open_interest")
"""Of one window: its end, s since 1970; the market's price; funding a year; mark over index less
one; open interest in base units. NaN where there is none."""
STATE_COLUMNS = (
    "price_at_s", "price", "moves", "moves_s", "at_s",
    "funding_s", "funding", "funding_dev",
    "premium_s", "premium", "premium_dev",
    "interest_s", "interest", "interest_dev",
)  # fmt: skip
"""The last price and when it was; squared moves and the time in which they were, both with the
memory of volatility; the last window with funding; of each value for how long it has been seen, its
centre, and its mean absolute deviation."""
IN, PAST = map(column_numbers, (INPUT_COLUMNS, STATE_COLUMNS))


@njit(FLOAT(F1, INT, FLOAT, FLOAT), cache=True, nogil=True)
def _update_robust_z(state, at, value, seconds):  # type: ignore[no-untyped-def]
    """Robust z of a value against its past, whose columns begin at `at`; then it is part of it, as
    one that stood for `seconds`. NaN before `READY_S`."""
    if value != value:
        return np.nan
    state[at] += seconds
    # A young memory is the plain mean of what it has seen.
    weight = max(-np.expm1(-seconds / MEMORY_S), seconds / state[at])
    centre, dev = state[at + 1], state[at + 2]
    off = value - centre
    z = off / (DEVIATION * dev + FLOOR)
    if weight < 0.1:
        reach = OUTLIER_DEVIATIONS * (dev + FLOOR)
        off = min(max(off, -reach), reach)
    state[at + 1] = centre + weight * off
    state[at + 2] = dev + weight * (abs(off) - dev)
    return z if state[at] >= READY_S else np.nan


@njit(FLOAT(F1, FLOAT, FLOAT), cache=True, nogil=True)
def _update_volatility(state, at_s, price):  # type: ignore[no-untyped-def]
    """Realised volatility a year with this price; NaN before `VOLATILITY_READY_S`."""
    if price > 0.0:
        passed = at_s - state[PAST.price_at_s]
        if passed <= VOLATILITY_S:
            kept = exp(-passed / VOLATILITY_S)
            move = log(price / state[PAST.price])
            state[PAST.moves] = kept * state[PAST.moves] + move * move
            state[PAST.moves_s] = kept * state[PAST.moves_s] + passed
        state[PAST.price], state[PAST.price_at_s] = price, at_s
    if state[PAST.moves_s] < VOLATILITY_READY_S:
        return np.nan
    return sqrt(state[PAST.moves] / state[PAST.moves_s] * YEAR_S)


@njit((F2, F2, I1, FLOAT, F1), cache=True, nogil=True)
def _step(inputs, state, symbol, window_s, out):  # type: ignore[no-untyped-def]
    for i in range(inputs.shape[0]):
        x, s = inputs[i], state[symbol[i]]
        volatility = _update_volatility(s, x[IN.at_s], x[IN.price])
        funding = x[IN.funding_apr]
        if funding != funding or volatility != volatility:
            continue
        since = s[PAST.at_s] if s[PAST.at_s] > 0.0 else x[IN.at_s] - window_s
        seconds = min(x[IN.at_s] - since, VALUE_MOST_S)
        s[PAST.at_s] = x[IN.at_s]
        paid = funding / max(volatility, VOLATILITY_LEAST)
        funding_z = _update_robust_z(s, PAST.funding_s, paid, seconds)
        premium_z = _update_robust_z(s, PAST.premium_s, x[IN.premium], seconds)
        interest = x[IN.open_interest]
        if interest > 0.0:
            second = _update_robust_z(s, PAST.interest_s, log(interest), seconds)
        else:
            second = copysign(1.0, funding_z) * premium_z
        if funding_z == funding_z and second == second:
            out[i] = copysign(min(abs(funding_z), max(second, 0.0)), funding_z)


class Crowding(Stateful):
    """The past of every market, by symbol number."""

    STATE = ("_markets",)

    def __init__(self, window_s: float) -> None:
        self._window_s = window_s
        self._markets: Float64 = np.zeros((0, len(STATE_COLUMNS)))

    def step(self, inputs: Float64, symbol: Int64) -> Float64:
        """Crowding of each row of `inputs` (`INPUT_COLUMNS`), rows in the order of windows: robust
        standard deviations, > 0 where longs crowd; NaN where the market's past is too short.
        """
        self._markets = grow_rows(self._markets, int(symbol.max(initial=-1)) + 1)
        out = np.full(len(inputs), np.nan)
        _step(inputs, self._markets, symbol, self._window_s, out)
        return out
