"""Many markets at once: accounts in cross margin carry a fall from one market into another.

All markets move in synchronous rounds. In each, every pool that is due at the marks of the round
before is forced, and stays forced; what it sends moves each market's mark by κ·I further from
today's. The rounds end when nobody more is forced. A fall counts what longs sell and no relief by
shorts that buy back, and a rise the other way round, so that no mark turns back.

A market's own *edges* say what happens one step further: K[n, m] is how far market m's mark moves,
through accounts that hold both, for each unit that market n moves. The reproduction number of the
system is the largest of the moduli of K's eigenvalues; for one market it is that market's R.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from detectors.arrays.types import Bool, Float64, Int64
from monitor.core.bands.inputs import RuleArrays
from monitor.core.bands.kernels.arrays import PositionArrays
from monitor.core.cascade.all_shocks import BookLevels
from monitor.core.cascade.shock_kernels import displacement
from monitor.core.cascade.system_kernels import force_pools, spread_moves

FACTOR_STEP = 0.005
FACTOR_REACH = 0.5
"""The critical shock of a common factor is looked for in steps of the one up to the other (log)."""
FACTOR_GRAIN = 1e-4
"""And then to this."""


class SystemState(NamedTuple):
    """Where rounds have come to. `moved`: by market, the log distance of its mark from today's, in
    the direction of the shock; `forced`: by pool; `sold` (longs and shorts, markets): quantities
    sent to the books."""

    moved: Float64
    forced: Bool
    sold: Float64


class FactorShock(NamedTuple):
    """A critical shock of the common factor: all markets move by the log distance `shock`, and
    come to rest `length` further away on the average of their open notional; it forces `pools`."""

    shock: float
    length: float
    pools: int


@dataclass(frozen=True, slots=True)
class MarketSystem:
    """A venue's pools, marks and books. `mark`, `kappa`: by market, NaN marks: not known. `sent`:
    by slot, the quantity of a position that goes to the book at once. `levels`: see `book_levels`.
    """

    positions: PositionArrays
    rules: RuleArrays
    mark: Float64
    levels: BookLevels
    kappa: Float64
    sent: Float64

    def start(self) -> SystemState:
        """Nothing has moved and nobody is forced."""
        markets, pools = len(self.mark), len(self.positions.cash)
        return SystemState(np.zeros(markets), np.zeros(pools, np.bool_), np.zeros((2, markets)))

    def settle(
        self, shock: Float64, falls: bool, survives: float, state: SystemState | None = None
    ) -> SystemState:
        """Rounds until nobody more is forced. `shock`: by market, log distance, not negative.

        `state`: where a smaller shock had come to; going on from there is quicker.
        """
        state = self.start() if state is None else state
        forced, sold, sign = state.forced.copy(), state.sold.copy(), -1.0 if falls else 1.0
        side = 0 if falls else 1
        moved = np.maximum(shock + self._displaced(sold[side], side, survives), state.moved)
        while True:
            table = self.rules.at_marks(self.mark * np.exp(sign * moved))
            if not force_pools(self.positions, table, self.sent, forced, sold):
                return SystemState(moved, forced, sold)
            moved = np.maximum(shock + self._displaced(sold[side], side, survives), moved)

    def _displaced(self, sold: Float64, side: int, survives: float) -> Float64:
        """κ·I of every market, for quantities sent to one side's books."""
        markets = len(self.mark)
        first, distance, total = self.levels
        out = np.zeros(markets)
        for m in np.flatnonzero((sold > 0.0) & (self.kappa > 0.0)).tolist():
            low, high = first[side * markets + m], first[side * markets + m + 1]
            out[m] = displacement(float(sold[m]) / survives, distance, total, low, high, low)
        return out * self.kappa

    def edges(
        self, span: float, falls: bool, survives: float, state: SystemState | None = None
    ) -> tuple[Float64, Int64]:
        """K (from market, to market) and the number of pools behind each entry, from `state` (None:
        today). `span`: the log distance of the moves that K is measured on.
        """
        markets = len(self.mark)
        if state is None:
            state = self.settle(np.zeros(markets), falls, survives)
        sign, side = (-1.0, 0) if falls else (1.0, 1)
        table = self.rules.at_marks(self.mark * np.exp(sign * state.moved))
        flow, accounts = np.zeros((markets, markets)), np.zeros((markets, markets), np.int64)
        spread_moves(self.positions, table, self.sent, state.forced, span, falls, flow, accounts)
        before = self._displaced(state.sold[side], side, survives)
        k = np.zeros((markets, markets))
        for n in np.flatnonzero(flow.any(axis=1)).tolist():
            after = self._displaced(state.sold[side] + flow[n], side, survives)
            # Without a book nothing is known; the stress test says so.
            k[n] = np.where(np.isfinite(after), after - before, 0.0) / span
        return k, accounts

    def critical_factor(self, falls: bool, survives: float) -> FactorShock | None:
        """The shock of the common factor at which the marks' rest jumps furthest; None: nowhere by
        as much as a step."""
        weight = self._open_notional()
        if not weight.any():
            return None

        def extra(state: SystemState, shock: float) -> float:
            return float(np.average(state.moved, weights=weight)) - shock

        ones, best = np.ones(len(self.mark)), FactorShock(0.0, 0.0, 0)
        low, state = 0.0, self.settle(np.zeros(len(self.mark)), falls, survives)
        for step in range(1, round(FACTOR_REACH / FACTOR_STEP) + 1):
            high = step * FACTOR_STEP
            after = self.settle(ones * high, falls, survives, state)
            jump = extra(after, high) - extra(state, low)
            if jump >= FACTOR_STEP and jump > best.length:
                best = self._narrow(low, high, state, after, falls, survives, extra)
            low, state = high, after
        return best if best.pools else None

    def _narrow(
        self, low: float, high: float, before: SystemState, after: SystemState, falls: bool,
        survives: float, extra: Callable[[SystemState, float], float],
    ) -> FactorShock:  # fmt: skip
        """The jump between two shocks, to `FACTOR_GRAIN`."""
        ones = np.ones(len(self.mark))
        while high - low > FACTOR_GRAIN:
            middle = (low + high) / 2
            between = self.settle(ones * middle, falls, survives, before)
            at_middle = extra(between, middle)
            if at_middle - extra(before, low) >= extra(after, high) - at_middle:
                high, after = middle, between
            else:
                low, before = middle, between
        pools = int(np.count_nonzero(after.forced) - np.count_nonzero(before.forced))
        return FactorShock(high, extra(after, high) - extra(before, low), pools)

    def _open_notional(self) -> Float64:
        p = self.positions
        used = p.quantity != 0.0
        notional = np.abs(p.quantity[used]) * self.mark[p.market[used]]
        sums = np.zeros(len(self.mark))
        np.add.at(sums, p.market[used], np.nan_to_num(notional))
        return sums


def spectral_radius(k: Float64) -> float:
    """The largest modulus of the eigenvalues of a matrix without negative entries."""
    linked = np.flatnonzero(k.any(axis=0) & k.any(axis=1))
    if not len(linked):
        return 0.0
    return float(np.abs(np.linalg.eigvals(k[np.ix_(linked, linked)])).max())
