"""Silence is told as soon as it is sure, and never of a topic partition that may still speak."""

from __future__ import annotations

from monitor.core.events import Control
from monitor.core.watermark import Partition
from monitor.kafka.pace import Pace

SECOND = 1_000_000_000
START = 1_764_000_000 * SECOND
A, B = ("orders", 0), ("marks", 0)


def stand(high: int | None, position: int) -> Partition:
    import numpy as np

    part = Partition(0)
    if high is not None:
        part.admit(np.array([position - 1]), np.array([high]))
    return part


def test_a_silent_topic_partition_at_its_end_is_told_of_once_a_window() -> None:
    pace = Pace(2.0, SECOND, 60 * SECOND, 0.0)
    parts = {A: stand(START + 5 * SECOND + 7, 40), B: stand(None, 0)}
    pace.heard(A, 3.0)
    told = pace.silent(parts, {A: 0, B: 0}, 3.0)
    assert told == [Control(topic="marks", partition=0, offset=0, ts=START + 5 * SECOND)]
    parts[B].control(0, START + 5 * SECOND)
    assert pace.silent(parts, {A: 0, B: 0}, 3.1) == []


def test_a_topic_partition_with_records_waiting_or_not_yet_asked_is_not_silent() -> None:
    pace = Pace(2.0, SECOND, 60 * SECOND, 0.0)
    parts = {A: stand(START, 40), B: stand(None, 0)}
    pace.heard(A, 3.0)
    assert pace.silent(parts, {A: 0, B: 3}, 3.0) == []
    assert pace.silent(parts, {A: 0}, 3.0) == []


def test_where_nobody_speaks_no_time_passes() -> None:
    pace = Pace(2.0, SECOND, 60 * SECOND, 0.0)
    assert pace.silent({A: stand(START, 40), B: stand(None, 0)}, {A: 0, B: 0}, 9.0) == []


def test_who_runs_ahead_of_what_waits_is_held_and_of_an_ended_topic_is_not() -> None:
    pace = Pace(2.0, SECOND, 60 * SECOND, 0.0)
    parts = {A: stand(START + 61 * SECOND, 40), B: stand(START, 9)}
    assert pace.ahead(parts, {A: 5, B: 5}) == {A}
    assert pace.ahead(parts, {A: 5, B: 0}) == set()
