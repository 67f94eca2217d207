"""A network that is slow, cut, silent or gone: the sidecar comes back by itself, and what it has
published then is what replay finds, each alert once.

The day is published to the broker directly, at a pace; only the sidecar goes through the proxy.
`BRINKWATCH_TEST_FAULTS_S` is how long the network is silent; the broker is away twice as long.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from aiokafka.admin import AIOKafkaAdminClient

from monitor.broker.kafka_server import Broker
from monitor.config import Config
from monitor.errors import BrokerError
from monitor.sidecar import Sidecar
from tests.live.conftest import unavailable
from tests.live.helpers import (
    configuration,
    create_topics_of,
    read_records,
    replay_to_file,
    run_sidecar,
    send,
    wait_for_digest,
    wait_until,
    write_day,
)
from tests.live.proxy import Proxy

GIVEN_S = float(os.environ.get("BRINKWATCH_TEST_FAULTS_S", "0"))
SILENT_S = GIVEN_S or 7.0
AWAY_S = 2 * GIVEN_S or 8.0
DAY_S = 60.0
BACK_S = 45.0
"""A request that the network swallowed is given up after 15 s; then the next session begins."""


@dataclass
class Behind:
    """A broker, and the proxy in front of it."""

    broker: Broker
    proxy: Proxy


@pytest.fixture(scope="module")
def behind() -> Iterator[Behind]:
    with Proxy() as proxy:
        try:
            started = Broker(brief=True, advertise={"proxied": proxy.address})
        except (BrokerError, ModuleNotFoundError) as reason:
            unavailable(str(reason))
        with started as broker:
            proxy.target = broker.listeners["proxied"]
            yield Behind(broker, proxy)


async def slow(proxy: Proxy) -> None:
    """Every answer 0.1 s later, in slices of 3 bytes."""
    proxy.latency_s, proxy.slice_bytes = 0.05, 3
    await asyncio.sleep(3.0)
    proxy.latency_s, proxy.slice_bytes = 0.0, 0


async def resets(proxy: Proxy) -> None:
    """One after another, in the middle of whatever is under way."""
    for wait_s in (0.1, 0.5, 0.02, 1.0, 0.3, 0.7):
        await asyncio.to_thread(proxy.reset)
        await asyncio.sleep(wait_s)


async def silent(proxy: Proxy) -> None:
    """Connections stay open and nothing passes."""
    proxy.blackhole = True
    await asyncio.sleep(SILENT_S)
    proxy.blackhole = False


async def away(proxy: Proxy) -> None:
    """Nobody listens."""
    await asyncio.to_thread(proxy.down)
    await asyncio.sleep(AWAY_S)
    await asyncio.to_thread(proxy.up)


async def refusals(sidecar: Sidecar) -> set[str]:
    """What `/readyz` says against it, until cancelled."""
    reasons: set[str] = set()
    try:
        while True:
            ready, why = sidecar.ready()
            if not ready:
                reasons.add(why)
            await asyncio.sleep(0.05)
    except asyncio.CancelledError:
        return reasons


async def member(address: str, config: Config) -> bool:
    """Whether the group has its one member, with partitions."""
    admin = AIOKafkaAdminClient(bootstrap_servers=address)
    await admin.start()
    try:
        answer = (await admin.describe_consumer_groups([f"{config.kafka.group}-members"]))[0]
    finally:
        await admin.close()
    (_, _, state, _, _, members, *_) = answer.groups[0]
    return state == "Stable" and len(members) == 1


Fault = Callable[[Proxy], Awaitable[None]]


@pytest.mark.parametrize(
    ("fault", "lasts_s", "unready"),
    [(slow, 3.0, False), (resets, 3.0, False), (silent, SILENT_S, True), (away, AWAY_S, True)],
)
def test_it_comes_back_and_nothing_is_lost_or_published_twice(
    behind: Behind, tmp_path: Path, fault: Fault, lasts_s: float, unready: bool
) -> None:
    direct = configuration(behind.broker.bootstrap)
    kafka = direct.kafka.model_copy(update={"bootstrap_servers": behind.proxy.address})
    proxied = direct.model_copy(update={"kafka": kafka})
    day = write_day(tmp_path, direct)
    digest, alerts = replay_to_file(day, direct, tmp_path / "alerts")
    assert alerts
    create_topics_of(day, direct)

    async def watched() -> set[str]:
        async with run_sidecar(proxied) as sidecar:
            await wait_until(lambda: _ready(sidecar))
            speed = DAY_S / (lasts_s + 4.0)
            publishing = asyncio.create_task(asyncio.to_thread(send, day, direct, speed))
            await asyncio.sleep(2.0)
            reads = asyncio.create_task(refusals(sidecar))
            await fault(behind.proxy)
            reads.cancel()
            await publishing
            await wait_until(lambda: _ready(sidecar), BACK_S)
            await wait_for_digest(sidecar, digest)
            await wait_until(lambda: member(behind.broker.bootstrap, direct), BACK_S)
            return await reads

    reasons = asyncio.run(watched())
    records = asyncio.run(read_records(behind.broker.bootstrap, direct.kafka.alerts_topic))
    assert [record.value for record in records] == alerts
    assert not unready or any("Kafka" in why for why in reasons), reasons


async def _ready(sidecar: Sidecar) -> bool:
    return sidecar.ready()[0]
