"""Drift by the hour: what stays off its usual is found, a daily cycle and single hours are none."""

from __future__ import annotations

import numpy as np
import pytest

from detectors.arrays.types import Float64
from detectors.drift import HOURS_MIN, USUAL_AFTER_HOURS, DriftEvent, DriftLevels

LIMIT = 0.5 / 24 / 48
"""Half an alarm a day in 48 series."""
DAY = 24


def series(seed: int, markets: int, days: int, noise: float = 0.1, cycle: float = 0.5) -> Float64:
    """(hours, markets, 1): autocorrelated, around a daily cycle."""
    rng = np.random.default_rng(seed)
    hours = days * DAY
    out = noise * 0.7 * rng.normal(size=(hours, markets))
    for t in range(1, hours):
        out[t] += 0.7 * (out[t - 1] - (noise * 0.3) * rng.normal(size=markets))
    phase = rng.random(markets)
    return (out + cycle * np.sin(2 * np.pi * (np.arange(hours)[:, None] / DAY + phase)))[..., None]


def levels(side: int = 0, markets: int = 1) -> DriftLevels:
    model = DriftLevels(np.array([0.2]), np.array([side]))
    model.grow(markets)
    return model


def judge(model: DriftLevels, values: Float64, begin: int = 0) -> list[tuple[int, DriftEvent]]:
    hours = range(begin, begin + len(values))
    every = zip(hours, values, strict=True)
    return [(hour, event) for hour, row in every for event in model.judge(hour, row, LIMIT)]


def begins(events: list[tuple[int, DriftEvent]]) -> list[tuple[int, DriftEvent]]:
    """The first event of each drift."""
    going: set[int] = set()
    first = []
    for hour, event in events:
        if event.end:
            going.discard(event.market)
        elif event.market not in going:
            going.add(event.market)
            first.append((hour, event))
    return first


def test_what_stays_at_half_of_its_usual_is_found_in_hours_and_ends_when_it_is_back() -> None:
    values = series(1, 8, 25)
    values[20 * DAY : 20 * DAY + 10] += np.log(0.5)
    events = judge(levels(markets=8), values)
    first = [(hour, event) for hour, event in begins(events) if hour >= 20 * DAY]
    assert {event.market for hour, event in first if hour < 20 * DAY + 5} == set(range(8))
    for _, event in first:
        assert event.change == pytest.approx(np.log(0.5), abs=0.25)
        assert event.days == 20
        assert event.p <= LIMIT
    ends = [(hour, event) for hour, event in events if event.end and hour >= 20 * DAY]
    assert {event.market for _, event in ends} == set(range(8))
    assert {event.end for _, event in ends} == {"back"}
    assert all(20 * DAY + 9 <= hour <= 20 * DAY + 12 for hour, _ in ends)


def test_a_slow_slide_is_found() -> None:
    values = series(2, 8, 25)
    values[20 * DAY :] += np.minimum(np.arange(5 * DAY) / DAY, 1.0)[:, None, None] * np.log(0.4)
    first = [e for hour, e in begins(judge(levels(markets=8), values)) if hour >= 20 * DAY]
    assert {event.market for event in first} == set(range(8))


def test_neither_a_daily_cycle_nor_one_hour_nor_a_gap_is_drift() -> None:
    values = series(3, 8, 25, cycle=1.0)
    values[20 * DAY + 5] += np.log(0.2)
    values[21 * DAY : 22 * DAY + 7] = np.nan
    events = judge(levels(markets=8), values)
    assert [hour for hour, _ in events if hour >= 8 * DAY] == []


def test_a_side_that_does_no_harm_is_none() -> None:
    values = series(4, 4, 25)
    values[20 * DAY :] += np.log(2.0)
    assert begins(judge(levels(side=-1, markets=4), values)) == []
    assert len(begins(judge(levels(side=1, markets=4), values))) >= 4


def test_a_young_number_is_not_judged() -> None:
    model = levels()
    values = np.zeros((int(HOURS_MIN), 1, 1))
    values[-1] = 50.0
    assert judge(model, values) == []
    assert model.judging == 1
    # In its first days the daily cycle may still be to come: a change must be far larger.
    assert judge(levels(markets=8), series(5, 8, 3)) == []


def test_what_stays_off_for_days_is_the_new_usual() -> None:
    values = series(6, 1, 40)
    values[20 * DAY :] += np.log(0.5)
    events = [(hour, event) for hour, event in judge(levels(), values) if hour >= 20 * DAY]
    ends = [(hour, event.end) for hour, event in events if event.end]
    assert [end for _, end in ends] == ["usual"]
    assert ends[0][0] <= 20 * DAY + USUAL_AFTER_HOURS
    assert len(begins(events)) == 1


def test_a_drift_of_a_number_that_comes_no_more_ends() -> None:
    values = series(7, 1, 30)
    values[20 * DAY : 20 * DAY + 4] += np.log(0.4)
    values[20 * DAY + 4 :] = np.nan
    events = [event for hour, event in judge(levels(), values) if hour >= 20 * DAY]
    assert [event.end for event in events if event.end] == ["gone"]


def test_alarms_are_rarer_where_tails_are_heavy_and_about_as_many_as_allowed() -> None:
    rng = np.random.default_rng(8)
    values = series(8, 12, 150) + 0.1 * rng.standard_t(3, size=(150 * DAY, 12, 1))
    model = levels(markets=12)
    number = len(begins(judge(model, values)))
    allowed = LIMIT * 12 * 150 * DAY
    assert 0.3 * allowed <= number <= 2.0 * allowed


def test_a_snapshot_goes_on_as_if_nothing_had_happened() -> None:
    values = series(9, 6, 24)
    values[15 * DAY : 16 * DAY] += np.log(0.5)
    values[300:310, 2] = np.nan
    whole = judge(levels(markets=6), values)
    parts, model = [], levels(markets=6)
    for cut in range(0, len(values), 97):
        state = model.snapshot()
        model = levels()
        model.restore(state)
        parts += judge(model, values[cut : cut + 97], cut)
    assert parts == whole
    assert whole
