"""Forecasts of joint evidence do not run away, whatever comes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.arrays.types import Float64
from detectors.calibration.calibrator import Calibrator, FalseAlarmRate
from detectors.joint.cusums import BLOCK_WINDOWS, JointCusums
from detectors.joint.whitening import LONG_ALPHA, PATIENCE_WINDOWS, SCALE, Whitener
from tests.detectors.regimes import series

DAY = 17_280.0
CALM_WINDOWS = 1500
OVER_WINDOWS = PATIENCE_WINDOWS + 1 / LONG_ALPHA
"""So long after a change for good its evidence is over: the patience, and the long mean's memory,
for a change that is too small to make the row begin anew."""


@settings(max_examples=60, deadline=None)
@given(series(), st.floats(-5, 5), st.integers(0, 100))
def test_forecasts_and_scale_stay_within_what_was_seen(
    values: Float64, pace: float, untaught: int
) -> None:
    whitener = Whitener(1)
    low, high = np.minimum.accumulate(values), np.maximum.accumulate(values)
    for t, value in enumerate(values.tolist()):
        _, expected = whitener.judge(np.array([value]), np.array([pace * (t // 20 % 2)]))
        assert low[t] <= expected[0] <= high[t]
        whitener.learn(np.array([t // 20 * 37 % 100 >= untaught]))
        assert whitener.level[0, SCALE] <= high[t] - low[t]
        assert np.isfinite(whitener.weight).all()
        assert np.isfinite(whitener.variance).all()


CHANGES = {
    "ten scales up": lambda x, t: x + 10.0,
    "up": lambda x, t: x + 1e6,
    "far up": lambda x, t: x + 1e12,
    "down": lambda x, t: x - 1e6,
    "wider": lambda x, t: 1e6 * x,
    "constant": lambda x, t: 0.0 * x + 50.0,
    "alternating": lambda x, t: x + 1e6 * (-1.0) ** t,
    "one stream": lambda x, t: x + np.array([1e6, 0.0, 0.0]),
}


@pytest.mark.parametrize("change", CHANGES)
def test_evidence_of_a_lasting_change_of_any_size_ends(change: str) -> None:
    rng = np.random.default_rng(3)
    data = rng.standard_normal((CALM_WINDOWS + 600, 3))
    for t in range(1, len(data)):
        data[t] += 0.5 * data[t - 1]
    when = np.arange(600)[:, None]
    data[CALM_WINDOWS:] = CHANGES[change](data[CALM_WINDOWS:], when)
    joint = JointCusums([1, -1, 0], DAY, 1)
    calibrator, limit = Calibrator(True, DAY, BLOCK_WINDOWS), FalseAlarmRate(1.0, 5.0).p_limit
    reports = []
    for t, value in enumerate(data):
        x = value[None]
        score = float(joint.judge(x, np.ones(1))[0])
        reported = bool(joint.judging_streams[0] >= 2 and calibrator.p_value(score) <= limit)
        reports += [t - CALM_WINDOWS] if reported else []
        joint.learn(np.array([reported]), x, joint.expected)
        if joint.judging_streams[0] >= 2:
            calibrator.learn(score)
    assert min(reports) >= 0
    assert max(reports) <= OVER_WINDOWS
