"""How much of the realised liquidations was set off by earlier ones: a branching ratio, afterwards.

Liquidations are taken as a Hawkes process with an exponential kernel: their rate is μ from outside
plus n·β·e^(−β·t) for each one t seconds ago, so n is how many further ones each sets off. μ, n and
β are those of the highest likelihood (Ozaki, "Maximum likelihood estimation of Hawkes'
self-exciting point processes", 1979, gives the recursion). What drives many accounts at once from
outside looks like branching too, so n confirms a cascade after the fact and raises no alarm.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

import numpy as np

from detectors.arrays.state import Stateful
from detectors.arrays.types import Float64
from monitor.core.contract.units import SECOND_NS

KEPT = 1_000
"""Liquidations of a venue that are remembered, the last ones."""
EVENTS_MIN = 100
"""Fewer give no ratio: its standard error is then about a tenth."""
DECAYS_S = 2.0 ** np.arange(12)
"""Times 1/β that are tried. Not less than a second: fills of one moment are not apart."""
SPAN_SHARE = 0.1
"""And not more than this part of the time watched: slower decay cannot be told from a trend."""
GAIN_MIN = 3.0
"""Log-likelihood that n and β must gain: one in twenty without branching gains so much."""
_STEPS = 200
_STEP_MIN = 1e-6


class LiquidationTimes(Stateful):
    """The last liquidations of a venue."""

    STATE = ("_last",)

    def __init__(self) -> None:
        self._last: deque[tuple[int, str]] = deque(maxlen=KEPT)

    def add(self, liquidations: Iterable[tuple[int, str]]) -> None:
        """Event time (ns) and market of each, in the order of time."""
        self._last.extend(liquidations)

    def ratios(self, now_ns: int) -> tuple[float | None, dict[str, float]]:
        """The branching ratio of the venue (None: too few), and of each market with enough."""
        times: dict[str, list[int]] = {}
        for ts, symbol in self._last:
            times.setdefault(symbol, []).append(ts)
        every = [ts for ts, _ in self._last]
        by_market = {name: _ratio(times[name], now_ns) for name in sorted(times)}
        return _ratio(every, now_ns), {name: n for name, n in by_market.items() if n is not None}


def _ratio(times_ns: list[int], now_ns: int) -> float | None:
    if len(times_ns) < EVENTS_MIN:
        return None
    start = min(times_ns)
    at = np.sort(np.array(times_ns) - start) / SECOND_NS
    return branching_ratio(at, max(float(at[-1]), (now_ns - start) / SECOND_NS))


def branching_ratio(times: Float64, end: float) -> float | None:
    """n of events at `times` (s, ascending from 0 on), watched until `end` (s); 0 where it could be
    chance; None: all came at once."""
    if end <= 0.0:
        return None
    # Without any branching the rate is the mean, and the likelihood this.
    best, ratio = len(times) * (float(np.log(len(times) / end)) - 1.0) + GAIN_MIN, 0.0
    for decay in DECAYS_S[max(end * SPAN_SHARE, DECAYS_S[0]) >= DECAYS_S].tolist():
        likelihood, n = _fit(times, end, 1.0 / decay)
        if likelihood > best:
            best, ratio = likelihood, n
    return ratio


def _fit(times: Float64, end: float, beta: float) -> tuple[float, float]:
    """The highest log-likelihood for one β, and its n. With β given it has one maximum, which
    expectation and maximisation in turn climb to."""
    excited = np.zeros(len(times))
    fades = np.exp(-beta * np.diff(times)).tolist()
    now = 0.0
    for i, fade in enumerate(fades, 1):
        now = (now + 1.0) * fade
        excited[i] = now
    excited *= beta
    seen = float(np.sum(-np.expm1(-beta * (end - times))))
    mu, n = 0.5 * len(times) / end, 0.5
    for _ in range(_STEPS):
        outside = mu / (mu + n * excited)
        from_outside = float(outside.sum())
        before, n = n, (len(times) - from_outside) / seen
        mu = from_outside / end
        if abs(n - before) < _STEP_MIN:
            break
    likelihood = float(np.sum(np.log(mu + n * excited))) - mu * end - n * seen
    return likelihood, n
