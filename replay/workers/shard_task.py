"""Shards of recorded days as a task that can run anywhere that has the day's files.

A task reads the records of its partitions itself and gives what its shards report to the venue
stage, in the order in which windows close. It needs nothing from other tasks, and all that goes in
and comes out can be pickled. The same task gives the same reports, whatever process runs it, and
the venue stage skips reports that it has already: a task that was lost may be run again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from monitor.core import snapshot
from monitor.core.settings import EngineSettings
from monitor.core.shard import SHARD_KINDS, Shard
from monitor.core.watch_state import ProgressSpan
from monitor.plugins import detector_factory
from replay.day.address import open_day_at
from replay.day.prefetch import prefetch
from replay.day.sequence import DaySequence

WINDOWS_PER_CLOSE_MAX = 60
"""Windows that are closed together at most, where nobody waits for the first of them."""


@dataclass(frozen=True, slots=True)
class ShardTask:
    """The shards of some partitions over recorded days.

    `days`: the addresses of all days of the run; whoever gives the task has verified the files
    (`Day.verify`) of those that lie in folders. `partitions`: those whose shards run, out of
    `partition_count` of each topic. `rows`: records of a batch at most. `since`, `until`: the days
    that this task reads are number `since` to `until` − 1. `state`: what the same shards left
    behind as `ShardsEnd.state` before them; None: they have seen nothing.
    """

    days: tuple[str, ...]
    partitions: tuple[int, ...]
    partition_count: int
    settings: EngineSettings
    rows: int
    since: int
    until: int
    state: bytes | None = None

    @property
    def sources(self) -> list[tuple[str, int]]:
        """The kinds and partitions that its shards read."""
        return [(kind, partition) for kind in SHARD_KINDS for partition in self.partitions]


@dataclass(frozen=True, slots=True)
class ShardStep:
    """What one batch brings. `records`: those read so far, refused ones included. `reports`: packed
    `ShardReport`s; of each shard they follow one another."""

    records: int
    reports: list[bytes]


@dataclass(frozen=True, slots=True)
class ShardsEnd:
    """Where a task's shards are when its days have ended: how far their streams have come, what was
    dropped because a table was full (by table), and their state for a task of the days after."""

    progress: list[ProgressSpan]
    evicted: list[dict[str, int]]
    state: bytes


def run_task(task: ShardTask) -> Iterator[ShardStep | ShardsEnd]:
    """The steps of the task in their order, and its end as the last item.

    Raises `DayError` for a damaged day, `ConfigError` for a detector that is not installed here,
    `SnapshotError` for a state of other settings or of another version.
    """
    settings, fingerprint = task.settings, task.settings.fingerprint()
    book_ns = settings.accounts.bands_interval_ns
    factories = [detector_factory(stream) for stream in settings.streams]
    shards = {
        p: Shard(p, task.partition_count, settings, factories, WINDOWS_PER_CLOSE_MAX)
        for p in task.partitions
    }
    if task.state is not None:
        _restore(shards, task.state, fingerprint)

    def report(some: Iterable[Shard]) -> list[bytes]:
        return [shard.drain_report().pack(fingerprint, book_ns) for shard in some]

    records, days = 0, []
    for number, address in enumerate(task.days):
        mine = task.sources if task.since <= number < task.until else []
        days.append(open_day_at(address, mine, verified=True))
    sequence = DaySequence(days)
    controls = sequence.controls(settings)
    for shard in shards.values():
        shard.control(controls)
    yield ShardStep(records, report(shards.values()))
    batches = sequence.batches(task.rows, task.sources, task.since, task.until)
    for batch in prefetch(batches):
        shard = shards[batch.partition]
        shard.step(batch)
        records += len(batch) + len(batch.refused)
        yield ShardStep(records, report([shard]) if shard.has_unreported else [])
    if task.until == len(task.days):
        for shard in shards.values():
            shard.finish()
    yield ShardStep(records, report(shards.values()))
    every = shards.values()
    state = snapshot.pack({"shards": [shard.snapshot() for shard in every]}, fingerprint)
    yield ShardsEnd([shard.progress for shard in every], [shard.evicted for shard in every], state)


def _restore(shards: dict[int, Shard], raw: bytes, fingerprint: str) -> None:
    states = snapshot.unpack(raw, fingerprint)["shards"]
    for shard, state in zip(shards.values(), states, strict=True):
        shard.restore(state)
