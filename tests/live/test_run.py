"""The sidecar publishes what replay finds, byte for byte, each alert once."""

from __future__ import annotations

import asyncio
import functools
from pathlib import Path
from typing import Any

from monitor.commands.bus.topics import create_topics
from monitor.config import Config
from monitor.console import Console
from monitor.sidecar import Sidecar
from tests.live.helpers import (
    configuration,
    create_topics_of,
    read_records,
    replay_to_file,
    run_sidecar,
    send,
    total,
    wait_for_digest,
    wait_until,
    write_day,
)


async def watched(config: Config, digest: str) -> None:
    async with run_sidecar(config) as sidecar:
        await wait_for_digest(sidecar, digest)


def published(kafka: str, config: Config) -> list[bytes]:
    return [r.value for r in asyncio.run(read_records(kafka, config.kafka.alerts_topic))]


def test_alerts_and_digest_are_those_of_replay(kafka: str, tmp_path: Path) -> None:
    config = configuration(kafka)
    day = write_day(tmp_path, config, odd=True)
    digest, alerts = replay_to_file(day, config, tmp_path / "alerts")
    assert sum(b'"time_jump"' in alert for alert in alerts) >= 2
    send(day, config)
    asyncio.run(watched(config, digest))
    assert published(kafka, config) == alerts
    bands = [r.value for r in asyncio.run(read_records(kafka, config.kafka.bands_topic))]
    assert bands == (tmp_path / "alerts.bands").read_bytes().splitlines()
    assert bands


def test_a_day_that_comes_while_the_sidecar_watches_gives_the_same(
    kafka: str, tmp_path: Path
) -> None:
    config = configuration(kafka)
    day = write_day(tmp_path, config)
    digest, alerts = replay_to_file(day, config, tmp_path / "alerts")
    create_topics_of(day, config)

    async def both() -> None:
        async with run_sidecar(config) as sidecar:
            await asyncio.to_thread(send, day, config, 10.0)
            await wait_for_digest(sidecar, digest)

    asyncio.run(both())
    assert published(kafka, config) == alerts


def test_a_sidecar_stopped_and_started_again_publishes_nothing_twice(
    kafka: str, tmp_path: Path
) -> None:
    config = configuration(kafka)
    day = write_day(tmp_path, config)
    digest, alerts = replay_to_file(day, config, tmp_path / "alerts")
    send(day, config)
    for _ in range(3):
        asyncio.run(watched(config, digest))
    assert published(kafka, config) == alerts


def test_refused_records_are_dead_letters_with_their_bytes_and_their_origin_once(
    kafka: str, tmp_path: Path
) -> None:
    config = configuration(kafka)
    day = write_day(tmp_path, config)
    digest, _ = replay_to_file(day, config, tmp_path / "alerts")
    send(day, config)
    for _ in range(2):
        asyncio.run(watched(config, digest))
    found = []
    for record in asyncio.run(read_records(kafka, config.kafka.dlq_topic)):
        headers = {name: value.decode() for name, value in record.headers}
        assert headers["brinkwatch_reason"] == "not_json"
        assert int(headers["brinkwatch_timestamp"]) > 0
        origin = [headers[f"brinkwatch_{name}"] for name in ("topic", "partition", "offset")]
        found.append((*origin, record.value))
    wanted = [(r.topic, str(r.partition), str(r.offset), r.raw) for r in day.refused_records()]
    assert sorted(found) == sorted(wanted)
    assert 0 < len(found) < total(day)


def test_the_state_is_answered_while_the_venue_stage_is_in_a_long_step(kafka: str) -> None:
    config = configuration(kafka)
    create_topics(config, 1, Console(True))

    async def asked() -> tuple[dict[str, Any], dict[str, Any]]:
        async with run_sidecar(config) as sidecar:
            await wait_until(functools.partial(venue_lives, sidecar))
            async with sidecar.venue_session().stage_lock:
                during = await asyncio.wait_for(sidecar.state(), 8.0)
            return during, await sidecar.state()

    during, after = asyncio.run(asked())
    assert during["partitions"] == [0]
    assert "ask again" in during["busy"]
    assert "digest" not in during
    assert after["alerts"] == after["published"] == after["foreign_reports"] == 0
    assert "busy" not in after


async def venue_lives(sidecar: Sidecar) -> bool:
    return sidecar.venue_session() is not None
