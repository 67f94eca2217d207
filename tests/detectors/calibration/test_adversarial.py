"""Calibration of series that somebody made to break it: how many, `BRINKWATCH_TEST_SERIES` says."""

from __future__ import annotations

import math
import os
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.calibration.calibrator import P_MIN, Calibrator
from detectors.calibration.calibrator_bank import CalibratorBank
from detectors.calibration.tail_prior import READY_BLOCKS

EXAMPLES = int(os.environ.get("BRINKWATCH_TEST_SERIES", "100"))
DAY = 86400.0

number = (
    st.floats(0.0, 50.0)
    | st.sampled_from([0.0, -0.0, 1.0, 5e-324, 1e-300, 1e-9, 1e15, 1e100, 1e308, -1.0, -1e308])
    | st.floats(allow_nan=False, allow_infinity=False)
)


@st.composite
def series(draw: st.DrawFn) -> list[float]:
    """The highest score of each block: a few stretches, each in one manner."""
    tops: list[float] = []
    for _ in range(draw(st.integers(1, 4))):
        length, one, other = draw(st.integers(1, 90)), draw(number), draw(number)
        ratio = draw(st.sampled_from([0.5, 1.01, 2.0, 10.0]))
        manner = draw(st.sampled_from(["constant", "alternating", "rising", "geometric", "any"]))
        if manner == "constant":
            tops += [one] * length
        elif manner == "alternating":
            tops += [one, other] * (length // 2)
        elif manner == "rising":
            tops += [one + i * abs(other) for i in range(length)]
        elif manner == "geometric":
            tops += [one * ratio**i for i in range(length)]
        else:
            tops += draw(st.lists(number, min_size=length // 4, max_size=length))
    return tops


def taught(calibrator: Calibrator, tops: list[float], capped: bool) -> Calibrator:
    """Blocks as the bank closes them, or each of them at the cap as it is then."""
    for top in tops:
        calibrator.close_block(calibrator.cap if capped else min(top, calibrator.cap))
    return calibrator


@settings(max_examples=EXAMPLES, deadline=None)
@given(series(), st.booleans(), st.booleans(), st.lists(number, min_size=1, max_size=9))
def test_whatever_came_p_values_are_chances_that_fall_with_the_score(
    tops: list[float], log_likelihood: bool, steep: bool, asked: list[float]
) -> None:
    slope = 1.0 if steep else math.inf
    calibrator = taught(Calibrator(log_likelihood, DAY, 300, slope), tops, capped=False)
    near = [calibrator.cap, *tops[-3:], *(top * (1 + 1e-9) for top in tops[-3:])]
    scores = sorted([*asked, *near, -math.inf, math.inf])
    chances = [calibrator.p_value(score) for score in scores]
    assert all(0.0 < p <= 1.0 for p in chances)
    assert all(b <= a * (1 + 1e-9) for a, b in pairwise(chances))
    assert calibrator.p_value(math.nan) == 1.0
    restored = Calibrator(log_likelihood, DAY, 300, slope)
    restored.restore(calibrator.snapshot())
    assert [restored.p_value(score) for score in scores] == chances
    assert restored.cap == calibrator.cap


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.lists(series(), min_size=2, max_size=2), st.booleans())
def test_a_bank_takes_no_row_out_for_its_scores(rows: list[list[float]], theory: bool) -> None:
    bank = CalibratorBank(DAY, 1e-4, block_windows=1)
    for _ in rows:
        bank.add(theory)
    for window in range(max(map(len, rows))):
        at = [row for row, tops in enumerate(rows) if window < len(tops)]
        scores = np.array([rows[row][window] for row in at])
        rare = bank.rare_scores(np.array(at), scores, 1e-4)
        assert all(P_MIN <= p <= 1e-4 for _, p in rare)
        assert bank.learn(np.array(at), scores) == []


@pytest.mark.parametrize("log_likelihood", [True, False])
def test_a_stream_whose_every_high_block_was_capped_goes_on(log_likelihood: bool) -> None:
    """As of a market that grows wilder from block to block: no excess over the tail has ended."""
    calibrator = Calibrator(log_likelihood, DAY)
    taught(calibrator, [2.0 + 0.1 * (i % 7) for i in range(17)], capped=False)
    for top in (30.0, 120.0, 400.0, 1e4, 1e6):
        calibrator.close_block(min(top, calibrator.cap))
    assert 0.0 < calibrator.p_value(1e3) <= 1.0
    taught(calibrator, [1e9] * READY_BLOCKS, capped=False)
    assert calibrator.p_value(1e9) > 1e-4
