"""`brinkwatch check-config --connect`: whether Kafka lets the sidecar do what the settings ask."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import NamedTuple

from aiokafka.errors import GroupCoordinatorNotAvailableError, KafkaError

from monitor.config import Config
from monitor.errors import ConfigError
from monitor.kafka import partitions, topics
from monitor.kafka.clients import Clients, UnreachableError, run_async
from monitor.kafka.logs.topic_ids import topic_operations
from monitor.kafka.transactions import transactional_id
from monitor.sources.registry import RegistryUnavailableError, SchemaRegistry, make_registry

OWNER = "check"
"""Its transactional id has the prefix of all others, and fences none of them."""
COORDINATOR_TRIES, COORDINATOR_S = 20, 0.5
HELP = "docs/bus.md lists the ACLs"


class BrokerFinding(NamedTuple):
    """One thing that was tried; `sentence` says how to mend it where it is not `ok`."""

    ok: bool
    sentence: str


Check = Callable[[Config, Clients], Awaitable[list[BrokerFinding]]]


def check_broker(config: Config) -> list[BrokerFinding]:
    """Try the venue's cluster and our own: connections, topics, and what the ACLs allow.

    Nothing is created or fenced, and no record written.
    """
    return run_async(_check(config))


async def _check(config: Config) -> list[BrokerFinding]:
    venue, own = Clients(config.kafka, of_venue=True), Clients(config.kafka)
    findings: list[BrokerFinding] = []
    checks: list[tuple[Check, Clients, str]] = [
        (_check_topics, own, "brinkwatch's own topics"),
        (_check_group, own, f"the group {config.kafka.group}"),
    ]
    if config.sources:
        checks.insert(0, (_check_sources, venue, "the sources"))
    if registry := make_registry(config.schema_registry):
        findings.append(await asyncio.to_thread(_check_registry, registry))
    for check, clients, what in checks:
        try:
            findings += await check(config, clients)
        except UnreachableError as error:
            return [*findings, BrokerFinding(False, str(error))]
        except ConfigError as error:
            findings.append(BrokerFinding(False, str(error)))
        except (KafkaError, OSError) as error:
            why = f"{what}: {type(error).__name__}: {error}; {HELP}"
            findings.append(BrokerFinding(False, why))
    return findings


def _check_registry(registry: SchemaRegistry) -> BrokerFinding:
    try:
        registry.check()
    except RegistryUnavailableError as error:
        return BrokerFinding(False, str(error))
    return BrokerFinding(True, f"the schema registry {registry.url} answers")


async def _operations(clients: Clients, names: list[str]) -> Mapping[str, frozenset[str]]:
    consumer = await clients.consumer()
    try:
        return await topic_operations(consumer._client, names)
    finally:
        await consumer.stop()


def _judge(
    name: str, partitions: int, needed: set[str], allowed: Mapping[str, frozenset[str]], of: str
) -> BrokerFinding:
    """Whether the ACLs of a topic suffice; taken to where the broker does not say."""
    lacking = sorted(needed - allowed.get(name, frozenset(needed)))
    if lacking:
        return BrokerFinding(
            False, f"{of}{name} may not be used: allow {', '.join(lacking)}; {HELP}"
        )
    number = "1 partition" if partitions == 1 else f"{partitions} partitions"
    return BrokerFinding(True, f"{of}{name} may be used ({number})")


async def _check_sources(config: Config, venue: Clients) -> list[BrokerFinding]:
    counts = await topics.source_partitions(venue, config)
    allowed = await _operations(venue, list(counts))
    return [
        _judge(source.topic, counts[source.topic], {"read"}, allowed, f"source {name}: ")
        for name, source in config.sources.items()
    ]


async def _check_topics(config: Config, own: Clients) -> list[BrokerFinding]:
    names = set(config.topics.values())
    both = {"read", "write"}
    needed = {name: both if config.sources else {"read"} for name in names}
    if not config.sources:
        await topics.venue_partitions(own, config)
    needed |= dict.fromkeys(topics.sidecar_topics(config, 1), both)
    async with own.admin() as admin:
        there = await topics.partition_counts(admin)
    allowed = await _operations(own, [name for name in needed if name in there])
    findings = [
        _judge(name, there[name], operations, allowed, "")
        for name, operations in needed.items()
        if name in there
    ]
    if missing := sorted(set(needed) - set(there)):
        text = f"run makes these topics, or may not see them: {', '.join(missing)}"
        findings.append(BrokerFinding(True, text))
    return findings


async def _check_group(config: Config, own: Clients) -> list[BrokerFinding]:
    for _ in range(COORDINATOR_TRIES):
        try:
            await partitions.committed_offsets(own, config.kafka.group)
            break
        except GroupCoordinatorNotAvailableError:
            await asyncio.sleep(COORDINATOR_S)  # a new Kafka finds one when first asked
    producer = await own.producer(transactional_id=transactional_id(config.kafka, OWNER))
    await producer.stop()
    return [BrokerFinding(True, f"the group {config.kafka.group} and its transactions may be used")]
