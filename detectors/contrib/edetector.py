"""Bursts in counts with a guarantee that needs no law of the counts: an e-detector.

Bet on the next window: one unit becomes 1 + λ(x/m - 1), where x is its count and m the forecast of
`BurstDetector`. Whatever the law of x, the bet is fair or worse as long as the mean is not above m.
Each window opens a bet of one unit, and all bets together are worth a Shiryaev-Roberts sum: while
the forecast is right, it exceeds A only once in A windows or more. The price is power: the bets
ignore the dispersion.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import exp, log, log1p
from typing import Any, ClassVar

from detectors.arrays.state import Stateful
from detectors.base import Detector, Evidence, Score
from detectors.burst.detector import BurstDetector
from detectors.stats.limits import SUM_MAX

STAKES = (0.05, 0.1, 0.2, 0.4, 0.8)
"""λ, the share of a unit that is bet on each window: small shares detect long small bursts."""


class EDetector(Stateful, Detector):
    """Mixture of Shiryaev–Roberts e-detectors on the burst detector's forecast.

    Parameters
    ----------
    feature
        The key that holds the count of the window, ≥ 0.
    warm_up
        Windows to learn before the first judgement, ≥ 1.
    patience
        Windows after which a reported episode is the new normal, ≥ 1.

    Examples
    --------
    >>> from detectors.contrib.edetector import EDetector
    >>> detector = EDetector()
    >>> for i in range(600):
    ...     detector.learn_one({"count": 3 + i % 3})
    >>> for _ in range(10):
    ...     detector.learn_one({"count": 20})
    >>> detector.judge_one({"count": 20}).value > 8
    True

    References
    ----------
    Shin, Ramdas, Rinaldo, "E-detectors: a nonparametric framework for sequential change
    detection", New England J. Stat. Data Sci. 2 (2024).
    """

    log_likelihood: ClassVar[bool] = True
    explains: ClassVar[bool] = True
    STATE: ClassVar = ("_forecaster", "_sums", "_cusum", "_observed", "_expected", "_windows")

    def __init__(self, feature: str = "count", warm_up: int = 300, patience: int = 300) -> None:
        self.feature = feature
        self.warm_up = warm_up
        self.patience = patience
        self._forecaster = BurstDetector(feature, warm_up=warm_up, patience=patience)
        self._reset_evidence()

    def _reset_evidence(self) -> None:
        self._sums = [-SUM_MAX] * len(STAKES)
        """The logarithm of what the bets of each stake are worth."""
        self._forget_cusum()

    def _forget_cusum(self) -> None:
        """The CUSUM of the middle stake is zero, and so are the sums since its last zero."""
        self._cusum = self._observed = self._expected = 0.0
        self._windows = 0

    @property
    def features(self) -> tuple[str, ...]:
        return (self.feature,)

    def _update_bets(self, x: Mapping[Any, Any]) -> tuple[float, float, list[float]] | str:
        """The count, the forecast and the sums after this window; or why there are none."""
        read = self._forecaster.forecast_one(x)
        if isinstance(read, str):
            return read
        count, forecast = read
        off = count / forecast - 1.0
        pairs = zip(STAKES, self._sums, strict=True)
        return count, forecast, [log1p(exp(total)) + log1p(stake * off) for stake, total in pairs]

    def judge_one(self, x: Mapping[Any, Any]) -> Score:
        updated = self._update_bets(x)
        if isinstance(updated, str):
            return Score(None, updated)
        count, forecast, sums = updated
        highest = max(sums)
        value = highest + log(sum(exp(total - highest) for total in sums) / len(sums))
        if value <= 0.0:
            return Score(0.0)
        since = self._observed + count, self._expected + forecast
        return Score(value, None, Evidence(*since, "events", self._windows + 1))

    def learn_one(self, x: Mapping[Any, Any]) -> None:
        updated = self._update_bets(x)
        if not isinstance(updated, str):
            count, forecast, sums = updated
            self._sums = [min(SUM_MAX, max(-SUM_MAX, total)) for total in sums]
            middle = STAKES[len(STAKES) // 2]
            cusum = min(SUM_MAX, self._cusum + log1p(middle * (count / forecast - 1.0)))
            if cusum > 0.0:
                self._cusum = cusum
                self._observed += count
                self._expected += forecast
                self._windows += 1
            else:
                self._forget_cusum()
        self._forecaster.learn_one(x)

    def report_one(self, x: Mapping[Any, Any]) -> None:
        if not isinstance(self._forecaster.forecast_one(x), str):
            self._reset_evidence()
        self._forecaster.report_one(x)
