"""Records to send, and control records as records."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from aiokafka import AIOKafkaProducer
from pydantic import ValidationError

from monitor.core.contract.events import Control


@dataclass(slots=True)
class Message:
    """A record to send."""

    key: bytes | None
    value: bytes
    headers: list[tuple[str, bytes]] = field(default_factory=list)

    async def send(
        self, producer: AIOKafkaProducer, topic: str, partition: int
    ) -> asyncio.Future[Any]:
        """Hand it to the producer; the result is there once Kafka has it."""
        sent: asyncio.Future[Any] = await producer.send(
            topic, self.value, key=self.key, partition=partition, headers=self.headers
        )
        return sent


async def send_in_batches(
    producer: AIOKafkaProducer, at: tuple[str, int], rows: Iterable[tuple[bytes | None, bytes]]
) -> AsyncIterator[tuple[asyncio.Future[Any], int]]:
    """Hand keys and values to the producer for one topic partition, without a message each: of each
    batch its result, and how many records it has."""
    batch = producer.create_batch()
    for key, value in rows:
        if batch.append(timestamp=None, key=key, value=value) is None:
            count = batch.record_count()
            yield await producer.send_batch(batch, at[0], partition=at[1]), count
            batch = producer.create_batch()
            batch.append(timestamp=None, key=key, value=value)  # the first one always fits
    count = batch.record_count()
    yield await producer.send_batch(batch, at[0], partition=at[1]), count


def control_message(control: Control) -> Message:
    """A control record, for the partition of the same number as the one it speaks of."""
    key = f"{control.topic}/{control.partition}/{control.offset}"
    if control.gap is not None:
        key += "/gap"  # compaction must not take it for one of a silence at the same offset
    return Message(key.encode(), control.model_dump_json(exclude_none=True).encode())


def parse_controls(records: list[Any]) -> list[Control]:
    """The control records among `records`; what is not one is left out."""
    controls: list[Control] = []
    for record in records:
        with suppress(ValidationError):
            controls.append(Control.model_validate_json(record.value or b""))
    return controls
