"""A replay in one process: shards and venue stage in an `Engine`."""

from __future__ import annotations

import time
from collections.abc import Iterator

from monitor.core.contract.units import SECOND_NS
from monitor.core.decode.batch import Batch
from monitor.core.detection.detector_group import DetectorFactory
from monitor.core.engine import Engine
from monitor.core.settings import EngineSettings
from monitor.core.venue.stage import StageOutput
from monitor.core.watch_state import ProgressSpan
from replay.day.prefetch import prefetch
from replay.day.sequence import DaySequence
from replay.workers.shard_task import WINDOWS_PER_CLOSE_MAX

PACED_ROWS = 256
"""Records of a batch where a speed is given: a batch starts when its last record is due."""


class SingleReplay:
    """Recorded days through an engine.

    `rows`: records of a batch at most. `speed`: seconds of event time in a second; None: as fast as
    possible. `last_ts`: it ends once everything up to this event time (ns) is decided; None: with
    the last day.
    """

    def __init__(
        self, days: DaySequence, settings: EngineSettings, factories: list[DetectorFactory],
        rows: int, speed: float | None = None, last_ts: int | None = None,
    ) -> None:  # fmt: skip
        backlog = WINDOWS_PER_CLOSE_MAX if speed is None else 0
        self._engine = Engine(settings, factories, days.partition_count, backlog)
        self._days, self._settings = days, settings
        self._rows = rows if speed is None else min(rows, PACED_ROWS)
        self._speed, self._last_ts = speed, last_ts
        self._first: tuple[float, int] | None = None
        self.stage = self._engine.stage
        self.records = 0
        """Records read so far, refused ones included."""

    def outputs(self) -> Iterator[StageOutput]:
        """What each step of the engine decides."""
        engine, settings = self._engine, self._settings
        yield engine.control(self._days.controls(settings))
        for batch in prefetch(self._days.batches(self._rows)):
            if self._speed is not None and len(batch):
                self._wait_until_due(batch, self._speed)
            output = engine.step(batch)
            self.records += len(batch) + len(batch.refused)
            yield output
            if self._last_ts is not None and engine.passed_ns > self._last_ts:
                break  # every alert that could be shown has been decided
        else:
            yield engine.finish()
        engine.flush_reports()

    def _wait_until_due(self, batch: Batch, speed: float) -> None:
        """Wait until the wall clock has moved as far as event time, divided by the speed."""
        ts = int(batch.numbers["ts"][-1])
        self._first = self._first or (time.monotonic(), ts)
        due = self._first[0] + (ts - self._first[1]) / SECOND_NS / speed
        time.sleep(max(0.0, due - time.monotonic()))

    @property
    def progress(self) -> list[ProgressSpan]:
        """How far the streams of each shard have come."""
        return [shard.progress for shard in self._engine.shards]

    @property
    def evicted(self) -> list[dict[str, int]]:
        """What each shard dropped because a table was full, by table."""
        return [shard.evicted for shard in self._engine.shards]
