"""The topics of the venue, with equal partitions each, and the topics of the sidecar."""

from __future__ import annotations

import asyncio

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import TopicAlreadyExistsError, for_code

from monitor.config import Config
from monitor.core.contract.units import DAY_MS
from monitor.core.decode.codec import UNKNOWN
from monitor.errors import BrinkwatchError, ConfigError, nearest_name
from monitor.kafka.clients import RECORD_BYTES_MAX, Clients

RECORD_LIMIT = RECORD_BYTES_MAX // 2
"""Of a record of the venue, in bytes: a dead letter has room for it and the headers."""
VENUE = {
    "retention.ms": "-1",
    "max.message.bytes": str(RECORD_LIMIT),
    "message.timestamp.type": "LogAppendTime",
}
"""Nothing is deleted by age: an engine restored from an old snapshot reads on from there. The
broker stamps each record: its clock is a witness of event time that no producer can move."""
COMPACT = {"cleanup.policy": "compact"}
SNAPSHOTS = {
    **COMPACT,
    # The open segment is never compacted: with the broker's own seven days and 1 GB each, one state
    # of a megabyte every five seconds would fill a disk first.
    "segment.ms": "600000",
    "segment.bytes": str(64 << 20),
    "min.cleanable.dirty.ratio": "0.1",
}
REPORTS = {"retention.ms": str(7 * DAY_MS), "max.message.bytes": str(RECORD_LIMIT)}
"""The venue stage reads reports again from its last snapshot on: seconds ago where it runs, and up
to seven days ago where nobody ran it."""

NAMES_SHOWN = 10
"""Of the topics that there are, where none has a name like the one that is missing."""
VISIBLE_TRIES, VISIBLE_S = 50, 0.1


def sidecar_topics(config: Config, partitions: int) -> dict[str, NewTopic]:
    """The sidecar's own topics."""
    kafka = config.kafka
    own_topics = [
        # Compacted: of a silence that lasts, only the latest control record counts.
        (kafka.control_topic, partitions, COMPACT),
        # One partition: the order of alerts is part of the output.
        (kafka.alerts_topic, 1, {"retention.ms": "-1"}),
        (kafka.dlq_topic, 1, {"retention.ms": "-1", "max.message.bytes": str(RECORD_BYTES_MAX)}),
        (kafka.bands_topic, 1, {}),
        (kafka.windows_topic, partitions, REPORTS),
        (kafka.snapshots_topic, partitions, SNAPSHOTS),
        (kafka.silences_topic, 1, COMPACT),
    ]
    if config.sources:
        own_topics.append((kafka.positions_topic, 1, SNAPSHOTS))
    return {
        name: NewTopic(name, number, kafka.replication, topic_configs=settings)
        for name, number, settings in own_topics
    }


def venue_topics(config: Config, names: list[str], partitions: int) -> dict[str, NewTopic]:
    """The venue's topics."""
    copies = config.kafka.replication
    numbers = {name: 1 if name == UNKNOWN else partitions for name in names}
    return {n: NewTopic(n, p, copies, topic_configs=VENUE) for n, p in numbers.items()}


async def partition_counts(admin: AIOKafkaAdminClient) -> dict[str, int]:
    """The number of partitions of every existing topic."""
    names = await admin.list_topics()
    topics = await admin.describe_topics(list(names)) if names else []
    return {topic["topic"]: len(topic["partitions"]) for topic in topics}


async def create(clients: Clients, wanted: dict[str, NewTopic]) -> list[str]:
    """Create what is missing and return its names.

    Raises `ConfigError` where one exists with another number of partitions.
    """
    async with clients.admin() as admin:
        there = await partition_counts(admin)
        for name, topic in wanted.items():
            if there.get(name, topic.num_partitions) != topic.num_partitions:
                raise ConfigError(
                    f"the topic {name} has {there[name]} partitions, not {topic.num_partitions}: "
                    "all topics of the venue need as many; use other topics, or this number"
                )
        missing = [topic for name, topic in wanted.items() if name not in there]
        if not missing:
            return []
        reply = await admin.create_topics(missing)
        for name, code, *rest in reply.topic_errors:
            error = for_code(code)
            if code and error is not TopicAlreadyExistsError:
                why = next((text for text in rest if text), error.__name__)
                raise BrinkwatchError(f"the topic {name} cannot be created: {why}")
        names = [topic.name for topic in missing]
        await _wait_for(admin, names)
        return names


async def _wait_for(admin: AIOKafkaAdminClient, names: list[str]) -> None:
    """Until the brokers name the topics to their clients, which is soon after they are created.

    A member that joins its group before has no partition until its next look, minutes later.
    """
    for _ in range(VISIBLE_TRIES):
        if set(names) <= (await partition_counts(admin)).keys():
            return
        await asyncio.sleep(VISIBLE_S)


async def create_inputs(clients: Clients, config: Config) -> list[str]:
    """Create what is missing of the topics that the intake writes to, and return the names."""
    async with clients.admin() as admin:
        there = await partition_counts(admin)
    names = list(config.topics.values())
    number = max((there[name] for name in names if name in there), default=config.kafka.partitions)
    return await create(clients, venue_topics(config, names, number))


async def source_partitions(venue: Clients, config: Config) -> dict[str, int]:
    """How many partitions the topic of each source has, by topic. `venue`: clients of its cluster.

    Raises `ConfigError` where a topic is missing.
    """
    async with venue.admin() as admin:
        there = await partition_counts(admin)
    for name, source in config.sources.items():
        if source.topic not in there:
            shown = sorted(topic for topic in there if not topic.startswith("__"))
            more = len(shown) - NAMES_SHOWN
            every = f"there are {', '.join(shown[:NAMES_SHOWN])}"
            every += f" and {more} more" if more > 0 else ""
            none = "there are none that this user may see"
            mend = nearest_name(source.topic, shown, every if shown else none)
            raise ConfigError(f"source {name}: there is no topic {source.topic} here; {mend}")
    return {source.topic: there[source.topic] for source in config.sources.values()}


async def venue_partitions(clients: Clients, config: Config) -> tuple[int, list[str]]:
    """How many partitions each topic of the venue has, and the names of these topics.

    The topic of records of unknown kind is among them only where it exists. Raises `ConfigError`
    where a topic is missing or the numbers differ.
    """
    async with clients.admin() as admin:
        there = await partition_counts(admin)
    names = list(config.topics.values())
    if missing := [name for name in names if name not in there]:
        raise ConfigError(
            f"there is no topic {', '.join(missing)}: brinkwatch topics create --partitions N "
            "makes them, or name yours under [topics] in the configuration"
        )
    counts = {name: there[name] for name in names}
    if len(set(counts.values())) > 1:
        numbers = ", ".join(f"{name} {number}" for name, number in counts.items())
        raise ConfigError(
            f"the topics of the venue differ in partitions ({numbers}): a symbol has to be in the "
            "same partition of each; make them alike"
        )
    if there.get(UNKNOWN, 1) != 1:
        raise ConfigError(f"the topic {UNKNOWN} has {there[UNKNOWN]} partitions; it needs 1")
    number = counts[names[0]]
    if there.get(config.kafka.control_topic, number) != number:
        raise ConfigError(
            f"the topic {config.kafka.control_topic} has {there[config.kafka.control_topic]} "
            f"partitions, those of the venue {number}: make it anew with as many"
        )
    return number, [*names, UNKNOWN] if UNKNOWN in there else names
