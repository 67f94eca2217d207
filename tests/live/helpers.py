"""Shared by the tests of the sidecar: small days, topics of one's own, the records of a topic."""

from __future__ import annotations

import asyncio
import atexit
import functools
import shutil
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
from aiokafka import AIOKafkaConsumer, TopicPartition

from monitor.commands.bus.publish_day import Feed, publish_day
from monitor.commands.bus.topics import create_topics
from monitor.config import Config, KafkaSettings, load
from monitor.console import Console
from monitor.core.contract.events import TOPICS
from monitor.core.decode.batch import RefusedRecord
from monitor.sidecar import Sidecar
from replay.day import Day, DayWriter
from replay.day.messages import chunks
from replay.run import replay
from replay.simulation.settings import SimulationSettings
from replay.simulation.simulate import simulate
from tests.theorems.days import FACTORIES, SETTINGS

AHEAD_NS = 7_200_000_000_000
SILENCE_NS = 300_000_000
"""How far a declared silence reaches beyond the last record before it."""


def configuration(address: str, **kafka: Any) -> Config:
    """Settings for small days, with topics and a group that no other test has."""
    own = uuid.uuid4().hex[:8]
    names = {
        name: f"{own}.{name.removesuffix('_topic')}"
        for name in KafkaSettings.model_fields
        if name.endswith("_topic")
    }
    return load(
        None,
        **SETTINGS.model_dump(exclude={"topics"}),
        replace_streams=True,
        topics={kind: f"{own}.{topic}" for kind, topic in TOPICS.items()},
        kafka={"bootstrap_servers": address, "group": own, **names, **kafka},
        http={"port": 0},
    )


@functools.cache
def _simulate(seed: int, partitions: int, symbols: int, minutes: int, rate: float) -> Path:
    """The folder of a simulated day, kept for the other tests of this process."""
    folder = Path(tempfile.mkdtemp(prefix="brinkwatch-simulated-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    settings = SimulationSettings(seed, minutes, symbols, 50, rate, "none", partitions)
    simulate(folder / "day", settings)
    return folder / "day"


def simulated_day(
    seed: int = 1, partitions: int = 1, symbols: int = 4, minutes: int = 1, rate: float = 60.0
) -> Day:
    """A simulated day as it is, without anything odd."""
    return Day(_simulate(seed, partitions, symbols, minutes, rate))


def write_day(
    path: Path,
    config: Config,
    seed: int = 1,
    *,
    partitions: int = 2,
    symbols: int = 4,
    minutes: int = 1,
    rate: float = 60.0,
    odd: bool = False,
) -> Day:
    """A minute of a simulated venue in the topics of `config`.

    One refused record follows each batch, and a declared silence makes some marks late. `odd`: in
    each topic partition of orders one record claims a time two hours ahead.
    """
    simulated = _simulate(seed, partitions, symbols, minutes, rate)
    at: dict[tuple[str, int], int] = {}
    with DayWriter(path / "day", venue="test") as day:
        for kind, topic in config.topics.items():
            for partition in range(partitions):
                day.declare(kind, topic, partition)
        for batch in Day(simulated).batches(200):
            batch.topic = config.topics[batch.kind]
            place = batch.topic, batch.partition
            first = at.get(place, 0)
            if odd and not first and batch.kind == "order":
                batch.numbers["ts"] = batch.numbers["ts"].copy()
                batch.numbers["ts"][len(batch) // 2] += AHEAD_NS
            if not first and batch.kind == "mark":
                row = len(batch) // 2
                silent_to = int(batch.numbers["ts"][row]) + SILENCE_NS
                day.control(*place, row + 1, silent_to)
            batch.offset = np.arange(first, first + len(batch), dtype=np.int64)
            end = first + len(batch)
            batch.refused = [RefusedRecord(*place, end, "not_json", "", b"{half a rec")]
            at[place] = end + 1
            day.write(batch)
    return Day(path / "day")


def send(day: Day, config: Config, speed: float | None = None) -> dict[str, Any]:
    """`brinkwatch publish`."""
    parts = [(part.topic, part.partition) for part in day.meta.partitions]
    controls = day.controls(config.accounts.bands_interval_ns)
    feed = Feed(parts, controls, chunks(day, speed), 0, speed)
    return publish_day(config, Console(True), feed)


def replay_to_file(day: Day, config: Config, out: Path) -> tuple[str, list[bytes]]:
    """The digest and the alerts of `brinkwatch replay`; the bands go to a file beside `out`."""
    summary = replay(
        day, config.engine(), FACTORIES, alerts_to=out, bands_to=out.with_suffix(".bands")
    )
    return summary.digest, out.read_bytes().splitlines()


def total(day: Day) -> int:
    """The number of records of a day, refused ones too."""
    return sum(part.next_offset for part in day.meta.partitions)


def create_topics_of(day: Day, config: Config) -> None:
    """Create the topics of a day, empty."""
    create_topics(config, day.partition_count, Console(True))


async def wait_until(condition: Callable[[], Awaitable[bool]], seconds: float = 30.0) -> None:
    """Wait until the condition is true; fail if it is not in time."""
    end = time.monotonic() + seconds
    while not await condition():
        assert time.monotonic() < end, f"not within {seconds} s"
        await asyncio.sleep(0.05)


@asynccontextmanager
async def run_sidecar(config: Config) -> AsyncIterator[Sidecar]:
    """A sidecar in this process, stopped in order at the end of the block."""
    sidecar = Sidecar(config, FACTORIES)
    task = asyncio.create_task(sidecar.run())
    try:
        yield sidecar
    finally:
        sidecar.stop()
        await task


async def wait_for_digest(sidecar: Sidecar, digest: str) -> None:
    """Wait until the output of the sidecar has this digest and all alerts are published."""
    state: dict[str, Any] = {}

    async def is_published() -> bool:
        state.update(await sidecar.state())
        return state.get("digest") == digest and state["alerts"] == state["published"]

    try:
        await wait_until(is_published)
    except AssertionError as error:
        raise AssertionError(f"{error}: {state}") from None


async def read_records(
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
