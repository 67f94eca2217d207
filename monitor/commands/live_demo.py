"""`brinkwatch demo --live`: a day through a real Kafka, with the sidecar beside it.

Kafka and the sidecar are processes of their own, as in production; they end with this one, whatever
ends it.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from monitor.broker.child_processes import end_child, start_child
from monitor.broker.kafka_server import Broker
from monitor.commands.bus.publish_day import Feed, publish
from monitor.commands.bus.topics import create_topics
from monitor.config import Config, HttpSettings, KafkaSettings
from monitor.console import Console
from monitor.core.contract.alert import Alert, parse_alert
from monitor.errors import BrinkwatchError
from monitor.kafka.clients import Clients, run_async

START_S_MAX, END_S_MAX = 300.0, 300.0
"""The sidecar has so long to open its port, and to finish once all is published."""
STOP_S_MAX = 15.0
POLL_S = 0.2


def run_live_demo(config: Config, console: Console, feed: Feed, out: Path) -> list[Alert]:
    """Run it all; returns the alerts in their order, and writes them to `out`/alerts.jsonl."""
    with Broker(brief=True, say=console.say) as broker:
        kafka = KafkaSettings(bootstrap_servers=broker.bootstrap)
        config = config.model_copy(update={"kafka": kafka, "http": HttpSettings(port=0)})
        create_topics(config, feed.partitions, console)
        console.say("starting the sidecar (the first time its kernels are compiled)")
        with SidecarProcess(broker.bootstrap, out / "run.log") as sidecar:
            console.say(f"the sidecar runs (process {sidecar.pid}, log {sidecar.log})")
            console.say(f"its numbers, while it does: {sidecar.address}/metrics")
            lines = run_async(_publish_and_watch(config, console, feed, sidecar))
    (out / "alerts.jsonl").write_bytes(b"".join(line + b"\n" for line in lines))
    console.say("the sidecar and Kafka are stopped")
    return [parse_alert(line) for line in lines]


class SidecarProcess:
    """`brinkwatch run` as a process of its own; a context manager."""

    def __init__(self, bootstrap: str, log: Path) -> None:
        self.log = log
        self.address = ""
        own = "BRINKWATCH_KAFKA__", "BRINKWATCH_HTTP__"
        kept = {name: text for name, text in os.environ.items() if not name.startswith(own)}
        self._environment = kept | {own[0] + "BOOTSTRAP_SERVERS": bootstrap, own[1] + "PORT": "0"}

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def __enter__(self) -> SidecarProcess:
        self.log.write_bytes(b"")
        command = [sys.executable, "-m", "monitor.cli", "run"]
        self._process = start_child(command, self.log, self._environment)
        try:
            self.address = self._wait_for_address()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        end_child(self._process, STOP_S_MAX)

    def _wait_for_address(self) -> str:
        """The address of its port, from its log."""
        deadline = time.monotonic() + START_S_MAX
        while time.monotonic() < deadline:
            self.check()
            for line in self.log.read_text().splitlines():
                if '"listening"' in line:
                    return str(json.loads(line)["at"])
            time.sleep(0.05)
        raise BrinkwatchError(f"the sidecar opens no port: see {self.log}")

    def check(self) -> None:
        """Raise where it has ended."""
        status = self._process.poll()
        if status is not None:
            last = self.log.read_text().strip().splitlines()[-3:]
            raise BrinkwatchError(f"the sidecar ended (status {status}): {' '.join(last)}")

    def state(self) -> dict[str, Any] | None:
        """The document at /state; None where it does not answer in time, as on a busy machine."""
        self.check()
        try:
            with urllib.request.urlopen(f"{self.address}/state", timeout=10) as reply:
                document: dict[str, Any] = json.load(reply)
                return document
        except urllib.error.HTTPError:
            raise  # that is an answer
        except OSError:
            return None


async def _publish_and_watch(
    config: Config, console: Console, feed: Feed, sidecar: SidecarProcess
) -> list[bytes]:
    """Publish, show alerts as they come, and end when the sidecar has published all of them."""
    alerts: list[bytes] = []
    consumer = await Clients(config.kafka).consumer()
    at = TopicPartition(config.kafka.alerts_topic, 0)
    consumer.assign([at])
    consumer.seek(at, 0)
    with console.progress("publishing, records", feed.total) as progress:
        reading = asyncio.create_task(_show_alerts(consumer, alerts, console, sidecar))
        try:
            await _run_while_reading(reading, publish(config, feed, progress))
            await _run_while_reading(reading, _wait_until_done(sidecar, feed.total, alerts))
        finally:
            reading.cancel()
            await asyncio.wait((reading,))
            await consumer.stop()
    return alerts


async def _run_while_reading(reading: asyncio.Task[None], work: Any) -> None:
    """Do the work unless the reading fails meanwhile."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.wait((reading, task), return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            reading.result()
        await task
    finally:
        task.cancel()


async def _show_alerts(
    consumer: AIOKafkaConsumer, alerts: list[bytes], console: Console, sidecar: SidecarProcess
) -> None:
    """Show alerts as they are committed; ends only by a failure."""
    while True:
        sidecar.check()
        for records in (await consumer.getmany(timeout_ms=200)).values():
            for record in records:
                alerts.append(record.value)
                alert = parse_alert(record.value)
                if alert.status == "firing":
                    console.alert(alert)


async def _wait_until_done(sidecar: SidecarProcess, records: int, alerts: list[bytes]) -> None:
    """Until every record is read, every alert published, and every one of them shown."""
    deadline = time.monotonic() + END_S_MAX
    while time.monotonic() < deadline:
        state = await asyncio.to_thread(sidecar.state)
        if state is not None:
            read = sum(sum(parts.values()) for parts in state.get("positions", {}).values())
            counts = state.get("alerts"), state.get("published")
            if read >= records and counts == (len(alerts), len(alerts)):
                return
        await asyncio.sleep(POLL_S)
    raise BrinkwatchError(f"the sidecar is not through after {END_S_MAX:.0f} s: see {sidecar.log}")
