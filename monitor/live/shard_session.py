"""The session of a shard: the venue's records of one partition in, reports out."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from aiokafka import TopicPartition

from monitor.core.event_time.clock_state import NEVER
from monitor.core.shard import SHARD_KINDS, Shard
from monitor.core.shard_report import ShardReport
from monitor.kafka import shard_report_topic
from monitor.kafka.reader import PollResult
from monitor.kafka.transactions import CommitMetadata
from monitor.live.owner_session import OwnerSession, Setup


class ShardSession(OwnerSession):
    """One partition's shard.

    deliver: called with each report once it is committed, so that a venue stage in the same process
    need not wait for it to come through Kafka.
    """

    def __init__(
        self, setup: Setup, partition: int, deliver: Callable[[ShardReport], None]
    ) -> None:
        self.shard = Shard(partition, setup.partitions, setup.settings, setup.factories)
        inputs = [TopicPartition(setup.settings.topics[kind], partition) for kind in SHARD_KINDS]
        at = setup.config.kafka.snapshots_topic, partition
        thread = setup.shards_thread
        super().__init__(setup, str(partition), at, self.shard, thread, inputs, (partition,))
        self._deliver = deliver
        self._report: ShardReport
        self._reported_ns = NEVER
        """Up to where windows are in reports."""

    def process(self, polled: PollResult) -> None:
        features = self.setup.metrics.features
        if polled.controls:
            features.take(self.shard.control(polled.controls))
        for part in polled.parts:
            batch = part.decode()
            self.setup.metrics.count_left_out(batch.left_out)
            self.setup.metrics.count_tombstones(part.topic, part.tombstones)
            features.take(self.shard.step(batch))
            self.refuse(part, batch.refused, self.shard.jumped)
        self.setup.progress_board.write(self.partition, self.shard.closed_ns, self.shard.latest_ns)

    async def end(self) -> None:
        symbols = self.shard.symbols
        self.setup.metrics.features.forget(symbols.names(np.arange(len(symbols))))
        await super().end()

    def time_elsewhere_ns(self) -> int:
        return self.setup.progress_board.time_elsewhere_ns(self.partition)

    def slowest_elsewhere_ns(self) -> int | None:
        return self.setup.progress_board.slowest_ns(self.partition)

    def is_urgent(self) -> bool:
        return self.shard.closed_ns > self._reported_ns

    def waiting_windows(self) -> int:
        passed_ns, closed_ns = self.shard.admission.watermark, self.shard.closed_ns
        if closed_ns == NEVER:
            return 0
        return max(0, passed_ns - closed_ns) // self.setup.config.time.window_ns

    def replace_metadata(self) -> CommitMetadata:
        """A shard counts nothing that it publishes: reports may come twice."""
        self.log.warning(
            "metadata lost",
            hint="the offsets of the group were set or deleted by somebody else, or have expired: "
            "the shard goes on from its newest snapshot, and may repeat some dead letters",
        )
        return CommitMetadata()

    def before_commit(self) -> None:
        self._reported_ns = self.shard.closed_ns
        self.outbox.read = {topic: offset for (topic, _), offset in self.positions.items()}
        self._report = report = self.shard.drain_report()
        settings = self.setup.settings
        book_ns = settings.accounts.bands_interval_ns
        self.outbox.reports = shard_report_topic.messages(report, settings.fingerprint(), book_ns)

    async def commit(self, snapshot: bool) -> None:
        await super().commit(snapshot)
        self._deliver(self._report)
