"""Logs that were made anew or cut: noticed by what they hold, and gone on with where people accept.

Public reports of consumers of streaming platforms: a topic deleted and created again was read on
from the old offset, without a word, and its first records were never seen. Read 2026-11.
"""

from __future__ import annotations

import asyncio
import functools
import json
from collections.abc import Iterable
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic, RecordsToDelete
from aiokafka.errors import TopicAlreadyExistsError
from aiokafka.structs import TopicPartition

from monitor.commands.bus.topics import create_topics
from monitor.config import Config
from monitor.console import Console
from monitor.core.contract.events import Control
from monitor.kafka.logs.identity import LogChangedError
from monitor.kafka.messages import control_message
from monitor.sidecar import Sidecar
from tests.live.helpers import configuration, read_records, wait_until
from tests.theorems.days import FACTORIES

START_NS = 1_764_000_000_000_000_000
SECOND_NS = 1_000_000_000


def fill(second: float, trade: str) -> bytes:
    return json.dumps({
        "kind": "fill", "ts": START_NS + round(second * SECOND_NS), "symbol": "X",
        "trade_id": trade, "side": "buy", "price": "150", "quantity": "1",
    }).encode()  # fmt: skip


def fills(count: int, since: float, name: str) -> list[bytes]:
    return [fill(since + i / 10, f"{name}{i}") for i in range(count)]


async def send(address: str, topic: str, values: Iterable[bytes | None]) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=address)
    await producer.start()
    try:
        for value in values:
            await producer.send(topic, value, key=b"X", partition=0)
    finally:
        await producer.stop()


async def end_feed(address: str, config: Config, second: float) -> None:
    """Say of every topic that nothing comes before this second."""
    ends = [
        Control(topic=topic, partition=0, offset=0, ts=START_NS + round(second * SECOND_NS))
        for topic in config.topics.values()
    ]
    await send(address, config.kafka.control_topic, [control_message(c).value for c in ends])


async def make_anew(address: str, topic: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=address)
    await admin.start()
    try:
        await admin.delete_topics([topic])
        for _ in range(100):
            await asyncio.sleep(0.1)
            if topic not in await admin.list_topics():
                break
        reply = await admin.create_topics([NewTopic(topic, 1, 1)])
        # A client that asks for the topic may have had the broker create it.
        assert reply.topic_errors[0][1] in (0, TopicAlreadyExistsError.errno)
    finally:
        await admin.close()


async def cut(address: str, topic: str, offset: int) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=address)
    await admin.start()
    try:
        await admin.delete_records({TopicPartition(topic, 0): RecordsToDelete(offset)})
    finally:
        await admin.close()


async def counted(sidecar: Sidecar, fills: int, alerts: int) -> bool:
    """Whether the venue stage has counted so many fills, and published so many alerts at least."""
    state = await sidecar.state()
    return state.get("events", {}).get("fill") == fills and state["published"] >= alerts


async def read(config: Config, fills: int, alerts: int = 0, **options: Any) -> None:
    """Run a sidecar until so many fills are counted, and so many alerts published at least."""
    sidecar = Sidecar(config, FACTORIES, **options)
    task = asyncio.create_task(sidecar.run())
    try:
        try:
            await wait_until(functools.partial(counted, sidecar, fills, alerts))
        except AssertionError as error:
            raise AssertionError(f"{error}: {await sidecar.state()}") from None
    finally:
        sidecar.stop()
        await task


async def refuse(config: Config) -> str:
    """The sentence with which a sidecar ends by itself."""
    with pytest.raises(LogChangedError) as caught:
        await asyncio.wait_for(Sidecar(config, FACTORIES).run(), 60)
    return str(caught.value)


def log_alerts(address: str, config: Config) -> list[dict[str, Any]]:
    records = asyncio.run(read_records(address, config.kafka.alerts_topic))
    alerts = [json.loads(record.value) for record in records]
    return [a for a in alerts if a["kind"] == "log_changed" and a["status"] == "firing"]


@pytest.fixture
def config(kafka: str) -> Config:
    own = configuration(kafka, silence_s=0.5)
    create_topics(own, 1, Console(True))
    return own


def test_a_topic_made_anew_ends_it_in_one_sentence_and_is_gone_on_with_where_accepted(
    kafka: str, config: Config
) -> None:
    topic = config.topics["fill"]

    async def before() -> str:
        await send(kafka, topic, [*fills(40, 0, "old"), None])
        await read(config, 40)
        await make_anew(kafka, topic)
        await send(kafka, topic, fills(100, 60, "new"))
        return await refuse(config)

    sentence = asyncio.run(before())
    assert f"reading had come to offset 41 of {topic}/0, which holds 0 to 100" in sentence
    assert f"--accept-gap {topic}" in sentence

    async def after() -> None:
        await read(config, 140, accept_gaps=frozenset({topic}))
        await send(kafka, topic, fills(10, 100, "more"))
        await read(config, 150)
        await send(kafka, topic, fills(10, 200, "last"))
        await end_feed(kafka, config, 300)
        await read(config, 160, alerts=1)

    asyncio.run(after())
    (alert,) = log_alerts(kafka, config)
    assert alert["layer"] == "data"
    assert alert["summary"] == (
        f"Topic {topic}, partition 0 was made anew: what followed offset 39 of the old log is "
        "missing, and offset 0 of the new one counts as 41; what was learnt before goes on"
    )
    tombstones = asyncio.run(read_records(kafka, config.kafka.dlq_topic))
    assert tombstones == []


def test_a_topic_made_anew_under_a_running_reader_is_noticed_before_anything_is_committed(
    kafka: str, config: Config
) -> None:
    topic = config.topics["fill"]

    async def both() -> None:
        await send(kafka, topic, fills(20, 0, "old"))
        sidecar = Sidecar(config, FACTORIES)
        task = asyncio.create_task(sidecar.run())
        await wait_until(functools.partial(counted, sidecar, 20, 0))
        await make_anew(kafka, topic)
        await send(kafka, topic, fills(80, 60, "new"))
        with pytest.raises(LogChangedError, match=f"--accept-gap {topic}"):
            await asyncio.wait_for(task, 60)
        # The first session left no snapshot of the 20: the old log, which alone has them, is gone.
        await read(config, 80, accept_gaps=frozenset({topic}))
        controls = [
            json.loads(r.value) for r in await read_records(kafka, config.kafka.control_topic)
        ]
        (gap,) = (control for control in controls if "gap" in control)
        assert (gap["offset"], gap["gap"]["log_offset"]) == (20, 0)

    asyncio.run(both())


def test_a_log_that_was_cut_goes_on_where_it_begins_where_that_is_accepted(
    kafka: str, config: Config
) -> None:
    topic = config.topics["fill"]

    async def before() -> str:
        await send(kafka, topic, fills(20, 0, "a"))
        await read(config, 20)
        await send(kafka, topic, fills(30, 30, "b"))
        await cut(kafka, topic, 35)
        return await refuse(config)

    assert f"come to offset 20 of {topic}/0, which holds 35 to 50: rec" in asyncio.run(before())

    async def after() -> None:
        await read(config, 35, accept_gaps=frozenset({topic}))
        await send(kafka, topic, fills(5, 90, "c"))
        await end_feed(kafka, config, 300)
        await read(config, 40, alerts=1)

    asyncio.run(after())
    (alert,) = log_alerts(kafka, config)
    assert alert["summary"] == (
        f"Records 20 to 34 of topic {topic}, partition 0 are missing: the log was cut; what was "
        "learnt before goes on"
    )
