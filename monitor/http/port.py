"""The port: aiohttp's server with bounds on connections, on waiting and on what is written."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus

import structlog
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from monitor.config import HttpSettings
from monitor.errors import ConfigError
from monitor.http.access import Access, server_tls
from monitor.http.alert_events import AlertEvents
from monitor.http.answers import WRITE_S_MAX, PortAnswers, PortView, plain

REQUEST_BYTES_MAX = 16 << 10
"""Of a request's first line, and of each of its headers."""
IDLE_S_MAX = 20.0
"""A connection on which no whole request arrives for so long is closed: longer than Prometheus
waits between two scrapes as a rule, so that it keeps its connection."""
ANSWER_S_MAX = 40.0
"""Finding an answer takes so long at most; a desk's answer ends before by itself."""
UNREAD_BODY_S = 1.0
"""What is sent behind the headers is of no use here: it is read for so long and no longer."""
CONNECTIONS_MAX = 32
"""Open at once; whoever comes beyond is refused. Prometheus, a kubelet and some people need a few;
file descriptors are needed for Kafka."""
BACKLOG = 16
"""Connections that the system accepts for us before we look."""
GZIP_BYTES_MIN = 1 << 10
"""Less is sent as it is, whatever is asked for."""
CLOSE_S = 0.25
"""At the end, answers under way have so long."""
METHODS = ("GET", "HEAD")


@asynccontextmanager
async def serve(view: PortView, settings: HttpSettings) -> AsyncIterator[int]:
    """Listen inside the block; yields the port. Raises `ConfigError` where that cannot be."""
    access, tls = Access.of(settings), server_tls(settings)
    logging.getLogger("aiohttp.server").addFilter(is_own_fault)
    events = AlertEvents(access.shows_accounts)
    handler = _Handler(view, access, events)
    server = _BoundedServer(
        handler,
        access_log=None,
        keepalive_timeout=IDLE_S_MAX,
        lingering_time=UNREAD_BODY_S,
        max_line_size=REQUEST_BYTES_MAX,
        max_field_size=REQUEST_BYTES_MAX,
    )
    try:
        listener = await asyncio.get_running_loop().create_server(
            server,
            settings.host,
            settings.port,
            ssl=tls,
            backlog=BACKLOG,
            ssl_handshake_timeout=None if tls is None else WRITE_S_MAX,
            ssl_shutdown_timeout=None if tls is None else WRITE_S_MAX,
        )
    except OSError as error:
        raise ConfigError(
            f"http: cannot listen on {settings.host}:{settings.port}: {error.strerror}; "
            "set http.port (0: a free one)"
        ) from error
    try:
        yield listener.sockets[0].getsockname()[1]
    finally:
        listener.close()
        events.close()
        await server.shutdown(CLOSE_S)


def is_own_fault(record: logging.LogRecord) -> bool:
    """Whether a line of the server's log is for ours: a request that is none gets status 400, and
    is nothing that whoever runs the sidecar could mend."""
    error = record.exc_info[1] if record.exc_info else None
    return not isinstance(error, HttpProcessingError)


class _BoundedServer(web.Server):
    """Refuses connections beyond `CONNECTIONS_MAX`."""

    def connection_made(self, handler: web.RequestHandler, transport: asyncio.Transport) -> None:
        super().connection_made(handler, transport)
        # An answer is written when the system has taken all of it: whoever does not read keeps
        # no part of it here.
        transport.set_write_buffer_limits(0)
        if len(self.connections) > CONNECTIONS_MAX:
            structlog.get_logger().warning("connections refused", limit=CONNECTIONS_MAX)
            # Not at once: aiohttp has yet to begin its task, which must see a whole connection.
            asyncio.get_running_loop().call_soon(transport.abort)


class _Handler:
    """One request: who may ask, the answer, and writing it in time."""

    def __init__(self, view: PortView, access: Access, events: AlertEvents) -> None:
        self._view, self._access, self._events = view, access, events
        self._answers = PortAnswers(view, access)

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        path, _, query = request.raw_path.partition("?")
        if request.method not in METHODS:
            return plain(HTTPStatus.METHOD_NOT_ALLOWED, "", {"Allow": ", ".join(METHODS)})
        if not self._access.is_addressed(request.headers.get("Host", "")):
            why = "this port is asked by 127.0.0.1 or localhost; by another name with http.token"
            return plain(HTTPStatus.MISDIRECTED_REQUEST, why)
        if not self._access.allows(path, request.headers.get("Authorization", "")):
            asks = {"WWW-Authenticate": "Bearer"}
            return plain(HTTPStatus.UNAUTHORIZED, "a bearer token is needed", asks)
        if path == "/events":
            return await self._events.send(request, query, self._view)
        try:
            async with asyncio.timeout(ANSWER_S_MAX):
                answer = await self._answers.find(path, query, request.headers.get("Accept", ""))
        except TimeoutError:
            why = f"no answer within {ANSWER_S_MAX:g} s: ask again"
            answer = plain(HTTPStatus.SERVICE_UNAVAILABLE, why)
        takes_gzip = "gzip" in request.headers.get("Accept-Encoding", "").lower()
        if takes_gzip and len(answer.body or b"") >= GZIP_BYTES_MIN:  # type: ignore[arg-type]
            answer.enable_compression(web.ContentCoding.gzip)
        await _write(request, answer)
        return answer


async def _write(request: web.BaseRequest, answer: web.Response) -> None:
    """Write an answer, or break the connection off: whoever asked has gone, or does not read."""
    try:
        async with asyncio.timeout(WRITE_S_MAX):
            await answer.prepare(request)
            await answer.write_eof()
    except ConnectionError:
        pass
    except TimeoutError:
        if request.transport is not None:
            request.transport.abort()
