"""Kafka clients made from the configuration; one sentence says why a connection fails."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaConnectionError, KafkaError

from monitor.config import KafkaSettings
from monitor.errors import BrinkwatchError, ConfigError
from monitor.kafka.diagnose import diagnose
from monitor.security import SecurityError

RECORD_BYTES_MAX = 4 << 20
"""Twice what the topics of the venue take for one record (`topics.py`)."""
REQUEST_TIMEOUT_MS = 15_000
FETCH_WAIT_MS = 50
"""A consumer has one fetch under way. The broker answers it as soon as there is a record; a topic
partition whose records were not taken within 100 ms is in none, and waits so long for the next."""
FETCH_BYTES = 4 << 20
"""The bound on what waits in memory for each topic partition."""

T = TypeVar("T")


def run_async(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end; an error of Kafka becomes a `BrinkwatchError`."""
    try:
        return asyncio.run(work)
    except KafkaError as error:
        raise BrinkwatchError(f"Kafka: {type(error).__name__}: {error}") from error


class UnreachableError(ConfigError):
    """Kafka accepts no connection; the message says why."""


class Clients:
    """Makes started clients. Raises `UnreachableError` with the reason where Kafka accepts none.

    of_venue: of the venue's cluster, where brinkwatch's own topics are on another one.
    """

    def __init__(self, settings: KafkaSettings, of_venue: bool = False) -> None:
        self._cluster = settings if of_venue or settings.output is None else settings.output

    async def _start(self, make: Any, **options: Any) -> Any:
        client = None
        try:
            client = make(
                bootstrap_servers=self._cluster.bootstrap_servers,
                request_timeout_ms=REQUEST_TIMEOUT_MS,
                **self._cluster.security.client_options(),
                **options,
            )
            await client.start()
            return client
        except SecurityError as error:
            raise ConfigError(str(error)) from None
        except (KafkaError, ValueError, OSError) as error:
            if client is not None:
                await (client.close() if make is AIOKafkaAdminClient else client.stop())
            if isinstance(error, KafkaError) and not isinstance(error, KafkaConnectionError):
                raise
            why = await diagnose(self._cluster.bootstrap_servers, self._cluster.security)
            raise UnreachableError(why) from None

    async def consumer(self, **options: Any) -> AIOKafkaConsumer:
        """Reads committed records only; its position moves by seeking and reading alone."""
        return await self._start(
            AIOKafkaConsumer,
            isolation_level="read_committed",
            enable_auto_commit=False,
            max_partition_fetch_bytes=FETCH_BYTES,
            **{
                "auto_offset_reset": "none",
                "fetch_max_wait_ms": FETCH_WAIT_MS,
                **options,
            },
        )

    async def producer(self, **options: Any) -> AIOKafkaProducer:
        """Sends each record once and in order."""
        return await self._start(
            AIOKafkaProducer,
            enable_idempotence=True,
            acks="all",
            max_request_size=RECORD_BYTES_MAX,
            **options,
        )

    @asynccontextmanager
    async def admin(self) -> AsyncIterator[AIOKafkaAdminClient]:
        """A client that creates and describes topics."""
        client = await self._start(AIOKafkaAdminClient)
        try:
            yield client
        finally:
            await client.close()


async def stop_consumer(consumer: AIOKafkaConsumer) -> None:
    """Close its connections, whatever it is doing.

    A fetch that has just failed waits before the next; stopped then, aiokafka (0.14) raises
    CancelledError as if the caller had been cancelled, and leaves the connections open.
    """
    stopping = asyncio.create_task(consumer.stop())
    await asyncio.wait((stopping,))
    if stopping.cancelled():
        await consumer._client.close()
    else:
        stopping.result()
