"""The values of an hour: what they are of, and what they leave out."""

from __future__ import annotations

import numpy as np
import pytest

from detectors.arrays.types import Float64
from monitor.core.contract.feature_catalogue import FEATURE_NAMES
from monitor.core.detection.drift.hourly_numbers import NUMBERS, PIECES, HourlyNumbers
from monitor.core.features.compute import FEATURE_COLUMN

WINDOWS = 30
"""Of a piece."""


def windows_of(**numbers: float) -> Float64:
    """The windows of a piece, alike, with these features alone."""
    values = np.full((WINDOWS, len(FEATURE_NAMES)), np.nan)
    for name, number in numbers.items():
        values[:, FEATURE_COLUMN[name]] = number
    return values


def hour_of(pieces: list[Float64]) -> dict[str, float]:
    """The hour's values of one market, in the units of the features."""
    numbers = HourlyNumbers()
    numbers.grow(1)
    for i, values in enumerate(pieces):
        numbers.add(values, np.zeros(len(values), np.int64))
        numbers.end_piece(i)
    row = numbers.end_hour()[0].tolist()
    return {
        name: one.to_unit(value) for (name, one), value in zip(NUMBERS.items(), row, strict=True)
    }


def test_values_are_means_shares_and_ratios_in_the_units_of_their_features() -> None:
    usual = windows_of(
        depth_25bps=2e6, spread_bps=1.5, funding_apr=0.11, cancels=10, orders=8,
        leverage_raises=1, leverage_changes=4, cancels_herfindahl=0.28,
    )  # fmt: skip
    assert hour_of([usual] * PIECES) == {
        "depth_drift": pytest.approx(2e6),
        "spread_drift": pytest.approx(1.5),
        "cancels_to_orders_drift": pytest.approx(300.5 / 240.5),
        "funding_drift": pytest.approx(0.11),
        "leverage_drift": pytest.approx(0.25),
        "concentration_drift": pytest.approx(0.2),  # (10 · .28 − 1) / 9
    }


def test_bursts_of_minutes_do_not_move_an_hour() -> None:
    calm, burst = windows_of(depth_25bps=2e6), windows_of(depth_25bps=1e3)
    assert hour_of([calm] * 7 + [burst] * 5)["depth_drift"] == pytest.approx(2e6)
    assert hour_of([calm] * 5 + [burst] * 7)["depth_drift"] == pytest.approx(1e3)


def test_an_hour_with_too_little_in_it_has_no_value() -> None:
    some, nothing = windows_of(depth_25bps=2e6, cancels=0, orders=0), windows_of()
    assert hour_of([some] * 6 + [nothing] * 6)["depth_drift"] == pytest.approx(2e6)
    few = hour_of([some] * 5 + [nothing] * 7)
    assert all(np.isnan(value) for value in few.values())
    assert np.isnan(hour_of([some] * PIECES)["cancels_to_orders_drift"])


def test_concentration_does_not_depend_on_how_many_cancels_there_are() -> None:
    rng = np.random.default_rng(1)
    shares = np.array([0.5, 0.3, 0.2])
    means = []
    for rate in (3, 30):
        values = windows_of()[np.zeros(4000, int)]
        counts = rng.multinomial(rate, shares, size=len(values))
        values[:, FEATURE_COLUMN["cancels"]] = rate
        values[:, FEATURE_COLUMN["cancels_herfindahl"]] = ((counts / rate) ** 2).sum(axis=1)
        means.append(hour_of([values] * PIECES)["concentration_drift"])
    assert means == pytest.approx([(shares**2).sum()] * 2, abs=0.02)
