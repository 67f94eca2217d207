"""A published day lies in Kafka as it was recorded."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

import pytest

from monitor.commands.bus.topics import create_topics
from monitor.console import Console
from monitor.core.contract.events import Control
from monitor.core.decode.codec import encode
from monitor.errors import ConfigError
from monitor.kafka import topics
from monitor.kafka.clients import Clients
from tests.live.helpers import (
    configuration,
    read_records,
    replay_to_file,
    run_sidecar,
    send,
    total,
    wait_for_digest,
    write_day,
)
from tests.live.killing import record_day


def test_every_record_of_a_day_is_published_at_its_offset_with_its_bytes(
    kafka: str, tmp_path: Path
) -> None:
    config = configuration(kafka)
    day = write_day(tmp_path, config)
    began = time.time() * 1000
    result = send(day, config)
    count = 0
    for batch in day.batches():
        wanted = dict(zip(batch.offset.tolist(), encode(batch), strict=True)) if len(batch) else {}
        wanted |= {r.offset: r.raw for r in batch.refused}
        records = asyncio.run(read_records(kafka, batch.topic, batch.partition))
        found = {r.offset: r for r in records}
        for offset, raw in wanted.items():
            assert found[offset].value == raw
            assert found[offset].timestamp >= began - 1000, "an event time would be deleted by age"
        count += len(wanted)
    assert result == {"records": count, "moved": 0, "partitions": 2}
    lengths = [
        len(asyncio.run(read_records(kafka, p.topic, p.partition)))
        for p in day.meta.partitions
        if p.next_offset
    ]
    assert sum(lengths) == count


def test_a_day_of_one_partition_goes_to_topics_of_several_by_symbol(
    kafka: str, tmp_path: Path
) -> None:
    config = configuration(kafka)
    day = write_day(tmp_path, config, partitions=1)
    create_topics(config, 3, Console(True))
    result = send(day, config)
    assert result == {"records": total(day), "moved": result["moved"], "partitions": 3}
    for kind in ("order", "mark"):
        topic = config.topics[kind]
        places: dict[str, set[int]] = {}
        by_symbol: dict[str, list[int]] = {}
        for partition in range(3):
            for message in asyncio.run(read_records(kafka, topic, partition)):
                if message.key is not None:
                    fields = json.loads(message.value)
                    places.setdefault(fields["symbol"], set()).add(partition)
                    by_symbol.setdefault(fields["symbol"], []).append(fields["ts"])
        assert all(len(partitions) == 1 for partitions in places.values())
        assert len(places) == 4
        original = [batch for batch in day.batches() if batch.kind == kind and len(batch)]
        times = [ts for batch in original for ts in batch.numbers["ts"].tolist()]
        assert sorted(ts for each in by_symbol.values() for ts in each) == sorted(times)

    digest, _ = replay_to_file(record_day(config, tmp_path / "again"), config, tmp_path / "alerts")

    async def watch() -> None:
        async with run_sidecar(config) as sidecar:
            await wait_for_digest(sidecar, digest)

    asyncio.run(watch())


def test_a_day_of_several_partitions_meets_topics_of_as_many_only(
    kafka: str, tmp_path: Path
) -> None:
    config = configuration(kafka)
    day = write_day(tmp_path, config)
    create_topics(config, 3, Console(True))
    with pytest.raises(ConfigError, match=r"has 3 partitions and the day 2: .* create DAY"):
        send(day, config)


def test_control_records_are_published_in_the_partition_they_speak_of(
    kafka: str, tmp_path: Path
) -> None:
    config = configuration(kafka)
    day = write_day(tmp_path, config)
    send(day, config)
    for partition in range(2):
        records = asyncio.run(read_records(kafka, config.kafka.control_topic, partition))
        found = [Control.model_validate_json(r.value) for r in records]
        assert found == [c for c in day.controls() if c.partition == partition]
        assert found


def test_a_day_is_not_published_over_another(kafka: str, tmp_path: Path) -> None:
    config = configuration(kafka)
    day = write_day(tmp_path, config)
    send(day, config)
    with pytest.raises(ConfigError, match="empty topics"):
        send(day, config)


def test_a_speed_is_kept(kafka: str, tmp_path: Path) -> None:
    config = configuration(kafka)
    day = write_day(tmp_path, config)
    began = time.monotonic()
    send(day, config, speed=20.0)
    assert 2.5 < time.monotonic() - began < 12.0, "a minute at twenty times its speed"


def test_topics_are_created_once_and_alike(kafka: str) -> None:
    config = configuration(kafka)
    made = create_topics(config, 3, Console(True))["created"]
    assert len(made) == 8 + 7
    assert create_topics(config, 3, Console(True))["created"] == []
    assert asyncio.run(topics.venue_partitions(Clients(config.kafka), config))[0] == 3
    with pytest.raises(ConfigError, match="has 3 partitions, not 5"):
        create_topics(config, 5, Console(True))


def test_a_closed_port_has_one_sentence() -> None:
    config = configuration("127.0.0.1:1")
    with pytest.raises(ConfigError, match=r"nobody listens at 127\.0\.0\.1:1: is Kafka running"):
        create_topics(config, 1, Console(True))
