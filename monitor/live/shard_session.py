"""The life of one partition's shard: the venue's records in, words out."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from aiokafka import TopicPartition

from monitor.core.event_time.watermark import NEVER
from monitor.core.shard import SHARD_KINDS, Shard
from monitor.core.shard_report import ShardReport
from monitor.kafka import shard_report_topic
from monitor.kafka.flow_control import PartitionKey, PartitionProgress
from monitor.kafka.reader import PollResult
from monitor.kafka.transactions import Outbox
from monitor.live.owner_session import OwnerSession, Setup


class ShardSession(OwnerSession):
    """`hand_over` is given each word once it is committed: a venue stage in the same process need
    not wait for it to come round by Kafka.
    """

    def __init__(
        self, setup: Setup, partition: int, hand_over: Callable[[ShardReport], None]
    ) -> None:
        self.shard = Shard(partition, setup.partitions, setup.settings, setup.factories)
        carrier = setup.config.kafka.snapshots_topic, partition
        super().__init__(setup, str(partition), partition, carrier, self.shard, setup.shards_thread)
        self.partition = partition
        self._hand_over = hand_over
        self._reports: list[ShardReport] = []
        self._reported_ns = NEVER
        """Up to where words have been made."""

    def inputs(self) -> list[TopicPartition]:
        topics = self.setup.settings.topics
        return [TopicPartition(topics[kind], self.partition) for kind in SHARD_KINDS]

    def controls(self) -> Sequence[int]:
        return (self.partition,)

    def process(self, polled: PollResult) -> None:
        if polled.controls:
            self.shard.control(polled.controls)
        for part in polled.parts:
            batch = part.decode()
            self.shard.step(batch)
            refused = [*batch.refused, *part.time_jump_refusals(self.shard.admission.jump_offsets)]
            if refused:
                self.refuse(part, refused)
        self.setup.progress_board.write(self.partition, self.shard.closed_ns, self.shard.latest_ns)

    def partition_progress(self) -> dict[PartitionKey, PartitionProgress]:
        return dict(self.shard.clocks)

    def time_elsewhere_ns(self) -> int:
        return self.setup.progress_board.time_elsewhere_ns(self.partition)

    def partitions_to_pause(self) -> set[tuple[str, int]]:
        slowest_ns = self.setup.progress_board.slowest_ns(self.partition)
        return self.flow_control.partitions_ahead(self.shard.clocks, self.lag, slowest_ns)

    def is_urgent(self) -> bool:
        return self.shard.closed_ns > self._reported_ns

    def before_commit(self) -> None:
        self._reported_ns = self.shard.closed_ns
        word = self.shard.drain_report()
        self._reports = [word]
        settings = self.setup.settings
        book_ns = settings.accounts.bands_interval_ns
        self.outbox.reports = shard_report_topic.messages(word, settings.fingerprint(), book_ns)

    def after_commit(self, work: Outbox) -> None:
        for word in self._reports:
            self._hand_over(word)
