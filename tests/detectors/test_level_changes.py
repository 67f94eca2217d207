"""A new level for good, of any size, is learnt in a stated time, and no forecast runs away.

Whatever a detector learns of a window is bounded, lest one outlier hurt it. So each could follow a
new level too slowly, or follow its own bounded guess of it. Joint evidence has its own theorems, in
`tests/detectors/joint/test_whitening.py`.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings

from detectors.arrays.types import Float64
from detectors.base import Detector
from detectors.burst.detector import BurstDetector
from detectors.burst.kernel import FORECAST_MIN
from detectors.calibration.calibrator import Calibrator, FalseAlarmRate
from detectors.contrib.comove import CoMoveDetector
from detectors.contrib.edetector import EDetector
from detectors.contrib.focus import FocusDetector
from detectors.level_shift.columns import CENTER, MEANS, SQUARE, WEIGHTS
from detectors.level_shift.detector import LevelShiftDetector
from detectors.ratio.detector import RatioDetector
from detectors.stats.nnls import UNKNOWNS
from tests.detectors.regimes import series

CALM_WINDOWS = 1500
CHANGED_WINDOWS = 1200
PATIENCE = 100
LIMIT = FalseAlarmRate(1.0, 1.0).p_limit


def share_reported(detector: Detector, windows: list[dict[str, float]], late: int) -> float:
    """The share of the windows more than `late` after the change that is reported at one false
    alarm a day; none is before it."""
    calibrator, reports = Calibrator(detector.log_likelihood, 86_400.0), []
    for t, window in enumerate(windows):
        score = detector.judge_one(window).value
        reported = score is not None and calibrator.p_value(score) <= LIMIT
        (detector.report_one if reported else detector.learn_one)(window)
        if score is not None:
            calibrator.learn(score)
        reports += [t - CALM_WINDOWS] if reported else []
    assert reports[0] >= 0
    return sum(t > late for t in reports) / (len(windows) - CALM_WINDOWS - late)


def counts(factor: float, rng: np.random.Generator) -> list[dict[str, float]]:
    count = rng.poisson(np.repeat((5.0, 5.0 * factor), (CALM_WINDOWS, CHANGED_WINDOWS)))
    return [{"count": float(n)} for n in count]


def levels(factor: float, rng: np.random.Generator) -> list[dict[str, float]]:
    level = np.repeat((1.0, factor), (CALM_WINDOWS, CHANGED_WINDOWS))
    return [{"value": v} for v in (level * np.exp(0.3 * rng.standard_normal(len(level)))).tolist()]


def signed_levels(factor: float, rng: np.random.Generator) -> list[dict[str, float]]:
    level = np.repeat((0.0, factor), (CALM_WINDOWS, CHANGED_WINDOWS))
    return [{"value": v} for v in (level + rng.standard_normal(len(level))).tolist()]


def parts(factor: float, rng: np.random.Generator) -> list[dict[str, float]]:
    share = np.repeat((0.3, 1.0 - 0.5 / factor), (CALM_WINDOWS, CHANGED_WINDOWS))
    part = rng.binomial(200, share)
    return [{"part": float(n), "other": float(200 - n)} for n in part]


MODES: dict[str, tuple[Callable[[], Detector], Callable[..., list[dict[str, float]]], int]] = {
    "burst": (lambda: BurstDetector(patience=PATIENCE), counts, 2),
    "focus": (lambda: FocusDetector(patience=PATIENCE), counts, 2),
    "e-detector": (lambda: EDetector(patience=PATIENCE), counts, 2),
    "ratio": (lambda: RatioDetector(patience=PATIENCE), parts, 1),
    "level": (lambda: LevelShiftDetector("value", patience=PATIENCE), levels, 1),
    "signed level": (
        lambda: LevelShiftDetector("value", signed=True, patience=PATIENCE), signed_levels, 8,
    ),
    "co-movement": (lambda: CoMoveDetector(patience=PATIENCE), signed_levels, 1),
}  # fmt: skip
"""Each detector, what it is fed, and in how many patiences a new level is learnt. Where a level has
a sign and heavy tails, a step of a million scales may not be reported, and until the scale has
grown there, by 2.4 % a window, nothing tells that it is a level."""


@pytest.mark.parametrize("factor", [30.0, 1e6])
@pytest.mark.parametrize("name", MODES)
def test_a_new_level_of_any_size_is_learnt_in_a_stated_time(name: str, factor: float) -> None:
    make, feed, patiences = MODES[name]
    windows = feed(factor, np.random.default_rng(5))
    late = patiences * PATIENCE + PATIENCE // 2
    assert share_reported(make(), windows, late) <= 0.01


@settings(max_examples=30, deadline=None)
@given(series(negative=False))
def test_a_burst_detector_forecasts_no_more_than_it_has_seen(values: Float64) -> None:
    detector = BurstDetector(warm_up=50)
    highest = FORECAST_MIN
    for count in values.tolist():
        forecast = detector.forecast_one({"count": count})
        assert isinstance(forecast, str) or forecast[1] <= highest * (1 + 1e-9)
        detector.learn_one({"count": count})
        highest = max(highest, count)


@settings(max_examples=30, deadline=None)
@given(series())
def test_a_level_detector_forecasts_within_what_it_has_seen(values: Float64) -> None:
    """Within eight standard deviations of the mean, which lies within what was seen; a standard
    deviation is at most the range."""
    detector = LevelShiftDetector("value", signed=True, warm_up=50)
    low, high = values[0], values[0]
    for value in values.tolist():
        detector.learn_one({"value": value})
        low, high = min(low, value), max(high, value)
        row = detector._row._rows[0]
        off = (row[WEIGHTS : WEIGHTS + UNKNOWNS] * row[MEANS : MEANS + UNKNOWNS]).sum()
        assert low <= row[CENTER] <= high
        assert np.sqrt(row[SQUARE]) <= high - low
        assert abs(off) <= 8.0 * (high - low)
