"""/events: alerts as they are committed, as server-sent events.

An event's id is the alert's offset in the alerts topic. Whoever comes again with `Last-Event-ID`
(or begins with `after=`, the `last_event` of /alerts) gets what came since, as far as it is kept.
Nothing waits for a reader that is slow: each reads from what is kept, at its own pace.
"""

from __future__ import annotations

import asyncio

from aiohttp import web

from monitor.errors import BusyError, ConfigError
from monitor.http.answers import (
    ANSWER_HEADERS,
    WRITE_S_MAX,
    PortView,
    find_recent,
    read_number,
    read_parameters,
    refusal,
)
from monitor.http.recent_alerts import NO_EVENT, RecentAlerts

STREAMS_MAX = 8
"""Open at once: a quarter of all connections."""
KEEP_ALIVE_S = 15.0
"""Without an alert a comment goes out this often, so that proxies keep the connection, and so that
it is noticed when nobody is there any more."""


class AlertEvents:
    """All streams of one port."""

    def __init__(self, shows_accounts: bool) -> None:
        self._shows_accounts = shows_accounts
        self._streams: set[asyncio.Task[object]] = set()

    def close(self) -> None:
        """End all streams."""
        for stream in self._streams:
            stream.cancel()

    async def send(
        self, request: web.BaseRequest, query: str, view: PortView
    ) -> web.StreamResponse:
        """Send alerts until whoever asked has gone, or does not read for `WRITE_S_MAX`."""
        try:
            alerts = find_recent(view)
            after = _read_after(request, query, alerts)
            if len(self._streams) >= STREAMS_MAX:
                raise BusyError(f"{STREAMS_MAX} streams of events are open: ask again later")
        except (BusyError, ConfigError) as error:
            return refusal(error)
        kind = {"Content-Type": "text/event-stream; charset=utf-8"}
        response = web.StreamResponse(headers={**ANSWER_HEADERS, **kind})
        task = asyncio.current_task()
        assert task is not None
        self._streams.add(task)
        try:
            async with asyncio.timeout(WRITE_S_MAX):
                await response.prepare(request)
            if request.method != "HEAD":
                await self._follow(response, alerts, after)
        except ConnectionError:
            pass
        except TimeoutError:
            if request.transport is not None:
                request.transport.abort()
        finally:
            self._streams.discard(task)
        return response

    async def _follow(self, response: web.StreamResponse, alerts: RecentAlerts, after: int) -> None:
        position, topic = after, alerts.topics_before
        while True:
            changed = alerts.changed
            if alerts.topics_before != topic:
                return  # its offsets mean nothing any more: whoever reads begins anew
            for kept in alerts.after(position):
                data = kept.line if self._shows_accounts else kept.line_without_accounts
                await _write(response, b"id: %d\nevent: alert\ndata: %b\n\n" % (kept.offset, data))
                position = kept.offset
            try:
                async with asyncio.timeout(KEEP_ALIVE_S):
                    await changed.wait()
            except TimeoutError:
                await _write(response, b": nothing new\n\n")


async def _write(response: web.StreamResponse, data: bytes) -> None:
    async with asyncio.timeout(WRITE_S_MAX):
        await response.write(data)


def _read_after(request: web.BaseRequest, query: str, alerts: RecentAlerts) -> int:
    """The offset behind which to begin; without one, behind the newest alert."""
    given, name = request.headers.get("Last-Event-ID"), "Last-Event-ID"
    if given is None:
        given, name = read_parameters(query).get("after", [""])[-1], "after"
    if given == str(NO_EVENT):
        return NO_EVENT
    return min(read_number(given, name, alerts.last_offset), alerts.last_offset)
