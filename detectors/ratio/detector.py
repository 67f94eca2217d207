"""Shares of events: cancels to orders, cancels within 100 ms, one account's part of a whole.

Of the n events of a window, k are of the kind that is watched. Around the usual share p (over the
last minutes) k varies more than coin tosses would, for events come in bunches: k is beta-binomial,
with variance np(1-p)(1 + (n-1)ρ), and ρ is learnt. A window of few events proves little by itself,
so likelihood ratios "the odds are f times the usual" against "they are usual" are summed over all
windows in which the change may have begun, as in `BurstDetector`. So a share that stays up for some
windows is detected where the z-score of the single window is blind.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from detectors.arrays.types import Float64
from detectors.base import Evidence
from detectors.ratio import kernel
from detectors.row_detector import RowDetector, RunBank, count_refusal
from detectors.stats.change_sums import CUSUM, EVIDENCE, EXPECTED, OBSERVED, WINDOWS
from detectors.window_run import WindowRun


class RatioBank(RunBank):
    """`RatioDetector`s with the same parameters, a row of numbers each."""

    log_likelihood = True

    def __init__(self, factors: tuple[float, ...], warm_up: int, patience: int) -> None:
        width = kernel.SIZES + kernel.PER_SIZE * len(factors)
        super().__init__(width, "with the same factors", warm_up, patience)
        self._factors = np.array(factors)

    def init_rows(self, rows: Float64) -> None:
        kernel.init_rows(rows)

    def run(self, steps: int, low: int, block: int, windows: WindowRun) -> tuple[int, bool]:
        chosen = self._factors, self._warm_up, self._patience
        return kernel.run_windows(self._rows, *chosen, steps, low, block, windows)

    def refusal(self, value: Float64) -> str | None:
        return count_refusal(*value.tolist())

    def evidence(self, row: int, value: Float64) -> Evidence | None:
        mine, sums = self._rows[row], np.empty((kernel.SUMS, len(self._factors)))
        part, other = value.tolist()
        if mine[kernel.SEEN] < self._warm_up:
            return None
        if not kernel.score_row(mine, self._factors, part, other, sums) > 0.0:
            return None
        likeliest = int(sums[EVIDENCE].argmax())
        usual = float((mine[kernel.PART] + kernel.PRIOR) / (mine[kernel.TOTAL] + 1.0))
        seen, expected, trials, windows = 0.0, 0.0, 0.0, 0.0
        if sums[CUSUM, likeliest] > 0.0:
            since = mine[kernel.SIZES + kernel.PER_SIZE * likeliest :]
            columns = [OBSERVED, EXPECTED, kernel.TRIALS, WINDOWS]
            seen, expected, trials, windows = since[columns].tolist()
        total = part + other
        observed, expected = seen + part, expected + usual * total
        return Evidence(observed, expected, "events", int(windows) + 1, trials + total)

    def report(self, row: int, value: Float64) -> None:
        kernel.report(self._rows, self._patience, row, value[0], value[1])


class RatioDetector(RowDetector):
    """Mixture of Shiryaev–Roberts sums for raised odds, on a beta-binomial share.

    Reported windows and new levels are dealt with as in `BurstDetector`. A window without events
    proves nothing and is no reason to abstain.

    Parameters
    ----------
    part
        The key of the events that are watched, ≥ 0.
    other
        The key of the other events: those of the whole that are not part, ≥ 0. For cancels to
        orders the two are the cancels and the orders.
    factors
        What is looked for, each > 1: the odds of a watched event over the usual odds.
    warm_up
        Windows to learn before the first judgement, ≥ 1.
    patience
        Windows after which a reported episode is the new normal, ≥ 1.

    Examples
    --------
    >>> from detectors.ratio.detector import RatioDetector
    >>> detector = RatioDetector()
    >>> for i in range(600):
    ...     detector.learn_one({"part": 2 + i % 3, "other": 7})
    >>> detector.judge_one({"part": 3, "other": 7}).value < 1
    True
    >>> score = detector.judge_one({"part": 18, "other": 2})
    >>> score.value > 5, score.evidence.observed, score.evidence.trials
    (True, 18.0, 20.0)

    References
    ----------
    Skellam, "A probability distribution derived from the binomial distribution by regarding the
    probability of success as variable between the sets of trials", J. R. Stat. Soc. B 10 (1948);
    Roberts, "A comparison of some control chart procedures", Technometrics 8 (1966).
    """

    log_likelihood: ClassVar[bool] = True
    BANK: ClassVar = RatioBank
    PARAMETERS: ClassVar = ("factors", "warm_up", "patience")

    def __init__(
        self,
        part: str = "part",
        other: str = "other",
        factors: tuple[float, ...] = (1.5, 3.0, 8.0),
        warm_up: int = 300,
        patience: int = 300,
    ) -> None:
        if not factors or min(factors) <= 1:
            raise ValueError(f"factors of the odds must be above 1, not {factors}")
        self.part = part
        self.other = other
        self.factors = factors
        self.warm_up = warm_up
        self.patience = patience
        self._init_row()

    @property
    def features(self) -> tuple[str, ...]:
        return (self.part, self.other)

    @property
    def rising_features(self) -> tuple[str, ...]:
        return (self.part,)
