"""`brinkwatch publish`: a recorded day to Kafka, record by record at the offsets it had.

The topics have to be empty, so that a record's offset is the one it had in the day: alerts name
offsets, and lateness goes by them. Control records go out first: they are read before the records
that they speak of. The records' Kafka timestamps are the time of sending, not the event time, by
which the broker's retention would delete an old day at once.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from aiokafka import AIOKafkaProducer, TopicPartition

from monitor.config import Config
from monitor.core.contract.events import Control
from monitor.errors import ConfigError
from monitor.kafka import topics
from monitor.kafka.clients import Clients

BATCH_BYTES = 256 << 10
FLUSH_ROWS = 4_096
"""Records that are gathered, over all topics, before they are sent."""
IN_FLIGHT = 16
"""Batches on their way at once."""


class MessageRun(Protocol):
    """Messages of one topic partition, in the order of their offsets; `ts`: highest event time."""

    topic: str
    partition: int
    offsets: list[int]
    keys: list[bytes | None]
    values: list[bytes]
    ts: int


async def publish(
    config: Config,
    parts: Sequence[tuple[str, int]],
    controls: Sequence[Control],
    chunks: Iterable[MessageRun],
    *,
    speed: float | None,
    progress: Callable[[int], None],
) -> dict[str, int]:
    """Send a day. `parts`: its topic partitions; `speed`: event seconds a second, None for as
    fast as it goes. Returns how many records were sent and how many have another offset now.
    """
    clients = Clients(config.kafka)
    partitions = 1 + max((p for _, p in parts), default=0)
    names = list(dict.fromkeys([*config.topics.values(), *(topic for topic, _ in parts)]))
    await topics.create(
        clients,
        {
            **topics.venue_topics(config, names, partitions),
            **topics.sidecar_topics(config, partitions),
        },
    )
    await _require_empty(clients, names, parts)
    producer = await clients.producer(max_batch_size=BATCH_BYTES, linger_ms=5)
    try:
        for control in controls:
            await send_control(producer, config.kafka.control_topic, control)
        await producer.flush()
        return await _Sender(producer, speed, progress).run(chunks)
    finally:
        await producer.stop()


async def send_control(
    producer: AIOKafkaProducer, topic: str, control: Control
) -> asyncio.Future[object]:
    """Put a control record in the partition that it speaks of."""
    key = f"{control.topic}/{control.partition}/{control.offset}".encode()
    value = control.model_dump_json().encode()
    sent: asyncio.Future[object] = await producer.send(
        topic, value, key=key, partition=control.partition
    )
    return sent


async def _require_empty(
    clients: Clients, names: list[str], parts: Sequence[tuple[str, int]]
) -> None:
    consumer = await clients.consumer()
    try:
        ends = await consumer.end_offsets([TopicPartition(*part) for part in parts])
    finally:
        await consumer.stop()
    held = [f"{tp.topic}/{tp.partition} ({end:,})" for tp, end in ends.items() if end]
    if held:
        raise ConfigError(
            f"there were records in {', '.join(held[:3])}{' and more' if len(held) > 3 else ''}: "
            "a day is published to empty topics, so that its records keep their offsets; use a "
            "fresh Kafka, or other topics for the day"
        )


class _Sender:
    def __init__(
        self, producer: AIOKafkaProducer, speed: float | None, progress: Callable[[int], None]
    ) -> None:
        self._producer = producer
        self._speed = speed
        self._progress = progress
        self._start: tuple[float, int] | None = None
        self._in_flight: list[asyncio.Future[object]] = []
        self._waiting: dict[tuple[str, int], list[MessageRun]] = {}
        self._rows = 0
        self._last_flushed: set[tuple[str, int]] = set()
        """The topic partitions of the last flush."""
        self._next: dict[tuple[str, int], int] = {}
        self._sent = 0
        self._moved = 0

    async def run(self, chunks: Iterable[MessageRun]) -> dict[str, int]:
        for chunk in chunks:
            await self._wait_until_due(chunk.ts)
            self._waiting.setdefault((chunk.topic, chunk.partition), []).append(chunk)
            self._rows += len(chunk.values)
            if self._rows >= FLUSH_ROWS:
                await self._flush()
        await self._flush()
        await self._await_batches(0)
        return {"records": self._sent, "moved": self._moved}

    async def _wait_until_due(self, ts: int) -> None:
        """Wait until the wall clock has come as far as event time, times the speed."""
        if self._speed is None:
            return
        if self._start is None:
            self._start = time.monotonic(), ts
        wait = self._start[0] + (ts - self._start[1]) / 1e9 / self._speed - time.monotonic()
        if wait > 0:
            await self._flush()
            await asyncio.sleep(wait)

    async def _flush(self) -> None:
        """Send what waits. A topic partition that had nothing before goes first and alone: whoever
        took it for silent must not see the others' records before its own.
        """
        waiting, self._waiting, self._rows = self._waiting, {}, 0
        woken = [at for at in waiting if at not in self._last_flushed]
        for at in woken:
            await self._send(at, waiting[at])
        await self._await_batches(0 if woken else IN_FLIGHT)
        for at in waiting:
            if at in self._last_flushed:
                await self._send(at, waiting[at])
        self._last_flushed = set(waiting)
        self._progress(self._sent)

    async def _send(self, at: tuple[str, int], chunks: list[MessageRun]) -> None:
        following = self._next.get(at, 0)
        batch = self._producer.create_batch()
        for chunk in chunks:
            for offset, key, value in zip(chunk.offsets, chunk.keys, chunk.values, strict=True):
                self._moved += offset != following
                following += 1
                if batch.append(timestamp=None, key=key, value=value) is None:
                    await self._send_batch(batch, *at)
                    batch = self._producer.create_batch()
                    batch.append(timestamp=None, key=key, value=value)  # the first one always fits
            self._sent += len(chunk.values)
        await self._send_batch(batch, *at)
        self._next[at] = following

    async def _send_batch(self, batch: object, topic: str, partition: int) -> None:
        # One a topic partition may wait in the client, so the order is kept.
        self._in_flight.append(await self._producer.send_batch(batch, topic, partition=partition))
        await self._await_batches(IN_FLIGHT)

    async def _await_batches(self, left: int) -> None:
        """Wait for the oldest batches until `left` are on their way; raises what went wrong."""
        while len(self._in_flight) > left:
            await self._in_flight.pop(0)
