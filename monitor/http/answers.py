"""What is there at each path, and the status of an error."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import parse_qs, unquote

from aiohttp import web
from prometheus_client import CollectorRegistry, exposition

from monitor.errors import BrinkwatchError, BusyError, ConfigError, UnknownNameError
from monitor.http.access import NO_TOKEN_PATHS, PAGE_PATH, Access
from monitor.http.live_page import make_live_page
from monitor.http.recent_alerts import RecentAlerts

if TYPE_CHECKING:
    from monitor.http.recent_markets import RecentMarkets

PARAMETERS_MAX = 500
DIGITS_MAX = 19
"""Of a parameter that is a number: an offset, or ns."""
WRITE_S_MAX = 10.0
"""Writing an answer, or the next piece of one, takes so long at most."""
DESK_PATHS = ("/stress", "/account", "/rules")
ALERT_LINES_PATH = "/alerts.jsonl"
PATHS = (
    PAGE_PATH, "/metrics", *NO_TOKEN_PATHS, "/state", "/alerts", "/alerts/ID", ALERT_LINES_PATH,
    "/events", "/markets", "/markets/SYMBOL", *DESK_PATHS,
)  # fmt: skip
PRIVATE_PATH = "/account"
"""It shows an account by its name: where everybody on the network could ask, it needs a token."""
ANSWER_HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
STATUSES = (
    (UnknownNameError, HTTPStatus.NOT_FOUND),
    (ConfigError, HTTPStatus.BAD_REQUEST),
    (BusyError, HTTPStatus.SERVICE_UNAVAILABLE),
    (BrinkwatchError, HTTPStatus.CONFLICT),
)
"""What an error means for whoever asked; the first that fits."""


class PortView(Protocol):
    """What the port shows: of the sidecar, or of its start."""

    @property
    def registry(self) -> CollectorRegistry:
        """The metrics."""

    @property
    def recent_alerts(self) -> RecentAlerts | None:
        """Those of the alerts topic; None while the program starts."""

    @property
    def recent_markets(self) -> RecentMarkets | None:
        """Those of the venue stage; None where it does not run here, or not yet."""

    def alive(self) -> tuple[bool, str]: ...

    def ready(self) -> tuple[bool, str]: ...

    async def state(self) -> dict[str, Any]: ...

    async def ask(self, path: str, parameters: Mapping[str, Sequence[str]]) -> bytes:
        """The answer to a question of the desk, as JSON; raises `BrinkwatchError`."""


class PortAnswers:
    """Finds the answer for a path; raises nothing for what was asked wrongly."""

    def __init__(self, view: PortView, access: Access) -> None:
        self._view, self._access = view, access

    async def find(self, path: str, query: str, accept: str) -> web.Response:
        """`accept`: the header, by which the form of the metrics is chosen."""
        view = self._view
        if path in NO_TOKEN_PATHS:
            good, why = view.alive() if path == "/livez" else view.ready()
            return plain(HTTPStatus.OK if good else HTTPStatus.SERVICE_UNAVAILABLE, why)
        if path == "/metrics":
            encode, kind = exposition.choose_encoder(accept)
            return whole(encode(view.registry), kind)
        if path == "/state":
            return whole(_json(await view.state()))
        try:
            if path == PAGE_PATH:
                return _page()
            if path in DESK_PATHS:
                return await self._ask(path, query)
            if path.startswith("/markets"):
                answer = self._find_markets(path, query)
                if answer is not None:
                    return answer
            if path.startswith("/alerts"):
                answer = self._find_alerts(path, query)
                if answer is not None:
                    return answer
        except BrinkwatchError as error:
            return refusal(error)
        return plain(HTTPStatus.NOT_FOUND, " ".join(PATHS))

    async def _ask(self, path: str, query: str) -> web.Response:
        if path == PRIVATE_PATH and not self._access.shows_accounts:
            why = "accounts are shown on loopback, or to who has a token: set http.token"
            return plain(HTTPStatus.FORBIDDEN, why)
        return whole(await self._view.ask(path[1:], read_parameters(query)))

    def _find_markets(self, path: str, query: str) -> web.Response | None:
        markets = self._view.recent_markets
        if markets is None:
            raise BusyError(
                "this member does not have the venue stage, or is starting: ask the member whose "
                "/state lists partition 0"
            )
        if path == "/markets":
            return whole(_json(markets.overview()))
        symbol = unquote(path.removeprefix("/markets/"))
        if symbol == path:
            return None
        after = read_parameters(query).get("after", [""])[-1]
        return whole(_json(markets.history(symbol, read_number(after, "after", 0))))

    def _find_alerts(self, path: str, query: str) -> web.Response | None:
        alerts, shows_accounts = find_recent(self._view), self._access.shows_accounts
        if path == "/alerts":
            every = "all" in read_parameters(query)
            return whole(_json(alerts.overview(every, shows_accounts)))
        if path == ALERT_LINES_PATH:
            return whole(alerts.lines(shows_accounts), "application/x-ndjson")
        reference = unquote(path.removeprefix("/alerts/"))
        if reference == path:
            return None
        return whole(alerts.incident(reference, shows_accounts))


def find_recent(view: PortView) -> RecentAlerts:
    """The alerts of a view; raises `BusyError` while it has none."""
    alerts = view.recent_alerts
    if alerts is None:
        raise BusyError(view.ready()[1])
    return alerts


def read_parameters(query: str) -> dict[str, list[str]]:
    """The parameters of a query; raises `ConfigError` for too many of them."""
    try:
        return parse_qs(query, keep_blank_values=True, max_num_fields=PARAMETERS_MAX)
    except ValueError:
        raise ConfigError(f"more than {PARAMETERS_MAX} parameters: ask several times") from None


def read_number(given: str, name: str, default: int) -> int:
    """A whole number from 0 on that stands in a parameter or header, or the default for an empty
    one; raises `ConfigError` for anything else."""
    if not given:
        return default
    if not (given.isascii() and given.isdigit() and len(given) <= DIGITS_MAX):
        raise ConfigError(f"{name} is a whole number, such as 41")
    return int(given)


def plain(status: HTTPStatus, line: str, headers: Mapping[str, str] | None = None) -> web.Response:
    """An answer of one line, or of none."""
    body = f"{line}\n" if line else ""
    return web.Response(status=status, text=body, headers={**ANSWER_HEADERS, **(headers or {})})


def whole(body: bytes, kind: str = "application/json") -> web.Response:
    """What was asked for; `kind`: its type."""
    return web.Response(body=body, headers={**ANSWER_HEADERS, "Content-Type": kind})


def refusal(error: BrinkwatchError) -> web.Response:
    """An error's sentence, with its status."""
    status = next(status for kind, status in STATUSES if isinstance(error, kind))
    return plain(status, str(error))


def _page() -> web.Response:
    """The live page, which nobody may frame or learn the address of."""
    text, policy = make_live_page()
    answer = whole(text.encode(), "text/html; charset=utf-8")
    answer.headers.update({"Content-Security-Policy": policy, "Referrer-Policy": "no-referrer"})
    return answer


def _json(value: dict[str, Any]) -> bytes:
    return json.dumps(value).encode() + b"\n"
