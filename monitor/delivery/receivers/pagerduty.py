"""PagerDuty, Events API v2: an incident triggers, its later alerts go into the same one, and its
resolution resolves it; the incident's id is the `dedup_key`.
"""

from __future__ import annotations

from typing import Any

from monitor.core.alerts.formatting import format_iso
from monitor.delivery.incidents import Notice
from monitor.delivery.receivers.base import OnceReceiver
from monitor.delivery.receivers.https import HttpsPoster, to_json
from monitor.delivery.settings import ReceiverSettings
from monitor.delivery.texts import SOURCE, describe, links, market_names

SUMMARY_MAX = 1_024
"""Characters, PagerDuty's bound."""


class PagerDutyReceiver(OnceReceiver):
    """One integration of the Events API v2. Severities have PagerDuty's own names."""

    def __init__(self, settings: ReceiverSettings) -> None:
        self._settings = settings
        self._poster = HttpsPoster(settings)
        self._key = settings.read_key()

    async def send(self, notice: Notice) -> None:
        """Send one event."""
        event = {"routing_key": self._key, **_event(notice, links(self._settings, notice))}
        await self._poster.post(to_json(event))

    async def close(self) -> None:
        """Close the connection."""
        await self._poster.close()


def _event(notice: Notice, addresses: dict[str, str]) -> dict[str, Any]:
    alert = notice.alert
    is_resolved = alert.status == "resolved"
    event: dict[str, Any] = {
        "event_action": "resolve" if is_resolved else "trigger",
        "dedup_key": alert.incident,
    }
    if is_resolved:
        return event
    event["payload"] = {
        "summary": alert.summary[:SUMMARY_MAX],
        "source": f"{SOURCE} {market_names(alert)}".strip(),
        "severity": alert.severity,
        "timestamp": format_iso(alert.since),
        "component": market_names(alert) or "venue",
        "group": alert.layer,
        "class": alert.kind,
        "custom_details": {"status": alert.status, "description": describe(alert)},
    }
    if addresses:
        event["links"] = [{"href": url, "text": name} for name, url in addresses.items()]
    return event
