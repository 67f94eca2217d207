"""What the tests of the sidecar share: days made here, topics of their own, what a topic holds."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from monitor.config import Config, load
from monitor.console import Console
from monitor.core.events import TOPICS
from monitor.livejobs import published
from replay.day import Day, DayWriter
from replay.outgoing import CHUNK_ROWS, PACED_ROWS, chunks
from tests.theorems.days import SETTINGS, Feed


def configuration(address: str, **kafka: Any) -> Config:
    """Settings of the small days, with topics that no other test has."""
    own = uuid.uuid4().hex[:8]
    names = {
        name: f"{own}.{name.removesuffix('_topic')}"
        for name in ("control_topic", "alerts_topic", "dlq_topic", "snapshots_topic")
    }
    return load(
        None,
        **SETTINGS.model_dump(exclude={"topics"}),
        topics={kind: f"{own}.{topic}" for kind, topic in TOPICS.items()},
        kafka={"bootstrap_servers": address, "group": own, **names, **kafka},
        http={"port": 0},
    )


def write_day(path: Path, feed: Feed, config: Config) -> Day:
    """A feed of the theorems as a recorded day: offsets without gaps, the topics of `config`."""
    with DayWriter(path, venue="test") as day:
        for batch in feed.parts:
            topic = config.topics[batch.kind]
            ranks = sorted([*batch.offset.tolist(), *(r.offset for r in batch.refused)])
            rank = {offset: i for i, offset in enumerate(ranks)}
            day.declare(batch.kind, topic, batch.partition)
            for control in feed.controls:
                if (control.topic, control.partition) == (batch.topic, batch.partition):
                    at = sum(offset < control.offset for offset in ranks)
                    day.control(topic, batch.partition, at, control.ts)
            batch.topic = topic
            batch.offset[:] = [rank[o] for o in batch.offset.tolist()]
            for r in batch.refused:
                r.topic, r.offset = topic, rank[r.offset]
            day.write(batch)
    return Day(path)


def send(day: Day, config: Config, speed: float | None = None) -> dict[str, Any]:
    """`brinkwatch publish`."""
    rows = CHUNK_ROWS if speed is None else PACED_ROWS
    parts = [(part.topic, part.partition) for part in day.meta.partitions]
    return published(config, Console(True), parts, day.controls(), chunks(day, rows), 0, speed)


async def held(
    address: str, topic: str, partition: int = 0, isolation: str = "read_committed"
) -> list[Any]:
    """Every record of a topic partition."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=address, auto_offset_reset="earliest", isolation_level=isolation
    )
    await consumer.start()
    try:
        at = TopicPartition(topic, partition)
        consumer.assign([at])
        await consumer.seek_to_beginning(at)
        end = (await consumer.end_offsets([at]))[at]
        records: list[Any] = []
        while await consumer.position(at) < end:
            polled = await consumer.getmany(at, timeout_ms=200)
            records += polled.get(at, [])
        return records
    finally:
        await consumer.stop()
