"""Realised volatility of a mark, and how coarse the mark is, measured online."""

from __future__ import annotations

import math
from typing import Any

from detectors.arrays.state import Stateful
from monitor.core.contract.units import SECOND_NS, YEAR_S
from monitor.core.marks.touch_probability import BARRIER_SHIFT

READY_STEPS = 30
"""Returns needed before there is an estimate: its standard error is then about an eighth."""
_REACH_1, _REACH_2 = 2 * BARRIER_SHIFT * math.sqrt(2 / math.pi), BARRIER_SHIFT**2
"""Coefficients of E(|N| − 0.5826/√n)² for N standard normal: the squared reach of n steps."""


class Volatility(Stateful):
    """Realised volatility of a mark on a fixed grid of event time.

    The last price in each step of `step_s` seconds gives one return; squared returns a second are
    averaged exponentially with half-life `half_life_s`. A return over a gap of more than `gap_s` is
    dropped, since what happened in the gap is unknown. Sampling on a grid keeps the bounce between
    bid and ask out of the sum; a minute scored best of the steps tried (`bench_timing`).

    How far the mark reaches within a step, up² + down², over the squared return says how coarse it
    is (`grain_s`): on average 2 for a mark that wanders, 1 for one that jumps or moves in one
    direction, 2·(1 − 0.9297/√n + 0.3394/n) for a walk of n steps.
    """

    STATE = (
        "slot", "anchor_slot", "last", "anchor", "low", "high", "sum", "weight", "reach", "steps",
    )  # fmt: skip

    def __init__(
        self, half_life_s: float = 1_800.0, step_s: float = 60.0, gap_s: float = 120.0
    ) -> None:
        self.half_life_s, self.gap_s = half_life_s, gap_s
        self.step_ns = round(step_s * SECOND_NS)
        self.slot = self.anchor_slot = -1
        self.last = self.anchor = self.low = self.high = math.nan
        self.sum = self.weight = self.reach = 0.0
        self.steps = 0
        self._estimate: tuple[float | None, float] | None = None
        """`sigma` and `grain_s`, which change only with a step; None: to be computed."""

    def update(self, ts: int, price: float) -> None:
        """Take the mark at event time `ts` (ns). A time before the current step is ignored."""
        slot = ts // self.step_ns
        if not price > 0.0 or slot < self.slot:
            return
        if slot > self.slot >= 0:
            self._close_step()
        self.slot, self.last = slot, price
        self.low, self.high = min(self.low, price), max(self.high, price)

    def restore(self, state: dict[str, Any]) -> None:
        super().restore(state)
        self._estimate = None

    def _close_step(self) -> None:
        self._estimate = None
        elapsed = (self.slot - self.anchor_slot) * self.step_ns / SECOND_NS
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

    @property
    def estimate(self) -> tuple[float | None, float]:
        """`sigma` and `grain_s`."""
        if self._estimate is None:
            self._estimate = self.sigma, self.grain_s
        return self._estimate

    @property
    def sigma(self) -> float | None:
        """Volatility a year; None before `READY_STEPS` returns."""
        if self.steps < READY_STEPS:
            return None
        return math.sqrt(self.sum / self.weight * YEAR_S)

    @property
    def grain_s(self) -> float:
        """Time between steps of a walk that reaches as far as the mark, s; 0: it never rests."""
        short = 1.0 - min(max(self.reach / self.sum, 1.0), 2.0) / 2.0 if self.sum > 0 else 0.0
        # 1/√n is the root of 0.3394/n − 0.9297/√n + short; `short`: what the reach lacks of 2.
        root = (_REACH_1 - math.sqrt(_REACH_1**2 - 4 * _REACH_2 * short)) / (2 * _REACH_2)
        return root * root * self.step_ns / SECOND_NS
