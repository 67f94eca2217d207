"""Whatever the library apprise reaches (mail, chats, pagers), as an extra: `brinkwatch[apprise]`.

It sends by its own means: whether redirects are followed is its plugin's matter.
"""

from __future__ import annotations

import logging
from typing import Any

from monitor.delivery.incidents import Notice
from monitor.delivery.receivers.base import DeliveryError, OnceReceiver
from monitor.delivery.settings import ReceiverSettings
from monitor.delivery.texts import describe, links
from monitor.errors import ConfigError

TYPES = {"critical": "failure", "warning": "warning", "info": "info"}


class AppriseReceiver(OnceReceiver):
    """One address of apprise's own form."""

    def __init__(self, settings: ReceiverSettings) -> None:
        try:
            import apprise
        except ModuleNotFoundError:
            raise ConfigError(
                f"receiver {settings.name}: the library apprise is not here: "
                "pip install 'brinkwatch[apprise]'"
            ) from None
        # What it logs may have the address in it, which is a secret.
        logging.getLogger("apprise").propagate = False
        logging.getLogger("apprise").addHandler(logging.NullHandler())
        self._settings = settings
        self._apprise: Any = apprise.Apprise()
        if not self._apprise.add(settings.read_url()):
            raise ConfigError(
                f"receiver {settings.name}: apprise does not know an address of this form: see "
                "its list of services"
            )

    async def send(self, notice: Notice) -> None:
        """Send one message."""
        alert = notice.alert
        is_resolved = alert.status == "resolved"
        body = alert.summary if is_resolved else f"{alert.summary}\n{describe(alert)}"
        for name, url in links(self._settings, notice).items():
            body += f"\n{name}: {url}"
        is_sent = await self._apprise.async_notify(
            body=body,
            title=f"{alert.status}: {alert.severity} {alert.kind}",
            notify_type="success" if is_resolved else TYPES[alert.severity],
        )
        if not is_sent:
            raise DeliveryError("apprise could not send it")
