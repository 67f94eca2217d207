"""`brinkwatch run`: the sidecar as a process, with its HTTP port, log and signals."""

from __future__ import annotations

import asyncio
import faulthandler
import os
import signal
import sys
import threading
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import structlog
from prometheus_client import CollectorRegistry, Gauge

from monitor.commands import process_log
from monitor.config import Config
from monitor.errors import BrinkwatchError, BusyError, ConfigError
from monitor.http.port import serve
from monitor.kafka.clients import run_async

if TYPE_CHECKING:
    from monitor.http.recent_alerts import RecentAlerts
    from monitor.http.recent_markets import RecentMarkets
    from monitor.sidecar import Sidecar

END_S = 8.0
"""After a signal the process has so long to end in order."""
END_AT_ONCE_S = 9.0
"""And so long where compiled code takes the interpreter after the signal was handled. Code that
has it when the signal comes keeps it from being handled: then only SIGKILL ends the process."""


def run_sidecar(config: Config, accept_gaps: Collection[str] = ()) -> int:
    """Run until a signal; the exit status: 0 after SIGTERM, 130 after an interrupt.

    accept_gaps: see `Sidecar`. What ends it by itself is a `BrinkwatchError` on a terminal, and
    elsewhere a line of the log like all others, with the status 1, or 2 where people can mend it.
    """
    process_log.configure()
    try:
        return run_async(_run(config, frozenset(accept_gaps)))
    except BrinkwatchError as error:
        if sys.stderr.isatty():
            raise
        structlog.get_logger().critical("ended", why=str(error))
        return 2 if isinstance(error, ConfigError) else 1


async def _run(config: Config, accept_gaps: frozenset[str]) -> int:
    loop = asyncio.get_running_loop()
    process_log.log_loop_errors(loop)
    stopping = _Stopping(loop)
    startup = _Startup()
    async with serve(startup, config.http) as port:
        scheme = "https" if config.http.cert_file else "http"
        structlog.get_logger().info("listening", at=f"{scheme}://{config.http.host}:{port}")
        # Off the loop: on the first start this compiles, and the port has to say so.
        sidecar = await loop.run_in_executor(None, _make_sidecar, config, accept_gaps)
        startup.sidecar = sidecar
        stopping.attach(sidecar)
        await sidecar.run()
    return stopping.status


def _make_sidecar(config: Config, accept_gaps: frozenset[str]) -> Sidecar:
    from monitor.plugins import detector_factories
    from monitor.sidecar import Sidecar

    return Sidecar(config, detector_factories(config.streams), accept_gaps)


class _Startup:
    """What the port shows: that the program is starting, and then the sidecar."""

    def __init__(self) -> None:
        self.sidecar: Sidecar | None = None
        self._registry = CollectorRegistry()
        # The series is there from the first scrape on; its value is 0.
        Gauge(
            "brinkwatch_ready",
            "1 while records are read and the lag is under its limit",
            registry=self._registry,
        )

    @property
    def registry(self) -> CollectorRegistry:
        return self._registry if self.sidecar is None else self.sidecar.registry

    @property
    def recent_alerts(self) -> RecentAlerts | None:
        return None if self.sidecar is None else self.sidecar.recent_alerts

    @property
    def recent_markets(self) -> RecentMarkets | None:
        return None if self.sidecar is None else self.sidecar.recent_markets

    def alive(self) -> tuple[bool, str]:
        return (True, "starting") if self.sidecar is None else self.sidecar.alive()

    def ready(self) -> tuple[bool, str]:
        if self.sidecar is None:
            return False, "starting (compiling, on the first start: one to two minutes)"
        return self.sidecar.ready()

    async def ask(self, path: str, parameters: Mapping[str, Sequence[str]]) -> bytes:
        if self.sidecar is None:
            raise BusyError(self.ready()[1])
        return await self.sidecar.ask(path, parameters)

    async def state(self) -> dict[str, Any]:
        if self.sidecar is None:
            nothing: dict[str, Any] = {"partitions": [], "lag": 0, "positions": {}}
            return {"ready": False, "why": self.ready()[1], **nothing}
        return await self.sidecar.state()


class _Stopping:
    """What signals do: the first one ends the process in order, within `END_S`, and a second one at
    once. Nothing is lost then: what was not committed is made again from its records.

    The handlers are Python's own and not the loop's, which may be kept from running.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._sidecar: Sidecar | None = None
        self._is_stopping = False
        self.status = 0
        """Of the process, if it ends in order."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._handle)

    def attach(self, sidecar: Sidecar) -> None:
        """From now on a signal stops this sidecar; before, there is nothing to end in order."""
        self._sidecar = sidecar

    def _handle(self, number: int, _: object) -> None:
        if self._is_stopping:
            _end_at_once("a second signal")
        self._is_stopping = True
        self.status = 130 if number == signal.SIGINT else 0
        if self._sidecar is None:
            os._exit(self.status)  # nothing has begun, and what compiles cannot be interrupted
        faulthandler.dump_traceback_later(END_AT_ONCE_S, exit=True, file=open(os.devnull, "w"))  # noqa: SIM115  # open until the end
        watchdog = threading.Timer(END_S, _end_at_once, (f"not ended within {END_S:g} s",))
        watchdog.daemon = True
        watchdog.start()
        self._loop.call_soon_threadsafe(self._sidecar.stop)


def _end_at_once(why: str) -> None:
    """End without a last commit."""
    hint = "the next start goes on from the last commit"
    try:
        structlog.get_logger().warning("ended at once", why=why, hint=hint)
    finally:
        os._exit(1)
