"""The engine: all of brinkwatch's logic as one object without clock, network or files.

Records go to the shard of their partition, or (collateral, reference) to the venue stage:

- A `Shard` holds what needs the records of one symbol only. It counts records in windows, closes
  windows as event time passes, measures features and judges them.
- The `VenueStage` holds what needs all shards: accounts and their bands, evidence across markets,
  incidents and alerts. Shards send it `ShardReport`s.

Here both live in one process and reports pass at once. `monitor/live` runs the same shards and the
same stage in any number of processes, with reports on a Kafka topic. The output is the same: it
depends on the set of records alone. Records of one partition of a topic must come in the order of
offsets; partitions may alternate in any way, in slices of any size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from monitor.core import snapshot
from monitor.core.contract.events import Control
from monitor.core.decode.batch import Batch
from monitor.core.detection.detector_group import DetectorFactory
from monitor.core.detection.judge import ClosedSpan
from monitor.core.event_time.admission import RecordCounts
from monitor.core.event_time.watermark import PartitionClock
from monitor.core.settings import EngineSettings
from monitor.core.shard import SHARD_KINDS, Shard
from monitor.core.venue.stage import StageOutput, VenueStage
from monitor.core.venue.state import VenueState
from monitor.core.watch_state import StreamState, watch_state


@dataclass(slots=True)
class EngineOutput(StageOutput):
    """What a step decides: alerts, bands and closed windows."""

    closed: list[ClosedSpan] = field(default_factory=list)
    """Closed windows with their features and findings; those of one shard in the order of time."""


class Engine:
    """Shards and the venue stage in one process.

    `factories`: one for each of `settings.streams`. `partitions`: how many each topic has; all
    topics have as many. `backlog_windows`: windows that may wait to be closed together: 0 live; a
    replay is faster with some, and its output is the same.
    """

    def __init__(
        self, settings: EngineSettings, factories: Sequence[DetectorFactory],
        partitions: int = 1, backlog_windows: int = 0,
    ) -> None:  # fmt: skip
        self._settings = settings
        self.shards = [
            Shard(p, partitions, settings, factories, backlog_windows) for p in range(partitions)
        ]
        self.stage = VenueStage(settings, factories, partitions)

    def step(self, batch: Batch) -> EngineOutput:
        """Take in records of one topic partition."""
        if batch.kind not in SHARD_KINDS:
            output = self.stage.step(batch)
            return EngineOutput(output.alerts, output.bands)
        shard = self.shards[batch.partition]
        return self._advance_stage(shard.step(batch), [shard])

    def control(self, records: Sequence[Control]) -> EngineOutput:
        """Take in control records. One that names an offset must come before that offset does."""
        self.stage.control(records)
        closed = [span for shard in self.shards for span in shard.control(records)]
        return self._advance_stage(closed, self.shards)

    def finish(self) -> EngineOutput:
        """All topics were read to their end: every control record takes effect."""
        self.stage.finish()
        closed = [span for shard in self.shards for span in shard.finish()]
        return self._advance_stage(closed, self.shards)

    def _advance_stage(self, closed: list[ClosedSpan], shards: list[Shard]) -> EngineOutput:
        for shard in shards:
            if shard.has_unreported:
                self.stage.accept_report(shard.drain_report())
        output = self.stage.advance()
        return EngineOutput(output.alerts, output.bands, closed)

    @property
    def venue(self) -> VenueState:
        """The accounts, marks, books and rules."""
        return self.stage.venue_state

    @property
    def clocks(self) -> dict[tuple[str, int], PartitionClock]:
        """Event time in each topic partition, by topic and number."""
        clocks = dict(self.stage.clocks)
        for shard in self.shards:
            clocks |= shard.clocks
        return clocks

    def watch_state(self) -> dict[str, StreamState]:
        """What is watched and what learns, by the stream's label."""
        return watch_state(
            self._settings, [*(s.progress for s in self.shards), self.stage.progress]
        )

    @property
    def passed_ns(self) -> int:
        """All windows that end by this event time are decided; `NEVER` before the first."""
        return self.stage.passed_ns

    @property
    def windows(self) -> int:
        """Closed windows, one for each symbol that they hold."""
        return self.stage.windows

    @property
    def alert_count(self) -> int:
        """Alerts put out so far."""
        return self.stage.alert_count

    def tally(self) -> RecordCounts:
        """What came in, over all shards."""
        self.flush_reports()
        return self.stage.tally()

    def digest(self) -> str:
        """Of all output so far and of what came in: equal for equal sets of records."""
        self.flush_reports()
        return self.stage.digest()

    def flush_reports(self) -> None:
        """Have the stage count all that came in, up to the last record."""
        for shard in self.shards:
            self.stage.accept_report(shard.drain_report())

    def snapshot(self) -> bytes:
        """All state, the positions in all topics included."""
        shards = [shard.snapshot() for shard in self.shards]
        state = {"shards": shards, "stage": self.stage.snapshot()}
        return snapshot.pack(state, self._settings.fingerprint())

    def restore(self, raw: bytes) -> None:
        """Go on from a snapshot. Raises `SnapshotError` where that cannot be."""
        state = snapshot.unpack(raw, self._settings.fingerprint())
        if len(state["shards"]) != len(self.shards):
            raise snapshot.SnapshotError(
                f"the snapshot has {len(state['shards'])} partitions, the topics have "
                f"{len(self.shards)}: remove it to begin anew"
            )
        for shard, shard_state in zip(self.shards, state["shards"], strict=True):
            shard.restore(shard_state)
        self.stage.restore(state["stage"])
