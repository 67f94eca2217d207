"""Silence is told as soon as it is sure, and never of a topic partition that may still speak."""

from __future__ import annotations

from monitor.core.contract.events import Control
from monitor.core.event_time.watermark import PartitionClock
from monitor.kafka.flow_control import FlowControl

SECOND = 1_000_000_000
START = 1_764_000_000 * SECOND
A, B = ("orders", 0), ("marks", 0)


def stand(high: int | None, position: int) -> PartitionClock:
    import numpy as np

    part = PartitionClock(0)
    if high is not None:
        part.admit(np.array([position - 1]), np.array([high]))
    return part


def test_a_silent_topic_partition_at_its_end_is_told_of_once_a_window() -> None:
    pace = FlowControl(2.0, SECOND, 60 * SECOND, 0.0)
    parts = {A: stand(START + 5 * SECOND + 7, 40), B: stand(None, 0)}
    for second in (1.0, 2.0, 3.0):
        pace.note_arrival(A, second)
    told = pace.silence_controls(parts, {A: 0, B: 0}, 3.0)
    assert told == [Control(topic="marks", partition=0, offset=0, ts=START + 5 * SECOND)]
    parts[B].add_controls([(0, START + 5 * SECOND)])
    assert pace.silence_controls(parts, {A: 0, B: 0}, 3.1) == []


def test_a_topic_partition_with_records_waiting_or_not_yet_asked_is_not_silent() -> None:
    pace = FlowControl(2.0, SECOND, 60 * SECOND, 0.0)
    parts = {A: stand(START, 40), B: stand(None, 0)}
    for second in (1.0, 2.0, 3.0):
        pace.note_arrival(A, second)
    assert pace.silence_controls(parts, {A: 0, B: 3}, 3.0) == []
    assert pace.silence_controls(parts, {A: 0}, 3.0) == []


def test_where_nobody_speaks_no_time_passes() -> None:
    pace = FlowControl(2.0, SECOND, 60 * SECOND, 0.0)
    assert pace.silence_controls({A: stand(START, 40), B: stand(None, 0)}, {A: 0, B: 0}, 9.0) == []


def test_who_runs_ahead_of_what_waits_is_held_and_of_an_ended_topic_is_not() -> None:
    pace = FlowControl(2.0, SECOND, 60 * SECOND, 0.0)
    parts = {A: stand(START + 61 * SECOND, 40), B: stand(START, 9)}
    assert pace.partitions_ahead(parts, {A: 5, B: 5}) == {A}
    assert pace.partitions_ahead(parts, {A: 5, B: 0}) == set()


def test_after_a_pause_of_all_each_has_its_time_to_speak_again() -> None:
    pace = FlowControl(2.0, SECOND, 60 * SECOND, 0.0)
    parts = {A: stand(START + 5 * SECOND, 40), B: stand(START, 3)}
    pace.note_arrival(A, 9.0)
    assert pace.silence_controls(parts, {A: 0, B: 0}, 9.1) == []
    pace.note_arrival(A, 10.5)
    pace.note_arrival(A, 11.1)
    assert [c.topic for c in pace.silence_controls(parts, {A: 0, B: 0}, 11.1)] == ["marks"]


def test_where_all_are_silent_the_time_that_passes_elsewhere_counts() -> None:
    pace = FlowControl(2.0, SECOND, 60 * SECOND, 0.0)
    parts = {A: stand(None, 0), B: stand(START, 3)}
    lag = {A: 0, B: 0}
    assert pace.silence_controls(parts, lag, 9.0, START + 4 * SECOND) == []
    assert pace.silence_controls(parts, lag, 10.0, START + 5 * SECOND) == []
    told = pace.silence_controls(parts, lag, 11.0, START + 6 * SECOND + 1)
    assert told == [
        Control(topic=topic, partition=0, offset=offset, ts=START + 6 * SECOND)
        for topic, offset in (("orders", 0), ("marks", 3))
    ]
