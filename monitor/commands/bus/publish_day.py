"""`brinkwatch publish`: a recorded day to Kafka, record by record at the offsets it had.

The topics have to be empty, so that a record's offset is the one it had in the day: alerts name
offsets, and lateness goes by them. Control records go first: they must be read before the records
that they speak of. A day of one partition may also be spread over topics of several, by symbol:
then only the control records of its end are sent, behind the records. The records' Kafka timestamps
are the time of sending: with the event time as their timestamp the broker's retention would delete
an old day at once.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaProducer, TopicPartition

from monitor.config import Config
from monitor.console import Console
from monitor.core.contract.events import Control
from monitor.core.contract.keys import partition_of
from monitor.core.contract.message_run import MessageRun
from monitor.core.contract.units import SECOND_NS
from monitor.core.decode.codec import UNKNOWN
from monitor.errors import ConfigError
from monitor.kafka import topics
from monitor.kafka.clients import Clients, run_async
from monitor.kafka.messages import control_message, send_in_batches
from monitor.kafka.partitions import PartitionKey

BATCH_BYTES = 256 << 10
FLUSH_ROWS = 4_096
"""Records gathered over all topics before they are sent."""
IN_FLIGHT = 16
"""Batches sent and not yet acknowledged, at most."""


@dataclass(slots=True)
class Feed:
    """A recorded day, ready to be published.

    total: records, for the progress bar. speed: event seconds a second; None: as fast as it goes.
    """

    parts: Sequence[PartitionKey]
    controls: Sequence[Control]
    runs: Iterable[MessageRun]
    total: int
    speed: float | None

    @property
    def partitions(self) -> int:
        """How many partitions each topic needs."""
        return 1 + max((partition for _, partition in self.parts), default=0)


def publish_day(config: Config, console: Console, feed: Feed) -> dict[str, int]:
    """Publish a day; returns how many records were sent and how many have another offset now."""
    with console.progress("publishing, records", feed.total) as progress:
        result = run_async(publish(config, feed, progress))
    console.say(f"{result['records']:,} records published")
    if result["partitions"] != feed.partitions:
        console.say(
            f"the day has one partition and the topics have {result['partitions']}: its records "
            "were spread by symbol, so alerts will name other offsets than a replay of the day "
            "does, and silences within the day are noticed anew; record the topics to replay them"
        )
    elif result["moved"]:
        console.say(
            f"{result['moved']:,} of them have another offset than in the day, which has gaps: "
            "alerts will name other offsets, and control records may take effect elsewhere"
        )
    return result


async def publish(config: Config, feed: Feed, progress: Callable[[int], None]) -> dict[str, int]:
    """Create the topics of a day where they are missing, and send it.

    progress: takes the number of records sent so far. Raises `ConfigError` where a topic is not
    empty.
    """
    if config.sources:
        raise ConfigError(
            "publish sends records in the contract's form, and this configuration reads sources in "
            "a form of their own: publish with one without [source] and kafka.output"
        )
    clients = Clients(config.kafka)
    names = list(dict.fromkeys([*config.topics.values(), *(topic for topic, _ in feed.parts)]))
    partitions = await _choose_partitions(clients, feed, names)
    wanted = topics.venue_topics(config, names, partitions)
    await topics.create(clients, wanted | topics.sidecar_topics(config, partitions))
    spread = None if partitions == feed.partitions else _Spread(feed, partitions)
    await _require_empty(clients, feed.parts if spread is None else spread.parts)
    producer = await clients.producer(max_batch_size=BATCH_BYTES, linger_ms=5)

    async def send_controls(controls: Iterable[Control]) -> None:
        for control in controls:
            message = control_message(control)
            await message.send(producer, config.kafka.control_topic, control.partition)
        await producer.flush()

    try:
        sender = _Sender(producer, feed.speed, progress)
        if spread is None:
            await send_controls(feed.controls)
            result = await sender.run(feed.runs)
        else:
            result = await sender.run(spread.runs())
            await send_controls(spread.end_controls())
        return {**result, "partitions": partitions}
    finally:
        await producer.stop()


async def _choose_partitions(clients: Clients, feed: Feed, names: list[str]) -> int:
    """How many partitions the day is published to: as many as it has, or as there are.

    Raises `ConfigError` where a day of several meets topics of another number.
    """
    async with clients.admin() as admin:
        there = await topics.partition_counts(admin)
    counts = {name: there[name] for name in names if name in there and name != UNKNOWN}
    other = {name: number for name, number in counts.items() if number != feed.partitions}
    if not other:
        return feed.partitions
    name, number = next(iter(other.items()))
    if len(set(counts.values())) == 1 and feed.partitions == 1:
        return number
    raise ConfigError(
        f"the topic {name} has {number} partitions and the day {feed.partitions}: only a day of "
        "one partition can be spread over topics that are alike; delete the topics and use "
        "brinkwatch topics create DAY, or name others under [topics] and in the day"
    )


class _Spread:
    """A day of one partition as one of several: each symbol's records in a partition of its own."""

    def __init__(self, feed: Feed, partitions: int) -> None:
        self._feed, self._partitions = feed, partitions
        names = dict.fromkeys(topic for topic, _ in feed.parts)
        self._next: dict[PartitionKey, int] = {
            (name, p): 0 for name in names for p in range(1 if name == UNKNOWN else partitions)
        }
        """The offset of the next record."""

    @property
    def parts(self) -> list[PartitionKey]:
        return list(self._next)

    def runs(self) -> Iterator[MessageRun]:
        """The messages of the day; each run in as many as it has partitions."""
        for run in self._feed.runs:
            number = 1 if run.topic == UNKNOWN else self._partitions
            rows: dict[int, list[int]] = defaultdict(list)
            for row, key in enumerate(run.keys):
                rows[0 if key is None else partition_of(key.decode(), number)].append(row)
            for partition, mine in rows.items():
                at = run.topic, partition
                first = self._next[at]
                self._next[at] = end = first + len(mine)
                keys, values = [run.keys[i] for i in mine], [run.values[i] for i in mine]
                yield MessageRun(*at, list(range(first, end)), keys, values, run.ts)

    def end_controls(self) -> Iterator[Control]:
        """The day's end in each topic partition, once all was sent."""
        ts = max((control.ts for control in self._feed.controls), default=None)
        for (topic, partition), offset in self._next.items():
            if ts is not None and topic != UNKNOWN:
                yield Control(topic=topic, partition=partition, offset=offset, ts=ts)


async def _require_empty(clients: Clients, parts: Sequence[PartitionKey]) -> None:
    consumer = await clients.consumer()
    try:
        ends = await consumer.end_offsets([TopicPartition(*part) for part in parts])
    finally:
        await consumer.stop()
    filled = [f"{tp.topic}/{tp.partition} ({end:,})" for tp, end in ends.items() if end]
    if filled:
        raise ConfigError(
            f"there were records in {', '.join(filled[:3])}"
            f"{' and more' if len(filled) > 3 else ''}: a day is published to empty topics, so "
            "that its records keep their offsets; use a fresh Kafka, or other topics for the day"
        )


class _Sender:
    """Gathers messages by topic partition and sends them in batches, in their order."""

    def __init__(
        self, producer: AIOKafkaProducer, speed: float | None, progress: Callable[[int], None]
    ) -> None:
        self._producer, self._speed, self._progress = producer, speed, progress
        self._start: tuple[float, int] | None = None
        """Monotonic time (s) and event time (ns) of the first message."""
        self._in_flight: list[asyncio.Future[Any]] = []
        self._waiting: dict[PartitionKey, list[MessageRun]] = {}
        self._rows = 0
        self._last_flushed: set[PartitionKey] = set()
        """The topic partitions of the last flush."""
        self._next: dict[PartitionKey, int] = {}
        self._sent = self._moved = 0
        """Records sent, and those that have another offset than in the day."""

    async def run(self, runs: Iterable[MessageRun]) -> dict[str, int]:
        for messages in runs:
            await self._wait_until_due(messages.ts)
            self._waiting.setdefault((messages.topic, messages.partition), []).append(messages)
            self._rows += len(messages.values)
            if self._rows >= FLUSH_ROWS:
                await self._flush()
        await self._flush()
        await self._await_batches(0)
        return {"records": self._sent, "moved": self._moved}

    async def _wait_until_due(self, ts: int) -> None:
        """Wait until as much wall time has passed as event time has, divided by the speed."""
        if self._speed is None:
            return
        if self._start is None:
            self._start = time.monotonic(), ts
        wait = self._start[0] + (ts - self._start[1]) / SECOND_NS / self._speed - time.monotonic()
        if wait > 0:
            await self._flush()
            await asyncio.sleep(wait)

    async def _flush(self) -> None:
        """Send what waits, topic partitions that were not in the last flush first and alone.

        The sidecar may have taken such a one for silent: it must not read the others' records,
        and close their windows, before these.
        """
        waiting, self._waiting, self._rows = self._waiting, {}, 0
        resumed = [at for at in waiting if at not in self._last_flushed]
        for at in resumed:
            await self._send(at, waiting[at])
        await self._await_batches(0 if resumed else IN_FLIGHT)
        for at in waiting:
            if at in self._last_flushed:
                await self._send(at, waiting[at])
        self._last_flushed = set(waiting)
        self._progress(self._sent)

    async def _send(self, at: PartitionKey, runs: list[MessageRun]) -> None:
        following = self._next.get(at, 0)
        for messages in runs:
            for offset in messages.offsets:
                self._moved += offset != following
                following += 1
            self._sent += len(messages.values)
        rows = (row for run in runs for row in zip(run.keys, run.values, strict=True))
        # The client queues one batch a topic partition, so the order is kept.
        async for batch, _ in send_in_batches(self._producer, at, rows):
            self._in_flight.append(batch)
            await self._await_batches(IN_FLIGHT)
        self._next[at] = following

    async def _await_batches(self, left: int) -> None:
        """Wait until at most `left` batches are not acknowledged; raises what went wrong."""
        while len(self._in_flight) > left:
            await self._in_flight.pop(0)
