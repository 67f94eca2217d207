"""What the bench of counts compares: our detectors as the engine calls them, and baselines."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from river import anomaly, compose, preprocessing

from detectors.base import Detector
from detectors.burst.detector import BurstDetector
from detectors.calibration.calibrator import Calibrator, FalseAlarmRate
from detectors.contrib.edetector import EDetector
from detectors.contrib.focus import FocusDetector
from tests.bench.backgrounds import DAY, Counts

REFRACTORY_S = 60


class Method(Protocol):
    def alarm(self, count: float, tenth: bool = False) -> bool:
        """Judge and learn one window; `tenth`: at a tenth of the budget."""

    def freeze(self) -> Any: ...

    def thaw(self, frozen: Any) -> None: ...


class Ours:
    """Shipped detectors and calibrators, called as the engine calls them; the budget is shared."""

    def __init__(self, *makers: Callable[[], Detector]) -> None:
        makers = makers or (BurstDetector,)
        self.pairs = [(make(), Calibrator(make().log_likelihood, DAY)) for make in makers]
        self.limit = FalseAlarmRate(1.0, 1.0, len(makers)).p_limit

    def alarm(self, count: float, tenth: bool = False) -> bool:
        limit = self.limit / 10 if tenth else self.limit
        any_ = False
        for detector, calibrator in self.pairs:
            x = {detector.features[0]: count}
            value = detector.judge_one(x).value
            alarm = value is not None and calibrator.p_value(value) <= limit
            (detector.report_one if alarm else detector.learn_one)(x)
            if value is not None:
                calibrator.learn(value)
            any_ = any_ or alarm
        return any_

    def freeze(self) -> Any:
        return [(d.snapshot(), c.snapshot()) for d, c in self.pairs]

    def thaw(self, frozen: Any) -> None:
        for (detector, calibrator), (d, c) in zip(self.pairs, frozen, strict=True):
            detector.restore(d)
            calibrator.restore(c)


class Baseline:
    """A score with a threshold from the calibration stretch."""

    def __init__(self, model: Any, score: Callable[[Any, float], float], learn: Any) -> None:
        self.model, self._score, self._learn = model, score, learn
        self.threshold = self.tenth = np.inf

    def score(self, count: float) -> float:
        value = self._score(self.model, count)
        self._learn(self.model, count)
        return value

    def alarm(self, count: float, tenth: bool = False) -> bool:
        return self.score(count) > (self.tenth if tenth else self.threshold)

    def freeze(self) -> Any:
        return pickle.dumps(self.model)

    def thaw(self, frozen: Any) -> None:
        self.model = pickle.loads(frozen)

    def calibrate(self, counts: Counts) -> None:
        """The (days × budget)-th highest of the episodes' maxima, or the highest of less."""
        scores = np.array([self.score(c) for c in counts.tolist()])[600:]
        maxima: list[float] = []
        for i in np.argsort(-scores, kind="stable")[:20000].tolist():  # a peak, then its 60 s
            if scores[i] > -np.inf:
                maxima.append(float(scores[i]))
                scores[max(0, i - REFRACTORY_S) : i + REFRACTORY_S + 1] = -np.inf
        self.threshold = maxima[max(0, int(len(counts) / DAY) - 1)]
        self.tenth = maxima[0]


class EwZ:
    """Distance from an EW mean in EW standard deviations (α = .01)."""

    def __init__(self) -> None:
        self.mean, self.variance = 0.0, 1.0

    def score(self, count: float) -> float:
        return (count - self.mean) / (self.variance**0.5 + 1e-9)

    def learn(self, count: float) -> None:
        off = count - self.mean
        self.mean += 0.01 * off
        self.variance += 0.01 * (off * off - self.variance)


def trees() -> Method:
    return Baseline(
        compose.Pipeline(preprocessing.MinMaxScaler(), anomaly.HalfSpaceTrees(n_trees=10, seed=7)),
        lambda m, c: m.score_one({"count": c}),
        lambda m, c: m.learn_one({"count": c}),
    )


METHODS: dict[str, Callable[[], Method]] = {
    "burst (ours)": Ours,
    "burst+FOCuS+e-detector": lambda: Ours(BurstDetector, FocusDetector, EDetector),
    "FOCuS": lambda: Ours(FocusDetector),
    "e-detector": lambda: Ours(EDetector),
    "raw count": lambda: Baseline(None, lambda _, c: c, lambda _, c: None),
    "EW z-score": lambda: Baseline(EwZ(), EwZ.score, EwZ.learn),
    "GaussianScorer": lambda: Baseline(
        anomaly.GaussianScorer(grace_period=600),
        lambda m, c: m.score_one(None, c) if c > m.gaussian.mu else 0.0,
        lambda m, c: m.learn_one(None, c),
    ),
    "MinMax|HalfSpaceTrees": trees,
}
