"""Drift: a feature's level has moved for good, if only by half a deviation.

River's ADWIN keeps as long a window as shows no change of mean, and drops what lies before a
change. It is given standardised numbers: distances from the median of the warm-up, in robust
standard deviations, none beyond an outlier's. Where the level leaves that range the warm-up begins
again. The alternative, Page and Hinkley's test, sums up what exceeds a quarter of a deviation.

A drift is detected when a window is learnt, and reported by the judgement of the next.
"""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from math import log
from statistics import median
from typing import Any, ClassVar, Literal

from detectors.arrays.state import Stateful
from detectors.base import (
    Detector,
    Evidence,
    Score,
    learning_reason,
    read_number,
)
from detectors.interrupts import reraise_interrupts
from detectors.river_adapter import load_model
from detectors.stats.limits import SD_OF_MAD

OUTLIER = 6.0
"""A number counts as at most so many standard deviations off: 1e15 moves no mean."""
MEAN_OF_MEDIAN = 1.1829
"""The mean absolute deviation of normal numbers over their median absolute deviation."""
LEVEL_ALPHA, SPREAD_ALPHA = 0.003, 0.0003
"""Of the level that the spread is measured around (333 windows), and of the spread (3,333): a
drift does not widen the spread before it is detected."""
ADWIN_WINDOWS = 3.5
"""Over δ: windows between two false alarms of ADWIN: .75 a day at δ = 3e-5, on standardised
features. On independent normal numbers there are fewer."""
PAGE_HINKLEY_WINDOWS = 864_000.0
"""The same of Page-Hinkley: .1 a day of 1 s windows."""
_SUMS = ("_drift_detected", "_sum_increase", "_sum_decrease", "_min_increase", "_max_decrease")


class DriftDetector(Stateful, Detector):
    """River's ADWIN or Page-Hinkley on a standardised feature.

    The score is 0, or where a drift was just detected the logarithm of the windows between two
    false ones. A window that was reported is not learnt.

    Parameters
    ----------
    feature
        The key it reads.
    method
        "adwin", or "page_hinkley": fewer false alarms, blind below half a deviation.
    delta
        ADWIN's δ: the smaller, the fewer false alarms and the later.
    warm_up
        Windows that set level and spread before the first judgement, ≥ 30.

    Examples
    --------
    >>> import random
    >>> from detectors.contrib.drift import DriftDetector
    >>> detector, rng, alarms = DriftDetector(), random.Random(1), []
    >>> for i in range(2000):
    ...     x = {"value": rng.gauss(5.0 if i < 1500 else 7.0, 1.0)}
    ...     if (detector.judge_one(x).value or 0.0) > 0.0:
    ...         alarms.append(i)
    ...     detector.learn_one(x)
    >>> 1500 < alarms[0] < 1550
    True

    References
    ----------
    Bifet, Gavaldà, "Learning from time-changing data with adaptive windowing", SDM (2007);
    Page, "Continuous inspection schemes", Biometrika 41 (1954).
    """

    log_likelihood: ClassVar[bool] = True
    explains: ClassVar[bool] = True
    STATE: ClassVar = "_warm_up_values", "_is_warm", "_centre", "_level", "_spread", "_last_drift"

    def __init__(
        self,
        feature: str = "value",
        method: Literal["adwin", "page_hinkley"] = "adwin",
        delta: float = 1e-5,
        warm_up: int = 600,
    ) -> None:
        if method not in ("adwin", "page_hinkley"):
            raise ValueError(f"method is adwin or page_hinkley, not {method!r}")
        if not 0.0 < delta < 1.0 or warm_up < 30:
            raise ValueError("delta lies between 0 and 1, and warm_up is at least 30 windows")
        self.feature = feature
        self.method = method
        self.delta = delta
        self.warm_up = warm_up
        self._warm_up_values: list[float] = []
        self._is_warm = False
        self._centre = self._level = self._spread = 0.0
        """The first is the median of the warm-up."""
        self._last_drift: tuple[float, float, int] | None = None
        """Of a drift just detected: the level now, before, and the windows of the new level."""
        self._model = self._new_model()

    def _new_model(self) -> Any:
        from river import drift  # takes more than a second: only when one is asked for

        if self.method == "adwin":
            adwin: Any = drift.ADWIN
            return adwin(delta=self.delta, clock=1)
        return drift.PageHinkley(delta=0.25, threshold=50.0, alpha=1.0)

    @property
    def features(self) -> tuple[str, ...]:
        return (self.feature,)

    def judge_one(self, x: Mapping[Any, Any]) -> Score:
        value = read_number(x, self.feature)
        if isinstance(value, str):
            return Score(None, value)
        if self._last_drift is None:
            if self._is_warm:
                return Score(0.0)
            return Score(None, learning_reason(len(self._warm_up_values), self.warm_up))
        now, before, windows = self._last_drift
        scale = SD_OF_MAD * self._spread
        evidence = Evidence(now, before, "value", max(1, windows), scale=scale)
        apart = ADWIN_WINDOWS / self.delta if self.method == "adwin" else PAGE_HINKLEY_WINDOWS
        return Score(log(apart), None, evidence)

    def learn_one(self, x: Mapping[Any, Any]) -> None:
        value = read_number(x, self.feature)
        if isinstance(value, str):
            return
        self._last_drift = None
        if not self._is_warm:
            self._learn_warm_up(value)
            return
        sd = SD_OF_MAD * self._spread + 1e-9 * abs(self._centre) + 1e-12
        off = max(-OUTLIER * sd, min(OUTLIER * sd, value - self._level))
        self._level += LEVEL_ALPHA * off
        self._spread += SPREAD_ALPHA * (abs(off) - self._spread)
        z = max(-OUTLIER, min(OUTLIER, (value - self._centre) / sd))
        try:
            self._update(z, sd)
        except BaseException as error:  # Rust's panics derive from it
            reraise_interrupts(error)
            self._model = self._new_model()

    def _learn_warm_up(self, value: float) -> None:
        self._warm_up_values.append(value)
        if len(self._warm_up_values) < self.warm_up:
            return
        self._centre = self._level = median(self._warm_up_values)
        # The median deviation, as the mean deviation of normal numbers.
        around = median(abs(value - self._centre) for value in self._warm_up_values)
        self._spread = around * MEAN_OF_MEDIAN
        self._warm_up_values, self._is_warm = [], True
        self._model = self._new_model()

    def _update(self, z: float, sd: float) -> None:
        model = self._model
        mean = "estimation" if self.method == "adwin" else None
        before = float(model.estimation) if mean else float(model._x_mean.get())
        model.update(z)
        if not model.drift_detected:
            return
        if mean:
            now, windows = float(model.estimation), int(model.width)
        else:
            now, windows = (self._level - self._centre) / sd, 1
        centre = self._centre
        self._last_drift = (centre + now * sd, centre + before * sd, windows)
        if abs(self._level - centre) >= OUTLIER / 2 * sd or abs(z) >= OUTLIER:
            self._is_warm = False  # it leaves the range: measure it anew

    def report_one(self, x: Mapping[Any, Any]) -> None:
        if not isinstance(read_number(x, self.feature), str):
            self._last_drift = None

    def snapshot(self) -> dict[str, Any]:
        model = self._model
        if self.method == "adwin":
            numbers: Any = pickle.dumps(model, protocol=5)
        else:
            numbers = [model._x_mean.n, model._x_mean.get(), *(getattr(model, n) for n in _SUMS)]
        return super().snapshot() | {"model": numbers}

    def restore(self, state: dict[str, Any]) -> None:
        """Raises `ValueError` when the state holds anything but river's own objects."""
        numbers = state["model"]
        if isinstance(numbers, bytes) != (self.method == "adwin"):
            raise ValueError(f"this state is not of {self.method}: start the detector afresh")
        if isinstance(numbers, bytes):
            self._model = load_model(numbers)
        else:
            self._model = self._new_model()
            self._model._x_mean.n, self._model._x_mean._mean = numbers[:2]
            for name, value in zip(_SUMS, numbers[2:], strict=True):
                setattr(self._model, name, value)
        super().restore(state)
