"""Notices and receivers for the tests of this folder."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

from monitor.core.contract.alert import Alert
from monitor.delivery.incidents import Notice
from monitor.delivery.receivers.kinds import make_receiver
from monitor.delivery.settings import ReceiverSettings
from tests.core.alerts.findings import alert


def notice(alerts: tuple[Alert, ...] = (), **keys: Any) -> Notice:
    """Of one alert, changed by `keys`, or of the last of an incident's `alerts`."""
    every = alerts or (replace(alert(), **keys),)
    severities = tuple(dict.fromkeys(each.severity for each in every))
    return Notice(every[-1], every[0], severities)


def send(to: ReceiverSettings, *notices: Notice) -> None:
    """Send all, one after the other; raises what the first that fails raises."""

    async def send_all() -> None:
        one = make_receiver(to)
        try:
            for each in notices:
                await one.send(each)
        finally:
            await one.close()

    asyncio.run(send_all())


def settings(**keys: Any) -> ReceiverSettings:
    return ReceiverSettings(name="desk", **keys)
