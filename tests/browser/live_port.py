"""A port like that of a sidecar, in a thread of its own: it can go away and come back."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from monitor.config import HttpSettings
from monitor.core.contract.alert import Alert
from monitor.http.port import serve
from monitor.http.recent_alerts import RecentAlerts
from monitor.http.recent_markets import RecentMarkets
from tests.http.serving import View


class SidecarView(View):
    """What a sidecar that reads shows."""

    def __init__(self, alerts: RecentAlerts, markets: RecentMarkets | None) -> None:
        super().__init__(alerts, markets)
        self.document: dict[str, Any] = {
            "ready": True, "why": "ready", "partitions": [0], "lag": 7, "delay_s": 0.25,
            "closed_ns": None, "alerts_per_day": 10.0, "published": 3, "refused": {"not_json": 2},
            "late": {"order": 1}, "streams": {"cancels": {"judging": 3}, "spread": {"judging": 0}},
        }  # fmt: skip

    async def state(self) -> dict[str, Any]:
        return self.document


class LivePort:
    """`alerts`: those that it shows; `view`: all that it shows. It is off before `start`."""

    def __init__(self, markets: RecentMarkets | None, **settings: Any) -> None:
        self.alerts = RecentAlerts()
        self.view = SidecarView(self.alerts, markets)
        self._settings, self._number = settings, 0
        self._offset = 0
        self._loop: asyncio.AbstractEventLoop
        self._end: asyncio.Event
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._number}/"

    def start(self) -> None:
        """Listen: at the first time on a free port, then on the same one."""
        listens = threading.Event()

        async def run() -> None:
            self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
            self.alerts.changed = asyncio.Event()  # the last one belongs to another loop
            settings = HttpSettings(port=self._number, **self._settings)
            async with serve(self.view, settings) as number:
                self._number = number
                listens.set()
                await self._end.wait()

        self._thread = threading.Thread(target=lambda: asyncio.run(run()))
        self._thread.start()
        assert listens.wait(10)

    def stop(self) -> None:
        """End all connections and listen no more."""
        if self._thread is not None:
            self._loop.call_soon_threadsafe(self._end.set)
            self._thread.join(10)
            self._thread = None

    def publish(self, *alerts: Alert) -> None:
        """As if they had been committed to the alerts topic."""
        for alert in alerts:
            self._do(self.alerts.take, self._offset, alert)
            self._offset += 1

    def begin_anew(self) -> None:
        """As if somebody had deleted the alerts topic and made it anew."""
        self._do(self.alerts.begin_anew)
        self._offset = 0

    def _do(self, work: Callable[..., None], *arguments: Any) -> None:
        if self._thread is None:
            work(*arguments)
        else:
            self._loop.call_soon_threadsafe(work, *arguments)


@contextmanager
def live_port(markets: RecentMarkets | None = None, **settings: Any) -> Iterator[LivePort]:
    """One that listens, and does not any more at the end of the block."""
    port = LivePort(markets, **settings)
    port.start()
    try:
        yield port
    finally:
        port.stop()
