"""A recorded day ends with its last believed record, and keeps when the broker appended each."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from monitor.core.decode.batch import ABSENT, Batch
from monitor.core.decode.codec import decode
from replay.day import Day, DayWriter
from replay.day.interleave import steady_times
from tests.core.event_time.logs import SECOND, START, Log


def cancels(log: Log) -> Batch:
    rows = log.batch(0, len(log.seconds))
    records = ({"kind": "cancel", "symbol": "X", "ts": ts} for ts in rows.numbers["ts"].tolist())
    batch = decode("cancel", "cancels", 0, rows.offset, [json.dumps(r).encode() for r in records])
    batch.append_ts = rows.append_ts
    return batch


def written(path: Path, log: Log) -> Day:
    with DayWriter(path, venue="test") as day:
        day.write(cancels(log))
    return Day(path)


def test_an_odd_record_does_not_set_the_days_end(tmp_path: Path) -> None:
    for name, seconds, last in (
        ("middle", [0, 1, 2, 3, 9e6, 4, 5, 6, 7], 7),
        ("end", [0, 1, 2, 3, 4, 5, 7_200], 5),
        ("first", [9e6, 0, 1, 2], 2),
        ("tiny", [0, 1, 9e6, 2], 2),
        ("two", [0, 9e6], 0),
    ):
        span = written(tmp_path / name, Log(seconds)).meta.span
        assert span is not None
        assert span.last_ts == START + last * SECOND
        assert span.end_ts == START + (last + 1) * SECOND


def test_append_times_are_kept_and_may_be_absent(tmp_path: Path) -> None:
    seconds = [0.0, 1.0, 2.0]
    (batch,) = written(tmp_path / "stamped", Log(seconds, appended=[0.5, 1.5, 2.5])).batches()
    assert batch.append_ts is not None
    assert batch.append_ts.tolist() == [START + round(s * SECOND) for s in (0.5, 1.5, 2.5)]
    (batch,) = written(tmp_path / "plain", Log(seconds)).batches()
    assert batch.append_ts is None
    mixed = cancels(Log(seconds, appended=[0.5, 1.5, 2.5]))
    assert mixed.append_ts is not None
    mixed.append_ts[1] = ABSENT
    with DayWriter(tmp_path / "mixed", venue="test") as day:
        day.write(mixed)
    (batch,) = Day(tmp_path / "mixed").batches()
    assert batch.append_ts is not None
    assert batch.append_ts.tolist() == mixed.append_ts.tolist()


def test_an_odd_time_does_not_change_the_order_of_reading() -> None:
    ts = np.array([1, 2, 10**18, 3, 4, 10**18])
    assert steady_times(ts)[:5].tolist() == [1, 2, 3, 3, 4]
    assert steady_times(ts)[5] < 10**18
    assert steady_times(np.array([1, 5, 10**18])).tolist()[:2] == [1, 5]
