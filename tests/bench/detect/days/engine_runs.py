"""A recorded day through the whole engine on its defaults, with or without changes in its rows."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from monitor.config import load
from monitor.core.contract.alert import Alert
from monitor.core.contract.units import SECOND_NS
from monitor.core.decode.batch import Batch
from monitor.core.engine import Engine
from monitor.plugins import detector_factories
from replay.day import Day
from tests.bench.detect.days.series import DaySeries, SeriesCollector

ROWS = 4096
"""Records of a batch: a snapshot is taken between two."""
BACKLOG_WINDOWS = 600


class Prefix(NamedTuple):
    """A run's state at a time: what comes later can be run several times, changed in each."""

    batches: int
    """How many were taken in."""
    snapshot: bytes


class Run(NamedTuple):
    """What a run said (after its prefix, where it had one), and the series of all its rows."""

    alerts: list[Alert]
    series: DaySeries
    prefix: Prefix | None


def run_day(
    day: Day, per_day: float, change: Callable[[Batch], Batch] | None = None,
    prefix: Prefix | None = None, split_s: float | None = None, begin_s: float | None = None,
) -> Run:  # fmt: skip
    """One run at a budget of `per_day` false alerts a day.

    `change`: makes of each batch the one that is taken in. `prefix`: go on from there. `split_s`:
    take a prefix just before this time. `begin_s`: read nothing before. Times are s since 1970.
    """
    config = load(alerts={"per_day": per_day})
    settings = config.engine()
    factories = detector_factories(config.streams)
    engine = Engine(settings, factories, day.partition_count, BACKLOG_WINDOWS)
    alerts, collector, made = [], SeriesCollector(), None
    if prefix is not None:
        engine.restore(prefix.snapshot)
    else:
        controls = day.controls(settings.accounts.bands_interval_ns, settings.topics)
        alerts += engine.control(controls).alerts
    from_ts = None if begin_s is None else round(begin_s * SECOND_NS)
    for number, unchanged in enumerate(day.batches(ROWS, from_ts=from_ts)):
        batch = unchanged if change is None else change(unchanged)
        collector.add(batch)
        if split_s is not None and made is None and _reaches(batch, split_s):
            made = Prefix(number, engine.snapshot())
        if prefix is None or number >= prefix.batches:
            alerts += engine.step(batch).alerts
    alerts += engine.finish().alerts
    return Run(alerts, collector.series(), made)


def _reaches(batch: Batch, second: float) -> bool:
    return len(batch) > 0 and bool(batch.numbers["ts"].max() >= second * SECOND_NS)


@lru_cache(maxsize=8)
def unchanged_run(path: Path, per_day: float) -> Run:
    """A day as it was recorded; its prefix is the first half."""
    day = Day(path)
    return run_day(day, per_day, split_s=middle_s(day))


def middle_s(day: Day) -> float:
    """The middle of a day, s since 1970; 0 of a day without records."""
    first, last, _ = day.span or (0, 0, 0)
    return (first + last) / 2 / SECOND_NS
