"""Weak signs in many markets at once: what all share is taken off, what is left is added.

Markets of a venue shake together every day, so their p-values of one window are not independent,
and a plain sum of their evidence is mostly the market's mood. Each market's normal score z is
regressed on the median of the others' (online, without a constant); the residual r, in its own
scale, is what the common mood does not explain. Where nothing is common the weight is 0 and
nothing is lost. Three voices then listen, each with a part of the budget:

- *step*: Σ ln(1-π + π·exp(μr - μ²/2)) over the markets, r of this window and the last one combined
  as the best linear filter for a step: a fraction π of the markets moved, which ones is not known;
- *lasting*: a CUSUM of the same sum, of each window alone;
- *common*: the mean of z in both windows, before anything was taken off: all moved at once.

How rare the sums of *step* and *common* are say their ranks among those of the last day
(`ConformalPValues`), in which the common shocks of every day are; *lasting* has the law of log-likelihood
CUSUMs. Of the market that says most nothing is counted: one market, however loud,
has been told by its own joint evidence, and is no group.
"""

from __future__ import annotations

from math import exp, log, sqrt
from typing import Any, NamedTuple

import numpy as np
from numba import njit, types

from detectors.calibration.conformal import AGE, P_MIN, READY_WINDOWS, ConformalPValues
from detectors.joint.cusums import PATIENCE_WINDOWS, SUM_MAX
from detectors.joint.whitening import Floats
from detectors.stats.normal_scores import normal_score, normal_tail

STATISTICS = ("step", "lasting", "common")
STEP, LASTING, COMMON = range(3)
SHIFT = 2.0
"""μ, in scales: what a weak sign in three streams makes of a market's normal score."""
MOVED_SHARES = (0.3, 0.1)
"""π: a third of the markets, a tenth."""
ECHO = 0.45
"""What a lasting step leaves in the second window, as share of the first: the markets' own
whitening explains the rest (on simulated streams .43)."""
MARKETS_LEAST = 4
"""Fewer have no common mood that could be told from their own."""
COMMON_READY_WINDOWS = 4320
"""Before that *common* abstains: it has no law, and what shakes all markets comes but a few times a
day (six hours of 5 s windows, as for scores without a theory in `calibrate`)."""
SCORE_MAX = 4.5
"""Normal scores count up to this: what is rarer than 3e-6 was never seen, but extrapolated."""
KEEP = 1.0 - 1.0 / 8000.0
"""Of the regressions: a memory of 11 hours of 5 s windows."""
YOUNG_WINDOWS = 50.0
"""As many windows weighs what is supposed at first of the scale: 1."""
RIDGE = 5.0
"""So much sum of squares of the mood weighs what is supposed at first: nothing is common. It is
that of 50 windows in which a third of the variance is common."""
SQUARE_MAX = 16.0
"""A residual teaches the scale four of them at most."""
NAMED_CHANCE = 0.01
"""A market is named when chance makes as much of its score in the same windows less often."""
NAMED_LEAST = 2
"""Less is not a group."""

# Columns of `_learnt`: sums of z times the mood, the mood squared, the residual squared, windows.
CROSS, SQUARE, SPREAD, SEEN = range(4)
# Columns of `_now`; the first two are those of `_before` as well.
Z, REST, MOOD, BOTH, BOTH_REST = range(5)

_F1, _F2 = types.float64[::1], types.float64[:, ::1]


class MarketEvidence(NamedTuple):
    """A market that carries the evidence."""

    market: int
    p: float
    """The chance of such a score in as many windows."""


class CrossMarketStatistics:
    """Evidence in many markets together.

    Parameters
    ----------
    windows_per_day
        The memory of the ranks.
    markets
        How many; `grow` adds more.
    warm_up
        Windows without which a voice's ranks say nothing.

    Each window: `judge`, then `learn`. What is reported, and what follows until the CUSUMs are back
    at zero, is not learnt, for `PATIENCE_WINDOWS` at most.

    References
    ----------
    Xie, Siegmund, "Sequential multi-sensor change-point detection", Ann. Stat. 41 (2013), for the
    sum over streams of which an unknown fraction moves. Fan, Han, Gu, "Estimating false discovery
    proportion under arbitrary covariance dependence", JASA 107 (2012), for taking a common factor
    off before p-values are put together.
    """

    def __init__(
        self, windows_per_day: float, markets: int = 0, warm_up: int = READY_WINDOWS
    ) -> None:
        self._ranks = ConformalPValues(len(STATISTICS), windows_per_day, warm_up)
        self._learnt: Floats = np.zeros((0, 4))
        self._before: Floats = np.zeros((0, 2))  # of the last window: z, and the residual
        self._total: Floats = np.zeros(len(MOVED_SHARES))
        self._windows: Floats = np.zeros(len(MOVED_SHARES))  # since the last zero
        # Of each market since then, by π: residuals, and windows with one.
        self._since: Floats = np.zeros((0, 2 * len(MOVED_SHARES)))
        self._held = 0  # windows of the present episode, 0 outside one
        self.grow(markets)

    @property
    def markets(self) -> int:
        return len(self._learnt)

    def grow(self, markets: int) -> None:
        """Have at least so many markets; new ones have seen nothing."""
        more = markets - self.markets
        if more > 0:
            self._learnt = np.concatenate((self._learnt, np.zeros((more, 4))))
            self._before = np.concatenate((self._before, np.zeros((more, 2))))
            self._since = np.concatenate((self._since, np.zeros((more, 2 * len(MOVED_SHARES)))))

    def judge(self, p: Floats) -> Floats:
        """The score of each voice, (voices,); NaN where it abstains. Above h in an ordinary window
        with a probability of about exp(-h), or less.

        `p`: (markets,), of this window alone, uniform in ordinary windows; NaN where there is none.
        """
        self._now = np.full((self.markets, 5), np.nan)
        self._after = self._total.copy()
        self._raw = np.full(len(STATISTICS), np.nan)
        _remove_common_mood(p, self._learnt, self._now)
        _compute_statistics(self._now, self._before, np.array(MOVED_SHARES), self._after, self._raw)
        score: Floats = -np.log(self._ranks.p_values(self._raw))
        score[LASTING] = np.where(np.isnan(score[LASTING]), np.nan, self._raw[LASTING])
        if self._ranks.tail[COMMON, AGE] < COMMON_READY_WINDOWS:
            score[COMMON] = np.nan
        return score

    def contributing_markets(self, voice: int) -> tuple[int, list[MarketEvidence]]:
        """How many windows a voice's score rests on, and the markets that carry it, by chance."""
        rest = self._now[:, REST]
        if voice == LASTING:
            best = int(np.argmax(self._after))
            windows = int(self._windows[best]) + 1
            total, heard = self._since[:, 2 * best] + rest, self._since[:, 2 * best + 1] + 1.0
            score = total / np.sqrt(heard)
        else:
            windows, score = 2, self._now[:, BOTH_REST if voice == STEP else BOTH]
        found = [MarketEvidence(i, normal_tail(s)) for i, s in enumerate(score.tolist()) if s == s]
        return windows, sorted((n for n in found if n.p < NAMED_CHANCE), key=lambda n: (n.p, n[0]))

    def learn(self, reported: bool) -> None:
        """Learn the window judged last, unless it is part of an episode."""
        taught = not reported and self._held == 0
        if taught:
            _learn_regressions(self._now, self._learnt)
        self._ranks.learn(self._raw, np.full(len(STATISTICS), taught))
        zero = (self._after <= 0.0) | reported
        self._total = np.where(zero, 0.0, np.minimum(self._after, SUM_MAX))
        self._windows = np.where(zero, 0.0, self._windows + 1)
        known = ~np.isnan(self._now[:, Z])
        rest = np.where(known, self._now[:, REST], 0.0)
        for i in range(len(MOVED_SHARES)):
            self._since[:, 2 * i] = 0.0 if zero[i] else self._since[:, 2 * i] + rest
            self._since[:, 2 * i + 1] = 0.0 if zero[i] else self._since[:, 2 * i + 1] + known
        self._before = np.where(known[:, None] & (not reported), self._now[:, : REST + 1], 0.0)
        held = self._held + 1 if reported or self._held else 0
        over = held > PATIENCE_WINDOWS or (not reported and not self._total.any())
        self._held = 0 if over else held

    @property
    def lookback_windows(self) -> int:
        """Windows before the next one on which its score may rest."""
        return max(1, int(self._windows.max()))

    def snapshot(self) -> dict[str, Any]:
        return {
            "ranks": self._ranks.snapshot(),
            "learnt": self._learnt,
            "before": self._before,
            "total": self._total,
            "windows": self._windows,
            "since": self._since,
            "held": self._held,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on, bit for bit, where the one that gave `snapshot` stood."""
        self._ranks.restore(state["ranks"])
        for name in ("learnt", "before", "total", "windows", "since"):
            setattr(self, f"_{name}", np.array(state[name]))
        self._held = state["held"]


@njit(types.float64(_F1, types.int64, types.float64), cache=True, nogil=True)
def _median_of_others(ordered, n, own):  # type: ignore[no-untyped-def]
    """The median of the first `n` of the ordered numbers, one that equals `own` left out."""
    at = np.searchsorted(ordered[:n], own)
    low, high = (n - 2) // 2, (n - 1) // 2
    low += low >= at
    high += high >= at
    return 0.5 * (ordered[low] + ordered[high])


@njit(types.float64(types.float64, types.float64), cache=True, nogil=True)
def _log_likelihood_ratio(score, moved):  # type: ignore[no-untyped-def]
    """Log-likelihood ratio of a normal score that is shifted with probability `moved`."""
    return log(1.0 - moved + moved * exp(SHIFT * min(score, SCORE_MAX) - 0.5 * SHIFT * SHIFT))


@njit(types.void(_F1, _F2, _F2), cache=True, nogil=True)
def _remove_common_mood(p, learnt, now):  # type: ignore[no-untyped-def]
    """Z, MOOD and REST of each market with a p-value, where there are enough of them."""
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
            weight = learnt[i, CROSS] / (learnt[i, SQUARE] + RIDGE)
            spread = (learnt[i, SPREAD] + YOUNG_WINDOWS) / (learnt[i, SEEN] + YOUNG_WINDOWS)
            now[i, Z], now[i, MOOD], now[i, REST] = z, mood, (z - weight * mood) / sqrt(spread)


@njit(types.void(_F2, _F2, _F1, _F1, _F1), cache=True, nogil=True)
def _compute_statistics(now, before, moved, after, raw):  # type: ignore[no-untyped-def]
    """What each voice hears (`raw`), and the CUSUMs `after` this window."""
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
                one, both = (
                    _log_likelihood_ratio(now[i, REST], moved[k]),
                    _log_likelihood_ratio(now[i, BOTH_REST], moved[k]),
                )
                alone += one
                step += both
                alone_most, step_most = max(alone_most, one), max(step_most, both)
        after[k] = max(0.0, after[k] + alone - alone_most)
        raw[STEP] = max(raw[STEP], step - step_most)
        raw[LASTING] = max(raw[LASTING], after[k])


@njit(types.void(_F2, _F2), cache=True, nogil=True)
def _learn_regressions(now, learnt):  # type: ignore[no-untyped-def]
    """A step of every market's regression on the mood."""
    for i in range(now.shape[0]):
        if now[i, Z] == now[i, Z]:
            learnt[i, CROSS] = KEEP * learnt[i, CROSS] + now[i, Z] * now[i, MOOD]
            learnt[i, SQUARE] = KEEP * learnt[i, SQUARE] + now[i, MOOD] ** 2
            square = min(now[i, REST] ** 2, SQUARE_MAX)
            spread = (learnt[i, SPREAD] + YOUNG_WINDOWS) / (learnt[i, SEEN] + YOUNG_WINDOWS)
            learnt[i, SPREAD] = KEEP * learnt[i, SPREAD] + square * spread
            learnt[i, SEEN] = KEEP * learnt[i, SEEN] + 1.0
