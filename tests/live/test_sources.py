"""A venue's bus as it is, live: each record counts once, and replay makes the same of it."""

from __future__ import annotations

import asyncio
import functools
import os
import random
import threading
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.admin import NewPartitions

from monitor.broker.kafka_server import Broker
from monitor.commands.bus.dead_letters import resend_dead_letters
from monitor.config import Config, KafkaSettings
from monitor.console import Console
from monitor.kafka.clients import Clients
from monitor.sidecar import Sidecar
from tests.live.bus import (
    SOURCES,
    bus_configuration,
    bus_records,
    create_bus,
    rekeyed,
    with_bus,
    write_bus,
)
from tests.live.helpers import (
    read_records,
    replay_to_file,
    run_sidecar,
    simulated_day,
    wait_for_digest,
    wait_until,
)
from tests.live.killing import Group, record_day, values
from tests.live.sidecars import Process, wait_for

KILLS = int(os.environ.get("BRINKWATCH_TEST_SOURCE_KILLS", "2"))
"""`make soak` kills ten times."""
SECONDS_A_KILL = 4.0


def test_killed_at_any_moment_it_takes_each_record_of_a_bus_once_and_in_order(
    kafka: str, tmp_path: Path
) -> None:
    own, config = bus_configuration(
        kafka, partitions=2, poll_records=400, commit_s=0.05, member_timeout_s=6.0
    )
    config = config.model_copy(update={"state": config.state.model_copy(update={"every_s": 0.3})})
    records = bus_records(simulated_day(minutes=1, symbols=12, rate=40.0))
    asyncio.run(create_bus(kafka, own))
    speed = 60 / (KILLS * SECONDS_A_KILL)
    sender = threading.Thread(
        target=lambda: asyncio.run(write_bus(kafka, own, records, speed)), daemon=True
    )
    sender.start()
    chance = random.Random(7)
    with Group(tmp_path, config, 1) as group:
        for _ in range(KILLS):
            group.kill_one(chance)
        sender.join()
        wait_for_end(group.members[0], len(records))
        day = record_day(config, tmp_path / "again")
        digest, alerts = replay_to_file(day, config, tmp_path / "alerts")
        wait_for(group.members, digest)
    taken = asyncio.run(rekeyed(kafka, config))
    assert taken == Counter((record.kind, record.canonical) for record in records)
    assert alerts
    assert values(kafka, config.kafka.alerts_topic) == alerts


def test_what_else_lies_on_a_bus_is_skipped_or_refused_and_counted(
    kafka: str, tmp_path: Path
) -> None:
    """Tombstones, no keys, foreign headers, an aborted transaction, other kinds, rubbish; a topic
    without records, and one that gains a partition."""
    own, config = bus_configuration(kafka)
    records = [r for r in bus_records(simulated_day()) if r.place[0] != "rest"]
    rubbish = [b"{half", b"", b"\xff", b'{"type": "NEW"}', b"[]", b"9" * 5_000]

    async def write(producer: AIOKafkaProducer) -> None:
        topic = f"{own}.flow"
        for raw in rubbish:
            await producer.send(topic, raw, partition=3, headers=[("traceparent", b"\xff")])
        for _ in range(3):
            await producer.send(topic, None, key=b"gone", partition=1)
            await producer.send(topic, b'{"type": "HEARTBEAT", "n": 1}', partition=2)
        await producer.flush()

    async def watch() -> dict[str, Any]:
        await create_bus(kafka, own)
        await write_bus(kafka, own, records)
        writer = AIOKafkaProducer(bootstrap_servers=kafka)
        transactional = AIOKafkaProducer(bootstrap_servers=kafka, transactional_id=f"{own}-venue")
        await writer.start()
        await transactional.start()
        await write(writer)
        await transactional.begin_transaction()
        await transactional.send_and_wait(f"{own}.flow", records[-1].raw, partition=0)
        await transactional.abort_transaction()
        async with run_sidecar(config) as sidecar:
            taken = len(records)
            await wait_until(functools.partial(has_taken, sidecar, taken))
            async with Clients(config.kafka).admin() as admin:
                await admin.create_partitions({f"{own}.marks": NewPartitions(2)})
            later = next(r for r in reversed(records) if r.kind == "mark")
            await wait_until(functools.partial(sends_to, writer, f"{own}.marks", later.raw))
            await wait_until(functools.partial(has_taken, sidecar, taken + 1))
            await watch_to_end(sidecar, config, tmp_path)
            state = await sidecar.state()
        await writer.stop()
        await transactional.stop()
        return state

    state = asyncio.run(watch())
    flow = state["intake"]["sources"]["flow"]
    assert (flow["refused"], flow["skipped"]) == (len(rubbish), 3)
    assert flow["skipped_words"] == {"HEARTBEAT": 3}
    assert state["intake"]["sources"]["rest"] == {"skipped_words": {}}
    letters = asyncio.run(read_records(kafka, config.kafka.dlq_topic))
    assert sorted(letter.value for letter in letters) == sorted(rubbish)
    headers = [dict(letter.headers) for letter in letters]
    assert {h["brinkwatch_topic"] for h in headers} == {f"{own}.flow".encode()}
    assert {h["brinkwatch_partition"] for h in headers} == {b"3"}
    resent = resend_dead_letters(config, Console(True))
    assert resent == {"sent": 0, "foreign": 0, "of_sources": len(rubbish)}, "it is only read"


def test_it_is_not_ready_while_most_of_what_a_source_brings_is_refused(kafka: str) -> None:
    """The shards accept all that the intake writes: its own share counts."""
    own, config = bus_configuration(kafka)
    records = [r for r in bus_records(simulated_day()) if r.place[0] == "flow"][:15]

    async def watch() -> tuple[bool, str]:
        await create_bus(kafka, own)
        await write_bus(kafka, own, records)
        producer = AIOKafkaProducer(bootstrap_servers=kafka)
        await producer.start()
        for _ in range(20):
            await producer.send(f"{own}.flow", b"{half", partition=3)
        await producer.stop()
        async with run_sidecar(config) as sidecar:
            await wait_until(functools.partial(has_taken, sidecar, len(records)))
            return sidecar.ready()

    ready, why = asyncio.run(watch())
    assert not ready
    assert why == (
        "20 of the 35 records of the last 2 minutes were refused, most often as not_json in "
        f"{own}.flow (20): brinkwatch dlq list shows them"
    )


async def has_taken(sidecar: Sidecar, accepted: int) -> bool:
    """Whether so many records of the sources were accepted, and none waits."""
    state = await sidecar.state()
    sources = state.get("intake", {"sources": {}})["sources"].values()
    return sum(s.get("accepted", 0) for s in sources) == accepted and not state["lag"]


async def watch_to_end(sidecar: Sidecar, config: Config, folder: Path) -> list[bytes]:
    """Wait until the feed has ended and the output is that of a replay of the day that `record`
    writes; returns its alerts."""

    async def has_ended() -> bool:
        return bool((await sidecar.state())["intake"]["ended"])

    await wait_until(has_ended)
    day = await asyncio.to_thread(record_day, config, folder / "again")
    digest, alerts = await asyncio.to_thread(replay_to_file, day, config, folder / "alerts")
    await wait_for_digest(sidecar, digest)
    return alerts


async def sends_to(producer: AIOKafkaProducer, topic: str, raw: bytes) -> bool:
    """Whether the topic has its new partition by now; then a record is sent to it."""
    if 1 not in await producer.partitions_for(topic):
        await producer.client.force_metadata_update()
        return False
    await producer.send_and_wait(topic, raw, partition=1)
    return True


def test_what_brinkwatch_writes_lies_on_another_cluster(kafka: str, tmp_path: Path) -> None:
    """Of the contract's own topics too: the venue's cluster is only read, and two of its topics
    begin at their end, and at a time."""
    own, base = bus_configuration(kafka, partitions=2)
    records = bus_records(simulated_day())
    middle = len(records) // 2

    async def write() -> int:
        await create_bus(kafka, own)
        await write_bus(kafka, own, records[:middle])
        await asyncio.sleep(0.02)
        between_ms = round(time.time() * 1000)
        await asyncio.sleep(0.02)
        await write_bus(kafka, own, records[middle:])
        return between_ms

    between_ms = asyncio.run(write())
    starts = {"flow": datetime.fromtimestamp(between_ms / 1000, UTC).isoformat(), "marks": "latest"}
    wanted = [
        r
        for i, r in enumerate(records)
        if r.place[0] == "rest" or (r.place[0] == "flow" and i >= middle)
    ]
    before = asyncio.run(topics_of(kafka))
    with Broker(tmp_path / "output", brief=True) as output:
        settings = {**base.kafka.model_dump(), "output": {"bootstrap_servers": output.bootstrap}}
        sources = {n: {**s, "start": starts.get(n, "earliest")} for n, s in SOURCES.items()}
        config = with_bus(base, own, kafka=settings, **sources)

        async def watch() -> list[bytes]:
            async with run_sidecar(config) as sidecar:
                await wait_until(functools.partial(has_taken, sidecar, len(wanted)))
                return await watch_to_end(sidecar, config, tmp_path)

        alerts = asyncio.run(watch())
        taken = asyncio.run(rekeyed(output.bootstrap, config))
        assert taken == Counter((record.kind, record.canonical) for record in wanted)
        assert values(output.bootstrap, config.kafka.alerts_topic) == alerts
    assert asyncio.run(topics_of(kafka)) == before


async def topics_of(address: str) -> set[str]:
    """The names of all topics of a cluster."""
    async with Clients(KafkaSettings(bootstrap_servers=address)).admin() as admin:
        return set(await admin.list_topics())


def wait_for_end(process: Process, records: int, seconds: float = 90.0) -> None:
    """Until so many records of the bus were taken in, and the feed is seen to have ended."""
    end = time.monotonic() + seconds
    while True:
        intake = process.snapshot().get("intake", {"sources": {}, "ended": False})
        counts = [source.get("accepted", 0) for source in intake["sources"].values()]
        if intake["ended"] and sum(counts) == records:
            return
        assert time.monotonic() < end, intake
        time.sleep(0.2)
