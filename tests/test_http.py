"""The HTTP port's answers to a desk: statuses, sentences, and who may ask."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from monitor import http
from monitor.config import HttpSettings
from monitor.errors import BrinkwatchError, BusyError, ConfigError, UnknownNameError

ERRORS = {
    "unknown": UnknownNameError("did you mean a-1?"), "wrong": ConfigError("give one"),
    "busy": BusyError("ask again"), "nothing": BrinkwatchError("nothing there"),
}  # fmt: skip


class View:
    """A port's view that answers with its question, or fails as `account` says."""

    registry = CollectorRegistry()

    def alive(self) -> tuple[bool, str]:
        return True, ""

    def ready(self) -> tuple[bool, str]:
        return True, ""

    async def state(self) -> dict[str, Any]:
        return {}

    async def ask(self, path: str, parameters: Mapping[str, Sequence[str]]) -> bytes:
        error = ERRORS.get(parameters.get("account", [""])[0])
        if error is not None:
            raise error
        return f"{path} {dict(parameters)}".encode()


def get(path: str, bearer: str = "", **settings: Any) -> tuple[int, str]:
    """Status and body."""

    async def exchange() -> bytes:
        server, port = await http.serve(View(), HttpSettings(port=0, **settings))
        async with server:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            header = f"Authorization: Bearer {bearer}\r\n" if bearer else ""
            writer.write(f"GET {path} HTTP/1.1\r\n{header}\r\n".encode())
            reply = await reader.read()
            writer.close()
            return reply

    head, _, body = asyncio.run(exchange()).decode().partition("\r\n\r\n")
    return int(head.split(" ")[1]), body


def test_a_question_reaches_the_view_with_its_parameters() -> None:
    status, body = get("/stress?symbol=A&symbol=B%2FC&shock=-10%25&factor=")
    assert status == 200
    assert body == "stress {'symbol': ['A', 'B/C'], 'shock': ['-10%'], 'factor': ['']}"


@pytest.mark.parametrize(
    ("account", "status"), [("unknown", 404), ("wrong", 400), ("busy", 503), ("nothing", 409)]
)
def test_an_error_is_its_status_and_its_sentence(account: str, status: int) -> None:
    assert get(f"/account?account={account}") == (status, f"{ERRORS[account]}\n")


def test_more_parameters_than_anybody_needs_are_refused() -> None:
    status, body = get("/rules?" + "&".join(["symbol=A"] * (http.PARAMETERS_MAX + 1)))
    assert (status, body) == (
        400,
        f"more than {http.PARAMETERS_MAX} parameters: ask several times\n",
    )


@pytest.mark.parametrize("path", ["/stress", "/account?account=a", "/rules"])
def test_a_token_is_asked_for_as_for_the_state(path: str) -> None:
    assert get(path, bearer="wrong", token="right")[0] == 401
    assert get(path, bearer="right", token="right")[0] == 200


def test_accounts_are_shown_beyond_loopback_with_a_token_alone() -> None:
    everywhere = {"host": "0.0.0.0"}
    status, body = get("/account?account=a", **everywhere)
    assert (status, "set http.token" in body) == (403, True)
    assert get("/rules", **everywhere)[0] == 200
    assert get("/account?account=a", bearer="t", token="t", **everywhere)[0] == 200
