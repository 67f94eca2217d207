"""Scores of forecasts on a case small enough to work out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from tests.bench.forecast_scores import brier, reliability


def test_the_score_and_the_table_are_exact_on_a_small_case() -> None:
    forecasts = np.array([0.1, 0.1, 0.8, 1.0])
    outcomes = np.array([False, True, True, True])
    assert brier(forecasts, outcomes) == pytest.approx((0.01 + 0.81 + 0.04 + 0.0) / 4)
    rows = reliability(forecasts, outcomes)
    assert [(r.low, r.count, r.true_share) for r in rows] == [
        (0.1, 2, 0.5),
        (0.8, 1, 1.0),
        (0.9, 1, 1.0),
    ]
