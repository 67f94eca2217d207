"""Levels that are higher than they seldom are: what is forced against what the book takes, sweeps.

Some levels jump by nature (one large position comes within reach, a book is swept), so no law of
their steps holds. Of those one can only say how long they have not been so high. So the score is
the number itself, without a theory: calibration says how often it was as high in the last two days.
In the first six hours it borrows what recordings showed of such levels; where there is nothing to
borrow, it says nothing until then.

Of a move of the price or a rush of trades a window says how far it is from what the market does by
itself; what is rare there is not chance, and the most extreme moments of a day are reported.

Of other levels the window itself says how unlikely they are: a log-likelihood ratio comes with
them. Then that is the score, and it needs no two days of scores to say how rare it is.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numba import njit

from detectors.arrays.growable import grow_rows
from detectors.arrays.types import F1, F2, INT, Float64
from detectors.base import Detector, Evidence, learning_reason
from detectors.row_detector import SEEN, RowBank, RowDetector, RunBank
from detectors.stats.limits import NUMBER_MAX
from detectors.window_run import (
    BOTH,
    JUDGE,
    LEARN,
    RUN,
    RUN_END,
    WindowRun,
    count_score,
    is_ordinary,
    is_ready,
)

ALPHA = 0.003
"""Of the usual level: a memory of 333 windows."""
USUAL, WIDTH = SEEN + 1, SEEN + 2
LEVEL_LEAST = 1.0
"""From no usual level on, a level of moments is learnt as at most this: one bps, one trade."""


@njit(RUN_END(F2, F1, INT, INT, INT, INT, RUN), cache=True, nogil=True)
def run_windows(state, leasts, warm_up, steps, low, block, run):  # type: ignore[no-untyped-def]
    """As `RunBank.run`. The last number of a window is its score."""
    last = run.values.shape[1] - 1
    for w in range(low, run.judged.size):
        begin, end = run.ends[w], run.ends[w + 1]
        if steps & JUDGE:
            judged, is_ordinary_window = 0, True
            for i in range(begin, end):
                row, level = state[run.rows[i]], run.values[i, 0]
                run.scores[i] = np.nan
                run.state[i, SEEN] = row[SEEN]
                if row[SEEN] >= warm_up and 0.0 <= level <= NUMBER_MAX:
                    run.scores[i] = run.values[i, last]
                    if steps == BOTH:
                        judged += is_ready(run, i)
                        is_ordinary_window &= is_ordinary(run, i)
            run.judged[w] = judged
            if not is_ordinary_window:
                return w, False
        if steps & LEARN:
            is_full = False
            for i in range(begin, end):
                row, level = state[run.rows[i]], run.values[i, 0]
                if 0.0 <= level <= NUMBER_MAX:
                    row[SEEN] += 1.0
                    if row[SEEN] > 1.0:
                        # An outlier moves the usual level as twice the usual level would.
                        least = max(row[USUAL], leasts[run.rows[i]])
                        level = min(level, row[USUAL] + least)
                    row[USUAL] += max(ALPHA, 1.0 / row[SEEN]) * (level - row[USUAL])
                if steps == BOTH:
                    is_full |= count_score(run, i, block)
            if is_full:
                return w + 1, True
    return run.judged.size, False


class RecordHighBank(RunBank):
    """`RecordHighDetector`s, a row of numbers each.

    `least`: of rows that have not been told otherwise (`adopt`).
    """

    def __init__(self, least: float, warm_up: int = 1) -> None:
        super().__init__(WIDTH, warm_up=warm_up)
        self._least, self._leasts = least, np.empty(0)

    def grow(self, rows: int) -> None:
        super().grow(rows)
        self._leasts = grow_rows(self._leasts, rows, fill=self._least)

    def adopt(self, row: int, detector: Detector) -> None:
        assert isinstance(detector, RecordHighDetector)
        self.grow(row + 1)
        self._leasts[row] = detector.least

    def restore(self, state: Float64) -> None:
        super().restore(state)
        self.grow(len(state))

    def run(self, steps: int, low: int, block: int, windows: WindowRun) -> tuple[int, bool]:
        arguments = self._warm_up, steps, low, block, windows
        after: tuple[int, bool] = run_windows(self._rows, self._leasts, *arguments)
        return after

    def why_of(self, state: list[float], value: Float64) -> str:
        if not 0.0 <= value[0] <= NUMBER_MAX:
            return "the number is below zero or beyond 64 bits, and such a level is not"
        return learning_reason(state[0], self._warm_up)

    def evidence(self, row: int, value: Float64) -> Evidence | None:
        level, (seen, usual) = float(value[0]), self._rows[row].tolist()
        if seen < self._warm_up or not self._leasts[row] <= level <= NUMBER_MAX:
            return None
        return Evidence(level, usual, "value", 1)

    def report(self, row: int, value: Float64) -> None:
        """Not learnt: the usual level is that of windows that were not reported."""


class RecordHighDetector(RowDetector):
    """A level that is as high as it seldom is; its EW mean is the usual one.

    Parameters
    ----------
    feature
        The key that holds the level of the window, ≥ 0.
    least
        Lower levels are of no interest, > 0, in the feature's unit. They have a score, for
        calibration learns all scores, but no evidence.

    Examples
    --------
    >>> from detectors.record_high import RecordHighDetector
    >>> detector = RecordHighDetector("share", least=0.5)
    >>> for _ in range(10):
    ...     detector.learn_one({"share": 0.2})
    >>> detector.judge_one({"share": 0.4}).evidence is None
    True
    >>> detector.judge_one({"share": 2.0}).evidence.observed
    2.0
    """

    BANK: ClassVar[type[RecordHighBank]] = RecordHighBank
    PARAMETERS: ClassVar[tuple[str, ...]] = ()

    def __init__(self, feature: str = "level", least: float = 1.0) -> None:
        if not least > 0.0:
            raise ValueError(f"least is a level above 0, not {least}")
        self.feature = feature
        self.least = least
        self._init_row()

    def bank(self) -> RowBank:
        return self.BANK(self.least, *self.bank_key)


class LikelihoodBank(RecordHighBank):
    """`LikelihoodDetector`s with the same warm-up, a row of numbers each."""

    log_likelihood = True


class LikelihoodDetector(RecordHighDetector):
    """A level that comes with its own evidence: a log-likelihood ratio of the same window.

    Parameters
    ----------
    feature
        The key that holds the level of the window, ≥ 0.
    evidence
        The key that holds the logarithm of how much likelier the window is where something has
        happened than where nothing has, ≥ 0.
    least
        Lower levels are of no interest, > 0, in the feature's unit.
    warm_up
        Windows to learn before the first judgement, ≥ 1.

    Examples
    --------
    >>> from detectors.record_high import LikelihoodDetector
    >>> detector = LikelihoodDetector("levels", "nats", least=5.0, warm_up=1)
    >>> detector.learn_one({"levels": 1.0, "nats": 0.5})
    >>> detector.judge_one({"levels": 18.0, "nats": 44.0}).value
    44.0
    """

    BANK: ClassVar = LikelihoodBank
    PARAMETERS: ClassVar[tuple[str, ...]] = ("warm_up",)
    log_likelihood: ClassVar[bool] = True

    def __init__(
        self,
        feature: str = "level",
        evidence: str = "evidence",
        least: float = 1.0,
        warm_up: int = 300,
    ) -> None:
        self.evidence = evidence
        self.warm_up = warm_up
        super().__init__(feature, least)

    @property
    def features(self) -> tuple[str, ...]:
        return self.feature, self.evidence


class MomentBank(RecordHighBank):
    """`MomentDetector`s, a row of numbers each. What matters each of them says itself."""

    def __init__(self) -> None:
        super().__init__(LEVEL_LEAST)

    def adopt(self, row: int, detector: Detector) -> None:
        """Rows have nothing of their own."""

    def evidence(self, row: int, value: Float64) -> Evidence | None:
        return Evidence(float(value[0]), float(self._rows[row, USUAL]), "value", 1)


class MomentDetector(RecordHighDetector):
    """A level of a market that a desk wants to see where it is among the most extreme of the day.

    Its score says how far the level is from what the market does by itself. From `score_least` on
    chance is no explanation, and from `least` on the level matters to a desk. So the streams of
    this detector spend nothing of the budget of false alerts: of each of them the most extreme
    moments of a day are reported (`monitor.core.budget.moments_per_day`).

    Parameters
    ----------
    feature
        The key that holds the level of the window, ≥ 0.
    score
        The key that holds how far from its own usual the market is, ≥ 0.
    least
        Lower levels are of no interest, > 0, in the feature's unit.
    score_least
        Lower scores may be chance, ≥ 0.

    Examples
    --------
    >>> from detectors.record_high import MomentDetector
    >>> detector = MomentDetector("move_bps", "move_sd", least=2.0, score_least=5.0)
    >>> detector.learn_one({"move_bps": 1.0, "move_sd": 0.5})
    >>> detector.judge_one({"move_bps": 9.0, "move_sd": 4.0}).evidence is None
    True
    >>> detector.judge_one({"move_bps": 12.0, "move_sd": 8.0}).evidence.observed
    12.0
    """

    BANK: ClassVar[type[RecordHighBank]] = MomentBank
    is_moment: ClassVar[bool] = True

    def __init__(
        self,
        feature: str = "level",
        score: str = "score",
        least: float = 1.0,
        score_least: float = 0.0,
    ) -> None:
        if not score_least >= 0.0:
            raise ValueError(f"score_least is a score of 0 or more, not {score_least}")
        self.score = score
        self.score_least = score_least
        super().__init__(feature, least)

    def bank(self) -> RowBank:
        return MomentBank()

    def matters(self, value: Float64) -> bool:
        return bool(value[0] >= self.least and value[-1] >= self.score_least)

    @property
    def features(self) -> tuple[str, ...]:
        return self.feature, self.score
