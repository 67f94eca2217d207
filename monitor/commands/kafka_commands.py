"""The commands that talk to Kafka: arguments in, words and a result out."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Callable, Coroutine, Iterable, Sequence
from pathlib import Path
from typing import Any

from aiokafka.errors import KafkaError

from monitor.config import Config
from monitor.console import Console
from monitor.core.contract.events import Control
from monitor.core.detection.detector_group import DetectorFactory
from monitor.errors import BrinkwatchError
from monitor.kafka import dead_letters, topics
from monitor.kafka.clients import Clients
from monitor.kafka.publish_day import MessageRun, publish
from monitor.kafka.record_day import DaySink, record


def run_async(work: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine; what Kafka refuses on the way is the job's failure."""
    try:
        return asyncio.run(work)
    except KafkaError as error:
        raise BrinkwatchError(f"Kafka: {type(error).__name__}: {error}") from error


def create_topics(config: Config, partitions: int, console: Console) -> dict[str, Any]:
    """`brinkwatch topics create`."""
    wanted = topics.venue_topics(config, list(config.topics.values()), partitions)
    wanted |= topics.sidecar_topics(config, partitions)
    made = run_async(topics.create(Clients(config.kafka), wanted))
    console.say(f"created {', '.join(made)}" if made else "all topics were there")
    return {"created": made, "partitions": partitions}


def publish_day(
    config: Config,
    console: Console,
    parts: Sequence[tuple[str, int]],
    controls: Sequence[Control],
    chunks: Iterable[MessageRun],
    total: int,
    speed: float | None,
) -> dict[str, Any]:
    """`brinkwatch publish`."""
    with console.progress("publishing, records", total) as show:
        work = publish(config, parts, controls, chunks, speed=speed, progress=show)
        result: dict[str, Any] = run_async(work)
    console.say(f"{result['records']:,} records published")
    if result["moved"]:
        console.say(
            f"{result['moved']:,} of them have another offset than in the day, which has gaps: "
            "alerts will name other offsets, and control records may take effect elsewhere"
        )
    return result


def record_day(config: Config, console: Console, day: DaySink) -> dict[str, Any]:
    """`brinkwatch record`."""
    with console.progress("recording, records", None) as show:
        result: dict[str, Any] = run_async(record(config, day, show))
    console.say(f"{result['records']:,} records and {result['controls']:,} control records")
    return result


def list_dead_letters(config: Config, console: Console) -> dict[str, Any]:
    """`brinkwatch dlq list`."""
    found = run_async(dead_letters.list_letters(config))
    head = ["topic", "partition", "offset", "reason", "detail", "bytes", "begins"]
    rows = [[str(letter.get(name, "")) for name in head] for letter in found]
    console.table(f"{len(found):,} dead letters", head, rows)
    return {"letters": found}


def resend_dead_letters(config: Config, console: Console) -> dict[str, Any]:
    """`brinkwatch dlq replay`."""
    count = run_async(dead_letters.resend(config))
    console.say(f"{count:,} dead letters sent again to where they came from")
    return {"sent": count}


def run(config: Config) -> int:
    """`brinkwatch run`; the exit status: 0 after SIGTERM, 130 after an interrupt."""
    import structlog

    from monitor.plugins import detector_factories

    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
    )
    status: int = run_async(_run_with_http(config, detector_factories(config.streams)))
    return status


async def _run_with_http(config: Config, factories: list[DetectorFactory]) -> int:
    import structlog

    from monitor import http
    from monitor.app import Sidecar

    sidecar = Sidecar(config, factories)
    server, port = await http.serve(sidecar, config.http)
    scheme = "https" if config.http.cert_file else "http"
    structlog.get_logger().info("listening", at=f"{scheme}://{config.http.host}:{port}")
    status = 0

    def on_signal(number: int) -> None:
        nonlocal status
        status = 130 if number == signal.SIGINT else 0
        sidecar.stop()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, on_signal, number)
    async with server:
        await sidecar.run()
    return status


def kafka(directory: Path | None, port: int | None, say: Callable[[str], None]) -> None:
    """`brinkwatch kafka`."""
    from monitor.broker.kafka_server import BrokerError, serve

    try:
        serve(directory, port or None, say)
    except BrokerError as error:
        raise BrinkwatchError(str(error)) from error
