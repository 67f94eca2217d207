"""The topic of silences: what `brinkwatch silence` publishes, and what the sidecar reads of it.

A record's key is the name of a silence, its value the silence as JSON; the last one counts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from pydantic import ValidationError

from monitor.config import Config
from monitor.kafka import topics
from monitor.kafka.clients import Clients, stop_consumer
from monitor.kafka.partitions import offset_range, read_between
from monitor.silences.silence import AlertSilence, Silences

LEAD_S = 5.0
"""A silence begins and ends at the earliest so long after it is published, s. The sidecar knows it
by then, so that what it publishes is what a replay with all silences says."""
POLL_MS = 500
RETRY_S = 1.0

ByName = dict[str, AlertSilence]


def _apply(by_name: ByName, key: bytes | None, value: bytes | None) -> bool:
    """Take in a record of the topic; False, and nothing done, where it is no silence."""
    try:
        name = (key or b"").decode()
        if value is None:
            by_name.pop(name, None)
        else:
            silence = AlertSilence.model_validate_json(value)
            if silence.name != name:
                return False
            by_name[name] = silence
    except (ValidationError, ValueError):
        return False
    return True


async def read_silences(config: Config) -> ByName:
    """The silences of the topic, by name; none where there is no such topic."""
    clients, tp = Clients(config.kafka), TopicPartition(config.kafka.silences_topic, 0)
    async with clients.admin() as admin:
        if tp.topic not in await topics.partition_counts(admin):
            return {}
    consumer = await clients.consumer()
    try:
        return await _read_to_end(consumer, tp)
    finally:
        await consumer.stop()


async def _read_to_end(consumer: AIOKafkaConsumer, tp: TopicPartition) -> ByName:
    by_name: ByName = {}
    async for record in read_between(consumer, tp, *await offset_range(consumer, tp)):
        _apply(by_name, record.key, record.value)
    return by_name


async def publish_silences(config: Config, changed: Mapping[str, AlertSilence | None]) -> None:
    """Write silences by name, None to remove one; the topic is made where it is missing."""
    clients, topic = Clients(config.kafka), config.kafka.silences_topic
    wanted = topics.sidecar_topics(config, config.kafka.partitions)[topic]
    await topics.create(clients, {topic: wanted})
    producer = await clients.producer()
    try:
        for name, silence in changed.items():
            value = None if silence is None else silence.model_dump_json().encode()
            await producer.send(topic, value, key=name.encode(), partition=0)
        await producer.flush()
    finally:
        await producer.stop()


class SilenceFollower:
    """The silences in force in a running sidecar: those of the configuration, and the topic's as
    they come."""

    def __init__(self, config: Config, consumer: AIOKafkaConsumer, tp: TopicPartition) -> None:
        self._configured = Silences(config.silences)
        self._consumer, self._tp = consumer, tp
        self._by_name: ByName = {}
        self._task: asyncio.Task[None] | None = None
        self._log = structlog.get_logger().bind(topic=tp.topic)
        self.silences = self._configured
        """As of now; replaced as a whole, so that any thread may read it."""

    @classmethod
    async def start(cls, config: Config, clients: Clients) -> SilenceFollower:
        """Read the topic to its end, then follow it until `stop`."""
        tp = TopicPartition(config.kafka.silences_topic, 0)
        follower = cls(config, await clients.consumer(), tp)
        try:
            follower._by_name = await _read_to_end(follower._consumer, tp)
        except BaseException:
            await stop_consumer(follower._consumer)
            raise
        follower._join()
        follower._task = asyncio.create_task(follower._follow())
        return follower

    async def stop(self) -> None:
        """Close the connection."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait((self._task,))
        await stop_consumer(self._consumer)

    def _join(self) -> None:
        self.silences = self._configured.joined_with(self._by_name.values())

    async def _follow(self) -> None:
        while True:
            try:
                polled = await self._consumer.getmany(self._tp, timeout_ms=POLL_MS)
            except KafkaError as error:
                # The topic was made anew: from its start, as at the start of the sidecar.
                self._log.warning("silences not read", why=str(error))
                await asyncio.sleep(RETRY_S)
                await self._consumer.seek_to_beginning(self._tp)
                continue
            for record in polled.get(self._tp, ()):
                if not _apply(self._by_name, record.key, record.value):
                    self._log.warning("no silence", offset=record.offset)
            self._join()
