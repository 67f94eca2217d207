"""Every detector of ours passes the conformance suite (`detectors/conformance.py`).

The suite feeds NaN, infinities, counts of 1e15, a constant stream and a day's stop.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from detectors.base import Detector
from detectors.conformance import check_detector
from detectors.contrib.comove import CoMoveDetector
from detectors.contrib.edetector import EDetector
from detectors.contrib.focus import FocusDetector
from detectors.ratio.detector import RatioDetector

EACH: dict[str, Callable[[], Detector]] = {
    "ratio": RatioDetector,
    "focus": FocusDetector,
    "edetector": EDetector,
    "comove": CoMoveDetector,
    "comove of three, upwards": lambda: CoMoveDetector(("a", "b", "c"), side="up"),
}


@pytest.mark.parametrize("name", EACH)
def test_it_conforms(name: str) -> None:
    check_detector(EACH[name])
