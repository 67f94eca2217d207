"""`brinkwatch check-config --connect`: whether Kafka lets the sidecar do what the settings ask."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from typing import Any, NamedTuple

from aiokafka.errors import GroupCoordinatorNotAvailableError, KafkaError

from monitor.config import Config
from monitor.console import Console
from monitor.errors import BrinkwatchError, ConfigError
from monitor.kafka import partitions, topics
from monitor.kafka.clients import Clients, run_async
from monitor.kafka.logs.topic_ids import topic_operations
from monitor.kafka.transactions import transactional_id
from monitor.sources.registry import RegistryUnavailableError, SchemaRegistry, make_registry

OWNER = "check"
"""Its transactional id has the prefix of all others, and fences none of them."""
COORDINATOR_TRIES, COORDINATOR_S = 20, 0.5
HELP = "docs/bus.md lists the ACLs"


class BrokerFinding(NamedTuple):
    """One thing that was tried. text: a sentence; of what fails, one that says how to mend it."""

    is_good: bool
    text: str


def report_broker(config: Config, console: Console) -> list[str]:
    """Show what `check_broker` finds; raises `BrinkwatchError` where something fails."""
    findings = check_broker(config)
    for finding in findings:
        console.say(f"{'ok' if finding.is_good else 'FAILS'}: {finding.text}")
    if bad := sum(not finding.is_good for finding in findings):
        raise BrinkwatchError(f"{bad} of {len(findings)} things that run needs fail")
    return [finding.text for finding in findings]


def check_broker(config: Config) -> list[BrokerFinding]:
    """Try the venue's cluster and our own: connections, topics, and what the ACLs allow.

    Nothing is created or fenced, and no record written.
    """
    return run_async(_check(config))


async def _check(config: Config) -> list[BrokerFinding]:
    findings = []
    if config.sources:
        work = _check_sources(config, Clients(config.kafka, of_venue=True))
        findings += await _try(work, "the sources")
    if registry := make_registry(config.schema_registry):
        findings.append(await asyncio.to_thread(_check_registry, registry))
    own = Clients(config.kafka)
    findings += await _try(_check_topics(config, own), "brinkwatch's own topics")
    findings += await _try(_check_group(config, own), f"the group {config.kafka.group}")
    return findings


async def _try(work: Coroutine[Any, Any, list[BrokerFinding]], what: str) -> list[BrokerFinding]:
    try:
        return await work
    except ConfigError as error:
        return [BrokerFinding(False, str(error))]
    except (KafkaError, OSError) as error:
        return [BrokerFinding(False, f"{what}: {type(error).__name__}: {error}; {HELP}")]


def _check_registry(registry: SchemaRegistry) -> BrokerFinding:
    try:
        registry.check()
    except RegistryUnavailableError as error:
        return BrokerFinding(False, str(error))
    return BrokerFinding(True, f"the schema registry {registry.url}")


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
    return BrokerFinding(True, f"{of}{name}, {partitions} partitions")


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
