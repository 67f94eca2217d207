"""Weak signs in many markets at once: what all share is taken off, and the rest is added up.

Markets of a venue move together every day, so their p-values of one window are not independent, and
a plain sum of their evidence is mostly their common mood. Each market's normal score z is regressed
on the median of the others' (online, without a constant); the residual r, in its own scale, is what
the common mood does not explain. Where nothing is common the weight is 0 and nothing is lost. From
these come three statistics, each with a part of the budget:

- *step*: Σ ln(1-π + π·exp(μr - μ²/2)) over the markets, with r of this window and the last one
  combined as the best linear filter for a step: a fraction π of the markets moved, no matter which;
- *lasting*: a CUSUM of the same sum, of each window alone;
- *common*: the mean of z in both windows, with the common mood in it: all markets moved at once.

How rare *step* and *common* are follows from their ranks among those of the last day
(`ConformalPValues`), in which the common shocks of every day are; *lasting* has the law of
log-likelihood CUSUMs. The market with the most evidence is left out of *step* and *lasting*: one
market, however strong its evidence, is reported by its own joint evidence and is no group.
"""

from __future__ import annotations

from math import exp, log, sqrt
from typing import ClassVar, NamedTuple

import numpy as np
from numba import njit, types

from detectors.arrays.growable import grow_rows
from detectors.arrays.state import Stateful
from detectors.arrays.types import F1, F2, FLOAT, INT, Float64
from detectors.calibration.conformal import AGE, P_MIN, READY_WINDOWS, ConformalPValues
from detectors.joint.cusums import NAMED_CHANCE as NAMED_CHANCE
from detectors.joint.cusums import extend_episodes, learns
from detectors.stats.limits import SUM_MAX
from detectors.stats.normal_scores import normal_score, normal_tail

STATISTICS = ("step", "lasting", "common")
STEP, LASTING, COMMON = range(3)
SHIFT = 2.0
"""μ, in scales: what weak signs in three streams add to a market's normal score."""
MOVED_SHARES = (0.3, 0.1)
"""π: a third of the markets, a tenth."""
ECHO = 0.45
"""What a lasting step leaves in the second window, as share of the first; the markets' own
whitening explains the rest (.43 is left on simulated streams)."""
MARKETS_LEAST = 4
"""The common mood of fewer markets cannot be separated from their own."""
COMMON_READY_WINDOWS = 4320
"""Before that *common* abstains. It has no theory, and shocks to all markets come only a few times
a day: six hours of 5 s windows, as for scores without a theory in `Calibrator`."""
SCORE_MAX = 4.5
"""Normal scores count up to this: p-values below 3e-6 were never seen, but extrapolated."""
KEEP = 1.0 - 1.0 / 8000.0
"""What the regressions keep each window: a memory of 11 hours of 5 s windows."""
YOUNG_WINDOWS = 50.0
"""The prior of the scale, 1, counts as so many windows."""
RIDGE = 5.0
"""The prior of the weight, 0 (nothing is common), counts as this sum of squares of the mood: that
of 50 windows in which a third of the variance is common."""
SQUARE_MAX = 16.0
"""A residual teaches the scale as at most four scales."""
NAMED_LEAST = 2
"""Fewer markets with evidence are no group."""

CROSS, SQUARE, SPREAD, SEEN, REGRESSION_COLUMNS = range(5)
"""A market's regression, decayed sums: z times the mood, the mood squared, the residual squared,
and windows."""
Z, REST, MOOD, BOTH, BOTH_REST, NOW_COLUMNS = range(6)
"""A market in the window judged last: z, the residual, the mood, and the first two of this window
and the last one combined. `Z` and `REST` are columns of the last window, too."""
SINCE_REST, SINCE_WINDOWS, SINCE_COLUMNS = range(3)
"""A market since the last zero of a CUSUM: the sum of residuals, and the windows with one."""


class MarketEvidence(NamedTuple):
    """A market that carries the evidence, and the chance `p` of such a score in as many windows."""

    market: int
    p: float


class CrossMarketStatistics(Stateful):
    """Evidence in many markets together.

    The memory of the ranks is a day, of `per_day` windows. A statistic has p-values after `warm_up`
    windows.

    Each window: `judge`, then `learn`. What is reported, and what follows until the CUSUMs are back
    at zero, is not learnt, see `extend_episodes`.

    References
    ----------
    Xie, Siegmund, "Sequential multi-sensor change-point detection", Ann. Stat. 41 (2013), for the
    sum over streams of which an unknown fraction moves. Fan, Han, Gu, "Estimating false discovery
    proportion under arbitrary covariance dependence", JASA 107 (2012), for taking a common factor
    off before p-values are put together.
    """

    STATE: ClassVar = (
        "_ranks", "_regressions", "_before", "_total", "_windows", "_since", "_episode_windows",
    )  # fmt: skip

    def __init__(self, per_day: float, markets: int = 0, warm_up: int = READY_WINDOWS) -> None:
        branches = len(MOVED_SHARES)
        self._ranks = ConformalPValues(len(STATISTICS), per_day, warm_up)
        self._regressions: Float64 = np.zeros((0, REGRESSION_COLUMNS))
        self._before: Float64 = np.zeros((0, REST + 1))
        self._total: Float64 = np.zeros(branches)
        """The CUSUM of each branch, one for each of `MOVED_SHARES`."""
        self._windows: Float64 = np.zeros(branches)  # since its last zero
        self._since: Float64 = np.zeros((0, branches, SINCE_COLUMNS))
        self._episode_windows: Float64 = np.zeros(1)  # of the present episode; 0 outside one
        # Of the window judged last, for learning:
        self._now: Float64 = np.full((0, NOW_COLUMNS), np.nan)
        self._after = self._total
        self._raw: Float64 = np.full(len(STATISTICS), np.nan)
        self.grow(markets)

    @property
    def markets(self) -> int:
        return len(self._regressions)

    def grow(self, markets: int) -> None:
        """Have at least so many markets; new ones have seen nothing."""
        for name in ("_regressions", "_before", "_since"):
            setattr(self, name, grow_rows(getattr(self, name), markets, growth=1.0))

    def judge(self, p: Float64) -> Float64:
        """The score of each of `STATISTICS`; NaN where it abstains. Above h in an ordinary window
        with a probability of about exp(-h), or less.

        `p`: (markets,), of this window alone, uniform in ordinary windows; NaN where there is none.
        """
        self._now = np.full((self.markets, NOW_COLUMNS), np.nan)
        self._after = self._total.copy()
        self._raw = np.full(len(STATISTICS), np.nan)
        _remove_common_mood(p, self._regressions, self._now)
        _compute_statistics(self._now, self._before, np.array(MOVED_SHARES), self._after, self._raw)
        score: Float64 = -np.log(self._ranks.p_values(self._raw))
        score[LASTING] = np.where(np.isnan(score[LASTING]), np.nan, self._raw[LASTING])
        if self._ranks.tail[COMMON, AGE] < COMMON_READY_WINDOWS:
            score[COMMON] = np.nan
        return score

    def contributing_markets(self, statistic: int) -> tuple[int, list[MarketEvidence]]:
        """How many windows a score rests on, and the markets that carry it, the rarest first."""
        rest = self._now[:, REST]
        if statistic == LASTING:
            best = int(np.argmax(self._after))
            windows = int(self._windows[best]) + 1
            since = self._since[:, best]
            score = (since[:, SINCE_REST] + rest) / np.sqrt(since[:, SINCE_WINDOWS] + 1.0)
        else:
            windows, score = 2, self._now[:, BOTH_REST if statistic == STEP else BOTH]
        judged = [MarketEvidence(i, normal_tail(s)) for i, s in enumerate(score.tolist()) if s == s]
        named = (market for market in judged if market.p < NAMED_CHANCE)
        return windows, sorted(named, key=lambda market: (market.p, market.market))

    def learn(self, reported: bool) -> None:
        """Learn the window judged last, unless it is part of an episode, see `learns`."""
        report = np.array([reported])
        taught = learns(self._episode_windows, report)
        if taught[0]:
            _learn_regressions(self._now, self._regressions)
        self._ranks.learn(self._raw, np.full(len(STATISTICS), taught[0]))
        zero = (self._after <= 0.0) | reported
        self._total = np.where(zero, 0.0, np.minimum(self._after, SUM_MAX))
        self._windows = np.where(zero, 0.0, self._windows + 1)
        judged = ~np.isnan(self._now[:, Z])
        rest = np.where(judged, self._now[:, REST], 0.0)
        self._since += np.stack((rest, judged), axis=-1)[:, None]
        self._since[:, zero] = 0.0
        self._before = np.where(judged[:, None] & (not reported), self._now[:, : REST + 1], 0.0)
        self._episode_windows = extend_episodes(self._episode_windows, report, self._total[None])

    @property
    def lookback_windows(self) -> int:
        """Windows before the next one on which its score may rest."""
        return max(1, int(self._windows.max()))


@njit(FLOAT(F1, INT, FLOAT), cache=True, nogil=True)
def _median_of_others(ordered, n, own):  # type: ignore[no-untyped-def]
    """The median of the first `n` of the ordered numbers without one that equals `own`."""
    at = np.searchsorted(ordered[:n], own)
    low, high = (n - 2) // 2, (n - 1) // 2
    low += low >= at
    high += high >= at
    return 0.5 * (ordered[low] + ordered[high])


@njit(FLOAT(FLOAT, FLOAT), cache=True, nogil=True)
def _log_likelihood_ratio(score, moved):  # type: ignore[no-untyped-def]
    """Log-likelihood ratio of a normal score that is shifted with probability `moved`."""
    return log(1.0 - moved + moved * exp(SHIFT * min(score, SCORE_MAX) - 0.5 * SHIFT * SHIFT))


@njit(FLOAT(F1), cache=True, nogil=True)
def _spread(regression):  # type: ignore[no-untyped-def]
    """The mean square of a market's residual."""
    return (regression[SPREAD] + YOUNG_WINDOWS) / (regression[SEEN] + YOUNG_WINDOWS)


@njit(types.void(F1, F2, F2), cache=True, nogil=True)
def _remove_common_mood(p, regressions, now):  # type: ignore[no-untyped-def]
    """Fill in `Z`, `MOOD` and `REST` of each market with a p-value, if there are enough."""
    ordered, n = np.empty(p.size), 0
    for i in range(p.size):
        if p[i] == p[i]:
            ordered[n] = min(normal_score(max(p[i], P_MIN)), SCORE_MAX)
            n += 1
    if n < MARKETS_LEAST:
        return
    ordered[:n].sort()
    for i in range(p.size):
        if p[i] == p[i]:
            z = min(normal_score(max(p[i], P_MIN)), SCORE_MAX)
            mood = _median_of_others(ordered, n, z)
            regression = regressions[i]
            weight = regression[CROSS] / (regression[SQUARE] + RIDGE)
            spread = _spread(regression)
            now[i, Z], now[i, MOOD], now[i, REST] = z, mood, (z - weight * mood) / sqrt(spread)


@njit(types.void(F2, F2, F1, F1, F1), cache=True, nogil=True)
def _compute_statistics(now, before, moved, after, raw):  # type: ignore[no-untyped-def]
    """Fill in the statistics (`raw`), and the CUSUM of each branch after this window (`after`)."""
    norm = sqrt(1.0 + ECHO * ECHO)
    n, mean = 0, 0.0
    for i in range(now.shape[0]):
        if now[i, Z] == now[i, Z]:
            now[i, BOTH] = (before[i, Z] + ECHO * now[i, Z]) / norm
            now[i, BOTH_REST] = (before[i, REST] + ECHO * now[i, REST]) / norm
            mean += now[i, BOTH]
            n += 1
    if n == 0:
        return
    raw[COMMON], raw[STEP], raw[LASTING] = mean / n, -np.inf, 0.0
    for k in range(moved.size):
        step = alone = 0.0
        step_most = alone_most = -np.inf
        for i in range(now.shape[0]):
            if now[i, Z] == now[i, Z]:
                one = _log_likelihood_ratio(now[i, REST], moved[k])
                both = _log_likelihood_ratio(now[i, BOTH_REST], moved[k])
                alone += one
                step += both
                alone_most, step_most = max(alone_most, one), max(step_most, both)
        after[k] = max(0.0, after[k] + alone - alone_most)
        raw[STEP] = max(raw[STEP], step - step_most)
        raw[LASTING] = max(raw[LASTING], after[k])


@njit(types.void(F2, F2), cache=True, nogil=True)
def _learn_regressions(now, regressions):  # type: ignore[no-untyped-def]
    """Learn one window in every market's regression on the mood."""
    for i in range(now.shape[0]):
        if now[i, Z] == now[i, Z]:
            regression = regressions[i]
            regression[CROSS] = KEEP * regression[CROSS] + now[i, Z] * now[i, MOOD]
            regression[SQUARE] = KEEP * regression[SQUARE] + now[i, MOOD] ** 2
            square = min(now[i, REST] ** 2, SQUARE_MAX)
            spread = _spread(regression)
            regression[SPREAD] = KEEP * regression[SPREAD] + square * spread
            regression[SEEN] = KEEP * regression[SEEN] + 1.0
