"""River's detectors by name: the false alarms that came, and planted changes that were found.

Protocol. A detector judges one number a window from nothing, through the bank and the calibrator of
the engine; six hours go to calibration. Alarms less than a minute apart are one. Simulated levels
and counts have nothing planted in them, so that every alarm is false; on StandX (24 h) nobody has
marked what was real, and all count as false. Budgets are those of a stream alone (10 a day) and of
one among the default ones (3.5 a day over 20). Planted: the number times `SIZES` (a depth over it)
for ten windows, one at a time, each into a copy of the state; found is what alarms while it lasts.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from detectors.base import Bank
from detectors.calibration.calibrator import FalseAlarmRate
from detectors.calibration.calibrator_bank import CalibratorBank
from detectors.river_adapter import RiverDetector
from tests.bench.backgrounds import DAY, Counts, hawkes, poisson
from tests.bench.detect.levels import FEEDS, features, simulated
from tests.bench.detect.methods import REFRACTORY_S

SEED = 1300
BUDGETS = (10.0, 3.5 / 20)
SIZES = (3.0, 10.0)
PLANTED_S, PLACES = 10, 12
NAMES = ("GaussianScorer", "HalfSpaceTrees", "StandardAbsoluteDeviation")


class Background(NamedTuple):
    """A number a window, and whether a fall of it does harm."""

    name: str
    values: Counts
    falls: bool = False


class Stream:
    """One stream as the engine judges it, at one budget."""

    def __init__(self, name: str, per_day: float) -> None:
        self._bank: Bank = RiverDetector(name, ("value",)).bank()
        self._bank.grow(1)
        self._limit = FalseAlarmRate(per_day, 1.0).p_limit
        self._calibrators = CalibratorBank(DAY, self._limit)
        self._row = np.array([self._calibrators.add(log_likelihood=False)])

    @property
    def ready(self) -> bool:
        return bool(self._calibrators.ready[0])

    def alarms(self, value: float) -> bool:
        """Judge a window and learn it; whether it is reported."""
        values = np.array([[value]])
        scores = self._bank.judge(self._row, values)
        rare = self._calibrators.rare_scores(self._row, scores, self._limit)
        reported = bool(rare) and self._bank.evidence(0, values[0]) is not None
        if reported:
            self._bank.report(0, values[0])
        else:
            self._bank.learn(self._row, values)
        self._calibrators.learn(self._row, scores)
        return reported


def backgrounds(quick: bool) -> Iterator[Background]:
    days = 1 if quick else 4
    for i in range(1 if quick else 3):
        yield Background(f"book, moving, {i}", simulated(days, SEED + i, False), falls=True)
        yield Background(f"book, jumping, {i}", simulated(days, SEED + i, True), falls=True)
        yield Background(f"Poisson 4/s, {i}", poisson(days, 4.0, SEED + i))
        yield Background(f"hawkes 4/s, {i}", hawkes(days, 4.0, SEED + i))
    recorded = features(*FEEDS["StandX"]) or {}
    for feature, values in recorded.items():
        there = values[~np.isnan(values)]
        if feature in ("spread_bps", "depth_25bps_least"):
            yield Background(f"StandX {feature}", there, falls=feature.startswith("depth"))


def judged(name: str, background: Background, per_day: float) -> tuple[int, float, list[float]]:
    """False alarms, in how many days, and of each size of `SIZES` the share that was found."""
    stream, values = Stream(name, per_day), background.values
    rng = np.random.default_rng(SEED)
    places = set(rng.integers(len(values) // 2, len(values) - PLANTED_S, PLACES).tolist())
    false, last, days = 0, -DAY, 0
    caught = np.zeros(len(SIZES))
    for t, value in enumerate(values.tolist()):
        if t in places:
            for i, size in enumerate(SIZES):
                changed = values[t : t + PLANTED_S] * (1 / size if background.falls else size)
                branch = copy.deepcopy(stream)
                caught[i] += any(branch.alarms(planted) for planted in changed.tolist())
        days += stream.ready
        if stream.alarms(value):
            false += t - last > REFRACTORY_S
            last = t
    return false, days / DAY, (caught / len(places)).tolist()


def rows(quick: bool = False) -> Iterator[dict[str, Any]]:
    """One row for each background, detector and budget."""
    for background in backgrounds(quick):
        for name in NAMES[:2] if quick else NAMES:
            for per_day in BUDGETS[:1] if quick else BUDGETS:
                false, days, shares = judged(name, background, per_day)
                yield {
                    "table": "river's detectors by name",
                    "background": background.name,
                    "detector": f"{name} at {per_day:.3g} a day",
                    "false_a_day": false / days,
                    "note": f"{false} in {days:.2f} days, {per_day * days:.2g} allowed; "
                    f"times {', '.join(f'{size:g}' for size in SIZES)} found",
                    "share": shares,
                }
