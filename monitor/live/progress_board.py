"""How far every shard of the group has come, those of other members too.

A shard whose topics are all silent cannot know what time it is; one that runs ahead would fill the
venue stage's memory. Both look here. The shards of this process write here directly; those of other
members are read from the headers of their reports.
"""

from __future__ import annotations

import asyncio
from typing import NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from monitor.config import Config
from monitor.core.event_time.clock_state import NEVER
from monitor.errors import ConfigError
from monitor.kafka import shard_report_topic
from monitor.kafka.clients import Clients, stop_consumer

RETRY_S = 1.0


class ShardTimes(NamedTuple):
    """Of one shard: the event time by which all windows are closed, and the highest one read."""

    closed_ns: int = NEVER
    latest_ns: int = NEVER


class ProgressBoard:
    """The times of every shard, by partition."""

    def __init__(self) -> None:
        self._times: dict[int, ShardTimes] = {}

    def write(self, partition: int, closed_ns: int, latest_ns: int) -> None:
        """Move a shard forward, never back: what comes by the topic may be old."""
        times = self._times.get(partition, ShardTimes())
        self._times[partition] = ShardTimes(
            max(times.closed_ns, closed_ns), max(times.latest_ns, latest_ns)
        )

    def _others(self, partition: int) -> list[ShardTimes]:
        return [times for p, times in self._times.items() if p != partition]

    def slowest_ns(self, partition: int) -> int | None:
        """Up to where the slowest other shard is closed; None without another."""
        return min((times.closed_ns for times in self._others(partition)), default=None)

    def time_elsewhere_ns(self, partition: int) -> int:
        """The event time that the furthest other shard has both read and closed.

        Not what is closed alone: the end of a day may be known beforehand, and would be taken for
        the present.
        """
        return max((min(times) for times in self._others(partition)), default=NEVER)

    async def follow(self, config: Config, clients: Clients, partitions: int) -> None:
        """Read the reports of other members until cancelled.

        Where Kafka fails it begins anew at the end of the topic: the next report of each shard
        makes up for what was missed.
        """
        while True:
            try:
                await self._follow(config, clients, partitions)
            except (KafkaError, OSError, ConfigError):
                await asyncio.sleep(RETRY_S)

    async def _follow(self, config: Config, clients: Clients, partitions: int) -> None:
        consumer: AIOKafkaConsumer = await clients.consumer(client_id="brinkwatch-board")
        try:
            topic, settings = config.kafka.windows_topic, config.engine().fingerprint()
            consumer.assign([TopicPartition(topic, p) for p in range(partitions)])
            await consumer.seek_to_end()
            while True:
                for records in (await consumer.getmany(timeout_ms=1_000)).values():
                    for record in records:
                        header = shard_report_topic.read_header(record, settings, partitions)
                        if header is not None:
                            self.write(header.partition, header.closed_ns, header.latest_ns)
                await asyncio.sleep(0)
        finally:
            await stop_consumer(consumer)
