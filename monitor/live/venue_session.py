"""The life of the venue stage: words and the records of accounts in, alerts out."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from aiokafka import TopicPartition

from monitor.core.bands.records import band_records
from monitor.core.decode.codec import UNKNOWN
from monitor.core.event_time.watermark import NEVER
from monitor.core.shard_report import ShardReport
from monitor.core.snapshot import SnapshotError
from monitor.core.venue.stage import STAGE_KINDS, ShardProgress, StageOutput, VenueStage
from monitor.errors import BrinkwatchError
from monitor.kafka import shard_report_topic
from monitor.kafka.flow_control import PartitionKey, PartitionProgress
from monitor.kafka.reader import PollResult
from monitor.kafka.transactions import Outbox
from monitor.live.owner_session import OwnerSession, Setup

OWNER = "venue"
BAND_THREADS = 2
"""More than the loops of one side each could not all be used."""
POLL_MS = 10
"""Silence cannot be told while a fetch is under way."""


class VenueSession(OwnerSession):
    """`unknown`: whether there is a topic of records that name no kind."""

    def __init__(self, setup: Setup, unknown: bool) -> None:
        self.venue = VenueStage(setup.settings, setup.factories, setup.partitions)
        carrier = setup.config.kafka.alerts_topic, 0
        # Not the shards': a refresh of all bands takes longer than a shard may wait.
        super().__init__(setup, OWNER, 0, carrier, self.venue, ThreadPoolExecutor(1))
        self._unknown = unknown
        self._report_assembler = shard_report_topic.ReportAssembler(setup.settings.fingerprint())
        self._inbox: deque[ShardReport] = deque()
        self._report_arrived = asyncio.Event()
        self._polling: asyncio.Task[PollResult] | None = None
        # Both cores for the bands: their loops hold no lock.
        self._threads = ThreadPoolExecutor(BAND_THREADS)
        self.venue.band_maker.parallel_map = self._threads.map
        self.foreign_reports = 0
        """Words of another version or other settings, left unread."""

    @property
    def alerts_published(self) -> int:
        """Alerts that are in the topic."""
        return self.transactions.metadata.alerts

    def inputs(self) -> list[TopicPartition]:
        names = [self.setup.settings.topics[kind] for kind in STAGE_KINDS]
        names.append(self.setup.config.kafka.windows_topic)
        every = [TopicPartition(n, p) for n in names for p in range(self.setup.partitions)]
        return [*every, TopicPartition(UNKNOWN, 0)] if self._unknown else every

    def controls(self) -> Sequence[int]:
        return range(self.setup.partitions)

    def receive_report(self, word: ShardReport) -> None:
        """A word that a shard of this process has committed."""
        self._inbox.append(word)
        self._report_arrived.set()

    async def poll(self) -> PollResult:
        """What Kafka brings, or nothing when a word of this process comes first."""
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

    def has_local_input(self) -> bool:
        return bool(self._inbox)

    async def is_fetch_drained(self) -> bool:
        if self._polling is None:
            return True
        polled = await self._polling
        if polled.parts or polled.controls or polled.report_records:
            return False
        self._polling = None
        return True

    async def end(self) -> None:
        if self._polling is not None:
            self._polling.cancel()
            await asyncio.wait((self._polling,))
        self._threads.shutdown(wait=False)
        self._thread.shutdown(wait=False)
        await super().end()

    def process(self, polled: PollResult) -> None:
        before = self.venue.alert_count, self.venue.cells
        made = StageOutput()
        if polled.controls:
            self.venue.control(polled.controls)
        for part in polled.parts:
            batch = part.decode()
            self._add_output(made, self.venue.step(batch))
            refused = [*batch.refused, *part.time_jump_refusals(self.venue.jumped_offsets)]
            if refused:
                self.refuse(part, refused)
        while self._inbox:
            # With a gap before it, it comes round by Kafka, after what is missing.
            word = self._inbox.popleft()
            if self.venue.accept_report(word):
                self._note_arrival(word)
        for record in polled.report_records:
            self._receive_record(record)
        self._add_output(made, self.venue.advance())
        if made.bands:
            self.setup.metrics.band_collector.last = made.bands[-1]
        # What was published before the crash is made again, alike, and not sent again.
        ahead = self.alerts_published + len(self.outbox.alerts)
        self.outbox.alerts += made.alerts[max(0, ahead - before[0]) :]
        ahead = self.transactions.metadata.cells + len(self.outbox.bands)
        self.outbox.bands += [
            band_records(cell) for cell in made.bands[max(0, ahead - before[1]) :]
        ]

    def _add_output(self, made: StageOutput, more: StageOutput) -> None:
        made.alerts += more.alerts
        made.bands += more.bands

    def _receive_record(self, record: Any) -> None:
        head = shard_report_topic.read_header(record)
        if head is not None and self.venue.shard_progress[head.partition].covers(
            head.until, head.high
        ):
            return
        try:
            word = self._report_assembler.add_record(record)
        except SnapshotError:
            self.foreign_reports += 1
            return
        if word is not None and not self.venue.accept_report(word):
            raise BrinkwatchError(
                f"words of partition {word.partition} are missing before offset {record.offset} of "
                f"{record.topic}: they were deleted before they were read; delete the topic "
                f"{self.setup.config.kafka.snapshots_topic} to begin anew"
            )
        if word is not None:
            self._note_arrival(word)

    def _note_arrival(self, word: ShardReport) -> None:
        at = self.setup.config.kafka.windows_topic, word.partition
        self.flow_control.note_arrival(at, time.monotonic())

    def partition_progress(self) -> dict[PartitionKey, PartitionProgress]:
        topic = self.setup.config.kafka.windows_topic
        told = {(topic, p): _ShardClock(heard) for p, heard in enumerate(self.venue.shard_progress)}
        return {**self.venue.clocks, **told}

    def time_elsewhere_ns(self) -> int:
        return NEVER

    def partitions_to_pause(self) -> set[tuple[str, int]]:
        told = [heard.closed_ns for heard in self.venue.shard_progress]
        slowest = min(told)
        ahead = self.flow_control.partitions_ahead(
            self.venue.clocks, self.lag, slowest if slowest != NEVER else None
        )
        if slowest != NEVER:
            far_ns = slowest + round(self.setup.config.kafka.ahead_s * 1e9)
            topic = self.setup.config.kafka.windows_topic
            ahead |= {(topic, p) for p, ns in enumerate(told) if ns > far_ns}
        return ahead

    def is_urgent(self) -> bool:
        return bool(self.outbox.alerts)

    def before_commit(self) -> None:
        """All of it is in `work` already."""

    def after_commit(self, work: Outbox) -> None:
        """Nobody in this process waits for alerts."""


class _ShardClock:
    """A shard, as one that the venue stage waits for."""

    position = 0

    def __init__(self, heard: ShardProgress) -> None:
        self.high = heard.latest_ns
        self.watermark = heard.closed_ns
