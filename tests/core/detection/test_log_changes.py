"""A gap in a log makes one alert, at an event time that its control record gives."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from monitor.core.contract.events import TOPICS, Control, Gap
from monitor.core.decode.codec import decode
from monitor.core.engine import Engine
from monitor.core.event_time.log_gaps import LogGap, LogGaps
from monitor.core.settings import EngineSettings
from tests.core.alerts.findings import plain
from tests.core.test_shard import at, cancel

UNTIL = 60


def control(
    offset: int, missing_from: int, log_offset: int, second: int, new_log: bool = False
) -> Control:
    gap = Gap(missing_from=missing_from, log_offset=log_offset, is_new_log=new_log)
    return Control(topic="cancels", partition=0, offset=offset, ts=at(second), gap=gap)


def alerts_of(gap: Control, offsets: list[int], step: int, restarts: bool) -> list[dict[str, Any]]:
    """Cancels each second at these offsets, in steps of so many; other topics are empty."""
    settings = EngineSettings(streams=())
    engine = Engine(settings, [])
    ends = [Control(topic=t, partition=0, offset=0, ts=at(UNTIL)) for t in TOPICS.values()]
    out = list(engine.control([gap, *(c for c in ends if c.topic != "cancels")]).alerts)
    raws = [json.dumps(cancel(s)).encode() for s in range(len(offsets))]
    for low in range(0, len(raws), step):
        here = slice(low, low + step)
        batch = decode("cancel", "cancels", 0, np.array(offsets[here], np.int64), raws[here])
        out += engine.step(batch).alerts
        if restarts:
            engine.digest()  # what is not reported is no part of a snapshot
            state, engine = engine.snapshot(), Engine(settings, [])
            engine.restore(state)
            out += engine.control([gap]).alerts  # a restart reads the control topic again
    return [plain(alert) for alert in out + engine.finish().alerts]


@pytest.mark.parametrize("restarts", [False, True])
@pytest.mark.parametrize("step", [1, 7, 60])
def test_a_cut_log_fires_once_however_it_is_sliced_and_restored(step: int, restarts: bool) -> None:
    offsets = [*range(20), *range(35, 75)]
    fired = alerts_of(control(35, 20, 35, 19), offsets, step, restarts)[0]
    assert (fired["kind"], fired["layer"], fired["symbols"]) == ("log_changed", "data", [])
    assert (fired["severity"], fired["ts"]) == ("warning", at(20))
    assert fired["summary"].startswith("Records 20 to 34 of topic cancels, partition 0 are missing")
    assert fired["evidence"][0]["observed"] == 15
    alerts = alerts_of(control(35, 20, 35, 19), offsets, step, restarts)
    assert [a["status"] for a in alerts].count("firing") == 1


def test_a_log_made_anew_names_both_offsets() -> None:
    (fired, *_) = alerts_of(control(20, 20, 3, 19, new_log=True), list(range(60)), 7, False)
    assert fired["summary"] == (
        "Topic cancels, partition 0 was made anew: what followed offset 19 of the old log is "
        "missing, and offset 3 of the new one counts as 20; what was learnt before goes on"
    )


def test_who_begins_behind_a_gap_misses_nothing() -> None:
    assert alerts_of(control(35, 20, 35, 19), list(range(35, 75)), 7, False) == []


def test_a_gap_that_reading_has_passed_counts_no_second_time() -> None:
    gaps, gap = LogGaps(), LogGap(5, 9, 9, 0, False)
    gaps.note_read(np.array([2]))
    gaps.add(gap, 3)
    assert gaps.passed == []
    gaps.advance(5)
    assert gaps.passed == [gap]
    gaps.passed = []
    gaps.add(gap, 12)
    other = LogGaps()
    other.restore(gaps.snapshot())
    other.add(gap, 12)
    assert gaps.passed == other.passed == []
