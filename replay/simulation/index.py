"""The index of each simulated market, which comes from outside the venue: correlated random walks
with volatility that comes in regimes; and the drift of activity beside its daily cycle.

Second by second, in doubles with sums and products only: the same on every machine.
"""

from __future__ import annotations

import numpy as np

from replay.simulation.incidents.disturbances import Disturbances
from replay.simulation.market import (
    Float64,
    Rng,
    SimulatedMarkets,
    daily_cycle,
    round_to_grid,
)
from replay.simulation.trading.draws import draw_array, normal_quantiles

DRIFT_S, DRIFT_SIGMA = 300.0, 0.25
"""The slow drift of activity, one part shared by all markets and one of each market: time constant,
and standard deviation of the logarithm."""
CORRELATION = 0.6
"""Between the returns of two markets."""
VOLATILITY_S, VOLATILITY_SIGMA = 600.0, 0.5
"""The logarithm of volatility: time constant and standard deviation."""
NOISES = 3
"""Normal deviates of a market in a second: price, volatility and activity."""
TICKS_MIN = 1000.0
"""No index falls lower: a tick stays a small part of it."""
_EXPONENTS = np.arange(-4 * 64, 4 * 64 + 1) / 64
_EXPONENTIALS = round_to_grid(np.exp(_EXPONENTS))


def exponential(values: Float64) -> Float64:
    """e to the power of `values`, from -4 to 4, to three digits: from a table."""
    at = (np.clip(values, -4.0, 3.999) + 4.0) * 64
    cell = at.astype(np.int64)
    low = _EXPONENTIALS[cell]
    between: Float64 = low + (_EXPONENTIALS[cell + 1] - low) * (at - cell)
    return between


class IndexWalk:
    """Index, volatility and activity from second to second."""

    def __init__(self, rng: Rng, markets: SimulatedMarkets) -> None:
        count = len(markets.names)
        self._rng, self._markets, self._normal = rng, markets, normal_quantiles()
        self._index = markets.ticks.copy()
        self._volatility = VOLATILITY_SIGMA * draw_array(rng, self._normal, (count + 1,))
        self._drift = DRIFT_SIGMA * draw_array(rng, self._normal, (count + 1,))

    def step(self, start_ts: int, disturbed: Disturbances) -> tuple[Float64, Float64]:
        """Of the next seconds, as many as `disturbed` has: index (ticks) and activity, as a
        multiple of the usual; arrays of shape (seconds, markets)."""
        markets, count = self._markets, len(self._markets.names)
        seconds = len(disturbed.depth_kept)
        # The last column of the noise is the part that all markets share.
        noise = draw_array(self._rng, self._normal, (seconds, NOISES, count + 1))
        outside = round_to_grid(disturbed.index_return)
        index, drift = np.empty((seconds, count)), np.empty((seconds, count))
        alone, shared = np.sqrt(1 - CORRELATION), np.sqrt(CORRELATION)
        for second in range(seconds):
            move, volatility, activity = noise[second]
            _step_ou(self._volatility, volatility, VOLATILITY_S, VOLATILITY_SIGMA)
            _step_ou(self._drift, activity, DRIFT_S, DRIFT_SIGMA)
            shock = shared * move[count] + alone * move[:count]
            both = self._volatility[:count] + self._volatility[count]
            scale = exponential(both / np.sqrt(2))
            change = markets.sigma * scale * shock + outside[second]
            self._index = np.maximum(self._index * (1 + change), TICKS_MIN)
            index[second] = self._index
            drift[second] = self._drift[:count] + self._drift[count]
        cycle = daily_cycle(start_ts, seconds)[:, None]
        return index, exponential(drift - DRIFT_SIGMA**2) * cycle


def _step_ou(state: Float64, noise: Float64, time_s: float, sigma: float) -> None:
    """Advance an Ornstein-Uhlenbeck process by a second, in place; `sigma`: its long-run standard
    deviation."""
    keep = 1 - 1 / time_s
    state *= keep
    state += sigma * np.sqrt(1 - keep**2) * noise
