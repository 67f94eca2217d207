"""What is watched, what learns until when, and what is not watched and why."""

from __future__ import annotations

import numpy as np
import pytest

from detectors.record_high import RecordHighDetector
from detectors.river_adapter import RiverDetector
from monitor.core.budget import BudgetShare
from monitor.core.contract.feature_catalogue import DRIFT_FEATURES
from monitor.core.contract.units import SECOND_NS
from monitor.core.detection.detector_group import DetectorGroups, StreamProgress
from monitor.core.settings import EngineSettings, StreamSettings
from monitor.core.watch_state import (
    SHORT_BOOKS_MAX,
    ProgressSpan,
    describe,
    not_watched,
    short_books,
    watch_state,
)

NOON_NS = 1_763_985_600 * SECOND_NS
SETTINGS = EngineSettings(
    streams=[
        StreamSettings(feature="spread_bps", detector="level"),
        StreamSettings(feature="spread_bps", detector="anomaly.GaussianScorer"),
        StreamSettings(feature="cancels"),
        StreamSettings(feature="orders"),
    ],
    drift={"budget_share": 0.0},
)


def spans() -> list[ProgressSpan]:
    """Two shards, of which the second is a minute behind."""
    here = [
        StreamProgress(0, symbols=3, judging=2, out=0, windows_left=60),
        StreamProgress(1, symbols=3, judging=0, out=0, windows_left=3600),
        StreamProgress(3, symbols=1, judging=0, out=1, windows_left=0),
    ]
    there = [StreamProgress(1, symbols=2, judging=0, out=1, windows_left=7200)]
    behind_ns = NOON_NS - 60 * SECOND_NS
    return [ProgressSpan(here, NOON_NS, SECOND_NS), ProgressSpan(there, behind_ns, SECOND_NS)]


def test_streams_are_added_up_over_shards_and_say_until_when_they_learn() -> None:
    states = watch_state(SETTINGS, spans())
    level, gaussian, cancels, orders = states.values()
    assert (level.symbols, level.judging, level.learning, level.why) == (3, 2, 1, None)
    assert level.until == NOON_NS + 60 * SECOND_NS
    assert (gaussian.symbols, gaussian.learning, gaussian.out) == (5, 4, 1)
    assert gaussian.why == "learns until 2025-11-24T13:59:00Z"
    assert cancels.why == "its number never came: it is made of cancel records"
    assert orders.why == "taken out: its detector could not go on"
    assert not_watched(states).keys() == {
        "spread_bps by anomaly.GaussianScorer", "cancels", "orders",
    }  # fmt: skip


def test_drift_says_until_when_it_learns() -> None:
    half = EngineSettings(streams=())
    depth = StreamProgress(0, symbols=2, judging=1, out=0, windows_left=7200)
    spread = StreamProgress(1, symbols=2, judging=0, out=0, windows_left=3600)
    states = watch_state(half, [ProgressSpan([depth, spread], NOON_NS, SECOND_NS)])
    assert list(states) == list(DRIFT_FEATURES)
    assert (states["depth_drift"].judging, states["depth_drift"].why) == (1, None)
    assert states["spread_drift"].why == "learns until 2025-11-24T13:00:00Z"
    assert states["funding_drift"].why == "its number never came: it is made of mark records"


def test_people_read_one_line_for_each_way_a_stream_may_be_in() -> None:
    assert describe(watch_state(SETTINGS, spans())) == [
        "watched: spread_bps by level",
        "still learning: spread_bps by level until 2025-11-24T12:01:00Z, "
        "spread_bps by anomaly.GaussianScorer until 2025-11-24T13:59:00Z",
        "not watched, for their numbers never came: cancels",
        "not watched any more, for their detectors could not go on: orders",
    ]


def test_the_shortest_books_of_all_shards_are_named() -> None:
    books = {f"M-{i:03}": 24.0 - i / 10 for i in range(150)}
    named = short_books([ProgressSpan([], NOON_NS, SECOND_NS, part) for part in (books, {"A": 1})])
    assert list(named)[:3] == ["A", "M-149", "M-148"]
    assert len(named) == SHORT_BOOKS_MAX
    assert named["M-149"] == 9.1


@pytest.mark.parametrize(
    ("stream", "factory", "left"),
    [
        (StreamSettings(feature="spread_bps"), lambda: RecordHighDetector("spread_bps"), 21_600),
        (
            StreamSettings(feature="spread_bps"),
            lambda: RiverDetector("GaussianScorer", ("spread_bps",), warm_up=500),
            21_600 + 500,
        ),
    ],
)
def test_what_is_left_is_counted_down_window_by_window(
    stream: StreamSettings, factory: object, left: int
) -> None:
    groups = DetectorGroups(
        [stream],
        [factory],
        {"spread_bps": 0},
        BudgetShare(1.0),
        SECOND_NS,  # type: ignore[list-item]
    )
    groups.grow(1)
    for window in range(601):
        groups.begin(np.array([0]), np.array([[1.0 + window % 7]]))
        groups.judge()
        groups.learn()
    (one,) = groups.progress()
    # The record high judges from its second window on; the first one has no score.
    assert one.windows_left == left - 601 + (left == 21_600)
    assert (one.symbols, one.judging, one.out) == (1, 0, 0)
