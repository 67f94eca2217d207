"""Drift: standard normal numbers whose mean moves for good by half a deviation, one or two.

Protocol. False alarms are counted on untouched days. Each shift begins after 2,000 windows of a
stream of its own, at a fixed seed, and is found when a drift is told within 1,000 windows of it;
the delay counts from its first window. Plain ADWIN is river's with its default δ, and with the δ
of `detection.md`, on the same numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from river import drift

from detectors.contrib.drift import DriftDetector
from tests.bench.backgrounds import DAY, Counts

SEED = 40
SHIFTS = (0.5, 1.0, 2.0)
BEFORE, WITHIN = 2000, 1000
AlarmTest = Callable[[float], bool]


def ours(**options: Any) -> AlarmTest:
    detector = DriftDetector("z", **options)

    def update_and_test(value: float) -> bool:
        detector.learn_one({"z": value})
        return bool((detector.judge_one({"z": value}).value or 0.0) > 0.0)

    return update_and_test


def plain(model: Any) -> AlarmTest:
    def update_and_test(value: float) -> bool:
        model.update(value)
        return bool(model.drift_detected)

    return update_and_test


METHODS: dict[str, Callable[[], AlarmTest]] = {
    "drift (ours)": ours,
    "drift, Page-Hinkley": lambda: ours(method="page_hinkley"),
    "ADWIN, δ 3e-5, each": lambda: plain(drift.ADWIN(delta=3e-5, clock=1)),
    "ADWIN, as it comes": lambda: plain(drift.ADWIN()),
}


def false_a_day(told: AlarmTest, numbers: Counts) -> float:
    alarms, last = 0, -DAY
    for t, value in enumerate(numbers.tolist()):
        if told(value):
            alarms += t - last > 60
            last = t
    return alarms / (len(numbers) / DAY)


def rows(quick: bool = False) -> Iterator[dict[str, Any]]:
    days, places = (1, 10) if quick else (8, 70)
    quiet = np.random.default_rng(SEED).normal(size=days * DAY)
    for label, make in METHODS.items():
        found, delays = 0, []
        medians = []
        for shift in SHIFTS:
            mine = []
            for place in range(places):
                numbers = np.random.default_rng([SEED, place]).normal(size=BEFORE + WITHIN)
                numbers[BEFORE:] += shift
                told = make()
                alarms = [t for t, v in enumerate(numbers.tolist()) if told(v)]
                after = [t for t in alarms if t >= BEFORE]
                found += bool(after)
                mine += [after[0] - BEFORE + 1] if after else []
            delays += mine
            medians.append(float(np.median(mine)) if mine else float("nan"))
        yield {
            "table": "drift",
            "background": "standard normal",
            "detector": label,
            "recall_at_1": found / (places * len(SHIFTS)),
            "recall_at_01": None,
            "delay_p50_s": float(np.median(delays)),
            "delay_p95_s": float(np.percentile(delays, 95)),
            "false_a_day": false_a_day(make(), quiet),
            "note": "",
            "median at .5, 1 and 2 sd": medians,
        }
