"""What others write to our own topics is skipped and counted, and the sidecar goes on."""

from __future__ import annotations

import asyncio
import functools
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.structs import OffsetAndMetadata
from hypothesis import HealthCheck, given, settings

from monitor.commands.bus.dead_letters import resend_dead_letters
from monitor.config import Config
from monitor.console import Console
from monitor.errors import ConfigError
from monitor.sidecar import Sidecar
from tests.kafka.test_own_topics import RECORDS, Record
from tests.live.helpers import (
    configuration,
    read_records,
    replay_to_file,
    run_sidecar,
    send,
    wait_for_digest,
    wait_until,
    write_day,
)
from tests.theorems.days import FACTORIES


def strangers() -> list[Record]:
    """Records without sense, some with the headers and keys of ours."""
    drawn: list[Record] = [Record(), Record(b"word/0/0"), Record(None, b"\xff" * 30)]

    @given(RECORDS)
    @settings(max_examples=60, derandomize=True, database=None, deadline=None,
              suppress_health_check=list(HealthCheck))  # fmt: skip
    def collect(record: Record) -> None:
        drawn.append(record)

    collect()
    return drawn


async def write(address: str, topics: list[str], key: str) -> None:
    """Strangers into these topics; some under the key of a snapshot."""
    producer = AIOKafkaProducer(bootstrap_servers=address)
    await producer.start()
    try:
        for topic in topics:
            for record in strangers():
                headers = [(name, value) for name, value in record.headers if value is not None]
                value = record.value if record.value is not None else b""
                # A compacted topic takes no record without a key.
                await producer.send(
                    topic, value, key=record.key or b"k", partition=0, headers=headers
                )
                await producer.send(topic, value, key=f"{key}/9".encode(), partition=0)
    finally:
        await producer.stop()


async def reset_offsets(config: Config, metadata_of: str) -> None:
    """As an operator's tool does: the offset, and no metadata."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=config.kafka.bootstrap_servers,
        group_id=config.kafka.group,
        enable_auto_commit=False,
    )
    await consumer.start()
    try:
        tp = TopicPartition(metadata_of, 0)
        consumer.assign([tp])
        await consumer.commit({tp: OffsetAndMetadata(0, "")})
    finally:
        await consumer.stop()


def alerts(config: Config, kafka: str) -> list[bytes]:
    records = asyncio.run(read_records(kafka, config.kafka.alerts_topic))
    return [r.value for r in records if r.key and len(r.key) == 16]


def test_strangers_in_every_own_topic_change_nothing(kafka: str, tmp_path: Path) -> None:
    config = configuration(kafka)
    names = config.kafka
    day = write_day(tmp_path, config)
    digest, expected = replay_to_file(day, config, tmp_path / "alerts")
    send(day, config)
    own = [names.windows_topic, names.snapshots_topic, names.control_topic, names.dlq_topic]

    async def both() -> None:
        async with run_sidecar(config) as sidecar:
            await wait_until(functools.partial(_reads, sidecar))
            await write(kafka, own, f"{names.group}/0")
            await wait_for_digest(sidecar, digest)
            await wait_until(functools.partial(_has_foreign_reports, sidecar))
        await write(kafka, own, f"{names.group}/venue")
        await reset_offsets(config, names.snapshots_topic)
        async with run_sidecar(config) as sidecar:
            await wait_for_digest(sidecar, digest)

    asyncio.run(both())
    assert alerts(config, kafka) == expected
    sent = resend_dead_letters(config, Console(True))
    assert sent["sent"] > 0
    assert sent["foreign"] > 0


def test_lost_metadata_of_the_venue_stage_are_one_sentence(kafka: str, tmp_path: Path) -> None:
    config = configuration(kafka)
    day = write_day(tmp_path, config, partitions=1)
    digest, _ = replay_to_file(day, config, tmp_path / "alerts")
    send(day, config)

    async def both() -> None:
        async with run_sidecar(config) as sidecar:
            await wait_for_digest(sidecar, digest)
        await reset_offsets(config, config.kafka.alerts_topic)
        with pytest.raises(ConfigError, match=f"delete the topic {config.kafka.snapshots_topic}"):
            await asyncio.wait_for(Sidecar(config, FACTORIES).run(), 60)

    asyncio.run(both())


async def _has_foreign_reports(sidecar: Sidecar) -> bool:
    return (await sidecar.state())["foreign_reports"] > 0


async def _reads(sidecar: Sidecar) -> bool:
    return bool(sidecar.sessions())
