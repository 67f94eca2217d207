"""What is usual, what is far off and since when, and what repeats a report."""

from __future__ import annotations

import json
import random

from detectors.usual_values import (
    EVENT_WINDOWS,
    PATIENCE_WINDOWS,
    QUIET_WINDOWS,
    ReportedEvents,
    Usual,
)


def trained(inputs: int = 2, windows: int = 1000) -> Usual:
    """The first number is about 10, the others are about 100."""
    usual, rng = Usual(inputs), random.Random(1)
    for _ in range(windows):
        usual.learn([rng.gauss(10.0, 1.0), *(rng.gauss(100.0, 5.0) for _ in range(inputs - 1))])
    return usual


def test_the_input_farthest_off_is_named_with_its_mean_since_it_is() -> None:
    usual = trained()
    for value in (200.0, 300.0):
        usual.report([10.0, value])
    feature, observed, expected, windows = usual.farthest([11.0, 400.0])
    assert (feature, observed, windows) == (1, 300.0, 3)
    assert 95 < expected < 105


def test_a_change_begins_anew_on_the_other_side_or_after_an_ordinary_window() -> None:
    usual = trained()
    usual.learn([10.0, 300.0])
    assert usual.farthest([10.0, -300.0])[3] == 1
    usual.learn([10.0, 100.0])
    assert usual.farthest([10.0, 300.0])[3] == 1


def test_one_outlier_moves_the_usual_value_by_a_bounded_step() -> None:
    usual = trained()
    before = usual.farthest([10.0, 1e6])[2]
    usual.learn([10.0, 1e15])
    assert abs(usual.farthest([10.0, 1e6])[2] - before) < 0.2


def test_what_is_reported_becomes_usual_only_when_it_stays() -> None:
    usual = trained(1)
    learnt = [usual.report([50.0]) for _ in range(PATIENCE_WINDOWS + 1)]
    assert learnt == [False] * PATIENCE_WINDOWS + [True]
    for _ in range(3000):
        usual.report([50.0])
    assert abs(usual.farthest([50.0])[2] - 50.0) < 1.0


def test_where_nothing_happens_in_most_windows_an_event_has_one_distance() -> None:
    usual, rng, distances = Usual(1), random.Random(2), []
    for window in range(40_000):
        value = float(rng.random() < 0.01)
        if value and window > 10_000:
            distances += usual.distances([value])
        usual.learn([value])
    assert max(distances) < 3 * min(distances)
    assert usual.distances([6.0])[0] > 2 * max(distances)


def test_it_goes_on_from_its_state() -> None:
    usual = trained()
    usual.report([10.0, 300.0])
    again = Usual(2)
    again.restore(json.loads(json.dumps(usual.snapshot())))
    assert again.farthest([9.0, 200.0]) == usual.farthest([9.0, 200.0])
    assert again.snapshot() == usual.snapshot()


def test_a_repeat_is_no_higher_after_a_quiet_time_and_within_the_event() -> None:
    events = ReportedEvents()
    assert not events.is_repeat(5.0)
    events.report(5.0)
    for window in range(1, EVENT_WINDOWS + 1):
        assert events.is_repeat(5.0) == (QUIET_WINDOWS < window - 1 < EVENT_WINDOWS)
        assert not events.is_repeat(5.1)
        events.learn()
    assert not events.is_repeat(1.0)
