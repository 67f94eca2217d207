"""Restarts the session of one owner whenever it fails, while its partition is this member's."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Callable
from typing import Protocol

import structlog
from aiokafka.errors import KafkaError, ProducerFenced

from monitor.core.event_time.watermark import PartitionClock
from monitor.errors import ConfigError
from monitor.kafka.clients import UnreachableError
from monitor.kafka.logs.identity import LogChangedError
from monitor.kafka.partitions import PartitionKey, PartitionOffsets
from monitor.live.recent_refusals import RecentRefusals
from monitor.metrics.sidecar import Metrics

BACK_OFF_S = (0.2, 0.5, 1.0, 2.0, 5.0)
FIRST_S = 300.0
"""A first session that cannot reach Kafka for so long gives up."""


class Session(Protocol):
    """What reads and writes for one owner, from a restore until it is stopped or Kafka fails it."""

    name: str
    last_turn_s: float
    """When (monotonic) the last turn ended."""
    delay_s: float
    """How long ago the oldest record that is being read came to Kafka; 0 with none waiting."""
    lag: PartitionOffsets
    positions: PartitionOffsets
    refusals: RecentRefusals

    @property
    def clocks(self) -> dict[PartitionKey, PartitionClock]: ...
    def work(self) -> str: ...
    def fault(self) -> str: ...
    async def begin(self) -> None: ...
    async def turn(self, is_stopping: Callable[[], bool] = ...) -> None: ...
    async def commit(self, snapshot: bool) -> None: ...
    async def end(self) -> None: ...


class Supervisor:
    """Runs session after session until `stop`; `make` makes a new one.

    What people have to mend is raised by `run`: a log that has changed at any time, and any other
    `ConfigError` before a session ran. Once one ran, the same is taken for trouble of Kafka that
    passes. A Kafka that cannot be reached is trouble that passes from the start, since the sidecar
    has reached it before, but for `FIRST_S` at most.
    """

    def __init__(self, owner: str, make: Callable[[], Session], metrics: Metrics) -> None:
        self._make = make
        self._metrics = metrics
        self._stop = asyncio.Event()
        self._log = structlog.get_logger().bind(owner=owner)
        self._ever_started = False
        self._attempt_start_s = self._born_s = time.monotonic()
        self.session: Session | None = None
        """The session that reads now, if any."""
        self.why = "restoring"
        """Why none reads, for people; empty while one does."""

    @property
    def last_turn_s(self) -> float:
        """When (monotonic) the last turn ended, or the last attempt to start began."""
        return self.session.last_turn_s if self.session is not None else self._attempt_start_s

    def stop(self) -> None:
        """End after the turn under way, with a last transaction."""
        self._stop.set()

    async def run(self) -> None:
        """Run sessions until `stop`; raises what only people can mend."""
        tries = 0
        while not self._stop.is_set():
            try:
                await self._run_session()
                return
            except Exception as error:
                tries = 0 if self.session is not None else tries + 1
                self.session = None
                self._handle_failure(error)
            wait = asyncio.create_task(self._stop.wait())
            await asyncio.wait((wait,), timeout=BACK_OFF_S[min(tries, len(BACK_OFF_S) - 1)])
            wait.cancel()

    def _handle_failure(self, error: Exception) -> None:
        """Log why a session ended; raise where the next one would end in the same way."""
        if isinstance(error, ProducerFenced):
            # The group gave the partition to another member, and this one does not know it yet. If
            # it was given back, the next session fences the other member.
            self.why = "another member of the group has taken over"
            self._log.info("fenced")
            return
        is_kafka = isinstance(error, KafkaError | OSError)
        if isinstance(error, UnreachableError):
            is_kafka = self._ever_started or time.monotonic() - self._born_s < FIRST_S
        elif isinstance(error, ConfigError) and not isinstance(error, LogChangedError):
            is_kafka = self._ever_started
        if not is_kafka:
            raise error
        why = str(error) if isinstance(error, ConfigError) else f"{type(error).__name__}: {error}"
        self.why = f"Kafka fails: {why}"
        self._log.warning("session ended", why=why)

    async def _run_session(self) -> None:
        self._attempt_start_s = began = time.monotonic()
        session = self._make()
        await session.begin()
        seconds = time.monotonic() - began
        self._metrics.sessions.inc()
        self._metrics.restore_seconds.set(seconds)
        self._log.info("reading", restore_s=round(seconds, 3))
        if not self._ever_started:
            gc.collect()
            gc.freeze()  # what is here now stays: the collector need not walk it each time
        self.session, self.why, self._ever_started = session, "", True
        try:
            while not self._stop.is_set():
                await session.turn(self._stop.is_set)
            await session.commit(snapshot=True)
            self._log.info("stopped")
        finally:
            await session.end()
