"""JSON to one configured https address: no redirects, no proxies of the environment, no cookies."""

from __future__ import annotations

import email.utils
import time
import urllib.parse
from collections.abc import Mapping
from typing import Any

import aiohttp
import msgspec

from monitor.delivery.receivers.base import DeliveryError, RejectedError
from monitor.delivery.settings import ReceiverSettings

RETRY_AFTER_MAX_S = 300.0
"""A receiver that asks for a longer wait is asked again all the same."""
REPLY_BYTES = 200
"""Of a refusal's text, for the log."""
REJECTED = (400, 413, 422)
"""This body is not accepted, and would never be. Any other failure may be mended without us: a
token, an address, a limit."""


class HttpsPoster:
    """Posts to the address of a receiver. Raises `ConfigError` where its files cannot be read."""

    def __init__(self, settings: ReceiverSettings, path: str = "") -> None:
        self.url = settings.read_url().rstrip("/") + path if path else settings.read_url()
        self._host = urllib.parse.urlsplit(self.url).hostname or ""
        self._tls = settings.tls()
        self._timeout = aiohttp.ClientTimeout(total=settings.timeout_s)
        self._session: aiohttp.ClientSession | None = None

    async def post(self, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        """Send a body of JSON; raises `DeliveryError` where it is not accepted."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(ssl=self._tls, limit=1),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=self._timeout,
                trust_env=False,
                headers={"Content-Type": "application/json"},
            )
        try:
            # The address may hold a secret: no message of the library is passed on.
            async with self._session.post(
                self.url, data=body, headers=headers, allow_redirects=False
            ) as reply:
                await _check(reply)
        except TimeoutError:
            raise DeliveryError(f"{self._host} did not answer in time") from None
        except aiohttp.ClientConnectorCertificateError:
            raise DeliveryError(
                f"the certificate of {self._host} is not trusted: set ca_file"
            ) from None
        except (aiohttp.ClientError, OSError) as error:
            raise DeliveryError(f"{self._host} cannot be reached: {type(error).__name__}") from None

    async def close(self) -> None:
        """Close the connection; another post opens one again."""
        if self._session is not None:
            await self._session.close()
            self._session = None


async def _check(reply: aiohttp.ClientResponse) -> None:
    if 200 <= reply.status < 300:
        return
    if 300 <= reply.status < 400:
        raise DeliveryError(f"it answered {reply.status}, a redirect, which is not followed")
    if reply.status in REJECTED:
        text = (await reply.content.read(REPLY_BYTES)).decode("utf-8", "replace")
        raise RejectedError(f"it answered {reply.status}: {text}")
    raise DeliveryError(f"it answered {reply.status}", _retry_after_s(reply))


def _retry_after_s(reply: aiohttp.ClientResponse) -> float | None:
    """Of the header Retry-After: seconds, or a date (RFC 9110, section 10.2.3)."""
    text = reply.headers.get("Retry-After", "")
    if text.isascii() and text.isdigit() and len(text) < 10:
        seconds = float(text)
    else:
        try:
            seconds = email.utils.parsedate_to_datetime(text).timestamp() - time.time()
        except ValueError:
            return None
    return min(max(seconds, 0.0), RETRY_AFTER_MAX_S)


def to_json(document: Any) -> bytes:
    """A document as JSON."""
    return msgspec.json.encode(document)
