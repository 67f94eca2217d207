"""What detectors cost: a window of 500 symbols, judged, calibrated and learnt as the engine does.

Each bank is asked alone, on counts of 4 a window; state is what a snapshot of a row holds. The
last line adds up one stream of each: 500 symbols at 1 s windows are to fit in a quarter of a core
and in 200 MB.
"""

from __future__ import annotations

import pickle
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from detectors.base import Bank, Detector, SequentialBank
from detectors.burst.detector import BurstDetector
from detectors.calibration.calibrator import FalseAlarmRate
from detectors.calibration.calibrator_bank import CalibratorBank
from detectors.contrib.comove import CoMoveDetector
from detectors.contrib.edetector import EDetector
from detectors.contrib.focus import FocusDetector
from detectors.level_shift.detector import LevelShiftDetector
from detectors.ratio.detector import RatioDetector
from detectors.river_adapter import RiverDetector
from tests.bench.backgrounds import DAY

SYMBOLS = 500
MAKERS: dict[str, Callable[[], Detector]] = {
    "burst": BurstDetector,
    "level": LevelShiftDetector,
    "ratio": RatioDetector,
    "comove": CoMoveDetector,
    "FOCuS": FocusDetector,
    "e-detector": EDetector,
    "HalfSpaceTrees": RiverDetector,
}
LIVE = ("burst", "level", "ratio", "comove", "FOCuS", "e-detector")


def seconds_a_window(bank: Bank, inputs: int, windows: int) -> tuple[float, float]:
    """CPU time of a window of all symbols, and bytes of state a symbol, the calibrator's too."""
    rng = np.random.default_rng(1)
    rows = np.arange(SYMBOLS)
    bank.grow(SYMBOLS)
    calibrators = CalibratorBank(DAY, FalseAlarmRate(10.0, 1.0).p_limit)
    for _ in range(SYMBOLS):
        calibrators.add(bank.log_likelihood)
    values = rng.poisson(4, (700 + windows, SYMBOLS, inputs)).astype(np.float64)
    began = 0.0
    for t, value in enumerate(values):
        if t == 700:
            began = time.process_time()
        scores = bank.judge(rows, value)
        calibrators.rare_scores(rows, scores, 1e-6)
        bank.learn(rows, value)
        calibrators.learn(rows, scores)
    took = (time.process_time() - began) / windows
    state = len(pickle.dumps(bank.snapshot(SYMBOLS))) + len(pickle.dumps(calibrators.snapshot()))
    return took, state / SYMBOLS


def rows(quick: bool = False) -> Iterator[dict[str, Any]]:
    total_s, total_bytes = 0.0, 0.0
    for name, make in MAKERS.items():
        slow = name not in ("burst", "ratio", "comove", "FOCuS")
        if quick and name == "HalfSpaceTrees":
            continue
        banks = {name: make().bank()}
        if name == "burst":
            banks[f"{name}, one by one"] = SequentialBank(make)
        for label, bank in banks.items():
            few = slow or isinstance(bank, SequentialBank)
            took, size = seconds_a_window(bank, len(make().features), 20 if few else 300)
            if label == name and name in LIVE:
                total_s, total_bytes = total_s + took, total_bytes + size
            yield _row(label, took, size)
    yield _row("one stream of each", total_s, total_bytes)


def _row(label: str, took: float, size: float) -> dict[str, Any]:
    return {
        "table": "cost",
        "background": f"{SYMBOLS} symbols",
        "detector": label,
        "note": "",
        "µs a window and symbol": took / SYMBOLS * 1e6,
        "share of a core": took,
        "bytes a symbol": round(size),
        "MB": size * SYMBOLS / 1e6,
    }
