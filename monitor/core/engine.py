"""All of the engine in one process: shards, then the venue stage; nothing else happens anywhere.

The engine is a pure function of the set of records. `step` takes records of one topic partition
in offset order; partitions may come interleaved in any way and in slices of any size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from monitor.core import snapshot
from monitor.core.contract.events import Control
from monitor.core.decode.batch import Batch
from monitor.core.detection.detector_group import DetectorFactory
from monitor.core.event_time.record_counts import RecordCounts
from monitor.core.event_time.watermark import PartitionClock
from monitor.core.settings import EngineSettings
from monitor.core.shard import SHARD_KINDS, Shard, ShardOutput
from monitor.core.venue.stage import StageOutput as StageOutput
from monitor.core.venue.stage import VenueStage
from monitor.core.venue.state import VenueState


@dataclass(slots=True)
class EngineOutput(StageOutput):
    """What a step makes known."""

    closed: list[ShardOutput] = field(default_factory=list)
    """Closed windows, each shard's in the order of time."""


class Engine:
    """Shards and the venue stage, words passing between them at once.

    Parameters
    ----------
    settings
        All numbers.
    factories
        One for each of `settings.streams`.
    partitions
        How many partitions each topic has; all topics have as many.
    hold
        Windows that may wait to be closed together: 0 live; a replay is faster with some, and
        what it puts out is the same.
    """

    def __init__(
        self,
        settings: EngineSettings,
        factories: Sequence[DetectorFactory],
        partitions: int = 1,
        backlog_windows: int = 0,
    ) -> None:
        self._settings = settings
        self.shards = [
            Shard(p, partitions, settings, factories, backlog_windows) for p in range(partitions)
        ]
        self.stage = VenueStage(settings, factories, partitions)

    @property
    def venue(self) -> VenueState:
        """The accounts, marks, books and rules."""
        return self.stage.venue_state

    @property
    def clocks(self) -> dict[tuple[str, int], PartitionClock]:
        """Time in each topic partition, by topic and number."""
        every = dict(self.stage.clocks)
        for shard in self.shards:
            every |= shard.clocks
        return every

    def step(self, batch: Batch) -> EngineOutput:
        """Take in records of one topic partition."""
        if batch.kind not in SHARD_KINDS:
            made = self.stage.step(batch)
            return EngineOutput(made.alerts, made.bands)
        shard = self.shards[batch.partition]
        return self._collect_output(shard.step(batch), [shard])

    def control(self, records: Sequence[Control]) -> EngineOutput:
        """Take in control records; they are read before the records that they speak of."""
        self.stage.control(records)
        return self._collect_output(
            [c for s in self.shards for c in s.control(records)], self.shards
        )

    def finish(self) -> EngineOutput:
        """All topics were read to their end: every control record takes effect."""
        self.stage.finish()
        return self._collect_output(
            [c for shard in self.shards for c in shard.finish()], self.shards
        )

    def _collect_output(self, closed: list[ShardOutput], shards: list[Shard]) -> EngineOutput:
        for shard in shards:
            if shard.has_unreported:
                self.stage.accept_report(shard.drain_report())
        made = self.stage.advance()
        return EngineOutput(made.alerts, made.bands, closed)

    @property
    def passed_ns(self) -> int:
        """All windows that end by this event time are decided; `NEVER` before the first."""
        return self.stage.passed_ns

    @property
    def windows(self) -> int:
        """Windows of a symbol that were closed."""
        return self.stage.windows

    @property
    def alert_count(self) -> int:
        """Alerts made known so far."""
        return self.stage.alert_count

    def tally(self) -> RecordCounts:
        """What came in, over all shards."""
        self._flush_counts()
        return self.stage.tally()

    def digest(self) -> str:
        """Of everything made known so far and of what came in: equal for equal sets of records."""
        self._flush_counts()
        return self.stage.digest()

    def _flush_counts(self) -> None:
        """What shards have counted since their last word."""
        for shard in self.shards:
            self.stage.accept_report(shard.drain_report())

    def snapshot(self) -> bytes:
        """All state, with the positions that it stands for."""
        state = {
            "shards": [shard.snapshot() for shard in self.shards],
            "stage": self.stage.snapshot(),
        }
        return snapshot.pack(state, self._settings.fingerprint())

    def restore(self, raw: bytes) -> None:
        """Go on from a snapshot. Raises `SnapshotError` where that cannot be."""
        state = snapshot.unpack(raw, self._settings.fingerprint())
        if len(state["shards"]) != len(self.shards):
            raise snapshot.SnapshotError(
                f"the snapshot has {len(state['shards'])} partitions, the topics have "
                f"{len(self.shards)}: remove it to begin anew"
            )
        for shard, held in zip(self.shards, state["shards"], strict=True):
            shard.restore(held)
        self.stage.restore(state["stage"])
