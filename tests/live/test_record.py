"""A recorded live day replays to the same alerts; dead letters can be sent again."""

from __future__ import annotations

import asyncio
import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaProducer

from monitor.commands.bus.dead_letters import list_dead_letters, resend_dead_letters
from monitor.commands.bus.record_day import record_day
from monitor.commands.bus.topics import create_topics
from monitor.config import Config
from monitor.console import Console
from monitor.core.decode.codec import encode
from monitor.sidecar import Sidecar
from replay.day import Day, DayWriter
from tests.live.helpers import (
    configuration,
    read_records,
    replay_to_file,
    run_sidecar,
    send,
    total,
    wait_for_digest,
    wait_until,
    write_day,
)

PIECES = 40
"""The second half of the day is sent in so many pieces, while one topic is silent."""


def record(config: Config, out: Path) -> Day:
    """`brinkwatch record`."""
    with DayWriter(out, venue="test") as day:
        record_day(config, Console(True), day)
    return Day(out)


def test_a_published_day_is_recorded_as_it_was(kafka: str, tmp_path: Path) -> None:
    config = configuration(kafka)
    day = write_day(tmp_path, config, odd=True)
    send(day, config)
    again = record(config, tmp_path / "again")
    stamped = again.to_arrow("order")["append_ts"]
    assert stamped.null_count == 0
    assert replay_to_file(again, config, tmp_path / "a") == replay_to_file(
        day, config, tmp_path / "b"
    )
    assert total(again) == total(day)
    assert again.meta.span == day.meta.span


def test_a_silence_watched_live_and_old_records_after_it_are_late_in_live_and_replay(
    kafka: str, tmp_path: Path
) -> None:
    """Marks fall silent while the rest goes on; then they come, older than the watermark."""
    config = configuration(kafka, silence_s=1.0)
    day = write_day(tmp_path, config)
    create_topics(config, 2, Console(True))
    marks = config.topics["mark"]
    records = [
        (ts, batch.topic, batch.partition, raw)
        for batch in day.batches()
        if len(batch)
        for ts, raw in zip(batch.numbers["ts"].tolist(), encode(batch), strict=True)
    ]
    assert day.meta.span
    half = (day.meta.span.first_ts + day.meta.span.last_ts) // 2
    step = (day.meta.span.last_ts - half) // PIECES + 1

    async def watch() -> dict[str, Any]:
        producer = AIOKafkaProducer(bootstrap_servers=kafka)
        await producer.start()

        async def put(wanted: Callable[[int, str], bool]) -> None:
            for ts, topic, partition, raw in records:
                if wanted(ts, topic):
                    await producer.send(topic, raw, partition=partition)
            await producer.flush()

        def others(since: int, ts: int, topic: str) -> bool:
            return topic != marks and since <= ts < since + step

        async def marks_are_silent() -> bool:
            controls = await read_records(kafka, config.kafka.control_topic, 1)
            return any(json.loads(record.value)["topic"] == marks for record in controls)

        async with run_sidecar(config) as sidecar:
            await put(lambda ts, topic: ts < half)
            for piece in range(PIECES):
                await put(functools.partial(others, half + piece * step))
                if not await marks_are_silent():
                    await asyncio.sleep(0.2)
            await wait_until(marks_are_silent)
            await put(lambda ts, topic: ts >= half and topic == marks)
            await wait_until(functools.partial(taken_in, sidecar, len(records)))
            await asyncio.sleep(1.0)
            state = await sidecar.state()
        await producer.stop()
        return state

    state = asyncio.run(watch())
    assert state["late"].get("mark", 0) > 10
    published = [r.value for r in asyncio.run(read_records(kafka, config.kafka.alerts_topic))]
    again = record(config, tmp_path / "again")
    _, alerts = replay_to_file(again, config, tmp_path / "alerts")
    assert published == alerts[: len(published)]
    counts = replay_counts(again, config)
    assert counts == {name: state[name] for name in ("events", "late", "refused")}


async def taken_in(sidecar: Sidecar, sent: int) -> bool:
    state = await sidecar.state()
    return sum(state.get("events", {}).values()) == sent and not state["lag"]


def replay_counts(day: Day, config: Config) -> dict[str, Any]:
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
    digest, _ = replay_to_file(day, config, tmp_path / "alerts")
    send(day, config)

    async def watch() -> None:
        async with run_sidecar(config) as sidecar:
            await wait_for_digest(sidecar, digest)

    asyncio.run(watch())
    letters = list_dead_letters(config, Console(True))["letters"]
    refused = day.refused_records()
    assert len(letters) == len(refused)
    assert {letter["reason"] for letter in letters} == {"not_json"}
    assert letters[0]["begins"] == "{half a rec"
    none = {"sent": 0, "foreign": 0, "of_sources": 0}
    assert resend_dead_letters(config, Console(True)) == none | {"sent": len(refused)}
    assert resend_dead_letters(config, Console(True)) == none
    place = refused[0].topic, refused[0].partition
    records = asyncio.run(read_records(kafka, *place))
    again = [r for r in refused if (r.topic, r.partition) == place]
    assert [r.value for r in records[-len(again) :]] == [r.raw for r in again]
