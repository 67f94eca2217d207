"""The sidecar: lives, one after another, beside its HTTP port; a clean end on SIGTERM."""

from __future__ import annotations

import asyncio
import gc
import time
from typing import Any

import structlog
from aiokafka.errors import KafkaError, ProducerFenced

from monitor.config import Config
from monitor.core.watch import Factory
from monitor.core.watermark import NEVER
from monitor.errors import BrinkwatchError, ConfigError
from monitor.life import Life
from monitor.metrics import Metrics

STOP_S = 8.0
"""A turn that is under way has this long to end before it is cut off."""
BACK_OFF_S = (0.2, 0.5, 1.0, 2.0, 5.0)
STUCK_S = 30.0
"""No turn for so long: not alive."""


class Sidecar:
    """Runs until `stop` is called. `ready`, `alive` and `state` are for the HTTP port."""

    def __init__(self, config: Config, factories: list[Factory]) -> None:
        self._config = config
        self._factories = factories
        self.metrics = Metrics()
        self.metrics.ready.set_function(lambda: float(self.ready()[0]))
        self._log = structlog.get_logger()
        self._stop = asyncio.Event()
        self._life: Life | None = None
        self._why = "starting"
        self._turned_s = time.monotonic()
        self._began = False

    def stop(self) -> None:
        """End after the turn under way."""
        self._stop.set()

    async def run(self) -> None:
        """Live, and live again where Kafka fails us; raises what only people can mend."""
        tries = 0
        while not self._stop.is_set():
            task = asyncio.create_task(self._live())
            stopping = asyncio.create_task(self._stop.wait())
            await asyncio.wait((task, stopping), return_when=asyncio.FIRST_COMPLETED)
            stopping.cancel()
            done, _ = await asyncio.wait((task,), timeout=STOP_S)
            if not done:
                task.cancel()
                await asyncio.wait((task,), timeout=1.0)
                self._log.warning("cut off", after_s=STOP_S)
                return
            error = task.exception()
            if error is None:
                return
            tries = 0 if self._life is not None else tries + 1
            self._fails(error)
            self._life = None
            wait = BACK_OFF_S[min(tries, len(BACK_OFF_S) - 1)]
            await asyncio.wait((asyncio.create_task(self._stop.wait()),), timeout=wait)

    def _fails(self, error: BaseException) -> None:
        """Say why a life ended; raise where another would end alike."""
        if isinstance(error, ProducerFenced):
            raise BrinkwatchError(
                f"another sidecar of the group {self._config.kafka.group} has taken over; one at a "
                "time may run: stop one, or give them different kafka.group"
            ) from error
        mendable = isinstance(error, KafkaError | OSError) or (
            self._began and isinstance(error, ConfigError)
        )
        if not mendable:
            raise error
        words = str(error) if isinstance(error, ConfigError) else f"{type(error).__name__}: {error}"
        self._why = f"Kafka fails: {words}"
        self._log.warning("life ended", why=words)

    async def _live(self) -> None:
        self._why = "restoring"
        began = time.monotonic()
        self._turned_s = began
        life = await Life.begin(self._config, self._factories, self.metrics)
        seconds = time.monotonic() - began
        self.metrics.lives.inc()
        self.metrics.restore_seconds.set(seconds)
        self.metrics.facts.engine = life.engine
        self._log.info("reading", restore_s=round(seconds, 3), alerts=life.published)
        gc.collect()
        gc.freeze()  # what is here now stays: the collector need not walk it again and again
        self._life, self._why, self._began = life, "", True
        try:
            while not self._stop.is_set():
                await life.turn()
                self._turned_s = time.monotonic()
                if life.engine.passed_ns != NEVER:
                    self.metrics.watermark.set(life.engine.passed_ns / 1e9)
            await life.settle()
            self._log.info("stopped", alerts=life.published)
        finally:
            gc.unfreeze()
            await life.end()

    def alive(self) -> tuple[bool, str]:
        """Whether turns are made, or attempts to get there."""
        still = time.monotonic() - self._turned_s
        return still < STUCK_S, f"last turn {still:.1f} s ago"

    def ready(self) -> tuple[bool, str]:
        """Whether records are read, restored and in time; with the reason where not."""
        life = self._life
        if life is None or self._why:
            return False, self._why
        limit = self._config.http.lag_limit_s
        if any(life.lag.values()) and life.delay_s > limit:
            return False, f"behind by {life.delay_s:.0f} s (limit {limit:.0f} s)"
        return True, "ready"

    async def state(self) -> dict[str, Any]:
        """Where it stands, between two steps."""
        ready, why = self.ready()
        life = self._life
        if life is None:
            return {"ready": ready, "why": why}
        async with life.busy:
            tally = life.engine.tally()
            positions: dict[str, dict[str, int]] = {}
            for (topic, partition), offset in sorted(life.positions.items()):
                positions.setdefault(topic, {})[str(partition)] = offset
            return {
                "ready": ready,
                "why": why,
                "digest": life.engine.digest(),
                "alerts": life.engine.alerts,
                "published": life.published,
                "windows": life.engine.windows,
                **tally.facts(),
                "duplicates": tally.duplicates,
                "lag": sum(life.lag.values()),
                "positions": positions,
            }
