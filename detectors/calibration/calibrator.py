"""Scores → p-values → the alert budget.

The operator turns one knob: at most N false alerts a day, for the whole venue. Whatever a
detector's scores mean, what counts is how often ordinary data lift them so high. That is learnt
from the highest score of each block of windows (for high scores come in bursts, each of them one
event), and the tail beyond them is extrapolated.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections import deque
from dataclasses import dataclass
from itertools import compress
from math import exp, expm1, inf, isfinite, isnan, log, log1p
from statistics import median
from typing import Any, ClassVar

from detectors.arrays.state import Stateful
from detectors.calibration.event_peaks import EventPeaks
from detectors.calibration.tail_prior import READY_BLOCKS, TailPrior
from detectors.stats.limits import DAY_WINDOWS

DAY_S = 86400.0
BLOCK_WINDOWS = 300
"""Windows whose highest score is one observation: longer than an excursion of a CUSUM."""
MEMORY_DAYS = 2.0
"""How far back scores count: two daily cycles, each with its busy hours."""
TAIL_SHARE = 8
"""The highest eighth of the blocks is the tail that is extrapolated."""
PRIOR_BLOCKS = 24.0
"""Of a log-likelihood CUSUM: its theory counts as so many blocks, and in the slope of the tail as a
third as many excesses."""
SLOPE_PRIOR, SLOPE_PRIOR_PER_BLOCK = 16.0, 4.0
"""How certain it is that scores thin out as theory says, in excesses: at first, and more with each
block. A detector that has learnt for five minutes does not know the slow moods of its stream. In
simulated hours a score of 12 was 20 times as frequent as by theory in the first quarter of an hour,
for which 16 excesses allow, and 4 times in the rest, for which 50 do."""
ENDED_MIN = 1.0 / 3.0
"""The least number of ended excesses in the slope of the tail. Where every block of it was capped,
none has ended, and the likeliest slope is 0: a tail that never thins out, and a division by zero. A
gamma prior of this shape is neutral: the median of the slope then lies where the likeliest slope
does (Kerman, "Neutral noninformative and informative conjugate beta and gamma prior distributions",
2011)."""
SCORE_BOUND = 1e100
"""Scores count within ± this, so that their sums and ratios stay finite."""
P_MIN = 1e-300
"""No score has a smaller p-value."""
EXPONENT_MAX = 700.0
"""e to a higher power would not be a number."""
CAP_MEANS = 3.0
"""A score beyond "once a day" counts as at most so many of the tail's mean excesses beyond it."""
RANK_MIN = 3.0
"""By rank, the third highest event and lower ones are as frequent as their rank says; how rare the
highest two are the law of the tail has to say."""
OWN_BLOCKS = 1
"""Before that, scores without a theory have no p-value even where other markets' are borrowed: a
move is no number of deviations before there were a few minutes of moves."""
SCALE_BLOCKS = 0.3
"""That its middle block lies where that of other markets does counts as so many blocks. The middles
of recorded venues are as far apart as blocks of one of them, so one would be the even weight; a
third errs on the high side. Markets twice as lively as those that lend then spend 1.5 times what
they are given in their first hour, with one block 2.7 times, without a scale 13 times."""
ATTACK_SHARE, ATTACKED_SHARE, CHANCE_BLOCKS = 2, 4, 64
"""Attacks come together, and a habit is there all the time. A half of the blocks may hold one block
beyond "once a day", and another for every 64, more than the other half: that may be chance. Where
it holds more, its blocks beyond "once a day" are left out of the tail; but not where they are more
than a quarter of all, which are no attacks."""


@dataclass(frozen=True, slots=True)
class FalseAlarmRate:
    """So many false alerts a day (> 0), shared alike by all `streams` (≥ 1) that can judge.

    `window_s`: length of a window, s, > 0. Other numbers raise `ValueError`.
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


class Calibrator(Stateful):
    """Turns the scores of one detector on one stream into p-values.

    `p_value(s)` is the chance that a window of ordinary data begins an event as high as s, so
    reporting where it is not above the budget's `p_limit` spends the budget. Within the tail it is
    the share of blocks as high; beyond, an exponential law is fitted to the highest eighth.

    For log-likelihood CUSUMs theory (an excursion above h has a probability of about exp(-h) a
    window) is the prior, and counts less as blocks come in. How fast the tail falls is uncertain,
    too: over a gamma distributed rate the law becomes (1 + h/k)^-k, where k is the number of
    excesses that the rate is estimated from. Other scores have no p-value before `READY_BLOCKS`
    blocks; from then on, the heavier of an exponential and a Pareto tail.

    With a `prior`, blocks of other markets stand in for those of the first `READY_BLOCKS` that the
    stream has yet to see. How certain the slope is its own blocks say alone: a few other markets
    can show that scores thin out more slowly than theory says, and not that here they do not.

    Learn every judged score, also of reported windows: nearly all of them are the false alerts that
    the budget means. A score beyond "once a day" counts as the tail's own mean beyond it, so
    neither an attack nor an outlier deafens the stream. Nor do many attacks in a few hours: blocks
    beyond "once a day" that are more frequent there than at other times are left out.

    Parameters
    ----------
    log_likelihood
        Whether the scores are a CUSUM of log-likelihood ratios (`Detector.log_likelihood`).
    windows_per_day
        86,400 for 1 s windows.
    block_windows
        Windows whose highest score is one observation: longer than an excursion of the score.
    tail_slope_max
        The steepest slope of the tail that is believed, > 0; in theory it is 1.
    by_rank
        Whether the highest events of a day are what is looked for (`EventPeaks`): those that others
        exceed are as rare as their rank says, and none is left out as an attack.
    prior
        What other markets showed of such scores; None: nothing.

    References
    ----------
    Pickands, "Statistical inference using extreme order statistics", Ann. Stat. 3 (1975);
    Hill, "A simple general approach to inference about the tail of a distribution",
    Ann. Stat. 3 (1975); Lomax, "Business failures", JASA 49 (1954), for the law of an exponential
    whose rate is gamma distributed; Siegmund, "Sequential Analysis" (1985), chapter 8, for the
    CUSUM.
    """

    STATE: ClassVar = ("_blocks", "_capped", "_rare", "windows", "highest")

    def __init__(
        self,
        log_likelihood: bool,
        windows_per_day: float = DAY_WINDOWS,
        block_windows: int = BLOCK_WINDOWS,
        tail_slope_max: float = inf,
        by_rank: bool = False,
        prior: TailPrior | None = None,
    ) -> None:
        self.log_likelihood = log_likelihood
        self.prior = prior
        self._others = prior.blocks() if prior else []
        self._others_middle = median(self._others) if prior else 0.0
        self.tail_slope_max = tail_slope_max
        self.by_rank = by_rank
        self.block_windows = block_windows
        self.windows_per_day = windows_per_day
        most = max(READY_BLOCKS, round(MEMORY_DAYS * windows_per_day / block_windows))
        self._blocks: deque[float] = deque(maxlen=most)  # the highest score of each block
        self._capped: deque[bool] = deque(maxlen=most)  # whether that was beyond `cap` then
        self._rare: deque[bool] = deque(maxlen=most)  # whether it was beyond "once a day" then
        self.windows, self.highest = 0, -inf
        """Of the open block: its windows, and the highest score in it."""
        self._sorted: list[float] = []  # all blocks, by score
        self._peaks = EventPeaks(most) if by_rank else None
        self._fit()

    def _survival(self, x: float) -> float:
        """The share of scores beyond `x`, in mean excesses from the tail's start."""
        certainty = self._slope_certainty
        return exp(-certainty * log1p(x / certainty)) if self.log_likelihood else exp(-x)

    def _survival_inverse(self, beyond: float) -> float:
        """Where the share beyond is exp(-`beyond`): the inverse of `_survival`."""
        certainty = self._slope_certainty
        return certainty * expm1(beyond / certainty) if self.log_likelihood else beyond

    def _attack_blocks(self) -> set[int]:
        """The places of the blocks that are left out as attacks."""
        if self.by_rank or True not in self._rare:
            return set()
        n = len(self._rare)
        places = list(compress(range(n), self._rare))
        chance = 1 + n // CHANCE_BLOCKS
        if len(places) <= chance:
            return set()
        length = n // ATTACK_SHARE
        ends = (bisect_left(places, at + length) for at in places)
        most = max((places[first:end] for first, end in enumerate(ends)), key=len)
        usual = (len(places) - len(most)) * length / (n - length)
        is_attack = usual + chance < len(most) <= n // ATTACKED_SHARE + chance
        return set(most) if is_attack else set()

    def _borrowed_blocks(self) -> list[float]:
        """What stands in for the blocks that it has yet to see.

        Where its own middle block is higher than that of others, theirs are raised in proportion.
        Of log-likelihoods that is what theory's shift is for.
        """
        own = len(self._sorted)
        borrowed = self._others[: max(0, READY_BLOCKS - own)]
        if self.log_likelihood or not borrowed or not own or self._others_middle <= 0.0:
            return borrowed
        higher = max(1.0, self._sorted[own // 2] / self._others_middle)
        scale = higher ** (own / (own + SCALE_BLOCKS))
        return [scale * score for score in borrowed]

    def _fit(self) -> None:
        """Fit the tail to the blocks."""
        left_out = self._attack_blocks()
        kept = (s for i, s in enumerate(self._blocks) if i not in left_out)
        self._fit_blocks = sorted(kept) if left_out else self._sorted
        own = len(self._fit_blocks)
        if borrowed := self._borrowed_blocks():
            self._fit_blocks = sorted([*self._fit_blocks, *borrowed])
        n = len(self._fit_blocks)
        capped = []
        if True in self._capped:
            all_capped = compress(enumerate(self._blocks), self._capped)
            capped = [s for i, s in all_capped if i not in left_out]
        self._slope_certainty = SLOPE_PRIOR + SLOPE_PRIOR_PER_BLOCK * own
        self._shift = 0.0
        if self.log_likelihood and n:
            theory = self._survival_inverse(-log(-expm1(log(0.5) / self.block_windows)))
            self._shift = max(0.0, self._fit_blocks[n // 2] - theory)
        count = n // TAIL_SHARE
        prior = PRIOR_BLOCKS if self.log_likelihood else 0.0
        self._start = self._fit_blocks[n - count] if count else inf
        tail = self._fit_blocks[n - count :] if count else []
        excess = sum(s - self._start for s in tail)
        # Of scores without a theory, those that tie where the tail begins are no excesses: of a
        # level that is 0 nearly always, the few others alone say how far it goes.
        if not self.log_likelihood and excess > 0.0:
            count -= bisect_right(tail, self._start) - 1
        # Of a capped score only a lower bound is left: it adds to the excesses but not to their
        # number (as in survival analysis). So a stream that alarms all the time gets a heavy tail.
        beyond = sum(score >= self._start for score in capped)
        ended = max(ENDED_MIN, count - beyond + prior / 3)
        slope = ended / (excess + prior / 3) if excess or prior else inf
        self._slope = min(self.tail_slope_max, slope)
        over = count + prior * self._theory_share(self._start)
        self._share = over / (n + prior) if count else 1.0
        # Hill's estimate needs positive scores; log-likelihoods have their law.
        heavy = not self.log_likelihood and bool(tail) and self._start > 0
        self._hill = sum(log(s / self._start) for s in tail) / count if heavy else 0.0
        self._daily = self.score_at_p(1.0 / self.windows_per_day)
        self.cap = self.score_at_p(1.0 / self.windows_per_day, CAP_MEANS)

    def _theory_share(self, score: float) -> float:
        """The share of blocks as high, by the law of log-likelihood CUSUMs."""
        if score <= self._shift:
            return 1.0
        return -_expm1_log1p(self.block_windows, self._survival(score - self._shift))

    def score_at_p(self, p: float, means: float = 0.0) -> float:
        """The score with p-value `p` by the law of the tail, plus `means` mean excesses of it; inf
        where there is no law."""
        beyond = log(self._share / (p * self.block_windows))
        if self._start == inf and self.log_likelihood:
            return self._shift + self._survival_inverse(means - log(p))
        if self._start == inf or self._slope == inf:
            return inf
        light = self._start + self._survival_inverse(max(0.0, beyond) + means) / self._slope
        heavy = min(EXPONENT_MAX, self._hill * (max(0.0, beyond) + means))
        return max(light, self._start * exp(heavy))

    def p_value(self, score: float) -> float:
        """The chance of such a score in a window of ordinary data, within (0, 1]; it never rises
        with the score.

        1 while there is neither theory nor enough history: see `why`.
        """
        if isnan(score):
            return 1.0
        score = min(score, SCORE_BOUND)
        if self.log_likelihood and score <= 0.0:
            return 1.0
        if self.why is not None:
            return 1.0
        if score <= self._start or self._slope == inf:  # equal scores give no slope
            share = self._share_within(score)
        else:
            share = self._share * self._survival(self._slope * (score - self._start))
            if self._hill > 0.0:
                share = max(share, self._share * (score / self._start) ** (-1.0 / self._hill))
        if self._peaks is not None:
            share = min(share, self._share_by_rank(self._peaks, score))
        # From the share of blocks to the chance in a window.
        chance = 1.0 if share >= 1.0 else -_expm1_log1p(1.0 / self.block_windows, share)
        return max(P_MIN, chance)

    def _share_within(self, score: float) -> float:
        """The share of blocks as high, of a score that is not in the tail."""
        n = len(self._fit_blocks)
        higher = n - bisect_left(self._fit_blocks, score)
        if self.log_likelihood:
            theory = self._theory_share(score)
            return (higher + PRIOR_BLOCKS * theory) / (n + PRIOR_BLOCKS) if n else theory
        return (higher + 1.0) / (n + 1.0)

    def _share_by_rank(self, peaks: EventPeaks, score: float) -> float:
        """The share of blocks that are the peak of an event as high: no law is needed where some
        events exceed it. Each borrowed block counts as one."""
        n = len(self._fit_blocks)
        borrowed = n - bisect_left(self._fit_blocks, score)
        borrowed -= len(self._sorted) - bisect_left(self._sorted, score)
        higher = peaks.count_from(score) + borrowed
        return max(higher + 1.0, RANK_MIN) / (n + 1.0)

    @property
    def windows_seen(self) -> int:
        """Windows that its p-values are learnt from, the one that is judged at least: no chance is
        rarer than once in all of them, but by the law of the tail."""
        return max(1, len(self._blocks) * self.block_windows + self.windows)

    @property
    def _blocks_needed(self) -> int:
        """Blocks of its own before there are p-values."""
        if self.log_likelihood:
            return 0
        return READY_BLOCKS if self.prior is None else OWN_BLOCKS

    @property
    def windows_left(self) -> int:
        """Windows with a score that it has yet to learn before there are p-values; 0: there are."""
        if self.why is None:
            return 0
        return (self._blocks_needed - len(self._sorted)) * self.block_windows - self.windows

    @property
    def why(self) -> str | None:
        """Why there are no p-values yet; None when there are."""
        if len(self._sorted) >= self._blocks_needed:
            return None
        hours = self.block_windows * 24 / self.windows_per_day
        seen, needed = len(self._sorted) * hours, self._blocks_needed * hours
        return f"calibrating: {seen:.2g} of the first {needed:.2g} h of its scores seen"

    def learn(self, score: float) -> None:
        """Count one judged window, reported or not. What is not finite is left out."""
        if not isfinite(score):
            return
        if score > self.highest:
            self.highest = min(score, self.cap)
        self.windows += 1
        if self.windows == self.block_windows:
            self.close_block(self.highest)

    def close_block(self, highest: float) -> None:
        """Count a block of windows by its highest score, which is at most `cap`."""
        highest = max(-SCORE_BOUND, min(SCORE_BOUND, highest))
        self.windows, self.highest = 0, -inf
        if len(self._blocks) == self._blocks.maxlen:
            del self._sorted[bisect_left(self._sorted, self._blocks[0])]
        self._blocks.append(highest)
        self._capped.append(highest >= self.cap)
        self._rare.append(highest >= self._daily)
        insort(self._sorted, highest)
        if self._peaks is not None:
            self._peaks.add(highest)
        self._fit()

    def restore(self, state: dict[str, Any]) -> None:
        """Continue where the calibrator that gave `snapshot` stood."""
        super().restore(state)
        self._sorted = sorted(self._blocks)
        if self._peaks is not None:
            self._peaks = EventPeaks(self._peaks.most, self._blocks)
        self._fit()


def _expm1_log1p(power: float, p: float) -> float:
    """(1 - p)^power - 1, exact for small p."""
    return -1.0 if p >= 1.0 else expm1(power * log1p(-p))
