"""The chance that a mark touches a price within a horizon.

With d = ln(S/L) > 0 for a price L below the mark S and ν = −σ²/2, a geometric Brownian mark touches
L within T with

    P = Φ((−d − νT)/(σ√T)) + e^(−2νd/σ²)·Φ((−d + νT)/(σ√T))

and a price above with the sign of ν reversed. Returns have fatter tails than that, because the
volatility itself is uncertain: `FAT_TAILS` averages P over variances V·σ² where 1/V is gamma
distributed, which makes a single return Student's t (Praetz 1972, J. Business 45; Blattberg &
Gonedes 1974). Four degrees of freedom: tail indices of returns lie between 3 and 5 (Cont 2001,
Quant. Finance 1).

The formula lets a mark wander between any two moments. Real marks stand still and jump, or move in
one direction, so within a minute they reach hardly further than where they end. A walk with steps
`grain_s` apart touches a barrier as a Brownian motion touches one that lies 0.5826·σ√grain further
off (Broadie, Glasserman & Kou 1997, Math. Finance 7). `volatility.py` measures σ and the grain.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numba import njit, types

from detectors.arrays.types import F1, FLOAT, Float64
from monitor.core.contract.units import DAY_S, YEAR_S

BARRIER_SHIFT = 0.5826
"""−ζ(1/2)/√(2π)."""
HORIZONS_S = (60.0, 600.0, 3_600.0, float(DAY_S))
NODES = 16
"""Variances that stand for the mixture."""


def _variances(nodes: int) -> tuple[float, ...]:
    """Mean-one variances, each of equal weight, of the mixture behind Student's t of freedom 4.

    V = 2/χ²₄ up to scale; the χ²₄ distribution function is 1 − e^(−x/2)(1 + x/2), inverted by
    bisection at the middle of each of `nodes` equal shares.
    """
    variances = []
    for node in range(nodes):
        share, low, high = (node + 0.5) / nodes, 0.0, 100.0
        for _ in range(80):
            middle = 0.5 * (low + high)
            below = 1.0 - math.exp(-middle / 2.0) * (1.0 + middle / 2.0) < share
            low, high = (middle, high) if below else (low, middle)
        variances.append(2.0 / low)
    mean = sum(variances) / nodes
    return tuple(v / mean for v in variances)


NORMAL_TAILS: tuple[float, ...] = (1.0,)
FAT_TAILS: tuple[float, ...] = _variances(NODES)


def touch_chances(
    distances: Float64,
    sigma: float,
    horizon_s: float,
    tails: Sequence[float] = FAT_TAILS,
    grain_s: float = 0.0,
) -> Float64:
    """The chance that each price of one market is touched within `horizon_s` seconds.

    `distances`: ln(price/mark), below 0 for a price under the mark; NaN gives NaN. `sigma`:
    volatility a year. `tails`: variances of the mixture, `NORMAL_TAILS` or `FAT_TAILS`. `grain_s`:
    time between the steps of the mark, s (0: it moves all the time).

    >>> touch_chances(np.log([0.95]), 0.6, 86_400, NORMAL_TAILS).round(4)
    array([0.1051])
    """
    out = np.empty(len(distances))
    shift = BARRIER_SHIFT * math.sqrt(min(grain_s / horizon_s, 1.0))
    _touch_kernel(distances, sigma * sigma * horizon_s / YEAR_S, shift, np.array(tails), out)
    return out


@njit(types.void(F1, FLOAT, FLOAT, F1, F1), cache=True, nogil=True, error_model="numpy")
def _touch_kernel(distance, variance, shift, tails, out):  # type: ignore[no-untyped-def]
    """`variance`: of the whole horizon; `shift`: how much further off the price acts, in standard
    deviations of the horizon."""
    half = math.sqrt(0.5)
    for i in range(distance.shape[0]):
        d = abs(distance[i])
        turn = 1.0 if distance[i] <= 0.0 else -1.0
        if d != d or d == 0.0 or variance <= 0.0:
            out[i] = np.nan if d != d else 1.0 if d == 0.0 else 0.0
            continue
        total = 0.0
        for v in tails:
            spread = math.sqrt(variance * v)
            drift = -0.5 * variance * v * turn
            far = d + shift * spread
            near = 0.5 * math.erfc((far + drift) / spread * half)
            total += near + math.exp(turn * far) * 0.5 * math.erfc((far - drift) / spread * half)
        out[i] = min(total / tails.shape[0], 1.0)
