"""`brinkwatch run`: the sidecar as a process, with its HTTP port, log and signals."""

from __future__ import annotations

import asyncio
import faulthandler
import os
import signal
import threading
from collections.abc import Collection

import structlog

from monitor import http
from monitor.commands import process_log
from monitor.config import Config
from monitor.kafka.clients import run_async
from monitor.plugins import detector_factories
from monitor.sidecar import Sidecar

END_S = 8.0
"""After a signal the process has so long to end in order."""
END_AT_ONCE_S = 9.0
"""And so long where compiled code takes the interpreter after the signal was handled. Code that
has it when the signal comes keeps it from being handled: then only SIGKILL ends the process."""


def run_sidecar(config: Config, accept_gaps: Collection[str] = ()) -> int:
    """Run until a signal; the exit status: 0 after SIGTERM, 130 after an interrupt.

    accept_gaps: see `Sidecar`.
    """
    process_log.configure()
    return run_async(_run(config, frozenset(accept_gaps)))


async def _run(config: Config, accept_gaps: frozenset[str]) -> int:
    loop = asyncio.get_running_loop()
    process_log.log_loop_errors(loop)
    stopping = _Stopping(loop)
    sidecar = Sidecar(config, detector_factories(config.streams), accept_gaps)
    server, port = await http.serve(sidecar, config.http)
    scheme = "https" if config.http.cert_file else "http"
    structlog.get_logger().info("listening", at=f"{scheme}://{config.http.host}:{port}")
    stopping.attach(sidecar)
    async with server:
        await sidecar.run()
    return stopping.status


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
        """Stop this sidecar, at once where a signal has come already."""
        self._sidecar = sidecar
        if self._is_stopping:
            sidecar.stop()

    def _handle(self, number: int, _: object) -> None:
        if self._is_stopping:
            _end_at_once("a second signal")
        self._is_stopping = True
        self.status = 130 if number == signal.SIGINT else 0
        faulthandler.dump_traceback_later(END_AT_ONCE_S, exit=True, file=open(os.devnull, "w"))  # noqa: SIM115  # open until the end
        watchdog = threading.Timer(END_S, _end_at_once, (f"not ended within {END_S:g} s",))
        watchdog.daemon = True
        watchdog.start()
        if self._sidecar is not None:
            self._loop.call_soon_threadsafe(self._sidecar.stop)


def _end_at_once(why: str) -> None:
    """End without a last commit."""
    hint = "the next start goes on from the last commit"
    try:
        structlog.get_logger().warning("ended at once", why=why, hint=hint)
    finally:
        os._exit(1)
