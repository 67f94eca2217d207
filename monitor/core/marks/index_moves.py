"""How the markets' indices move together, and how far each follows its own market; online.

Prices are the index where the venue publishes one, else the mark. They are read on a grid of event
time, every `STEP_S`: at shorter steps prices that are refreshed at different moments look less
alike than they are. A return counts where both prices are new; products of returns are averaged
exponentially with half-life `HALF_LIFE_S`.

*Correlations* are shrunk towards none, by the share that their own sampling errors have of their
squares: the intensity λ = Σ Var(ρ) / Σ ρ² over all pairs, with Var(ρ) = (1 − ρ²)² / N (Schäfer and
Strimmer, "A Shrinkage Approach to Large-Scale Covariance Matrix Estimation", 2005, target D).
Betas to the common factor are shrunk by the same share towards 1: where indices show nothing in
common, nothing says that a market would stay behind when all are shocked.

*Following*: an index's return is regressed on the premium of the mark over it one step before. What
outside prices take over from the venue's shows there, and so does news that reaches the venue
first: the slope is the most that outside prices follow. Two standard errors are taken off.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from detectors.arrays.growable import grow_rows
from detectors.arrays.state import Stateful
from detectors.arrays.types import Bool, Float64, Int64
from monitor.core.contract.units import SECOND_NS
from monitor.core.decode.batch import ABSENT
from monitor.core.decode.stepped_kernels import to_floats

STEP_S = 10.0
HALF_LIFE_S = 7_200.0
READY_RETURNS = 60
"""Returns needed before a market's moves count: the standard error of a correlation is then an
eighth. Ten minutes."""
_STEP_NS = round(STEP_S * SECOND_NS)
_KEEP = 0.5 ** (STEP_S / HALF_LIFE_S)
_SQUARES, _PRODUCTS, _RETURNS, _WEIGHT = range(4)
"""Columns of `IndexMoves.premium`: sums of premium², premium · next return, return², and 1."""


class CommonMoves(NamedTuple):
    """What is known of some markets' indices, in one order.

    `ready`: which have had `READY_RETURNS`; the others' rows are zeros. `covariance`: of returns
    over `STEP_S`; its correlations are to be shrunk by `shrinkage` (0: not at all, 1: to none).
    `follow`: the share of a premium by which the index follows the mark within `STEP_S`; 0: none,
    or not known.
    """

    ready: Bool
    covariance: Float64
    shrinkage: float
    follow: Float64

    def slopes(self) -> Float64:
        """(of, on): how far one index moves for each unit that another does; 1 on its own."""
        variance = np.diag(self.covariance).copy()
        variance[variance == 0.0] = np.inf
        slopes = (1.0 - self.shrinkage) * self.covariance / variance
        np.fill_diagonal(slopes, 1.0)
        return slopes

    def betas(self, weight: Float64) -> Float64:
        """How far each moves for each unit of the common factor, which is the average of all by
        `weight` (not negative); NaN: not known. The weighted mean of those that are known is 1."""
        weight = np.where(self.ready, weight, 0.0)
        with_factor = self.covariance @ weight
        variance = float(weight @ with_factor)
        if variance <= 0.0:
            return np.full(len(weight), np.nan)
        betas = with_factor * weight.sum() / variance
        return np.where(self.ready, betas + self.shrinkage * (1.0 - betas), np.nan)


class IndexMoves(Stateful):
    """Sums over the returns of all markets, by the numbers of their symbols."""

    STATE = ("_slot", "_price", "_premium_now", "_returns", "_sums", "_weights", "premium")

    def __init__(self) -> None:
        self._slot = -1
        self._price: Float64 = np.empty(0)
        """At the last step of the grid; NaN: none that was new."""
        self._premium_now: Float64 = np.empty(0)
        self._returns: Int64 = np.empty(0, np.int64)
        """How many there were."""
        self._sums: Float64 = np.empty((0, 0))
        self._weights: Float64 = np.empty((0, 0))
        """Of products of returns, and of the times when there were both."""
        self.premium: Float64 = np.empty((0, 4))

    def is_due(self, end_ns: int) -> bool:
        """Whether a new step of the grid has begun by `end_ns`."""
        return end_ns // _STEP_NS > self._slot

    def read(self, end_ns: int, marks: Int64, times: Int64) -> None:
        """Take prices as of `end_ns`, where a new step of the grid has begun.

        `marks` (symbols, mark and index first), codes; `times` (symbols, mark and index), ns.
        """
        slot = end_ns // _STEP_NS
        self._grow(len(marks))
        mark, index = to_floats(marks[:, 0]), to_floats(marks[:, 1])
        has_index = marks[:, 1] != ABSENT
        since = end_ns - 2 * _STEP_NS
        is_new = np.where(has_index, times[:, 1], times[:, 0]) > since
        price = np.where(has_index, index, mark)
        price[~(is_new & (price > 0.0))] = np.nan
        with np.errstate(invalid="ignore", divide="ignore"):
            premium = np.log(mark / index)
            returns = np.log(price / self._price)
        premium[~(has_index & (marks[:, 0] != ABSENT) & (times[:, 0] > since))] = np.nan
        if slot == self._slot + 1:
            self._add(returns)
        self._slot, self._price, self._premium_now = slot, price, premium

    def _add(self, returns: Float64) -> None:
        there = np.isfinite(returns)
        self._returns += there
        now = np.where(there, returns, 0.0)
        self._sums *= _KEEP
        self._sums += np.multiply.outer(now * (1.0 - _KEEP), now)
        self._weights *= _KEEP
        self._weights += np.multiply.outer(there * (1.0 - _KEEP), there)
        before = self._premium_now
        both = there & np.isfinite(before)
        before = np.where(both, before, 0.0)
        new = np.stack((before**2, before * now, np.where(both, now, 0.0) ** 2, both), axis=1)
        self.premium *= _KEEP
        self.premium += (1.0 - _KEEP) * new

    def _grow(self, markets: int) -> None:
        have = len(self._price)
        if markets <= have:
            return
        self._price = grow_rows(self._price, markets, np.nan, 1.0)
        self._premium_now = grow_rows(self._premium_now, markets, np.nan, 1.0)
        self._returns = grow_rows(self._returns, markets, 0, 1.0)
        self.premium = grow_rows(self.premium, markets, 0.0, 1.0)
        grown = np.zeros((2, markets, markets))
        grown[0, :have, :have], grown[1, :have, :have] = self._sums, self._weights
        self._sums, self._weights = grown[0].copy(), grown[1].copy()

    def estimate(self, markets: Int64) -> CommonMoves:
        """Of the markets with these numbers."""
        ready = np.zeros(len(markets), np.bool_)
        inside = markets < len(self._returns)
        ready[inside] = self._returns[markets[inside]] >= READY_RETURNS
        there = np.flatnonzero(ready)
        covariance, follow = np.zeros((len(markets), len(markets))), np.zeros(len(markets))
        plain, shrinkage = self._covariance(markets[there])
        covariance[np.ix_(there, there)] = plain
        follow[there] = self._follow(markets[there])
        return CommonMoves(ready, covariance, shrinkage, follow)

    def _covariance(self, markets: Int64) -> tuple[Float64, float]:
        both = np.ix_(markets, markets)
        weight = self._weights[both]
        plain = self._sums[both] / np.where(weight > 0.0, weight, 1.0)
        deviation = np.sqrt(np.diag(plain))
        scale = np.multiply.outer(deviation, deviation)
        rho = np.clip(plain / np.where(scale > 0.0, scale, 1.0), -1.0, 1.0)
        np.fill_diagonal(rho, 0.0)
        squares = float(np.sum(rho**2))
        errors = float(np.sum(((1.0 - rho**2) ** 2 / _count_of(weight))[scale > 0.0]))
        errors -= float(np.sum((1.0 / _count_of(np.diag(weight)))[deviation > 0.0]))
        return plain, min(1.0, errors / squares) if squares > 0.0 else 1.0

    def _follow(self, markets: Int64) -> Float64:
        squares, products, returns, weight = self.premium[markets].T
        with np.errstate(invalid="ignore", divide="ignore"):
            slope = products / squares
            error = np.sqrt(np.maximum(returns / squares - slope**2, 0.0) / _count_of(weight))
            sure = np.clip(slope - 2.0 * error, 0.0, 1.0)
        return np.where(np.isfinite(sure), sure, 0.0)


def _count_of(weight: Float64) -> Float64:
    """How many equal returns an exponential average with this weight is worth, at least 1."""
    count: Float64 = (1.0 + _KEEP) / (1.0 - _KEEP) * weight / (2.0 - weight)
    return np.maximum(count, 1.0)
