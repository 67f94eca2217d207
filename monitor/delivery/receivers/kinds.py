"""The receiver of each kind. Each is imported when one is set: aiohttp is not light."""

from __future__ import annotations

from monitor.delivery.receivers.base import Receiver
from monitor.delivery.settings import ReceiverSettings


def make_receiver(settings: ReceiverSettings) -> Receiver:
    """A receiver, ready to send. Raises `ConfigError` where its secrets or files cannot be read."""
    if settings.kind == "alertmanager":
        from monitor.delivery.receivers.alertmanager import AlertmanagerReceiver

        return AlertmanagerReceiver(settings)
    if settings.kind == "webhook":
        from monitor.delivery.receivers.webhook import WebhookReceiver

        return WebhookReceiver(settings)
    if settings.kind == "slack":
        from monitor.delivery.receivers.slack import SlackReceiver

        return SlackReceiver(settings)
    if settings.kind == "pagerduty":
        from monitor.delivery.receivers.pagerduty import PagerDutyReceiver

        return PagerDutyReceiver(settings)
    if settings.kind == "apprise":
        from monitor.delivery.receivers.apprise_library import AppriseReceiver

        return AppriseReceiver(settings)
    from monitor.delivery.receivers.json_lines import FileReceiver

    return FileReceiver(settings)
