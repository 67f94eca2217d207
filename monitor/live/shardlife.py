"""The life of one partition's shard: the venue's records in, words out."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from aiokafka import TopicPartition

from monitor.core.shard import SHARD_KINDS, Shard
from monitor.core.watermark import NEVER
from monitor.core.word import Word
from monitor.kafka import words
from monitor.kafka.pace import At, Stand
from monitor.kafka.reader import Polled
from monitor.kafka.transactions import Work
from monitor.live.life import Life, Setup


class ShardLife(Life):
    """`hand_over` is given each word once it is committed: a venue stage in the same process need
    not wait for it to come round by Kafka.
    """

    def __init__(self, setup: Setup, partition: int, hand_over: Callable[[Word], None]) -> None:
        self.shard = Shard(partition, setup.partitions, setup.settings, setup.factories)
        carrier = setup.config.kafka.snapshots_topic, partition
        super().__init__(setup, str(partition), partition, carrier, self.shard, setup.shards_thread)
        self.partition = partition
        self._hand_over = hand_over
        self._words: list[Word] = []
        self._closed_ns = NEVER
        """Up to where words have been made."""

    def inputs(self) -> list[TopicPartition]:
        topics = self.setup.settings.topics
        return [TopicPartition(topics[kind], self.partition) for kind in SHARD_KINDS]

    def controls(self) -> Sequence[int]:
        return (self.partition,)

    def take(self, polled: Polled) -> None:
        if polled.controls:
            self.shard.control(polled.controls)
        for part in polled.parts:
            batch = part.decode()
            self.shard.step(batch)
            refused = [*batch.refused, *part.jumped(self.shard.time.jumped)]
            if refused:
                self.refuse(part, refused)
        self.setup.board.write(self.partition, self.shard.closed_ns, self.shard.latest_ns)

    def stands(self) -> dict[At, Stand]:
        return dict(self.shard.parts)

    def others_ns(self) -> int:
        return self.setup.board.passed_ns(self.partition)

    def held_back(self) -> set[tuple[str, int]]:
        slowest_ns = self.setup.board.slowest_ns(self.partition)
        return self.pace.ahead(self.shard.parts, self.lag, slowest_ns)

    def urgent(self) -> bool:
        return self.shard.closed_ns > self._closed_ns

    def before_commit(self) -> None:
        self._closed_ns = self.shard.closed_ns
        word = self.shard.word()
        self._words = [word]
        settings = self.setup.settings
        book_ns = settings.accounts.cell_ns
        self.work.words = words.messages(word, settings.fingerprint(), book_ns)

    def told(self, work: Work) -> None:
        for word in self._words:
            self._hand_over(word)
