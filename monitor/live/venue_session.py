"""The session of the venue stage: shard reports and records of accounts in, alerts out."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

from aiokafka import TopicPartition

from monitor.core.bands.records import band_records
from monitor.core.contract.alert import Alert
from monitor.core.decode.codec import UNKNOWN
from monitor.core.event_time.clock_state import NEVER
from monitor.core.shard_report import ShardReport
from monitor.core.snapshot import SnapshotError
from monitor.core.venue.answers.stated_rules import count_unstated
from monitor.core.venue.stage import STAGE_KINDS, StageOutput, VenueStage
from monitor.delivery.session import log_alerts
from monitor.errors import ConfigError
from monitor.http.recent_markets import RecentMarkets
from monitor.kafka import shard_report_topic
from monitor.kafka.chunking import DamagedError, Reassembler
from monitor.kafka.logs.identity import LogChangedError
from monitor.kafka.partitions import PartitionKey, PartitionProgress
from monitor.kafka.reader import PollResult
from monitor.kafka.transactions import CommitMetadata
from monitor.live.cascade_graph import CascadeGraph
from monitor.live.owner_session import FOREIGN_HINT, REPORTS_PER_STEP, OwnerSession, Setup
from monitor.silences.silence import Silences
from monitor.silences.topic import SilenceFollower

OWNER = "venue"
BAND_THREADS = 2
"""The bands of longs and of shorts are computed side by side."""
UNSTATED_S = 10.0
"""How often it is counted which rules nobody has said."""
POLL_MS = 10
"""Short: no topic partition can be called silent while a fetch is under way."""


class ReportsMissingError(LogChangedError):
    """A shard's reports do not follow each other: what lies between them is lost."""


class VenueSession(OwnerSession):
    """`unknown`: whether there is a topic of records that name no kind."""

    def __init__(self, setup: Setup, unknown: bool) -> None:
        self.venue = VenueStage(setup.settings, setup.factories, setup.partitions)
        names = [setup.settings.topics[kind] for kind in STAGE_KINDS]
        names.append(setup.config.kafka.windows_topic)
        parts = range(setup.partitions)
        inputs = [TopicPartition(name, p) for name in names for p in parts]
        if unknown:
            inputs.append(TopicPartition(UNKNOWN, 0))
        at = setup.config.kafka.alerts_topic, 0
        # A thread of its own: a refresh of all bands takes longer than a shard may wait.
        super().__init__(setup, OWNER, at, self.venue, ThreadPoolExecutor(1), inputs, parts)
        self._reassembler = Reassembler()
        self._fingerprint = setup.settings.fingerprint()
        self._inbox: deque[ShardReport] = deque()
        self._report_arrived = asyncio.Event()
        self._polling: asyncio.Task[PollResult] | None = None
        # The loops of the bands do not hold the interpreter's lock.
        self._threads = ThreadPoolExecutor(BAND_THREADS)
        self.venue.band_maker.parallel_map = self._threads.map
        self.markets = RecentMarkets()
        self.graph = CascadeGraph()
        setup.metrics.graph_collector.graph = self.graph
        self._silences: SilenceFollower | None = None
        self._has_shown_firing = False
        self._decided_ns = NEVER
        """Event time that the stage had passed after the last step."""
        self._next_count_s = 0.0
        self.foreign_reports = 0
        """Records of the windows topic that are no reports under these settings, ignored."""

    async def begin(self) -> None:
        self._silences = await SilenceFollower.start(self.setup.config, self.setup.clients)
        await super().begin()

    def receive_report(self, report: ShardReport) -> None:
        """Take a report that a shard of this process has committed."""
        self._inbox.append(report)
        self._report_arrived.set()

    async def poll(self) -> PollResult:
        """Records from Kafka, or none when a report of this process comes first."""
        if self._polling is None:
            self._polling = asyncio.create_task(self.reader.poll(POLL_MS))
        coming = asyncio.create_task(self._report_arrived.wait())
        await asyncio.wait((self._polling, coming), return_when=asyncio.FIRST_COMPLETED)
        coming.cancel()
        self._report_arrived.clear()
        if not self._polling.done():
            return PollResult([], [])
        polled, self._polling = self._polling.result(), None
        return polled

    async def copy_venue(self) -> dict[str, Any]:
        """The venue's state as a snapshot has it. Call it with `stage_lock`."""
        return await self._run_in_thread(self.venue.venue_state.snapshot)

    def has_local_input(self) -> bool:
        return bool(self._inbox)

    def is_fetch_drained(self) -> bool:
        """A poll under way need not end for that: as a rule it sleeps, or waits for records."""
        if self._polling is None or not self._polling.done():
            return not self.reader.is_handing_out
        polled = self._polling.result()
        return not (polled.parts or polled.controls or polled.report_records)

    async def end(self) -> None:
        if self._polling is not None:
            self._polling.cancel()
            await asyncio.wait((self._polling,))
        if self._silences is not None:
            await self._silences.stop()
        self._threads.shutdown(wait=False)
        self.graph.stop()
        self.setup.metrics.firing.restart(())
        self._thread.shutdown(wait=False)
        await super().end()

    def process(self, polled: PollResult) -> None:
        alerts_before, cells_before = self.venue.alert_count, self.venue.cells
        output = StageOutput()
        if not self._has_shown_firing:
            self._has_shown_firing = True
            self.setup.metrics.firing.restart(map(self._mark, self.venue.firing_alerts()))
        if polled.controls:
            self.venue.control(polled.controls)
        for part in polled.parts:
            batch = part.decode()
            self.setup.metrics.count_left_out(batch.left_out)
            self.setup.metrics.count_tombstones(part.topic, part.tombstones)
            self._add_output(output, self.venue.step(batch))
            self.refuse(part, batch.refused, self.venue.jumped)
        for _ in range(min(len(self._inbox), REPORTS_PER_STEP)):
            # One that does not follow the last comes again through Kafka, after what is missing.
            report = self._inbox.popleft()
            if self.venue.accept_report(report):
                self._note_arrival(report)
        for record in polled.report_records:
            self._receive_record(record)
        self._add_output(output, self.venue.advance())
        self._decided_ns = self.venue.passed_ns
        output.alerts = [*map(self._mark, output.alerts)]
        self.setup.metrics.firing.follow(output.alerts)
        if output.bands:
            self.setup.metrics.band_collector.last = output.bands[-1]
            self._count_unstated()
            self.graph.refresh(self.venue, output.bands[-1].ts)
        self.markets.take(self.venue.venue_state, output.bands[-1] if output.bands else None)
        # After a restart the stage makes again what is published already: that is not sent.
        before = self.transactions.metadata
        published = before.alerts + len(self.outbox.alerts)
        self.outbox.alerts += output.alerts[max(0, published - alerts_before) :]
        published = before.cells + len(self.outbox.bands)
        new_cells = output.bands[max(0, published - cells_before) :]
        self.outbox.bands += [band_records(cell) for cell in new_cells]

    async def commit(self, snapshot: bool) -> None:
        alerts = self.outbox.alerts
        await super().commit(snapshot)
        log_alerts(alerts)

    def _mark(self, alert: Alert) -> Alert:
        """The alert with the silence that covers it."""
        silences = Silences() if self._silences is None else self._silences.silences
        return silences.mark(alert)

    def _count_unstated(self) -> None:
        """Now and then: rules change seldom, and all markets are looked at."""
        now_s = time.monotonic()
        if now_s >= self._next_count_s:
            self._next_count_s = now_s + UNSTATED_S
            self.setup.metrics.count_unstated(count_unstated(self.venue.venue_state))

    def _add_output(self, output: StageOutput, more: StageOutput) -> None:
        output.alerts += more.alerts
        output.bands += more.bands

    def _receive_record(self, record: Any) -> None:
        progress = self.venue.shard_progress
        header = shard_report_topic.read_header(record, self._fingerprint, len(progress))
        if header is None:
            self._skip_foreign(record, "it has no header of a report under these settings")
            return
        if progress[header.partition].covers(header.until, header.high):
            return
        try:
            raw = self._reassembler.add_chunk(record)
            if raw is None:
                return
            report = ShardReport.unpack(raw, self._fingerprint)
        except (DamagedError, SnapshotError) as error:
            self._skip_foreign(record, str(error))
            return
        if report.partition != header.partition:
            self._skip_foreign(record, "its header names another shard")
            return
        if not self.venue.accept_report(report):
            raise ReportsMissingError(
                f"reports of partition {report.partition} are missing before offset "
                f"{record.offset} of {record.topic}: they were deleted before they were read, or "
                "somebody else has written over them; delete the topic "
                f"{self.setup.config.kafka.snapshots_topic} to begin anew"
            )
        self._note_arrival(report)

    def _skip_foreign(self, record: Any, why: str) -> None:
        self.foreign_reports += 1
        self.log.warning(
            "no shard report",
            topic=record.topic, partition=record.partition, offset=record.offset, why=why,
            hint=FOREIGN_HINT,
        )  # fmt: skip

    async def _process(self, polled: PollResult) -> None:
        try:
            await super()._process(polled)
        except ReportsMissingError:
            await self.reader.check_logs()  # a topic made anew is read from its start
            raise

    def waiting_windows(self) -> int:
        if self._decided_ns == NEVER:
            return 0
        waiting_ns = max(0, self.venue.passed_ns - self._decided_ns)
        return waiting_ns // self.setup.config.time.window_ns

    def replace_metadata(self) -> CommitMetadata:
        kafka = self.setup.config.kafka
        raise ConfigError(
            f"the offsets of the group {kafka.group} have lost what brinkwatch keeps with them: "
            "somebody has set or deleted them, or they have expired. Which alerts are published is "
            f"not certain any more; delete the topic {kafka.snapshots_topic} to begin anew (the "
            "alerts of all records that are still there are published again, with the same ids)"
        )

    def _note_arrival(self, report: ShardReport) -> None:
        at = self.setup.config.kafka.windows_topic, report.partition
        self.flow_control.note_arrival(at, time.monotonic())

    def partition_progress(self) -> dict[PartitionKey, PartitionProgress]:
        topic = self.setup.config.kafka.windows_topic
        shards = {
            (topic, p): ShardClock(progress.latest_ns, progress.closed_ns)
            for p, progress in enumerate(self.venue.shard_progress)
        }
        return {**self.venue.clocks, **shards}

    def slowest_elsewhere_ns(self) -> int | None:
        """Of the shards: a report of the slowest may still be on its way to the topic."""
        slowest_ns = min(progress.closed_ns for progress in self.venue.shard_progress)
        return slowest_ns if slowest_ns != NEVER else None

    def is_urgent(self) -> bool:
        return bool(self.outbox.alerts)


class ShardClock(NamedTuple):
    """A shard as the venue stage waits for it: a topic partition of reports."""

    high: int
    watermark: int
    position: int = 0
