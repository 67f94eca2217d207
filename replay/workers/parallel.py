"""The parent of the workers: it puts their reports before the venue stage, in order of time."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from typing import Protocol

from monitor.commands.cores import count_cores
from monitor.core.contract.units import SECOND_NS
from monitor.core.decode.batch import Batch
from monitor.core.detection.detector_group import DetectorFactory
from monitor.core.settings import EngineSettings
from monitor.core.shard import SHARD_KINDS
from monitor.core.shard_report import ShardReport
from monitor.core.venue.stage import StageOutput, VenueStage
from monitor.core.watch_state import ProgressSpan
from replay.day.sequence import DaySequence
from replay.workers.process import WorkerProcess
from replay.workers.shard_task import ShardsEnd, ShardTask

GAIN_FROM_S = 15.0
"""A day that costs less processor time than this runs in one process: a worker takes about 2 s to
start."""
EVENT_SECOND_S, RECORD_S = 2.5e-3, 2e-6
"""What a second of event time of a few markets costs, and a record, roughly: processor time, s."""


def worker_count(day: DaySequence, asked: int | None) -> int:
    """How many worker processes a replay of the day has; 0: it runs in one process.

    `asked`: at most so many, 1 for one process; None: as many as there are cores, if the day is
    long enough to gain by them.
    """
    if os.name != "posix" or day.span is None:
        return 0
    most = count_cores() if asked is None else asked
    if asked is None:
        first, last, _ = day.span
        cost_s = (last - first) / SECOND_NS * EVENT_SECOND_S + day.record_count * RECORD_S
        most = most if cost_s >= GAIN_FROM_S else 1
    return 0 if most < 2 else min(most, day.partition_count)


class Worker(Protocol):
    """Something that runs one task, here or elsewhere."""

    @property
    def task(self) -> ShardTask: ...
    @property
    def records(self) -> int:
        """Records that it has read so far."""

    @property
    def end(self) -> ShardsEnd | None:
        """None until the task has ended."""

    def receive(self) -> list[bytes]:
        """The reports of the next step; none at the task's end. Waits for it."""

    def close(self) -> None: ...


class ParallelReplay:
    """Days whose shards run in workers, and whose venue stage runs here.

    `begin`: starts a worker on its task.

    Whatever keeps the stage back goes next: the worker whose shards have closed the least, or the
    records that the stage reads itself. So no worker runs ahead by more than the steps that may
    wait in its process, and the stage keeps no more than in one process.
    """

    def __init__(
        self, days: DaySequence, settings: EngineSettings, factories: list[DetectorFactory],
        rows: int, workers: int, begin: Callable[[ShardTask], Worker] = WorkerProcess,
    ) -> None:  # fmt: skip
        self._days, self._settings, self._rows = days, settings, rows
        self._begin = begin
        partitions = days.partition_count
        addresses = tuple(day.address for day in days.days)
        self._tasks = [
            ShardTask(
                addresses, tuple(range(first, partitions, workers)), partitions, settings, rows,
                since=0, until=len(addresses),
            )
            for first in range(workers)
        ]  # fmt: skip
        self.stage = VenueStage(settings, factories, partitions)
        self.records = 0
        """Records read so far, refused ones included."""
        self.progress: list[ProgressSpan] = []
        """How far the streams of each shard had come at the end."""
        self.evicted: list[dict[str, int]] = []
        """What each shard dropped because a table was full, by table; at the end."""

    def outputs(self) -> Iterator[StageOutput]:
        """What each step of the stage decides. The workers are there from the first one on until
        the iterator ends or is closed."""
        stage, settings = self.stage, self._settings
        fingerprint = settings.fingerprint()
        stage.control(self._days.controls(settings))
        with ExitStack() as stack:
            workers = [stack.enter_context(closing(self._begin(task))) for task in self._tasks]
            own_batches = self._own_batches()
            own, own_records = next(own_batches, None), 0
            while True:
                running = [worker for worker in workers if worker.end is None]
                slowest = min(running, key=self._closed_ns, default=None)
                if own is not None and (
                    slowest is None or self._own_watermark() <= self._closed_ns(slowest)
                ):
                    own_records += len(own) + len(own.refused)
                    yield stage.step(own)
                    own = next(own_batches, None)
                elif slowest is not None:
                    for raw in slowest.receive():
                        follows = stage.accept_report(ShardReport.unpack(raw, fingerprint))
                        assert follows  # a task that is begun again reports from its start
                    yield stage.advance()
                else:
                    break
                self.records = own_records + sum(worker.records for worker in workers)
            for end in (worker.end for worker in workers):
                assert end is not None
                self.progress += end.progress
                self.evicted += end.evicted
        stage.finish()
        yield stage.advance()

    def _own_batches(self) -> Iterator[Batch]:
        """What no shard reads."""
        own = [place for place in self._days.places if place[0] not in SHARD_KINDS]
        return self._days.batches(self._rows, own)

    def _own_watermark(self) -> int:
        return min(clock.watermark for clock in self.stage.clocks.values())

    def _closed_ns(self, worker: Worker) -> int:
        return min(self.stage.shard_progress[p].closed_ns for p in worker.task.partitions)
