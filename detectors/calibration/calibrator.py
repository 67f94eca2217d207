"""Scores → p-values → the alert budget.

The operator turns one knob: at most N false alerts a day, for the whole venue. Whatever a
detector's scores mean, what counts is how often ordinary data lift them so high. That is
learnt from the highest score of each block of windows (a burst of high scores is one event,
not many), and the tail beyond them is extrapolated.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from dataclasses import dataclass
from itertools import compress
from math import exp, expm1, inf, isfinite, log, log1p
from typing import Any

DAY_S = 86400.0
BLOCK_WINDOWS = 300
"""Windows whose highest score is one observation: longer than an excursion of a CUSUM."""
MEMORY_DAYS = 2.0
"""How far back scores count. Two daily cycles: half of the blocks see the busy hours."""
TAIL_SHARE = 8
"""The highest eighth of the blocks is the tail that is extrapolated."""
PRIOR_BLOCKS = 24.0
"""Of a log-likelihood CUSUM: what its theory says weighs as much as this many blocks, and in
the slope of the tail as much as a third as many of its excesses."""
SLOPE_PRIOR, SLOPE_PRIOR_PER_BLOCK = 16.0, 4.0
"""How sure it is that scores thin out as theory says, in excesses, at first and more with each
block. A detector that has learnt for five minutes is wrong about the slow moods of its stream: on
simulated hours (seeds 101 to 106) a score of 12 came 20 times as often as theory has it in the
first quarter of an hour, which 16 excesses allow for, and 4 times in the rest, which 50 do."""
SHIFT_BLOCKS = 4.0
"""What theory says of where the middle block lies weighs as much as so many blocks."""
CAP_MEANS = 3.0
"""A score beyond "once a day" counts as at most so many of the tail's mean excesses beyond it."""
READY_BLOCKS = 72
"""Before that, scores without a theory have no p-value: six hours of 1 s windows."""
ATTACK_SHARE, CHANCE_BLOCKS = 4, 192
"""Attacks crowd, and a habit is there all the time. A quarter of what is remembered may hold one
block beyond "once a day", and another for every 192, more than the other quarters do: so much is
chance. Where it holds more, its blocks beyond "once a day" say nothing of the tail."""


@dataclass(frozen=True, slots=True)
class FalseAlarmRate:
    """So many false alerts a day, shared alike by the streams that can judge.

    Parameters
    ----------
    alerts_per_day
        False alerts a day, for all streams together, > 0.
    window_s
        Length of a window, s, > 0.
    streams
        How many share it, ≥ 1.
    """

    alerts_per_day: float
    window_s: float
    streams: int = 1

    def __post_init__(self) -> None:
        if not (self.alerts_per_day > 0 and self.window_s > 0 and self.streams >= 1):
            raise ValueError(
                "a false alarm rate is more than 0 alerts a day, over windows longer than 0 s,"
                f" for at least 1 stream; not {self}"
            )

    @property
    def p_limit(self) -> float:
        """A window of a stream is reported when its p-value is not above this.

        >>> FalseAlarmRate(alerts_per_day=1.0, window_s=1.0).p_limit * 86400
        1.0
        """
        return min(1.0, self.alerts_per_day * self.window_s / DAY_S / self.streams)


def once_per_days(p: float, window_s: float) -> float:
    """How many days of ordinary data hold one such window, on the average.

    >>> once_per_days(1 / 864000, window_s=1.0)
    10.0
    """
    return round(window_s / DAY_S / p, 9) if p > 0 else inf


class Calibrator:
    """Turns the scores of one detector on one stream into p-values.

    `p_value(s)` is the chance that a window of ordinary data begins an event as high as s, so
    that reporting at `p_value(s) <= budget.p_limit` spends the budget. Within the tail it is
    the share of blocks as high; beyond, an exponential law is fitted to the highest eighth.
    The theory of log-likelihood CUSUMs (an excursion above h has a probability of about
    exp(-h) a window) is where those begin, and loses its weight as blocks come in. How fast the
    tail falls is not known but estimated: over what the rate may be, gamma distributed, the law
    is (1 + h/k)^-k, k excesses being what is known of it. Other scores
    have no p-value at first; then the heavier of an exponential and a Pareto tail.

    Learn every judged score, the reported ones too: all but what is attacks are the false
    alerts that the budget means. A score beyond "once a day" counts as the tail's own mean
    beyond it, so neither an attack nor an outlier deafens the stream. Nor do many attacks in a few
    hours, when it must hear: what lies beyond "once a day" there, and is not as frequent at other
    times, is left out.

    Parameters
    ----------
    log_likelihood
        Whether the scores are a CUSUM of log-likelihood ratios (`Detector.log_likelihood`).
    windows_per_day
        86,400 for 1 s windows.
    block_windows
        Windows whose highest score is one observation: longer than an excursion of the score.
    steepest
        The steepest slope of the tail that is believed, > 0; that of theory is 1.

    References
    ----------
    Pickands, "Statistical inference using extreme order statistics", Ann. Stat. 3 (1975);
    Hill, "A simple general approach to inference about the tail of a distribution",
    Ann. Stat. 3 (1975); Lomax, "Business failures", JASA 49 (1954), for the law of an exponential
    whose rate is gamma distributed; Siegmund, "Sequential Analysis" (1985), chapter 8, for the
    CUSUM.
    """

    def __init__(
        self,
        log_likelihood: bool,
        windows_per_day: float = DAY_S,
        block_windows: int = BLOCK_WINDOWS,
        tail_slope_max: float = inf,
    ) -> None:
        self.log_likelihood = log_likelihood
        self.tail_slope_max = tail_slope_max
        self.block_windows = block_windows
        self.windows_per_day = windows_per_day
        blocks = round(MEMORY_DAYS * windows_per_day / self.block_windows)
        self._blocks: deque[float] = deque(maxlen=max(READY_BLOCKS, blocks))
        self._capped: deque[bool] = deque(maxlen=self._blocks.maxlen)
        self._rare: deque[bool] = deque(maxlen=self._blocks.maxlen)  # once a day, when it came
        self._windows = 0  # of the open block
        self._highest = -inf  # in it
        self._sorted: list[float] = []  # all blocks
        self._fit()

    def _survival(self, x: float) -> float:
        """The share that is left `x` further out, in units of the mean excess."""
        if not self.log_likelihood:
            return exp(-x)
        return exp(-self._slope_certainty * log1p(x / self._slope_certainty))

    def _survival_inverse(self, beyond: float) -> float:
        """How far out a share of exp(-`beyond`) is left: the inverse of `_survival`."""
        if not self.log_likelihood:
            return beyond
        return self._slope_certainty * expm1(beyond / self._slope_certainty)

    def _attack_blocks(self) -> set[int]:
        """The places of the blocks that are left out."""
        if not self.log_likelihood:
            return set()
        n = len(self._rare)
        places = list(compress(range(n), self._rare))
        chance = 1 + n // CHANCE_BLOCKS
        if len(places) <= chance:
            return set()
        length = n // ATTACK_SHARE
        stretches = (
            places[first : bisect_left(places, at + length)] for first, at in enumerate(places)
        )
        most = max(stretches, key=len)
        usual = (len(places) - len(most)) * length / (n - length)
        return set(most) if len(most) > usual + chance else set()

    def _fit(self) -> None:
        """Read the tail off the blocks."""
        left_out = self._attack_blocks()
        if left_out:
            self._fit_blocks = sorted(s for i, s in enumerate(self._blocks) if i not in left_out)
        else:
            self._fit_blocks = self._sorted
        n = len(self._fit_blocks)
        capped = [
            s for i, s in compress(enumerate(self._blocks), self._capped) if i not in left_out
        ]
        self._slope_certainty = SLOPE_PRIOR + SLOPE_PRIOR_PER_BLOCK * n
        self._shift = 0.0
        below = n - len(capped)
        if self.log_likelihood and below:
            theory = self._survival_inverse(-log(-expm1(log(0.5) / self.block_windows)))
            middle = max(0.0, self._fit_blocks[below // 2] - theory)
            self._shift = middle * below / (below + SHIFT_BLOCKS)
        count = n // TAIL_SHARE
        prior = PRIOR_BLOCKS if self.log_likelihood else 0.0
        self._start = self._fit_blocks[n - count] if count else inf
        tail = self._fit_blocks[n - count :] if count else []
        excess = sum(s - self._start for s in tail)
        # A capped score is known to lie beyond, not where: it adds to the excess and is none
        # that ends there. So a stream that alarms day and night comes to be thought to do so.
        beyond = sum(score >= self._start for score in capped)
        ended = max(0, count - beyond) + prior / 3
        slope = ended / (excess + prior / 3) if excess or prior else inf
        self._slope = min(self.tail_slope_max, slope)
        over = count + prior * self._theory_share(self._start)
        self._share = over / (n + prior) if count else 1.0
        # Hill's estimate needs positive scores; log-likelihoods have their law.
        heavy = not self.log_likelihood and bool(tail) and self._start > 0
        self._hill = sum(log(s / self._start) for s in tail) / count if heavy else 0.0
        self._daily = self._score_at_p(1.0 / self.windows_per_day, 0.0)
        self.cap = self._score_at_p(1.0 / self.windows_per_day, CAP_MEANS)

    def _theory_share(self, score: float) -> float:
        """The share of blocks as high, by the law of log-likelihood CUSUMs."""
        if score <= self._shift:
            return 1.0
        return -_expm1_log1p(self.block_windows, self._survival(score - self._shift))

    def _score_at_p(self, p: float, means: float) -> float:
        """The score of `p`, and so many mean excesses of the tail beyond it."""
        beyond = log(self._share / (p * self.block_windows))
        if self._start == inf:
            return (
                self._shift + self._survival_inverse(means - log(p)) if self.log_likelihood else inf
            )
        if self._slope == inf:
            return inf
        light = self._start + self._survival_inverse(max(0.0, beyond) + means) / self._slope
        return max(light, self._start * exp(self._hill * (max(0.0, beyond) + means)))

    def p_value(self, score: float) -> float:
        """The chance of such a score in a window of ordinary data, within [0, 1].

        1 (nothing can be said) while there is neither theory nor enough history: see `why`.
        """
        if self.log_likelihood and score <= 0.0:
            return 1.0
        if not self.log_likelihood and len(self._fit_blocks) < READY_BLOCKS:
            return 1.0
        if score <= self._start or self._slope == inf:  # equal scores tell no slope
            share = self._share_within(score)
        else:
            share = self._share * self._survival(self._slope * (score - self._start))
            if self._hill > 0.0:
                share = max(share, self._share * (score / self._start) ** (-1.0 / self._hill))
        # From the share of blocks to the chance in a window.
        return 1.0 if share >= 1.0 else -_expm1_log1p(1.0 / self.block_windows, share)

    def _share_within(self, score: float) -> float:
        n = len(self._fit_blocks)
        higher = n - bisect_left(self._fit_blocks, score)
        if self.log_likelihood:
            theory = self._theory_share(score)
            return (higher + PRIOR_BLOCKS * theory) / (n + PRIOR_BLOCKS) if n else theory
        return (higher + 1.0) / (n + 1.0)

    @property
    def why(self) -> str | None:
        """Why there are no p-values yet, in words; None when there are."""
        if self.log_likelihood or len(self._sorted) >= READY_BLOCKS:
            return None
        hours = READY_BLOCKS * self.block_windows * 24 / self.windows_per_day
        return f"calibrating: the scores of the first {hours:g} h tell what is rare"

    def learn(self, score: float) -> None:
        """Count one judged window, reported or not. What is not finite is left out."""
        if not isfinite(score):
            return
        if score > self._highest:
            self._highest = min(score, self.cap)
        self._windows += 1
        if self._windows == self.block_windows:
            self.close_block(self._highest)

    def close_block(self, highest: float) -> None:
        """Count a block of windows by its highest score, which is at most `cap`."""
        self._windows, self._highest = 0, -inf
        if len(self._blocks) == self._blocks.maxlen:
            del self._sorted[bisect_left(self._sorted, self._blocks[0])]
        self._blocks.append(highest)
        self._capped.append(highest >= self.cap)
        self._rare.append(highest >= self._daily)
        insort(self._sorted, highest)
        self._fit()

    def snapshot(self) -> dict[str, Any]:
        highest = self._highest if self._windows else None
        return {
            "blocks": list(self._blocks),
            "capped": list(self._capped),
            "rare": list(self._rare),
            "windows": self._windows,
            "highest": highest,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continue where the calibrator that gave `snapshot` stood."""
        self._blocks.clear()
        self._blocks.extend(state["blocks"])
        self._capped.clear()
        self._capped.extend(state["capped"])
        self._rare.clear()
        self._rare.extend(state["rare"])
        self._windows = state["windows"]
        self._highest = -inf if state["highest"] is None else state["highest"]
        self._sorted = sorted(self._blocks)
        self._fit()


def _expm1_log1p(power: float, p: float) -> float:
    """(1 - p)^power - 1, exact for small p."""
    return -1.0 if p >= 1.0 else expm1(power * log1p(-p))
