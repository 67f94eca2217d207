"""Realised volatility of marks, and how coarse they are, measured online in all markets."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit, types

from detectors.arrays.columns import column_numbers
from detectors.arrays.growable import grow_rows
from detectors.arrays.types import F1, F2, I2, INT, Float64, Int64
from monitor.core.contract.units import SECOND_NS, YEAR_S
from monitor.core.marks.touch_probability import BARRIER_SHIFT

READY_STEPS = 30
"""Returns needed before there is an estimate: its standard error is then about an eighth."""
_REACH_1, _REACH_2 = 2 * BARRIER_SHIFT * math.sqrt(2 / math.pi), BARRIER_SHIFT**2
"""Coefficients of E(|N| − 0.5826/√n)² for N standard normal: the squared reach of n steps."""
_COUNTS = ("slot", "anchor_slot", "steps")
_NUMBERS = ("last", "anchor", "low", "high", "sum", "weight", "reach")
_COUNT, _NUMBER = column_numbers(_COUNTS), column_numbers(_NUMBERS)
_STRIDED = types.int64[:]
"""A column of rows, or an array of its own."""
_NEW_COUNTS = np.array([-1, -1, 0])
_NEW_NUMBERS = np.array([math.nan, math.nan, math.nan, math.nan, 0.0, 0.0, 0.0])


class VolatilityBank:
    """Realised volatility of each market's mark on a fixed grid of event time, by its number.

    The last price in each step of `step_s` seconds gives one return; squared returns a second are
    averaged exponentially with half-life `half_life_s`. A return over a gap of more than `gap_s` is
    dropped, since what happened in the gap is unknown. Sampling on a grid keeps the bounce between
    bid and ask out of the sum; a minute scored best of the steps tried (`bench_timing`).

    How far the mark reaches within a step, up² + down², over the squared return says how coarse it
    is (`grain_s`): on average 2 for a mark that wanders, 1 for one that jumps or moves in one
    direction, 2·(1 − 0.9297/√n + 0.3394/n) for a walk of n steps.
    """

    def __init__(
        self, half_life_s: float = 1_800.0, step_s: float = 60.0, gap_s: float = 120.0
    ) -> None:
        self._half_life_s, self._gap_s = half_life_s, gap_s
        self._step_ns = round(step_s * SECOND_NS)
        self._clear()

    def _clear(self) -> None:
        self._counts: Int64 = np.empty((0, len(_COUNTS)), np.int64)
        self._numbers: Float64 = np.empty((0, len(_NUMBERS)))
        self.sigma: Float64 = np.empty(0)
        """By market: volatility a year; NaN before `READY_STEPS` returns."""
        self.grain_s: Float64 = np.empty(0)
        """By market: time between steps of a walk that reaches as far as the mark, s; 0: it never
        rests."""

    def grow(self, markets: int) -> None:
        """Make room for markets with numbers below `markets`."""
        have = len(self._counts)
        if markets <= have:
            return
        self._counts = grow_rows(self._counts, markets)
        self._numbers = grow_rows(self._numbers, markets)
        self._counts[have:], self._numbers[have:] = _NEW_COUNTS, _NEW_NUMBERS
        self.sigma = grow_rows(self.sigma, markets, math.nan)
        self.grain_s = grow_rows(self.grain_s, markets)

    def update(self, markets: Int64, ts: Int64, prices: Float64) -> None:
        """Take marks at event times (ns), in their order; those that are not > 0 are ignored, and
        so is a time before the market's current step. `grow` comes first.
        """
        state = markets, ts, prices, self._step_ns, self._counts, self._numbers
        place = _take_prices(0, *state)
        while place < len(markets):
            self._close_step(int(markets[place]), int(ts[place]) // self._step_ns)
            place = _take_prices(place, *state)

    def _close_step(self, market: int, slot: int) -> None:
        """End the current step of a market; the next is `slot`."""
        old_slot, anchor_slot, steps = self._counts[market].tolist()
        last, anchor, low, high, total, weight, reach = self._numbers[market].tolist()
        elapsed = (old_slot - anchor_slot) * self._step_ns / SECOND_NS
        if anchor_slot >= 0 and elapsed <= self._gap_s:
            keep = 0.5 ** (elapsed / self._half_life_s)
            rate = math.log(last / anchor) ** 2 / elapsed
            total = keep * total + (1.0 - keep) * rate
            weight = keep * weight + (1.0 - keep)
            span = math.log(high / anchor) ** 2 + math.log(low / anchor) ** 2
            reach = keep * reach + (1.0 - keep) * span / elapsed
            steps += 1
        self._counts[market] = slot, old_slot, steps
        self._numbers[market] = last, last, last, last, total, weight, reach
        self._estimate(market)

    def _estimate(self, market: int) -> None:
        """Set `sigma` and `grain_s`, which change only with a step."""
        steps = int(self._counts[market, _COUNT.steps])
        total, weight, reach = self._numbers[market, _NUMBER.sum :].tolist()
        if steps >= READY_STEPS:
            self.sigma[market] = math.sqrt(total / weight * YEAR_S)
        short = 1.0 - min(max(reach / total, 1.0), 2.0) / 2.0 if total > 0 else 0.0
        # 1/√n is the root of 0.3394/n − 0.9297/√n + short; `short`: what the reach lacks of 2.
        root = (_REACH_1 - math.sqrt(_REACH_1**2 - 4 * _REACH_2 * short)) / (2 * _REACH_2)
        self.grain_s[market] = root * root * self._step_ns / SECOND_NS

    def snapshot(self) -> dict[int, dict[str, Any]]:
        """By market that had a price."""
        begun = np.flatnonzero(self._counts[:, _COUNT.slot] >= 0).tolist()
        state = {}
        for market in begun:
            counts, numbers = self._counts[market].tolist(), self._numbers[market].tolist()
            state[market] = dict(zip((*_COUNTS, *_NUMBERS), (*counts, *numbers), strict=True))
        return state

    def restore(self, state: dict[int, dict[str, Any]]) -> None:
        """Continue from a snapshot."""
        self._clear()
        self.grow(max(state, default=-1) + 1)
        for market, values in state.items():
            self._counts[market] = [values[name] for name in _COUNTS]
            self._numbers[market] = [values[name] for name in _NUMBERS]
            self._estimate(market)


@njit(INT(INT, _STRIDED, _STRIDED, F1, INT, I2, F2), cache=True, nogil=True)
def _take_prices(first, markets, ts, prices, step_ns, counts, numbers):  # type: ignore[no-untyped-def]
    """Take prices from place `first` on, up to one that closes its market's step: its place."""
    for i in range(first, markets.size):
        slot, price = ts[i] // step_ns, prices[i]
        count, number = counts[markets[i]], numbers[markets[i]]
        if not price > 0.0 or slot < count[_COUNT.slot]:
            continue
        if slot > count[_COUNT.slot]:
            if count[_COUNT.slot] >= 0:
                return i
            number[_NUMBER.low] = number[_NUMBER.high] = price
        count[_COUNT.slot], number[_NUMBER.last] = slot, price
        number[_NUMBER.low] = min(number[_NUMBER.low], price)
        number[_NUMBER.high] = max(number[_NUMBER.high], price)
    return markets.size
