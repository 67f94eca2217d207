"""How many planted bursts are found, how soon, and how many alarms untouched data give.

    python -m tests.bench.bench_burst [--quick] [--seed N]

Protocol. Each stream is split in time. Calibration: our detector and its calibrator run through
it as in the engine (judge, then report or learn); each baseline learns it and gets as threshold
the (days × budget)-th highest of its episode maxima there, or the highest where the stretch is
shorter than a day. Test: on the untouched rest the alarms are counted (exceedances less than
60 s apart are one); then bursts are planted one at a time, each into a copy of the state in
which the untouched run came to that place. A burst ×k adds Poisson events at (k-1) times the
mean rate of the ten minutes before it. It is found when an alarm falls into its own windows,
not later; the delay is counted from its first window, the alarm's included. Places and draws
are fixed by the seed; all methods meet the same bursts. Budget: one false alarm a day a stream.
"""

from __future__ import annotations

import argparse
import pickle
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from river import anomaly, compose, preprocessing

from detectors.burst import BurstDetector
from detectors.calibrate import Budget, Calibrator
from tests.bench.backgrounds import DAY, Counts, bitstamp_cancels, hawkes, poisson

REFRACTORY_S = 60
SEVEN = [(2, 10), (2, 30), (2, 60), (3, 3), (3, 10), (3, 30), (5, 3)]
"""Bursts on simulated streams: size, seconds."""
BITSTAMP = [(k, s) for k in (3, 5) for s in (3, 5, 10, 20, 40, 60)]
FEED = "bitstamp-l3-2015-05-01/feed.log.xz"


class Method(Protocol):
    def alarm(self, count: float) -> bool:
        """Judge and learn one window."""

    def freeze(self) -> Any: ...

    def thaw(self, frozen: Any) -> None: ...


class Ours:
    """The shipped detector and calibrator, called as the engine calls them."""

    def __init__(self) -> None:
        self.detector = BurstDetector()
        self.calibrator = Calibrator(BurstDetector.log_likelihood, DAY)
        self.limit = Budget(1.0, 1.0).p_limit

    def alarm(self, count: float) -> bool:
        x = {"count": count}
        value = self.detector.judge_one(x).value
        if value is None:
            self.detector.learn_one(x)
            return False
        alarm = self.calibrator.p_value(value) <= self.limit
        (self.detector.report_one if alarm else self.detector.learn_one)(x)
        self.calibrator.learn(value)
        return alarm

    def freeze(self) -> Any:
        return self.detector.state(), self.calibrator.state()

    def thaw(self, frozen: Any) -> None:
        self.detector.restore(frozen[0])
        self.calibrator.restore(frozen[1])


class Baseline:
    """A score with a threshold from the calibration stretch."""

    def __init__(self, model: Any, score: Callable[[Any, float], float], learn: Any) -> None:
        self.model, self._score, self._learn = model, score, learn
        self.threshold = np.inf

    def score(self, count: float) -> float:
        value = self._score(self.model, count)
        self._learn(self.model, count)
        return value

    def alarm(self, count: float) -> bool:
        return self.score(count) > self.threshold

    def freeze(self) -> Any:
        return pickle.dumps(self.model)

    def thaw(self, frozen: Any) -> None:
        self.model = pickle.loads(frozen)

    def calibrate(self, counts: Counts) -> None:
        scores = np.array([self.score(c) for c in counts.tolist()])[600:]
        maxima: list[float] = []
        for i in np.argsort(-scores, kind="stable")[:20000].tolist():  # a peak, then its 60 s
            if scores[i] > -np.inf:
                maxima.append(float(scores[i]))
                scores[max(0, i - REFRACTORY_S) : i + REFRACTORY_S + 1] = -np.inf
        self.threshold = maxima[max(0, int(len(counts) / DAY) - 1)]


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


def methods(trees: bool) -> dict[str, Callable[[], Method]]:
    made: dict[str, Callable[[], Method]] = {
        "burst (ours)": Ours,
        "raw count": lambda: Baseline(None, lambda _, c: c, lambda _, c: None),
        "EW z-score": lambda: Baseline(EwZ(), EwZ.score, EwZ.learn),
        "GaussianScorer": lambda: Baseline(
            anomaly.GaussianScorer(grace_period=600),
            lambda m, c: m.score_one(None, c) if c > m.gaussian.mu else 0.0,
            lambda m, c: m.learn_one(None, c),
        ),
    }
    if trees:
        made["MinMax|HalfSpaceTrees"] = lambda: Baseline(
            compose.Pipeline(
                preprocessing.MinMaxScaler(), anomaly.HalfSpaceTrees(n_trees=10, seed=7)
            ),
            lambda m, c: m.score_one({"count": c}),
            lambda m, c: m.learn_one({"count": c}),
        )
    return made


class Row(NamedTuple):
    recall: float
    by_type: list[float]
    median_s: float
    p95_s: float
    alarms_a_day: float
    alarms: int
    us: float


def evaluate(
    method: Method, counts: Counts, start: int, types: list[tuple[int, int]], places: int, seed: int
) -> Row:
    rng = np.random.default_rng(seed)
    spots = np.sort(rng.integers(start + 600, len(counts) - 100, places)).tolist()
    began = time.perf_counter()
    if isinstance(method, Baseline):
        method.calibrate(counts[:start])
    else:
        for count in counts[:start].tolist():
            method.alarm(count)
    alarms, last = 0, -DAY
    frozen: dict[int, Any] = {}
    wanted = set(spots)
    for t, count in enumerate(counts[start:].tolist(), start):
        if t in wanted:
            frozen[t] = method.freeze()
        if method.alarm(count):
            alarms += t - last > REFRACTORY_S
            last = t
    us = (time.perf_counter() - began) / len(counts) * 1e6
    found, delays = [], []
    for size, seconds in types:
        hits = 0
        for spot in spots:
            rate = counts[spot - 600 : spot].mean()
            planted = counts[spot : spot + seconds] + rng.poisson((size - 1) * rate, seconds)
            method.thaw(frozen[spot])
            for i, count in enumerate(planted.tolist(), 1):
                if method.alarm(count):
                    hits += 1
                    delays.append(i)
                    break
        found.append(hits / len(spots))
    delay = delays or [np.nan]
    days = (len(counts) - start) / DAY
    return Row(
        float(np.mean(found)),
        found,
        float(np.median(delay)),
        float(np.percentile(delay, 95)),
        alarms / days,
        alarms,
        us,
    )


def backgrounds(quick: bool, seed: int) -> dict[str, tuple[Counts, int, list[tuple[int, int]]]]:
    days, start = (2.0, DAY) if quick else (8.0, 2 * DAY)
    made = {
        "Poisson 4/s": (poisson(days, 4, seed), start, SEVEN),
        "hawkes 4/s": (hawkes(days, 4, seed + 1), start, SEVEN),
        "hawkes 20/s": (hawkes(days, 20, seed + 2), start, SEVEN),
    }
    feed = Path(__file__).parents[2] / "../shared/data" / FEED
    if feed.exists():
        counts = bitstamp_cancels(feed)
        made["Bitstamp cancels"] = (counts, len(counts) // 2, BITSTAMP)
    else:
        print(f"no {FEED}: left out")
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a day each, 20 places, no trees")
    parser.add_argument("--seed", type=int, default=20)
    args = parser.parse_args()
    places = 20 if args.quick else 50
    print("simulated: " + ", ".join(f"×{k} {s} s" for k, s in SEVEN))
    print("Bitstamp:  " + ", ".join(f"×{k} {s} s" for k, s in BITSTAMP))
    print(
        f"{'background':17}{'method':23}{'recall':>7}{'median s':>9}{'p95 s':>7}"
        f"{'alarms/day':>11}{'alarms':>7}{'µs/window':>10}  recall by type"
    )
    for name, (counts, start, types) in backgrounds(args.quick, args.seed).items():
        # Trees take 40 µs a window: on the recording, and on one simulated stream.
        trees = not args.quick and name in ("Bitstamp cancels", "hawkes 4/s")
        for label, make in methods(trees).items():
            row = evaluate(make(), counts, start, types, places, args.seed)
            parts = " ".join(f"{r:.2f}" for r in row.by_type)
            print(
                f"{name:17}{label:23}{row.recall:7.3f}{row.median_s:9.1f}{row.p95_s:7.1f}"
                f"{row.alarms_a_day:11.2f}{row.alarms:7d}{row.us:10.1f}  {parts}"
            )
            sys.stdout.flush()


if __name__ == "__main__":
    main()
