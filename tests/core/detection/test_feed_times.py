"""A feed that stops makes one finding, at an event time that the log alone decides; so does its
end.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from monitor.core.contract.events import TOPICS, Control
from monitor.core.decode.codec import decode
from monitor.core.engine import Engine
from monitor.core.event_time.clock_state import (
    LATELY_HOURS,
    LATELY_RANK,
    MINUTE_NS,
    SILENCE_MIN_NS,
    SILENCE_MIN_RECORDS,
    SILENCE_NOTED_NS,
    SILENT_NS,
    SILENT_PERCENT,
    USUAL_HOURS,
    USUAL_ONE_IN,
    USUAL_RANK,
)
from monitor.core.event_time.watermark import PartitionClock
from monitor.core.settings import EngineSettings
from tests.core.alerts.findings import plain
from tests.core.test_shard import at, cancel

SECOND = 1_000_000_000
START = 1_764_000_000 * SECOND


def book(second: float) -> dict[str, Any]:
    levels = {"bids": [["99.9", "10"]], "asks": [["100.1", "10"]]}
    return {"kind": "book", "symbol": "X", "ts": at(second), **levels}


def alerts_of(controls: list[Control], books: list[float], until: int) -> list[dict[str, Any]]:
    """Of stopped feeds. Books at these seconds, a cancel each second up to `until`; other topics
    are empty.
    """
    engine = Engine(EngineSettings(streams=()), [])
    ends = [Control(topic=t, partition=0, offset=0, ts=at(until)) for t in TOPICS.values()]
    ends = [c for c in ends if c.topic not in ("books", "cancels")]
    out = list(engine.control([*ends, *controls]).alerts)
    for kind, records in (
        ("cancel", [cancel(s) for s in range(until + 1)]),
        ("book", [book(s) for s in books]),
    ):
        raws = [json.dumps(r).encode() for r in records]
        batch = decode(kind, TOPICS[kind], 0, np.arange(len(raws), dtype=np.int64), raws)
        out += engine.step(batch).alerts
    alerts = [plain(alert) for alert in out + engine.finish().alerts]
    return [alert for alert in alerts if alert["kind"] == "feed_stopped"]


def test_a_feed_that_stops_fires_by_control_records_and_resolves_with_its_next_record() -> None:
    beats = [i + 0.5 for i in range(100)]
    silent = [Control(topic="books", partition=0, offset=100, ts=at(s)) for s in range(102, 140, 2)]
    fired, over = alerts_of(silent, [*beats, 147.5, 148.5, 149.5], 150)
    assert (fired["status"], over["status"]) == ("firing", "resolved")
    assert fired["fingerprint"] == over["fingerprint"]
    assert (fired["kind"], fired["layer"], fired["symbols"]) == ("feed_stopped", "data", [])
    assert fired["ts"] == at(110)
    assert over["ts"] == at(148)
    assert fired["summary"] == (
        "No record in topic books, partition 0 for 10 s, usual up to 1 s; "
        "the last came at 16:01:39 UTC"
    )
    assert over["summary"] == "Records again in topic books, partition 0, after 48 s of silence"
    assert "--symbol" not in fired["reproduce"]


def test_a_feed_that_never_comes_back_stays_firing() -> None:
    end = Control(topic="books", partition=0, offset=100, ts=at(150))
    (fired,) = alerts_of([end], [i + 0.5 for i in range(100)], 150)
    assert fired["status"] == "firing"


@pytest.mark.parametrize("gap", [5.0, 9.0])
def test_a_topic_with_long_silences_by_nature_does_not_fire(gap: float) -> None:
    beats = [gap * i + 0.25 for i in range(round(200 / gap))]
    last = beats[-1] + SILENT_PERCENT / 100 * gap - 1
    end = Control(topic="books", partition=0, offset=len(beats), ts=at(last))
    assert last - beats[-1] > SILENT_NS / SECOND
    assert alerts_of([end], beats, round(last) + 1) == []


def stops_by_the_rule(ts: list[int], controls: list[tuple[int, int]]) -> list[tuple[int, ...]]:
    """The rule of silence, record by record."""
    stops, high, first, count, stopped = [], 0, 0, 0, False
    hours: list[list[int]] = [[]]
    minute_end = hour_end = 0
    for offset in range(len(ts) + 1):
        floor = max((t for o, t in controls if o <= offset), default=0)
        here = ts[offset] if offset < len(ts) else 0
        admitted = offset < len(ts) and here >= floor
        may_stop = count >= SILENCE_MIN_RECORDS and high - first >= SILENCE_MIN_NS and not stopped
        silences = sorted((s for hour in hours for s in hour), reverse=True)
        rank = min(max(len(silences) // USUAL_ONE_IN, 1), USUAL_RANK)
        lately = sorted((s for hour in hours[:LATELY_HOURS] for s in hour), reverse=True)
        lately = lately[LATELY_RANK - 1 : LATELY_RANK]
        usual = max([SILENCE_NOTED_NS, *silences[rank - 1 : rank], *lately])
        limit = max(SILENT_NS, usual * SILENT_PERCENT // 100)
        silent_until = max(floor, here if admitted else 0)
        if may_stop and silent_until - high >= limit:
            stops.append((high + limit, high, usual, len(silences) // rank, 0))
            stopped = True
        if not admitted:
            continue
        if not first:
            first, minute_end, hour_end = here, here + MINUTE_NS, here + 60 * MINUTE_NS
        if stopped:
            stops.append((here, high, usual, len(silences) // rank, 1))
            stopped = False
        if high:
            hours[0].append(here - high)
        if here >= minute_end:
            minute_end += ((here - minute_end) // MINUTE_NS + 1) * MINUTE_NS
            if here >= hour_end:
                hours = [[], *hours[: USUAL_HOURS - 1]]
                hour_end = minute_end + 59 * MINUTE_NS
        count, high = count + 1, here
    return stops


def test_a_feed_that_thins_out_at_night_does_not_stop_by_chance() -> None:
    """Random fills, one in three seconds by day and in forty at night; then a break of an hour."""
    rng = np.random.default_rng(5)
    gaps = np.concatenate([rng.exponential(np.geomspace(3, 40, 6000)), rng.exponential(40, 500)])
    ts = START + np.cumsum(gaps * SECOND).astype(np.int64)
    ts[-100:] += 3_600 * SECOND
    clock = PartitionClock(10**15, listens=True)
    clock.settle(clock.admit(np.arange(len(ts)), ts))
    (begin, end) = clock.silences
    assert begin.high == end.high == ts[-101]


def add(clock: PartitionClock, controls: list[tuple[int, int]]) -> None:
    clock.add_controls(controls)
    clock.settle(clock.blank())


@pytest.mark.parametrize("seed", range(40))
def test_stops_are_the_same_in_any_slices_with_control_records_early_or_in_time(
    seed: int,
) -> None:
    rng = np.random.default_rng(seed)
    gaps = rng.exponential(1.5, 150) * np.where(rng.random(150) < 0.05, 20, 1)
    gaps *= (1, 30, 1000)[seed % 3]  # minutes, hours, and days, of which the first are forgotten
    gaps[-8:] = 0.1  # so that no record waits for others at the end
    ts = (START + np.cumsum(gaps * SECOND).astype(np.int64)).tolist()
    controls = []
    for offset in rng.integers(0, 151, 12).tolist():
        before = ts[offset - 1] if offset else START
        # Some fall behind the next record, which is late then.
        controls.append((offset, before + int(rng.exponential(12) * SECOND)))
    expected = stops_by_the_rule(ts, controls)
    for early in (True, False):
        part = PartitionClock(10**15, listens=True)
        if early:
            add(part, controls)
        low = 0
        while low < len(ts):
            high = min(len(ts), low + int(rng.integers(1, 40)))
            if not early:
                # Each comes before the first record behind it is read.
                high = min([high, *(o for o, _ in controls if o > low)])
                for offset, when in controls:
                    if offset == low:
                        add(part, [(offset, when)])
            rows = np.arange(low, high)
            part.settle(part.admit(rows, np.array(ts[low:high])))
            if rng.random() < 0.2:
                state = part.snapshot()
                part = PartitionClock(10**15, listens=True)
                part.restore(state)
            low = high
        if not early:
            for offset, when in controls:
                if offset == len(ts):
                    add(part, [(offset, when)])
        assert part.silences == expected
    assert seed or expected
