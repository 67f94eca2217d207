"""Signed webhooks, by the specification of Standard Webhooks (standardwebhooks.com).

The id is the alert's: it stays in retries, so that the receiver can drop what it has.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from collections.abc import Callable
from typing import Any

import msgspec

from monitor.core.alerts.formatting import format_iso
from monitor.core.contract.alert import alert_json
from monitor.delivery.incidents import Notice
from monitor.delivery.receivers.base import OnceReceiver
from monitor.delivery.receivers.https import HttpsPoster, to_json
from monitor.delivery.settings import ReceiverSettings, webhook_key
from monitor.delivery.texts import links


class WebhookReceiver(OnceReceiver):
    """Sends `{type, timestamp, data}`, where `data` is the alert as in the alerts topic."""

    def __init__(self, settings: ReceiverSettings, clock: Callable[[], float] = time.time) -> None:
        self._settings, self._clock = settings, clock
        self._poster = HttpsPoster(settings)
        self._key = webhook_key(settings.read_key() or "")

    async def send(self, notice: Notice) -> None:
        """Send one alert, signed."""
        alert = notice.alert
        document: dict[str, Any] = {
            "type": f"alert.{alert.status}",
            "timestamp": format_iso(alert.ts),
            "data": msgspec.Raw(alert_json(alert)),
        }
        for name, url in links(self._settings, notice).items():
            document[f"{name}_url"] = url
        body = to_json(document)
        stamp = str(int(self._clock()))
        headers = {
            "webhook-id": alert.id,
            "webhook-timestamp": stamp,
            "webhook-signature": sign(self._key, alert.id, stamp, body),
        }
        await self._poster.post(body, headers)

    async def close(self) -> None:
        """Close the connection."""
        await self._poster.close()


def sign(key: bytes, message_id: str, stamp: str, body: bytes) -> str:
    """`v1,` and the base64 of HMAC-SHA256 over id.timestamp.body."""
    signed = f"{message_id}.{stamp}.".encode() + body
    digest = hmac.new(key, signed, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}"
