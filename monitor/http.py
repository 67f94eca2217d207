"""The sidecar's HTTP port, on loopback unless configured otherwise: a small server.

/metrics /livez /readyz /state, and what a desk asks: /stress /account /rules (`monitor/desk`).
"""

from __future__ import annotations

import asyncio
import hmac
import json
import ssl
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, NamedTuple, Protocol
from urllib.parse import parse_qs

import structlog
from prometheus_client import CollectorRegistry, exposition
from pydantic import SecretStr

from monitor.config import HttpSettings
from monitor.errors import BrinkwatchError, BusyError, ConfigError, UnknownNameError
from monitor.security import LOOPBACK

REQUEST_BYTES_MAX = 16 << 10
REQUEST_S_MAX = 10.0
ANSWER_S_MAX = 40.0
"""Reading a request and writing its answer take `REQUEST_S_MAX` at most, finding the answer this
long."""
PARAMETERS_MAX = 500
CONNECTIONS_MAX = 32
"""Open at once; whoever comes beyond is refused. Prometheus, a kubelet and some people need a few;
file descriptors are needed for Kafka."""
BACKLOG = 16
"""Connections that the system accepts for us before we look."""
NO_TOKEN_PATHS = ("/livez", "/readyz")
"""Asked by whoever starts and stops the sidecar, who has no token."""

DESK_PATHS = ("/stress", "/account", "/rules")
PRIVATE_PATH = "/account"
"""It shows an account by its name: where everybody on the network could ask, it needs a token."""


class PortView(Protocol):
    """What the port shows: of the sidecar, or of its start."""

    @property
    def registry(self) -> CollectorRegistry:
        """The metrics."""

    def alive(self) -> tuple[bool, str]: ...

    def ready(self) -> tuple[bool, str]: ...

    async def state(self) -> dict[str, Any]: ...

    async def ask(self, path: str, parameters: Mapping[str, Sequence[str]]) -> bytes:
        """The answer to a question of the desk, as JSON; raises `BrinkwatchError`."""


class Response(NamedTuple):
    """An answer; `kind`: the type of its body."""

    status: HTTPStatus
    body: bytes
    kind: str = "text/plain"

    def encode(self) -> bytes:
        """As it goes over the wire."""
        head = (
            f"HTTP/1.1 {self.status.value} {self.status.phrase}\r\n"
            f"Content-Type: {self.kind}\r\nContent-Length: {len(self.body)}\r\n"
            "Cache-Control: no-store\r\nConnection: close\r\n"
        )
        if self.status is HTTPStatus.UNAUTHORIZED:
            head += "WWW-Authenticate: Bearer\r\n"
        return head.encode() + b"\r\n" + self.body


async def serve(view: PortView, settings: HttpSettings) -> tuple[asyncio.Server, int]:
    """Listen; returns the server and its port. Raises `ConfigError` where that cannot be."""
    access = _Access(read_token(settings), settings.host in LOOPBACK)
    context = _tls_context(settings)

    connections = 0

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        if connections >= CONNECTIONS_MAX:
            structlog.get_logger().warning("connections refused", limit=CONNECTIONS_MAX)
            writer.transport.abort()
            return
        connections += 1
        try:
            async with asyncio.timeout(REQUEST_S_MAX):
                request = await _read_request(reader)
            async with asyncio.timeout(ANSWER_S_MAX):
                answer = await _respond(request, view, access)
            async with asyncio.timeout(REQUEST_S_MAX):
                writer.write(answer.encode())
                await writer.drain()
        except (TimeoutError, OSError, asyncio.IncompleteReadError):
            pass  # whoever asked has gone, or never finished asking
        finally:
            connections -= 1
            writer.close()

    try:
        server = await asyncio.start_server(
            handle,
            settings.host,
            settings.port,
            ssl=context,
            limit=REQUEST_BYTES_MAX,
            backlog=BACKLOG,
            **({} if context is None else {"ssl_handshake_timeout": REQUEST_S_MAX}),
        )
    except OSError as error:
        raise ConfigError(
            f"http: cannot listen on {settings.host}:{settings.port}: {error.strerror}; "
            "set http.port (0: a free one)"
        ) from error
    return server, server.sockets[0].getsockname()[1]


def read_token(settings: HttpSettings) -> str | None:
    """The token of requests; None: none is asked for. Raises `ConfigError`."""
    secret: SecretStr | None = settings.token
    if settings.token_file is not None:
        try:
            secret = SecretStr(settings.token_file.read_text().strip())
        except OSError as error:
            why = f"http.token_file {settings.token_file} cannot be read: {error.strerror}"
            raise ConfigError(why) from error
        if not secret.get_secret_value():
            raise ConfigError(f"http.token_file {settings.token_file} is empty")
    return None if secret is None else secret.get_secret_value()


def _tls_context(settings: HttpSettings) -> ssl.SSLContext | None:
    if settings.cert_file is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(settings.cert_file, settings.key_file, password="")
    except OSError as error:
        raise ConfigError(
            f"http.cert_file {settings.cert_file} and http.key_file {settings.key_file} are no "
            f"PEM certificate with its key: {error.strerror or error}"
        ) from error
    return context


class _Access(NamedTuple):
    """Who may ask: the token that is asked for (None: none), and whether this machine alone can."""

    token: str | None
    is_loopback: bool


class _Request(NamedTuple):
    """The first line's words, and the headers by their names in lower case."""

    line: list[str]
    headers: dict[str, str]


async def _read_request(reader: asyncio.StreamReader) -> _Request | Response:
    """A request, or the answer to what is none."""
    try:
        raw = await reader.readuntil(b"\r\n\r\n")
    except asyncio.LimitOverrunError:
        return Response(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, b"")
    first, *lines = raw.decode("latin-1").split("\r\n")
    line = first.split(" ")
    if len(line) != 3:
        return Response(HTTPStatus.BAD_REQUEST, b"")
    pairs = (line.partition(":") for line in lines if line)
    return _Request(line, {name.strip().lower(): value.strip() for name, _, value in pairs})


async def _respond(request: _Request | Response, view: PortView, access: _Access) -> Response:
    if isinstance(request, Response):
        return request
    path, _, query = request.line[1].partition("?")
    if request.line[0] != "GET":
        return Response(HTTPStatus.METHOD_NOT_ALLOWED, b"")
    if access.token is not None and path not in NO_TOKEN_PATHS:
        given = request.headers.get("authorization", "").encode("latin-1")
        if not hmac.compare_digest(given, f"Bearer {access.token}".encode()):
            return Response(HTTPStatus.UNAUTHORIZED, b"a bearer token is needed\n")
    if path in DESK_PATHS:
        return await _ask(path, query, view, access)
    return await _route(path, request.headers.get("accept", ""), view)


async def _ask(path: str, query: str, view: PortView, access: _Access) -> Response:
    """The answer to a question of the desk; a sentence where there is none."""
    if path == PRIVATE_PATH and access.token is None and not access.is_loopback:
        why = "accounts are shown on loopback, or to who has a token: set http.token\n"
        return Response(HTTPStatus.FORBIDDEN, why.encode())
    try:
        parameters = parse_qs(query, keep_blank_values=True, max_num_fields=PARAMETERS_MAX)
    except ValueError:
        why = f"more than {PARAMETERS_MAX} parameters: ask several times\n"
        return Response(HTTPStatus.BAD_REQUEST, why.encode())
    try:
        body = await view.ask(path[1:], parameters)
    except BrinkwatchError as error:
        status = next(status for kind, status in _STATUSES if isinstance(error, kind))
        return Response(status, f"{error}\n".encode())
    return Response(HTTPStatus.OK, body, "application/json")


_STATUSES = (
    (UnknownNameError, HTTPStatus.NOT_FOUND),
    (ConfigError, HTTPStatus.BAD_REQUEST),
    (BusyError, HTTPStatus.SERVICE_UNAVAILABLE),
    (BrinkwatchError, HTTPStatus.CONFLICT),
)
"""What an error means for whoever asked; the first that fits."""


async def _route(path: str, accept: str, view: PortView) -> Response:
    if path in NO_TOKEN_PATHS:
        good, why = view.alive() if path == "/livez" else view.ready()
        status = HTTPStatus.OK if good else HTTPStatus.SERVICE_UNAVAILABLE
        return Response(status, why.encode() + b"\n")
    if path == "/metrics":
        encode, kind = exposition.choose_encoder(accept)
        return Response(HTTPStatus.OK, encode(view.registry), kind)
    if path == "/state":
        body = json.dumps(await view.state()).encode() + b"\n"
        return Response(HTTPStatus.OK, body, "application/json")
    return Response(
        HTTPStatus.NOT_FOUND, b"/metrics /livez /readyz /state /stress /account /rules\n"
    )
