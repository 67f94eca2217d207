"""How far every shard of the group has come, those of other members too.

A shard that is silent as a whole cannot tell what time it is; one that runs ahead would fill the
venue stage's memory. Both look here. Own shards write it themselves; what others have told is read
from the heads of their words.
"""

from __future__ import annotations

import asyncio

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from monitor.config import Config
from monitor.core.event_time.watermark import NEVER
from monitor.errors import ConfigError
from monitor.kafka import shard_report_topic
from monitor.kafka.clients import Clients, stop_consumer

RETRY_S = 1.0


class ProgressBoard:
    """Of every partition that is known of: what is closed, and the highest event time read, ns."""

    def __init__(self) -> None:
        self._progress: dict[int, tuple[int, int]] = {}

    def write(self, partition: int, closed_ns: int, latest_ns: int) -> None:
        """Only forward: what comes round by the topic is older than what was written here."""
        known = self._progress.get(partition, (NEVER, NEVER))
        self._progress[partition] = max(known[0], closed_ns), max(known[1], latest_ns)

    def slowest_ns(self, partition: int) -> int | None:
        """Up to where the slowest other is closed; None where no other is known."""
        return min((told[0] for p, told in self._progress.items() if p != partition), default=None)

    def time_elsewhere_ns(self, partition: int) -> int:
        """What time it is by the others: none of them is closed further than some were read, or
        the end of a day, which is known beforehand, would be taken for now.
        """
        others = [told for p, told in self._progress.items() if p != partition]
        return max((min(closed, latest) for closed, latest in others), default=NEVER)

    async def follow(self, config: Config, clients: Clients, partitions: int) -> None:
        """Read what others tell, until cancelled; anew where Kafka fails: what is missed then is
        told again by the next word.
        """
        while True:
            try:
                await self._follow(config, clients, partitions)
            except (KafkaError, OSError, ConfigError):
                await asyncio.sleep(RETRY_S)

    async def _follow(self, config: Config, clients: Clients, partitions: int) -> None:
        consumer: AIOKafkaConsumer = await clients.consumer(client_id="brinkwatch-board")
        try:
            topic = config.kafka.windows_topic
            consumer.assign([TopicPartition(topic, p) for p in range(partitions)])
            await consumer.seek_to_end()
            while True:
                for records in (await consumer.getmany(timeout_ms=1_000)).values():
                    for record in records:
                        head = shard_report_topic.read_header(record)
                        if head is not None:
                            self.write(head.partition, head.closed_ns, head.latest_ns)
                await asyncio.sleep(0)
        finally:
            await stop_consumer(consumer)
