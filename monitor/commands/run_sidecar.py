"""`brinkwatch run`: the sidecar as a process, with its HTTP port, log and signals."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Collection

import structlog
from structlog import processors

from monitor import http
from monitor.config import Config
from monitor.kafka.clients import run_async
from monitor.plugins import detector_factories
from monitor.sidecar import Sidecar


def run_sidecar(config: Config, accept_gaps: Collection[str] = ()) -> int:
    """Run until a signal; the exit status: 0 after SIGTERM, 130 after an interrupt.

    accept_gaps: see `Sidecar`.
    """
    stamp, render = processors.TimeStamper(fmt="iso", utc=True), processors.JSONRenderer()
    structlog.configure(
        [processors.add_log_level, stamp, processors.format_exc_info, render],
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
    )
    return run_async(_run(config, frozenset(accept_gaps)))


async def _run(config: Config, accept_gaps: frozenset[str]) -> int:
    sidecar = Sidecar(config, detector_factories(config.streams), accept_gaps)
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
