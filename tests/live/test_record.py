"""What was watched live is recorded and replays to the same; dead letters can be sent again."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaProducer

from monitor.app import Sidecar
from monitor.config import Config
from monitor.console import Console
from monitor.core.decode import encode
from monitor.livejobs import create_topics, listed_letters, recorded, resent_letters
from replay.day import Day, DayWriter
from tests.live.helpers import (
    configuration,
    held,
    replayed,
    running,
    seen,
    send,
    total,
    until,
    write_day,
)

PIECES = 10
"""The second half of the day comes in so many, while one topic is silent."""


def record(config: Config, out: Path) -> Day:
    """`brinkwatch record`."""
    with DayWriter(out, venue="test") as day:
        recorded(config, Console(True), day)
    return Day(out)


def test_a_published_day_is_recorded_as_it_was(kafka: str, tmp_path: Path) -> None:
    config = configuration(kafka)
    day = write_day(tmp_path, config)
    send(day, config)
    again = record(config, tmp_path / "again")
    assert replayed(again, config, tmp_path / "a") == replayed(day, config, tmp_path / "b")
    assert total(again) == total(day)
    assert again.meta.span == day.meta.span


def test_a_silence_watched_live_and_old_records_after_it_are_late_in_live_and_replay(
    kafka: str, tmp_path: Path
) -> None:
    """Marks fall silent while the rest goes on; then they come, older than what was decided."""
    config = configuration(kafka, silence_s=0.4)
    day = write_day(tmp_path, config)
    create_topics(config, 2, Console(True))
    marks = config.topics["mark"]

    async def watch() -> dict[str, Any]:
        producer = AIOKafkaProducer(bootstrap_servers=kafka)
        await producer.start()

        async def put(wanted: Callable[[str, int], bool]) -> int:
            """The records of topics and times (ns) that are wanted."""
            count = 0
            for batch in day.batches():
                for row, raw in enumerate(encode(batch) if len(batch) else []):
                    if wanted(batch.topic, int(batch.numbers["ts"][row])):
                        await producer.send(batch.topic, raw, partition=batch.partition)
                        count += 1
            await producer.flush()
            return count

        def others(since: int, until: int, topic: str, ts: int) -> bool:
            return topic != marks and since <= ts < until

        assert day.meta.span
        half = (day.meta.span[0] + day.meta.span[1]) // 2
        async with running(config) as sidecar:
            sent = await put(lambda topic, ts: ts < half)
            step = (day.meta.span[1] - half) // PIECES + 1
            for piece in range(PIECES):
                began = half + piece * step
                sent += await put(functools.partial(others, began, began + step))
                await asyncio.sleep(0.2)
            sent += await put(lambda topic, ts: ts >= half and topic == marks)
            await until(functools.partial(taken_in, sidecar, sent))
            await asyncio.sleep(1.0)
            state = await sidecar.state()
        await producer.stop()
        return state

    state = asyncio.run(watch())
    assert state["late"].get("mark", 0) > 10
    published = [r.value for r in asyncio.run(held(kafka, config.kafka.alerts_topic))]
    again = record(config, tmp_path / "again")
    _, alerts = replayed(again, config, tmp_path / "alerts")
    assert published == alerts[: len(published)]
    facts = replay_facts(again, config)
    assert facts == {name: state[name] for name in ("events", "late", "refused")}


async def taken_in(sidecar: Sidecar, sent: int) -> bool:
    state = await sidecar.state()
    return sum(state.get("events", {}).values()) == sent and not state["lag"]


def replay_facts(day: Day, config: Config) -> dict[str, Any]:
    from replay.run import replay
    from tests.theorems.days import FACTORIES

    summary = replay(day, config.engine(), FACTORIES)
    return {
        "events": summary.events,
        "late": summary.late_by_kind,
        "refused": summary.refused_by_reason,
    }


def test_dead_letters_are_listed_and_sent_again_once(kafka: str, tmp_path: Path) -> None:
    config = configuration(kafka)
    day = write_day(tmp_path, config)
    digest, _ = replayed(day, config, tmp_path / "alerts")
    send(day, config)

    async def watch() -> None:
        async with running(config) as sidecar:
            await seen(sidecar, digest)

    asyncio.run(watch())
    found = listed_letters(config, Console(True))["letters"]
    refused = day.refused()
    assert len(found) == len(refused)
    assert {letter["reason"] for letter in found} == {"not_json"}
    assert found[0]["begins"] == "{half a rec"
    assert resent_letters(config, Console(True)) == {"sent": len(refused)}
    assert resent_letters(config, Console(True)) == {"sent": 0}
    place = refused[0].topic, refused[0].partition
    records = asyncio.run(held(kafka, *place))
    again = [r for r in refused if (r.topic, r.partition) == place]
    assert [r.value for r in records[-len(again) :]] == [r.raw for r in again]
