"""Crowding: is everybody on one side? Funding and premium beyond their own past, with one sign.

Funding alone is a weak signal, and a high premium in wild hours is none. So funding a year is
divided by realised volatility, both are read as distances from their own past in robust standard
deviations, they have to agree in sign, and what is said is the smaller of the two. Once volatility
itself is far above its past the crowd is no longer building up but leaving: then it is 0.
"""

from __future__ import annotations

from math import copysign, exp, log

import numpy as np
from numba import njit, types

MEMORY_S = 7 * 86_400.0
"""What is this old weighs 1/e: a week holds every hour of the day and both ends of the week."""
READY_S = 86_400.0
"""A daily cycle must have been seen before anything is said."""
DEVIATION = 1.2533
"""Standard deviation of a normal law over its mean absolute deviation."""
OUTLIER_DEVIATIONS = 6.0
"""A value moves its centre as one at most so many deviations away."""
CALM, WILD = 1.0, 2.5
"""Robust deviations of log volatility: up to the first the gate is open, from the second on shut;
between, it closes evenly."""
FLOOR = 1e-9

STATE = ("seconds", "funding", "funding_dev", "premium", "premium_dev", "log_vol", "log_vol_dev")
WIDTH = len(STATE)
ROW = types.float64[::1]


@njit(types.float64(ROW, types.int64, types.float64, types.float64), cache=True, nogil=True)
def _update_robust_z(state, at, value, weight):  # type: ignore[no-untyped-def]
    """Robust z of a value against its past; then it is part of it."""
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


@njit(
    types.float64(ROW, types.float64, types.float64, types.float64, types.float64),
    cache=True,
    nogil=True,
)
def step(state, seconds, funding_apr, premium, volatility):  # type: ignore[no-untyped-def]
    """Crowding after `seconds` more, signed: > 0 where longs crowd. NaN before `READY_S`.

    `state`: `STATE`, zeros at first. `funding_apr` and `volatility` are a year's, `premium` is mark
    over index less one.
    """
    state[0] += seconds
    # A young memory is the plain mean of what it has seen.
    weight = max(-np.expm1(-seconds / MEMORY_S), seconds / state[0])
    funding = _update_robust_z(state, 1, funding_apr / max(volatility, 0.01), weight)
    basis = _update_robust_z(state, 3, premium, weight)
    wild = _update_robust_z(state, 5, log(max(volatility, 1e-4)), weight)
    if state[0] < READY_S:
        return np.nan
    if funding * basis <= 0.0:
        return 0.0
    gate = min(1.0, max(0.0, (WILD - wild) / (WILD - CALM)))
    return gate * copysign(min(abs(funding), abs(basis)), basis)


def crowding_series(seconds: float, columns: np.ndarray) -> np.ndarray:
    """Crowding of a whole history, `columns`: (rows, 3): funding a year, premium, volatility.

    >>> quiet = np.tile([0.1, 0.0, 0.5], (48, 1)) * (1 + 0.1 * np.sin(np.arange(48))[:, None])
    >>> float(crowding_series(3600.0, np.vstack((quiet, [[1.0, 0.01, 0.5]])))[-1]) > 3
    True
    """
    state = np.zeros(WIDTH)
    rows = columns.astype(np.float64)
    return np.array([step(state, seconds, *row) for row in rows.tolist()])


def decay_weight(seconds: float, window_s: float) -> float:
    """The weight of one window in an exponential memory of `seconds`."""
    return 1.0 - exp(-window_s / seconds)
