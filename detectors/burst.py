"""Bursts in counts: cancels, orders, leverage changes or liquidations per window.

Such counts excite themselves: a cancel brings cancels. So the forecast of the next window is a
non-negative combination of exponentially weighted means of what was seen, short and long, with
weights refitted by least squares over about the last day. Around the forecast m the count
varies with variance φm; φ is learnt as well. On that negative-binomial law stand CUSUMs of the
log-likelihood ratio "somebody adds events at a constant rate" against "nobody does", one for
each size of burst, and the score is the highest of them.

The burst is *added* to the forecast (m against m + (k-1)·base), not multiplied into it: an
attacker's rate does not follow the market's excitement. At the same false alarms that found
more of the bursts than k·m (bench_burst.py has the figures).
"""

from __future__ import annotations

from collections.abc import Mapping
from math import exp, log
from typing import Any, ClassVar

from detectors.base import NUMBER_MAX, Detector, Evidence, Score, read
from detectors.nnls import nnls

ALPHAS = ALPHA_1, ALPHA_2, ALPHA_3, ALPHA_4 = 0.5, 0.1, 0.02, 0.003
"""Of the EW means: memories of 2, 10, 50 and 333 windows."""
YOUNG_WINDOWS = 334
"""Until then a mean weighs its windows alike, as far as it reaches."""
FORECAST_MIN = 0.02
"""Events a window. A stream that never spoke is not thought impossible to speak."""
DISPERSION_MIN, DISPERSION_PRIOR, PRIOR_EVENTS = 1.02, 1.5, 30.0
"""φ stays above Poisson's 1 (where the formula divides by φ-1), starts at the prior, which
weighs as much as this many events."""
REFIT_WINDOWS = 3600
"""Between two fits, once the detector is that old; before, each time its age has doubled."""
FORGET_WINDOWS = 86400.0
"""What is this old weighs 1/e in the fit."""
SUM_MAX = 50.0
"""A CUSUM remembers no more, so that a change which nobody reports is over when it is over."""
CEILING_FACTOR, CEILING_EVENTS = 5.0, 30.0
"""A window is learnt as at most 5 times the forecast plus 30: one outlier poisons nothing."""
RESIDUAL_MAX = 25.0
"""Squared residuals count for φ up to this many variances, for the same reason."""

NOTHING = Score(0.0)


class BurstDetector(Detector):
    """Negative-binomial CUSUMs for added events, on a self-exciting forecast.

    After `report_one` the detector is *in an episode*: it learns nothing, and its evidence
    starts anew, until its CUSUMs are back at zero. An episode longer than `patience` is no
    burst but a new level, which is then taken over at once. So a lasting shift is reported for
    at most `patience` windows (a shift beyond the learning ceiling: once more for each factor
    of five).

    Parameters
    ----------
    feature
        The key that holds the count of the window, ≥ 0.
    sizes
        The burst sizes looked for, each > 1: the rate in the burst over the usual rate.
    warm_up
        Windows to learn before the first judgement, ≥ 1.
    patience
        Windows after which a reported episode is the new normal, ≥ 1.

    Examples
    --------
    >>> from detectors.burst import BurstDetector
    >>> detector = BurstDetector()
    >>> detector.judge_one({"count": 4}).why
    'learning: 0 of 300 windows seen'
    >>> for i in range(600):
    ...     detector.learn_one({"count": 3 + i % 3})
    >>> detector.judge_one({"count": 4}).value
    0.0
    >>> round(detector.judge_one({"count": 40}).value)
    46

    References
    ----------
    Page, "Continuous inspection schemes", Biometrika 41 (1954).
    Hawkes, "Spectra of some self-exciting and mutually exciting point processes",
    Biometrika 58 (1971).
    """

    log_likelihood: ClassVar[bool] = True

    def __init__(
        self,
        feature: str = "count",
        sizes: tuple[float, ...] = (1.6, 2.5, 5.0),
        warm_up: int = 300,
        patience: int = 300,
    ) -> None:
        if not sizes or min(sizes) <= 1:
            raise ValueError(f"sizes must be burst sizes above 1, not {sizes}")
        if warm_up < 1 or patience < 1:
            raise ValueError("warm_up and patience are numbers of windows: give at least 1")
        self.feature = feature
        self.sizes = sizes
        self.warm_up = warm_up
        self.patience = patience
        self.memo: tuple[float, float, list[float]] | None = None
        """What the last judged count came to; learning it need not weigh it again."""
        self._seen = 0
        self._refit_at = warm_up
        self._refitted_at = 0
        self._means = [0.0] * len(ALPHAS)
        self._weights = [1.0 / len(ALPHAS)] * len(ALPHAS)
        # Sums of the weighted least squares: means × means (upper triangle), means × counts.
        self._gram = [0.0] * 10
        self._moment = [0.0] * 4
        self._squares = 0.0  # of the residuals
        self._forecasts = 0.0  # their sum, over the same windows
        self._dispersion = DISPERSION_PRIOR
        self._sums = [0.0] * len(sizes)
        # Of each CUSUM since its last zero: counts, forecasts, windows.
        self._since = [[0.0, 0.0, 0] for _ in sizes]
        self._held = 0  # windows of the present episode, 0 outside one
        self._held_total = 0.0  # counts in it, each up to the ceiling

    @property
    def features(self) -> tuple[str, ...]:
        return (self.feature,)

    def _read(self, x: Mapping[Any, Any]) -> float | str:
        count = x.get(self.feature)
        if type(count) is float and 0.0 <= count <= NUMBER_MAX:  # the engine's own windows
            return count
        number = read(x, self.feature)
        if isinstance(number, float) and number < 0:
            return f"{self.feature} is below zero, and a count is not"
        return number

    def _weigh(self, count: float) -> tuple[float, list[float]]:
        """The forecast for this window, and each CUSUM after a window of `count`."""
        memo = self.memo
        if memo is not None and memo[0] == count:
            return memo[1], memo[2]
        a, b, c, d = self._means
        u, v, w, z = self._weights
        forecast = u * a + v * b + w * c + z * d
        if forecast < FORECAST_MIN:
            forecast = FORECAST_MIN
        base = d if d > FORECAST_MIN else FORECAST_MIN
        over = self._dispersion - 1.0
        varying = forecast * self._dispersion
        calm = count <= forecast  # then every ratio speaks against a burst
        sums = []
        for size, total in zip(self.sizes, self._sums, strict=True):
            if total > 0.0 or not calm:
                raised = forecast + (size - 1.0) * base
                mixed = forecast + over * raised
                total += count * log(raised * self._dispersion / mixed)
                total += forecast / over * log(varying / mixed)
                if total < 0.0:
                    total = 0.0
            sums.append(total)
        self.memo = (count, forecast, sums)
        return forecast, sums

    def judge_one(self, x: Mapping[Any, Any]) -> Score:
        count = self._read(x)
        if isinstance(count, str):
            return Score(None, count)
        if self._seen < self.warm_up:
            return Score(None, f"learning: {self._seen} of {self.warm_up} windows seen")
        forecast, sums = self._weigh(count)
        value = max(sums)
        if value == 0.0:
            return NOTHING
        seen, expected, windows = self._since[sums.index(value)]
        evidence = Evidence(seen + count, expected + forecast, "events", int(windows) + 1)
        return Score(value, None, evidence)

    def learn_one(self, x: Mapping[Any, Any]) -> None:
        count = self._read(x)
        if isinstance(count, str):
            return
        forecast, sums = self._weigh(count)
        self.memo = None
        if self._seen >= self.warm_up:
            self._accumulate(count, forecast, sums)
        if self._held:
            self._hold(count, forecast)
            if self._held and not any(self._sums):
                self._held, self._held_total = 0, 0.0
        else:
            self._learn(count, forecast)

    def report_one(self, x: Mapping[Any, Any]) -> None:
        count = self._read(x)
        if isinstance(count, str):
            return
        forecast, _ = self._weigh(count)
        self._forget_evidence()
        self._hold(count, forecast)

    def _forget_evidence(self) -> None:
        self.memo = None
        self._sums = [0.0] * len(self.sizes)
        self._since = [[0.0, 0.0, 0] for _ in self.sizes]

    def _accumulate(self, count: float, forecast: float, sums: list[float]) -> None:
        for i, total in enumerate(sums):
            if total > 0.0:
                since = self._since[i]
                since[0] += count
                since[1] += forecast
                since[2] += 1
                if total > SUM_MAX:
                    sums[i] = SUM_MAX
            elif self._sums[i] > 0.0:
                self._since[i] = [0.0, 0.0, 0]
        self._sums = sums

    def _hold(self, count: float, forecast: float) -> None:
        """One more window of an episode; after `patience` of them its level is the new normal."""
        self._held += 1
        self._held_total += min(count, CEILING_FACTOR * forecast + CEILING_EVENTS)
        if self._held > self.patience:
            self._means = [self._held_total / self._held] * len(ALPHAS)
            self._held, self._held_total = 0, 0.0
            self._forget_evidence()

    def _learn(self, count: float, forecast: float) -> None:
        a, b, c, d = means = self._means
        count = min(count, CEILING_FACTOR * forecast + CEILING_EVENTS)
        weight = 1.0 / forecast  # the variance of a window is proportional to its forecast
        aw, bw, cw, dw = a * weight, b * weight, c * weight, d * weight
        g, h = self._gram, self._moment
        g[0] += aw * a
        g[1] += aw * b
        g[2] += aw * c
        g[3] += aw * d
        g[4] += bw * b
        g[5] += bw * c
        g[6] += bw * d
        g[7] += cw * c
        g[8] += cw * d
        g[9] += dw * d
        h[0] += aw * count
        h[1] += bw * count
        h[2] += cw * count
        h[3] += dw * count
        self._seen += 1
        if self._seen > self.warm_up // 4:
            limit = RESIDUAL_MAX * (self._dispersion * forecast + 1.0)
            self._squares += min((count - forecast) ** 2, limit)
            self._forecasts += forecast
        if self._seen < YOUNG_WINDOWS:
            young = 1.0 / self._seen  # a young mean is the plain mean
            pairs = zip(means, ALPHAS, strict=True)
            self._means = [m + max(alpha, young) * (count - m) for m, alpha in pairs]
        else:
            means[0] = a + ALPHA_1 * (count - a)
            means[1] = b + ALPHA_2 * (count - b)
            means[2] = c + ALPHA_3 * (count - c)
            means[3] = d + ALPHA_4 * (count - d)
        if self._seen >= self._refit_at:
            self._refit()

    def _refit(self) -> None:
        weights = nnls(self._gram, self._moment)
        if weights and any(weights):  # silence tells nothing of how events follow each other
            self._weights = weights
        squares = self._squares + PRIOR_EVENTS * DISPERSION_PRIOR
        self._dispersion = max(DISPERSION_MIN, squares / (self._forecasts + PRIOR_EVENTS))
        keep = exp((self._refitted_at - self._seen) / FORGET_WINDOWS)
        self._gram = [v * keep for v in self._gram]
        self._moment = [v * keep for v in self._moment]
        self._squares *= keep
        self._forecasts *= keep
        self._refitted_at = self._seen
        self._refit_at = self._seen + min(self._seen, REFIT_WINDOWS)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"memo": None}

    def state(self) -> dict[str, Any]:
        return {
            name: [list(v) for v in value] if name == "_since" else _copy(value)
            for name, value in self.__dict__.items()
            if name.startswith("_")
        }

    def restore(self, state: dict[str, Any]) -> None:
        self.memo = None
        mine = self.state()
        if state.keys() != mine.keys() or len(state["_sums"]) != len(self.sizes):
            raise ValueError(
                "this state is not of a BurstDetector with the same sizes: start it afresh"
            )
        for name, value in state.items():
            copied = [list(v) for v in value] if name == "_since" else _copy(value)
            setattr(self, name, copied)


def _copy(value: Any) -> Any:
    return list(value) if isinstance(value, list | tuple) else value
