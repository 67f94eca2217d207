"""A port that shows what the test says, and requests to it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import aiohttp
from prometheus_client import CollectorRegistry, Gauge

from monitor.config import HttpSettings
from monitor.errors import BrinkwatchError, BusyError, ConfigError, UnknownNameError
from monitor.http.port import serve
from monitor.http.recent_alerts import RecentAlerts
from monitor.http.recent_markets import RecentMarkets

T = TypeVar("T")
ERRORS = {
    "unknown": UnknownNameError("did you mean a-1?"), "wrong": ConfigError("give one"),
    "busy": BusyError("ask again"), "nothing": BrinkwatchError("nothing there"),
}  # fmt: skip


class View:
    """A port's view that answers with its question, or fails as `account` says."""

    def __init__(
        self,
        recent_alerts: RecentAlerts | None = None,
        recent_markets: RecentMarkets | None = None,
    ) -> None:
        self.registry = CollectorRegistry()
        Gauge("x", "a gauge " + "y" * 2_000, registry=self.registry)
        self.recent_alerts, self.recent_markets = recent_alerts, recent_markets

    def alive(self) -> tuple[bool, str]:
        return True, "alive"

    def ready(self) -> tuple[bool, str]:
        return False, "starting"

    async def state(self) -> dict[str, Any]:
        return {"ready": False}

    async def ask(self, path: str, parameters: Mapping[str, Sequence[str]]) -> bytes:
        error = ERRORS.get(parameters.get("account", [""])[0])
        if error is not None:
            raise error
        return f"{path} {dict(parameters)}".encode()


class Reply(NamedTuple):
    """What came back."""

    status: int
    body: str
    headers: Mapping[str, str]


def with_port(
    work: Callable[[int], Awaitable[T]],
    alerts: RecentAlerts | None = None,
    markets: RecentMarkets | None = None,
    **settings: Any,
) -> T:
    """Run `work` with the port of a server."""

    async def run() -> T:
        async with serve(View(alerts, markets), HttpSettings(port=0, **settings)) as port:
            return await work(port)

    return asyncio.run(run())


def request(
    path: str,
    bearer: str = "",
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    alerts: RecentAlerts | None = None,
    markets: RecentMarkets | None = None,
    **settings: Any,
) -> Reply:
    """One request to a server of its own."""
    sent = {**(headers or {}), **({"Authorization": f"Bearer {bearer}"} if bearer else {})}

    async def ask(port: int) -> Reply:
        url = f"http://127.0.0.1:{port}{path}"
        async with (
            aiohttp.ClientSession() as session,
            session.request(method, url, headers=sent) as reply,
        ):
            return Reply(reply.status, await reply.text(), reply.headers)

    return with_port(ask, alerts, markets, **settings)
