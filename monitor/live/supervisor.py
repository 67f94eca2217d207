"""Restarts the session of one owner whenever it fails, while its partition is this member's."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Callable

import structlog
from aiokafka.errors import KafkaError, ProducerFenced

from monitor.errors import ConfigError
from monitor.live.owner_session import OwnerSession
from monitor.metrics import Metrics

BACK_OFF_S = (0.2, 0.5, 1.0, 2.0, 5.0)


class Supervisor:
    """Runs session after session until `stop`; `make` makes a new one.

    A `ConfigError` before any session ran is for people to mend, and `run` raises it. Once a
    session ran, the same error is taken for trouble of Kafka that passes.
    """

    def __init__(self, owner: str, make: Callable[[], OwnerSession], metrics: Metrics) -> None:
        self._make = make
        self._metrics = metrics
        self._stop = asyncio.Event()
        self._log = structlog.get_logger().bind(owner=owner)
        self._ever_started = False
        self._attempt_start_s = time.monotonic()
        self.session: OwnerSession | None = None
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
        mendable = isinstance(error, KafkaError | OSError) or (
            self._ever_started and isinstance(error, ConfigError)
        )
        if not mendable:
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
                await session.turn()
            await session.commit(snapshot=True)
            self._log.info("stopped")
        finally:
            await session.end()
