"""The commands that talk to Kafka: arguments in, words and a result out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Sequence
from pathlib import Path
from typing import Any

from aiokafka.errors import KafkaError

from monitor.config import Config
from monitor.console import Console
from monitor.core.events import Control
from monitor.errors import BrinkwatchError
from monitor.kafka import publish, topics
from monitor.kafka.clients import Clients


def finished(work: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine; what Kafka refuses on the way is the job's failure."""
    try:
        return asyncio.run(work)
    except KafkaError as error:
        raise BrinkwatchError(f"Kafka: {type(error).__name__}: {error}") from error


def create_topics(config: Config, partitions: int, console: Console) -> dict[str, Any]:
    """`brinkwatch topics create`."""
    wanted = topics.inputs(config, list(config.topics.values()), partitions)
    wanted |= topics.own(config, partitions)
    made = finished(topics.create(Clients(config.kafka), wanted))
    console.say(f"created {', '.join(made)}" if made else "all topics were there")
    return {"created": made, "partitions": partitions}


def published(
    config: Config,
    console: Console,
    parts: Sequence[tuple[str, int]],
    controls: Sequence[Control],
    chunks: Iterable[publish.Chunk],
    total: int,
    speed: float | None,
) -> dict[str, Any]:
    """`brinkwatch publish`."""
    with console.progress("publishing, records", total) as show:
        work = publish.publish(config, parts, controls, chunks, speed=speed, progress=show)
        result: dict[str, Any] = finished(work)
    console.say(f"{result['records']:,} records published")
    if result["moved"]:
        console.say(
            f"{result['moved']:,} of them have another offset than in the day, which has gaps: "
            "alerts will name other offsets, and control records may take effect elsewhere"
        )
    return result


def kafka(directory: Path | None, port: int | None, say: Callable[[str], None]) -> None:
    """`brinkwatch kafka`."""
    from monitor.broker import BrokerError, serve

    try:
        serve(directory, port, say)
    except BrokerError as error:
        raise BrinkwatchError(str(error)) from error
