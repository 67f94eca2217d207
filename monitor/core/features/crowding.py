"""Crowding: is everybody on one side? Funding and premium beyond their own past, with one sign.

Funding alone is a weak signal, and a high premium in wild hours is none. So funding a year is
divided by realised volatility, both are measured against their own past in robust standard
deviations, they have to agree in sign, and the smaller of the two counts. Once volatility itself is
far above its past the crowd is no longer building up but leaving: then crowding is 0.
"""

from __future__ import annotations

from math import copysign, log

import numpy as np
from numba import njit

from detectors.arrays.columns import column_numbers
from detectors.arrays.types import F1, FLOAT, INT
from monitor.core.contract.units import DAY_S

MEMORY_S = 7.0 * DAY_S
"""A value of this age, s, weighs 1/e: a week holds every hour of the day and a weekend."""
READY_S = 1.0 * DAY_S
"""There is no value before a whole daily cycle was seen, s."""
DEVIATION = 1.2533
"""Standard deviation of a normal law over its mean absolute deviation."""
OUTLIER_DEVIATIONS = 6.0
"""A value farther away than so many deviations moves its centre as one at that distance would."""
CALM, WILD = 1.0, 2.5
"""Robust deviations of log volatility: up to the first the gate is open, from the second on shut;
between, it closes evenly."""
FLOOR = 1e-9

STATE_COLUMNS = (
    "seconds", "funding", "funding_dev", "premium", "premium_dev", "log_vol", "log_vol_dev",
)  # fmt: skip
"""Seconds so far; of each value its centre and, behind it, its mean absolute deviation."""
WIDTH = len(STATE_COLUMNS)
_PAST = column_numbers(STATE_COLUMNS)


@njit(FLOAT(F1, INT, FLOAT, FLOAT), cache=True, nogil=True)
def _update_robust_z(state, at, value, weight):  # type: ignore[no-untyped-def]
    """Robust z of a value against its past, whose columns begin at `at`; then it is part of it."""
    centre = state[at]
    dev = state[at + 1]
    off = value - centre
    z = off / (DEVIATION * dev + FLOOR)
    if weight < 0.1:
        reach = OUTLIER_DEVIATIONS * (dev + FLOOR)
        off = min(max(off, -reach), reach)
    state[at] = centre + weight * off
    state[at + 1] = dev + weight * (abs(off) - dev)
    return z


@njit(FLOAT(F1, FLOAT, FLOAT, FLOAT, FLOAT), cache=True, nogil=True)
def step(state, seconds, funding_apr, premium, volatility):  # type: ignore[no-untyped-def]
    """Crowding after `seconds` more, signed: > 0 where longs crowd. NaN before `READY_S`.

    `state`: `STATE_COLUMNS`, zeros at first. `funding_apr` and `volatility` are a year's, `premium`
    is mark over index less one.
    """
    state[_PAST.seconds] += seconds
    # A young memory is the plain mean of what it has seen.
    weight = max(-np.expm1(-seconds / MEMORY_S), seconds / state[_PAST.seconds])
    funding = _update_robust_z(state, _PAST.funding, funding_apr / max(volatility, 0.01), weight)
    basis = _update_robust_z(state, _PAST.premium, premium, weight)
    wild = _update_robust_z(state, _PAST.log_vol, log(max(volatility, 1e-4)), weight)
    if state[_PAST.seconds] < READY_S:
        return np.nan
    if funding * basis <= 0.0:
        return 0.0
    gate = min(1.0, max(0.0, (WILD - wild) / (WILD - CALM)))
    return gate * copysign(min(abs(funding), abs(basis)), basis)
