"""Alertmanager, its v2 API: POST /api/v2/alerts.

To Alertmanager the labels are the alert. They are those of the first alert that was sent, so that
they stay while the incident grows. Its severity may rise, and routes must see that: then a second
alert with the new severity comes beside the first, and both end together. An inhibit rule with
`equal: [incident]` shows the gravest alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from monitor.core.alerts.formatting import format_iso
from monitor.core.contract.units import SECOND_NS
from monitor.delivery.incidents import Notice
from monitor.delivery.receivers.https import HttpsPoster, to_json
from monitor.delivery.settings import ReceiverSettings
from monitor.delivery.texts import SOURCE, describe, links, market_names, stake_text
from monitor.silences.silence import moment_text

RESEND_S = 60.0
ENDS_AFTER_S = 4 * RESEND_S
"""What is not sent again for so long has ended, to Alertmanager: as Prometheus does it, so that a
restart or three lost messages end nothing."""
ALERTS_PER_POST = 200


class AlertmanagerReceiver:
    """One Alertmanager; of a cluster each member is a receiver of its own."""

    def __init__(self, settings: ReceiverSettings, clock: Callable[[], float] = time.time) -> None:
        self.resend_s: float | None = RESEND_S
        self._settings, self._clock = settings, clock
        self._poster = HttpsPoster(settings, "/api/v2/alerts")
        key = settings.read_key()
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}

    async def send(self, notice: Notice) -> None:
        """Send the state of an incident."""
        await self._post([notice])

    async def resend(self, notices: Sequence[Notice]) -> None:
        """Send the state of all incidents that fire, and of those resolved a moment ago."""
        for start in range(0, len(notices), ALERTS_PER_POST):
            await self._post(notices[start : start + ALERTS_PER_POST])

    async def close(self) -> None:
        """Close the connection."""
        await self._poster.close()

    async def _post(self, notices: Sequence[Notice]) -> None:
        now_ns = int(self._clock() * SECOND_NS)
        every = [
            each
            for notice in notices
            for each in _alerts(notice, now_ns, links(self._settings, notice))
        ]
        await self._poster.post(to_json(every), self._headers)


def _alerts(notice: Notice, now_ns: int, addresses: dict[str, str]) -> Iterator[dict[str, Any]]:
    """An incident as postable alerts, one for each severity that it has had."""
    alert, opening = notice.alert, notice.opening
    # Of a recorded day, or of a clock that runs ahead, event time is not the wall clock's: to
    # Alertmanager what begins in the future does not fire, and what ends there is not resolved.
    start_ns = min(opening.since, now_ns)
    is_resolved = alert.status == "resolved"
    end_ns = min(alert.ts, now_ns) if is_resolved else now_ns + int(ENDS_AFTER_S * SECOND_NS)
    annotations = {
        "summary": alert.summary,
        "description": describe(alert),
        "at_stake": stake_text(alert.at_stake),
        "markets": market_names(alert),
        "event_time": format_iso(alert.ts),
        **{f"{name}_url": url for name, url in addresses.items()},
    }
    for severity in notice.severities:
        labels = {
            "alertname": opening.kind,
            "severity": severity,
            "symbol": market_names(opening),
            "layer": opening.layer,
            "incident": alert.incident,
            "source": SOURCE,
        }
        yield {
            "labels": {name: value for name, value in labels.items() if value},
            "annotations": {name: value for name, value in annotations.items() if value},
            "startsAt": moment_text(start_ns),
            "endsAt": moment_text(max(end_ns, start_ns)),
        }
