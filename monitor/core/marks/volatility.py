"""When a liquidation price may be reached: the chance that the mark touches it within a horizon.

With d = ln(S/L) > 0 for a price below the mark and ν = −σ²/2, a geometric Brownian mark touches L
within T with

    P = Φ((−d − νT)/(σ√T)) + e^(−2νd/σ²)·Φ((−d + νT)/(σ√T))

and a price above with the sign of ν turned. Markets have fatter tails than that because volatility
itself is not known: `FAT_TAILS` averages P over variances V·σ² where 1/V is gamma distributed, which is
what makes a single return Student's t (Praetz 1972, J. Business 45; Blattberg & Gonedes 1974). Four
degrees of freedom: returns' tail indices lie between 3 and 5 (Cont 2001, Quant. Finance 1).

The formula lets a mark wander between any two moments; real ones stand still and jump, or go one
way, so within a minute they reach hardly further than they end. A walk of steps `grain_s` apart
touches a barrier as a Brownian one does that lies 0.5826·σ√grain further off (Broadie, Glasserman &
Kou 1997, Math. Finance 7). How coarse a mark is, is measured with its volatility (`Volatility`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numba import njit, types
from numpy.typing import NDArray

YEAR_S = 365.0 * 86_400.0
BARRIER_SHIFT = 0.5826
"""−ζ(1/2)/√(2π)."""
HORIZONS_S = (60.0, 600.0, 3_600.0, 86_400.0)
TAIL_FREEDOM = 4
NODES = 16
READY_STEPS = 30
"""Returns an estimate needs before it is one: its standard error is then about an eighth."""


def _variances(nodes: int) -> tuple[float, ...]:
    """Mean-one variances, each of equal weight, of the mixture behind Student's t of freedom 4.

    V = 2/χ²₄ up to scale; the χ²₄ distribution function is 1 − e^(−x/2)(1 + x/2), inverted by
    bisection at the middle of each of `nodes` equal shares.
    """
    found = []
    for node in range(nodes):
        share, low, high = (node + 0.5) / nodes, 0.0, 100.0
        for _ in range(80):
            middle = 0.5 * (low + high)
            below = 1.0 - math.exp(-middle / 2.0) * (1.0 + middle / 2.0) < share
            low, high = (middle, high) if below else (low, middle)
        found.append(2.0 / low)
    mean = sum(found) / nodes
    return tuple(v / mean for v in found)


NORMAL_TAILS: tuple[float, ...] = (1.0,)
FAT_TAILS: tuple[float, ...] = _variances(NODES)


def touch_chance(
    distance: float,
    sigma: float,
    horizon_s: float,
    tails: Sequence[float] = FAT_TAILS,
    grain_s: float = 0.0,
) -> float:
    """The chance that a price is touched within `horizon_s` seconds.

    `distance`: ln(price/mark), below 0 for a price under the mark; `sigma`: volatility a year;
    `tails`: variances of the mixture (`NORMAL_TAILS` or `FAT_TAILS`); `grain_s`: how far apart the mark's steps
    are, s (0: it moves all the time).

    >>> round(touch_chance(math.log(0.95), 0.6, 86_400, NORMAL), 4)
    0.1051
    """
    return float(touch_chances(np.array([distance]), sigma, horizon_s, tails, grain_s)[0])


def touch_chances(
    distances: NDArray[np.float64],
    sigma: float,
    horizon_s: float,
    tails: Sequence[float] = FAT_TAILS,
    grain_s: float = 0.0,
) -> NDArray[np.float64]:
    """`touch_chance` for many distances of one market; NaN stays NaN."""
    out = np.empty(len(distances))
    shift = BARRIER_SHIFT * math.sqrt(min(grain_s / horizon_s, 1.0))
    _touch_kernel(distances, sigma * sigma * horizon_s / YEAR_S, shift, np.array(tails), out)
    return out


@njit(
    types.void(
        types.float64[::1], types.float64, types.float64, types.float64[::1], types.float64[::1]
    ),
    cache=True,
    nogil=True,
    error_model="numpy",
)  # fmt: skip
def _touch_kernel(distance, variance, shift, tails, out):  # type: ignore[no-untyped-def]
    """`shift`: how much further off the price acts, in standard deviations of the horizon."""
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


_REACH_1, _REACH_2 = 2 * BARRIER_SHIFT * math.sqrt(2 / math.pi), BARRIER_SHIFT**2
"""Of the square of |N| − 0.5826/√n, N standard normal: how far a walk of n steps reaches."""


class Volatility:
    """Realised volatility of a mark, measured online on a fixed grid of event time.

    The price that stood at the end of each step of `step_s` seconds gives one return; squared
    returns a second are averaged exponentially with `half_life_s`. A return over a gap of more than
    `gap_s` is dropped: what happened in it is not known. Sampling on a grid keeps the bounce of
    the touch out of the sum, and a minute scored best of those tried (`bench_timing`).

    How far the mark reaches within a step, up² + down², against the squared return, says how coarse
    it is (`grain_s`): a mark that wanders reaches 2 of it on average, one that jumps or goes one
    way 1, a walk of n steps 2·(1 − 0.9297/√n + 0.3394/n).
    """

    def __init__(
        self, half_life_s: float = 1_800.0, step_s: float = 60.0, gap_s: float = 120.0
    ) -> None:
        self.half_life_s, self.gap_s = half_life_s, gap_s
        self.step_ns = round(step_s * 1e9)
        self.slot = self.anchor_slot = -1
        self.last = self.anchor = self.low = self.high = math.nan
        self.sum = self.weight = self.reach = 0.0
        self.steps = 0

    def update(self, ts: int, price: float) -> None:
        """Take the mark at event time `ts` (ns). Earlier times than the last slot are passed by."""
        slot = ts // self.step_ns
        if not price > 0.0 or slot < self.slot:
            return
        if slot > self.slot >= 0:
            self._close_step()
        self.slot, self.last = slot, price
        self.low, self.high = min(self.low, price), max(self.high, price)

    def _close_step(self) -> None:
        elapsed = (self.slot - self.anchor_slot) * self.step_ns / 1e9
        if self.anchor_slot >= 0 and elapsed <= self.gap_s:
            keep = 0.5 ** (elapsed / self.half_life_s)
            rate = math.log(self.last / self.anchor) ** 2 / elapsed
            self.sum = keep * self.sum + (1.0 - keep) * rate
            self.weight = keep * self.weight + (1.0 - keep)
            reach = math.log(self.high / self.anchor) ** 2 + math.log(self.low / self.anchor) ** 2
            self.reach = keep * self.reach + (1.0 - keep) * reach / elapsed
            self.steps += 1
        self.anchor_slot, self.anchor = self.slot, self.last
        self.low = self.high = self.last

    def snapshot(self) -> list[float]:
        """All that was measured."""
        return [self.slot, self.anchor_slot, self.last, self.anchor, self.low, self.high, self.sum,
                self.weight, self.reach, self.steps]  # fmt: skip

    def restore(self, state: list[float]) -> None:
        """Go on from a snapshot."""
        self.slot, self.anchor_slot, self.steps = int(state[0]), int(state[1]), int(state[-1])
        self.last, self.anchor, self.low, self.high = (float(x) for x in state[2:6])
        self.sum, self.weight, self.reach = (float(x) for x in state[6:9])

    @property
    def sigma(self) -> float | None:
        """Volatility a year; None until `READY_STEPS` returns were seen."""
        if self.steps < READY_STEPS:
            return None
        return math.sqrt(self.sum / self.weight * YEAR_S)

    @property
    def grain_s(self) -> float:
        """How far apart the steps of a walk are that reaches as far as this mark did, s; 0 where it
        wanders all the time, or did not move.
        """
        short = 1.0 - min(max(self.reach / self.sum, 1.0), 2.0) / 2.0 if self.sum > 0 else 0.0
        # 1/√n from 0.3394/n − 0.9297/√n + short = 0, of which the reach falls short.
        root = (_REACH_1 - math.sqrt(_REACH_1**2 - 4 * _REACH_2 * short)) / (2 * _REACH_2)
        return root * root * self.step_ns / 1e9


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """One line of a reliability table: forecasts in [low, high) and how often they came true."""

    low: float
    high: float
    count: int
    forecast: float
    true_share: float


def brier(forecasts: NDArray[np.float64], outcomes: NDArray[np.bool_]) -> float:
    """Mean squared error of the forecasts: 0 is perfect, 0.25 is a coin (Brier 1950)."""
    return float(np.mean((forecasts - outcomes) ** 2))


def reliability(
    forecasts: NDArray[np.float64], outcomes: NDArray[np.bool_], bins: int = 10
) -> list[ReliabilityBin]:
    """Forecasts in equal bins from 0 to 1 beside the share that came true; empty bins left out."""
    place = np.minimum((forecasts * bins).astype(np.int64), bins - 1)
    table = []
    for row in range(bins):
        inside = place == row
        if inside.any():
            table.append(
                ReliabilityBin(row / bins, (row + 1) / bins, int(inside.sum()),
                         float(forecasts[inside].mean()), float(outcomes[inside].mean()))
            )  # fmt: skip
    return table
