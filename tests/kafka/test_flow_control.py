"""A silent topic partition gets a control record once that is safe; one too far ahead is paused."""

from __future__ import annotations

import numpy as np
import pytest

from monitor.core.contract.events import Control
from monitor.core.contract.units import SECOND_NS
from monitor.core.event_time.watermark import PartitionClock
from monitor.kafka.flow_control import FlowControl

START = 1_764_000_000 * SECOND_NS
A, B = ("orders", 0), ("marks", 0)


@pytest.fixture
def flow_control() -> FlowControl:
    return FlowControl(2.0, SECOND_NS, 60 * SECOND_NS, 0.0)


def clock(high: int | None, position: int) -> PartitionClock:
    """A topic partition read up to `position`, with this highest event time."""
    part = PartitionClock(0)
    if high is not None:
        part.admit(np.arange(position - 3, position), np.full(3, high))
    return part


def test_a_silent_topic_partition_gets_one_control_record_a_window(
    flow_control: FlowControl,
) -> None:
    clocks = {A: clock(START + 5 * SECOND_NS + 7, 40), B: clock(None, 0)}
    for second in (1.0, 2.0, 3.0):
        flow_control.note_arrival(A, second)
    controls = flow_control.silence_controls(clocks, {A: 0, B: 0}, 3.0)
    assert controls == [Control(topic="marks", partition=0, offset=0, ts=START + 5 * SECOND_NS)]
    clocks[B].add_controls([(0, START + 5 * SECOND_NS)])
    assert flow_control.silence_controls(clocks, {A: 0, B: 0}, 3.1) == []


def test_a_topic_partition_with_records_waiting_or_not_yet_asked_is_not_silent(
    flow_control: FlowControl,
) -> None:
    clocks = {A: clock(START, 40), B: clock(None, 0)}
    for second in (1.0, 2.0, 3.0):
        flow_control.note_arrival(A, second)
    assert flow_control.silence_controls(clocks, {A: 0, B: 3}, 3.0) == []
    assert flow_control.silence_controls(clocks, {A: 0}, 3.0) == []


def test_while_all_are_silent_there_are_no_control_records(flow_control: FlowControl) -> None:
    clocks = {A: clock(START, 40), B: clock(None, 0)}
    assert flow_control.silence_controls(clocks, {A: 0, B: 0}, 9.0) == []


def test_one_ahead_of_another_with_records_waiting_is_paused_and_of_an_ended_one_is_not(
    flow_control: FlowControl,
) -> None:
    clocks = {A: clock(START + 61 * SECOND_NS, 40), B: clock(START, 9)}
    assert flow_control.partitions_ahead(clocks, {A: 5, B: 5}) == {A}
    assert flow_control.partitions_ahead(clocks, {A: 5, B: 0}) == set()


def test_one_ahead_of_the_slowest_elsewhere_is_paused(flow_control: FlowControl) -> None:
    clocks = {A: clock(START + 61 * SECOND_NS, 40), B: clock(START + 9 * SECOND_NS, 9)}
    lag = {A: 0, B: 0}
    assert flow_control.partitions_ahead(clocks, lag, START) == {A}
    assert flow_control.partitions_ahead(clocks, lag, START + 2 * SECOND_NS) == set()


def test_after_a_pause_of_all_each_has_its_time_to_go_on(flow_control: FlowControl) -> None:
    clocks = {A: clock(START + 5 * SECOND_NS, 40), B: clock(START, 3)}
    flow_control.note_arrival(A, 9.0)
    assert flow_control.silence_controls(clocks, {A: 0, B: 0}, 9.1) == []
    flow_control.note_arrival(A, 10.5)
    flow_control.note_arrival(A, 11.1)
    controls = flow_control.silence_controls(clocks, {A: 0, B: 0}, 11.1)
    assert [c.topic for c in controls] == ["marks"]


def test_where_all_are_silent_the_time_that_passes_elsewhere_counts(
    flow_control: FlowControl,
) -> None:
    clocks = {A: clock(None, 0), B: clock(START, 3)}
    lag = {A: 0, B: 0}
    assert flow_control.silence_controls(clocks, lag, 9.0, START + 4 * SECOND_NS) == []
    assert flow_control.silence_controls(clocks, lag, 10.0, START + 5 * SECOND_NS) == []
    controls = flow_control.silence_controls(clocks, lag, 11.0, START + 6 * SECOND_NS + 1)
    assert controls == [
        Control(topic=topic, partition=0, offset=offset, ts=START + 6 * SECOND_NS)
        for topic, offset in (("orders", 0), ("marks", 3))
    ]
