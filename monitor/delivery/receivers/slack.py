"""Slack's incoming webhooks: a message of blocks for each alert.

Slack has no key that removes a repeat: a message whose answer was lost comes twice.
"""

from __future__ import annotations

from typing import Any

from monitor.core.alerts.formatting import format_iso
from monitor.delivery.incidents import Notice
from monitor.delivery.receivers.base import OnceReceiver
from monitor.delivery.receivers.https import HttpsPoster, to_json
from monitor.delivery.settings import ReceiverSettings
from monitor.delivery.texts import describe, links, market_names

SIGNS = {"critical": ":red_circle:", "warning": ":large_orange_circle:", "info": ":white_circle:"}
RESOLVED_SIGN = ":white_check_mark:"
TEXT_MAX, HEADER_MAX = 2_900, 150
"""Slack takes 3,000 and 150 characters."""


class SlackReceiver(OnceReceiver):
    """One incoming webhook; its address is the secret."""

    def __init__(self, settings: ReceiverSettings) -> None:
        self._settings = settings
        self._poster = HttpsPoster(settings)

    async def send(self, notice: Notice) -> None:
        """Send one message."""
        await self._poster.post(to_json(_message(notice, links(self._settings, notice))))

    async def close(self) -> None:
        """Close the connection."""
        await self._poster.close()


def _message(notice: Notice, addresses: dict[str, str]) -> dict[str, Any]:
    alert = notice.alert
    is_resolved = alert.status == "resolved"
    state = alert.status if is_resolved else f"{alert.status}, {alert.severity}"
    markets = market_names(alert)
    title = f"{markets or 'venue'}: {alert.kind} ({state})"
    sign = RESOLVED_SIGN if is_resolved else SIGNS[alert.severity]
    context = f"{format_iso(alert.ts)}  incident {alert.incident}"
    context += "".join(f"  <{url}|{name}>" for name, url in addresses.items())
    text = f"{sign} *{_escape(alert.summary)}*"
    if not is_resolved:
        text += f"\n{_escape(describe(alert))}"
    return {
        "text": _escape(f"{title}: {alert.summary}")[:TEXT_MAX],
        "blocks": [
            {"type": "header", "text": {"type": "plain_text", "text": title[:HEADER_MAX]}},
            {"type": "section", "text": {"type": "mrkdwn", "text": text[:TEXT_MAX]}},
            {"type": "context", "elements": [{"type": "mrkdwn", "text": context[:TEXT_MAX]}]},
        ],
    }


def _escape(text: str) -> str:
    """Slack's own signs; else a text could mention everybody."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
