"""Levels that step away from their usual: depth, spread, cost to trade, mark against index.

A level remembers: where it was a moment ago it is about now. So what is judged is the innovation,
the distance from a forecast: a non-negative combination of the last value and of EW means of the
recent past, with weights refitted by least squares. Its scale is that of innovations on the side
that hurts (spreads jump up and not down), under Student's t, whose tails are learnt too. The
logarithm is taken where a level has no sign, so that "a fifth of usual" means as much at a depth of
1e4 as at 1e8.

A step of the level by D shows as D in the first innovation, and in each that follows as what the
forecast has not taken over yet: its *footprint*. CUSUMs of the log-likelihood ratio of just that,
one for each size of step, may start anew at every window; the score is the highest.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import copysign, exp, lgamma, log, sqrt
from typing import Any, ClassVar

import numpy as np

from detectors.base import Detector, Evidence, Score, read
from detectors.nnls import UNKNOWNS, nnls

ALPHA = 0.003
"""Of the slow mean and all scales: 333 windows; a younger detector weighs its windows alike."""
ALPHAS = (1.0, 0.3, 0.1, 0.02)
"""Of the means that forecast: the last value, 3, 10 and 50 windows."""
FLOOR_SHARE = 0.01
"""Of the first level above 0: what lies below it is as good as nothing."""
SCALE_MIN = 0.003
"""The least scale of innovations: three tenths of a percent of a level, or of a signed level's
mean size. A level that never moves is not thought unable to."""
WEIGHTS_MAX = 0.99
"""The weights' sum stays below 1: else a step could not be told from a random walk."""
REFIT_WINDOWS, FORGET_WINDOWS = 3600, 86400.0
"""Between two fits, once so old (before, at each doubling); what is this old weighs 1/e in them."""
TEACHES, FAR = 3.0, 8.0
"""Standard deviations of the level: beyond the first a value teaches mean and weights no more,
beyond the second the forecast goes on from there: what follows an outlier is no step back."""
FREEDOMS = (3.0, 6.0, 15.0, 50.0)
"""Degrees of freedom that t may have; the one under which the innovations are likeliest counts."""
PROOF = 3.0
"""By how much the logarithm of the likelihood must rise for each step to lighter tails."""
SIGNS = {"up": (1.0,), "down": (-1.0,), "both": (1.0, -1.0)}
FOOTPRINT = 64
"""Windows until a step's footprint is thought to change no more."""
SUM_MAX = 50.0
"""A CUSUM remembers no more."""
_NORM = tuple(lgamma((f + 1) / 2) - lgamma(f / 2) - log(f) / 2 for f in FREEDOMS)

NOTHING = Score(0.0)


class LevelDetector(Detector):
    """CUSUMs for a step of an autoregressive level.

    After `report_one` the detector is *in an episode*: it learns nothing and its evidence starts
    anew, until its CUSUMs are back at zero. After `patience` windows the episode is the new level.

    Parameters
    ----------
    feature
        The key that holds the level of the window.
    direction
        "up", "down" or "both": which way a step hurts.
    signed
        Whether the level may be below 0 (no logarithm is taken then).
    sizes
        Steps looked for, each > 0, in standard deviations of the level itself.
    least
        The smallest step that matters, ≥ 1: the level over its usual, or the usual over it. A level
        that has no sign is told from steps of at least that; a signed one has no such ratio.
    warm_up
        Windows to learn before the first judgement, ≥ 10.
    patience
        Windows after which a reported episode is the new normal, ≥ 1.

    Examples
    --------
    >>> from detectors.level import LevelDetector
    >>> detector = LevelDetector("depth", direction="down")
    >>> for i in range(600):
    ...     detector.learn_one({"depth": 1e6 * (1 + 0.1 * ((i * 7919) % 13 - 6) / 6)})
    >>> detector.judge_one({"depth": 1.05e6}).value
    0.0
    >>> detector.judge_one({"depth": 2e5}).value > 10
    True

    References
    ----------
    Page, "Continuous inspection schemes", Biometrika 41 (1954). Lange, Little, Taylor, "Robust
    statistical modeling using the t distribution", JASA 84 (1989), for the scale.
    """

    log_likelihood: ClassVar[bool] = True

    def __init__(
        self,
        feature: str = "level",
        direction: str = "up",
        signed: bool = False,
        sizes: tuple[float, ...] = (2.0, 5.0, 12.0),
        least: float = 2.0,
        warm_up: int = 300,
        patience: int = 300,
    ) -> None:
        if direction not in SIGNS:
            raise ValueError(f"direction is {', '.join(SIGNS)}, not {direction!r}")
        if not sizes or min(sizes) <= 0:
            raise ValueError(f"sizes must be steps above 0, not {sizes}")
        if least < 1:
            raise ValueError(f"least is a ratio of at least 1, not {least}")
        if warm_up < 10 or patience < 1:
            raise ValueError("give a warm_up of at least 10 windows and a patience of at least 1")
        self.feature = feature
        self.direction = direction
        self.signed = signed
        self.sizes = sizes
        self.least = least
        self.warm_up = warm_up
        self.patience = patience
        self._seen = 0
        self._refit_at, self._refitted_at = warm_up // 2, 0
        self._plain = 0.0  # mean size of the level, until the warm-up is over
        self._floor = 0.0
        self._mean = 0.0
        self._square = 0.0  # of values off the mean
        self._means = [0.0] * UNKNOWNS  # of values off the mean
        self._weights = [0.5, 0.0, 0.0, 0.0]
        self._gram, self._moment = [0.0] * 10, [0.0] * UNKNOWNS
        self._side = 0.0  # innovations on the side that hurts, counted
        self._inner = 0.0  # their mean square, far ones weighed down
        self._likely = [0.0] * len(FREEDOMS)
        # One for each sign and size.
        self._steps = [sign * size for sign in SIGNS[direction] for size in sizes]
        self._sums = [0.0] * len(self._steps)
        # Of each CUSUM since it began: levels, windows.
        self._since: list[list[Any]] = [[0.0, 0] for _ in self._steps]
        self._freedom = FREEDOMS[0]
        self.memo: tuple[float, list[float], list[bool]] | None = None
        """What the last judged level came to; learning it need not weigh it again."""
        self._held = 0
        self._held_total = 0.0
        self._footprint = self._foot()

    @property
    def features(self) -> tuple[str, ...]:
        return (self.feature,)

    def _read(self, x: Mapping[Any, Any]) -> float | str:
        level = read(x, self.feature)
        if isinstance(level, float) and level < 0 and not self.signed:
            return f"{self.feature} is below zero, and such a level is not"
        return level

    def _value(self, level: float) -> float:
        return level if self.signed else log(level + self._floor)

    @property
    def _least(self) -> float:
        return max(SCALE_MIN * self._plain if self.signed else SCALE_MIN, 1e-12)

    @property
    def _spread(self) -> float:
        """Standard deviation of the level itself."""
        return max(sqrt(self._square), self._least)

    def _foot(self) -> list[float]:
        """What shows of a step of 1, by windows since."""
        pairs = list(zip(self._weights, ALPHAS, strict=True))
        return [1.0 - sum(w * (1.0 - (1.0 - a) ** k) for w, a in pairs) for k in range(FOOTPRINT)]

    def _innovation(self, off: float) -> float:
        """How far a value lies from its forecast."""
        a, b, c, d = self._means
        u, v, w, z = self._weights
        return off - (u * a + v * b + w * c + z * d)

    @property
    def usual(self) -> float:
        """The level that is thought usual, in the feature's unit."""
        return self._mean if self.signed else max(0.0, exp(self._mean) - self._floor)

    def _weigh(self, level: float) -> tuple[list[float], list[bool]]:
        """Each CUSUM after a window at `level`, and whether it begins with this window."""
        if self.memo is not None and self.memo[0] == level:
            return self.memo[1], self.memo[2]
        scale = max(sqrt(self._inner), self._least)
        z = self._innovation(self._value(level) - self._mean) / scale
        freedom = self._freedom
        half, here = (freedom + 1.0) / 2.0, freedom + z * z
        spread = self._spread / scale
        matters = 0.0 if self.signed else log(self.least) / scale
        sums, begun = [], []
        for size, total, since in zip(self._steps, self._sums, self._since, strict=True):
            if total <= 0.0 and z * size <= 0.0:
                sums.append(0.0)
                begun.append(False)
                continue
            step = copysign(max(abs(size) * spread, matters), size)
            first = half * log(here / (freedom + (z - step) ** 2))
            later = 0.0
            if total > 0.0:
                shows = step * self._footprint[min(since[1], FOOTPRINT - 1)]
                later = total + half * log(here / (freedom + (z - shows) ** 2))
            begun.append(first > later)
            sums.append(max(0.0, first, later))
        self.memo = (level, sums, begun)
        return sums, begun

    def judge_one(self, x: Mapping[Any, Any]) -> Score:
        level = self._read(x)
        if isinstance(level, str):
            return Score(None, level)
        if self._seen < self.warm_up:
            return Score(None, f"learning: {self._seen} of {self.warm_up} windows seen")
        sums, begun = self._weigh(level)
        value = max(sums)
        if value == 0.0:
            return NOTHING
        i = sums.index(value)
        total, windows = (0.0, 0) if begun[i] else self._since[i]
        mean = (total + level) / (windows + 1)
        return Score(value, None, Evidence(mean, self.usual, "value", int(windows) + 1))

    def learn_one(self, x: Mapping[Any, Any]) -> None:
        level = self._read(x)
        if isinstance(level, str):
            return
        if self._seen >= self.warm_up:
            self._accumulate(level)
        self.memo = None
        if self._held:
            self._hold(level)
            if self._held and not any(self._sums):
                self._held, self._held_total = 0, 0.0
        else:
            self._learn(level)

    def report_one(self, x: Mapping[Any, Any]) -> None:
        level = self._read(x)
        if isinstance(level, str):
            return
        self._forget_evidence()
        self._hold(level)

    def _forget_evidence(self) -> None:
        self.memo = None
        self._sums = [0.0] * len(self._steps)
        self._since = [[0.0, 0] for _ in self._steps]

    def _accumulate(self, level: float) -> None:
        sums, begun = self._weigh(level)
        for i, total in enumerate(sums):
            if total <= 0.0:
                self._since[i] = [0.0, 0]
                continue
            since = self._since[i] = [0.0, 0] if begun[i] else self._since[i]
            since[0] += level
            since[1] += 1
        self._sums = [min(total, SUM_MAX) for total in sums]

    def _hold(self, level: float) -> None:
        """One more window of an episode; after `patience` of them it is the new level."""
        off = self._value(level) - self._mean
        self._held += 1
        self._held_total += off
        self._follow(_within(off, FAR * self._spread))
        if self._held > self.patience:
            shift = self._held_total / self._held
            self._mean += shift
            self._means = [m - shift for m in self._means]
            self._held, self._held_total = 0, 0.0
            self._forget_evidence()

    def _follow(self, off: float) -> None:
        self._means = [m + a * (off - m) for m, a in zip(self._means, ALPHAS, strict=True)]

    def _learn(self, level: float) -> None:
        self._seen += 1
        young = 1.0 / self._seen
        if self._seen <= self.warm_up:
            self._plain += young * (abs(level) - self._plain)
            if self._floor == 0.0 and level > 0.0:
                self._floor = FLOOR_SHARE * level
        if not self.signed and self._floor == 0.0:
            return  # nothing but zeros so far: there is no scale to take a logarithm in
        value = self._value(level)
        alpha = max(ALPHA, young)
        if self._seen <= 2:
            self._mean = value
            return
        off = value - self._mean
        innovation = self._innovation(off)
        settled = self._seen > self.warm_up // 4
        spread = self._spread
        taught = _within(off, TEACHES * spread) if settled else off
        if settled:
            self._regress(taught)
            self._measure(innovation)
        self._mean += alpha * taught
        self._square += alpha * (taught * taught - self._square)
        self._follow(_within(off, FAR * spread) if settled else off)
        if self._seen >= self._refit_at:
            self._refit()

    def _regress(self, off: float) -> None:
        # Each window weighs alike whatever the level's spread was at the time.
        weight = 1.0 / (self._spread * self._spread)
        at = 0
        for i, mean in enumerate(self._means):
            self._moment[i] += weight * mean * off
            for other in self._means[i:]:
                self._gram[at] += weight * mean * other
                at += 1

    def _measure(self, innovation: float) -> None:
        """Scale and tails of the innovations on the side that hurts."""
        if innovation * sum(SIGNS[self.direction]) < 0.0:
            return
        self._side += 1.0
        alpha = max(ALPHA, 1.0 / self._side)
        z = innovation / max(sqrt(self._inner), self._least)
        freedom = self._freedom
        # Weighed as t weighs it: a far one says little about the scale.
        weight = (freedom + 1.0) / (freedom + z * z)
        self._inner += alpha * (weight * innovation * innovation - self._inner)
        for i, f in enumerate(FREEDOMS):
            density = _NORM[i] - (f + 1.0) / 2.0 * log(1.0 + z * z / f)
            self._likely[i] += alpha * (density - self._likely[i])
        weighed = min(self._side, 1.0 / ALPHA)
        proven = [weighed * density - i * PROOF for i, density in enumerate(self._likely)]
        self._freedom = FREEDOMS[proven.index(max(proven))]

    def _refit(self) -> None:
        fitted = np.empty(UNKNOWNS)
        if nnls(np.array(self._gram), np.array(self._moment), fitted):
            weights = fitted.tolist()
            over = max(1.0, sum(weights) / WEIGHTS_MAX)
            self._weights = [w / over for w in weights]
            self._footprint = self._foot()
        keep = exp((self._refitted_at - self._seen) / FORGET_WINDOWS)
        self._gram = [v * keep for v in self._gram]
        self._moment = [v * keep for v in self._moment]
        self._refitted_at = self._seen
        self._refit_at = self._seen + min(self._seen, REFIT_WINDOWS)

    def state(self) -> dict[str, Any]:
        return {name: _copy(value) for name, value in self.__dict__.items() if name[0] == "_"}

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"memo": None}

    def restore(self, state: dict[str, Any]) -> None:
        """Continue where the detector that gave `state` stood."""
        self.memo = None
        for name, value in state.items():
            setattr(self, name, _copy(value))


def _within(value: float, reach: float) -> float:
    return min(max(value, -reach), reach)


def _copy(value: Any) -> Any:
    return [_copy(v) for v in value] if isinstance(value, list) else value
