"""What a running sidecar answers over its HTTP port, to a question or at a path."""

from __future__ import annotations

import json
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPException
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


@dataclass(frozen=True, slots=True)
class SidecarAddress:
    """A sidecar's port, and what opens it.

    `http`: holds the token, as the sidecar's own configuration does. `ca_file`: of the authority
    that signed its certificate; None: the system's.
    """

    url: str
    http: HttpSettings
    ca_file: Path | None = None

    def fetch(self, path: str) -> bytes:
        """What is at `path`, which begins with a slash; raises `BrinkwatchError`."""
        url = self.url
        if not urllib.parse.urlsplit(url).hostname:
            raise ConfigError(
                f"{url} names no host: give it as `run` logs it, http://127.0.0.1:9464"
            )
        request = urllib.request.Request(url.rstrip("/") + path)
        token = read_token(self.http)
        if token is not None:
            request.add_header("Authorization", f"Bearer {token}")
        try:
            handlers: list[urllib.request.BaseHandler] = [
                NoRedirect(), urllib.request.ProxyHandler({}),  # the token goes there alone
                urllib.request.HTTPSHandler(context=tls_context(self.ca_file, None, None, None)),
            ]  # fmt: skip
            opener = urllib.request.build_opener(*handlers)
            with opener.open(request, timeout=REPLY_S_MAX) as reply:
                return bytes(reply.read(REPLY_BYTES_MAX))
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
                f"{url} cannot be reached ({reason}): give the address that `run` logs when it "
                "listens"
            ) from error
        except (ValueError, HTTPException) as error:
            raise self._no_sidecar() from error

    def fetch_document(self, path: str) -> dict[str, Any]:
        """The JSON object at `path`; raises `BrinkwatchError`."""
        try:
            document = json.loads(self.fetch(path))
        except ValueError as error:
            raise self._no_sidecar() from error
        if not isinstance(document, dict):
            raise self._no_sidecar()
        return document

    def _no_sidecar(self) -> BrinkwatchError:
        return BrinkwatchError(f"{self.url} did not answer as a sidecar of this version does")


def ask_sidecar(
    url: str, question: Question, http: HttpSettings, ca_file: Path | None, console: Console
) -> dict[str, Any]:
    """The answer of the sidecar at `url`, whose tables are shown; raises `BrinkwatchError`."""
    query = urllib.parse.urlencode([*question.parameters(), (DISPLAY, "true")])
    address = SidecarAddress(url, http, ca_file)
    answer = address.fetch_document(f"/{question.path}?{query}")
    console.show(answer.pop(DISPLAY, []))
    return answer
