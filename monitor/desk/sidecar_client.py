"""A question put to a running sidecar, over its HTTP port."""

from __future__ import annotations

import json
import urllib.error
import urllib.parse
import urllib.request
from http import HTTPStatus
from pathlib import Path
from typing import Any

from monitor.config import HttpSettings
from monitor.console import Console
from monitor.desk.questions import DISPLAY, Question
from monitor.errors import BrinkwatchError, ConfigError
from monitor.http.access import read_token
from monitor.security import NoRedirect, SecurityError, tls_context

REPLY_S_MAX = 60.0
REPLY_BYTES_MAX = 64 << 20
ERROR_BYTES_MAX = 4096
WRONG_QUESTION = (HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND, HTTPStatus.UNAUTHORIZED)
"""What whoever asked can mend: exit status 2."""


def is_url(place: str) -> bool:
    """Whether a place is a sidecar's address and no recorded day."""
    return place.startswith(("http://", "https://"))


def ask_sidecar(
    url: str, question: Question, http: HttpSettings, ca_file: Path | None, console: Console
) -> dict[str, Any]:
    """The answer of the sidecar at `url`, whose tables are shown.

    `http`: holds the token, as the sidecar's own configuration does. `ca_file`: of the authority
    that signed its certificate; None: the system's. Raises `BrinkwatchError`.
    """
    if not urllib.parse.urlsplit(url).hostname:
        raise ConfigError(f"{url} names no host: give it as `run` logs it, http://127.0.0.1:9464")
    query = urllib.parse.urlencode([*question.parameters(), (DISPLAY, "true")])
    request = urllib.request.Request(f"{url.rstrip('/')}/{question.path}?{query}")
    token = read_token(http)
    if token is not None:
        request.add_header("Authorization", f"Bearer {token}")
    answer = _fetch(url, request, ca_file)
    console.show(answer.pop(DISPLAY, []))
    return answer


def _fetch(url: str, request: urllib.request.Request, ca_file: Path | None) -> dict[str, Any]:
    try:
        handlers: list[urllib.request.BaseHandler] = [
            NoRedirect(), urllib.request.ProxyHandler({}),  # the token goes to the sidecar alone
            urllib.request.HTTPSHandler(context=tls_context(ca_file, None, None, None)),
        ]  # fmt: skip
        with urllib.request.build_opener(*handlers).open(request, timeout=REPLY_S_MAX) as reply:
            raw = reply.read(REPLY_BYTES_MAX)
        answer = json.loads(raw)
    except SecurityError as error:
        raise ConfigError(str(error)) from error
    except urllib.error.HTTPError as error:
        why = error.read(ERROR_BYTES_MAX).decode(errors="replace").strip() or error.reason
        if error.code == HTTPStatus.UNAUTHORIZED:
            why += ": give --token-file, or http.token_file as the sidecar has it"
        failure = ConfigError if error.code in WRONG_QUESTION else BrinkwatchError
        raise failure(f"{url}: {why}") from error
    except OSError as error:
        reason = getattr(error, "reason", error)
        raise BrinkwatchError(
            f"{url} cannot be reached ({reason}): give the address that `run` logs when it listens"
        ) from error
    except ValueError as error:
        raise _no_sidecar(url) from error
    if not isinstance(answer, dict):
        raise _no_sidecar(url)
    return answer


def _no_sidecar(url: str) -> BrinkwatchError:
    return BrinkwatchError(f"{url} did not answer as a sidecar of this version does")
