"""`brinkwatch receivers test`: an alert that says that it is a test, to one receiver, now."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from typing import Any

from monitor.config import Config
from monitor.console import Console
from monitor.core import ENGINE_VERSION
from monitor.core.alerts.severity import SEVERITIES
from monitor.core.contract.alert import Alert, AlertEvidence, Severity, Versions
from monitor.core.contract.units import SECOND_NS
from monitor.delivery.incidents import Notice
from monitor.delivery.receivers.base import DeliveryError
from monitor.delivery.receivers.kinds import make_receiver
from monitor.errors import BrinkwatchError, ConfigError, nearest_name

KIND = "test"


def send_trial(config: Config, name: str, severity: str, console: Console) -> dict[str, Any]:
    """Send a test alert to the receiver of this name, whatever its routes are; and, to one that
    sends nothing again, its resolution. Raises `BrinkwatchError` where it is not taken."""
    if severity not in SEVERITIES:
        raise ConfigError(f"--severity {severity}: give {', '.join(SEVERITIES)}")
    grade: Severity = severity
    by_name = {settings.name: settings for settings in config.receivers}
    if name not in by_name:
        none = "there are none: add [[receivers]] to the configuration"
        mend = nearest_name(name, [*by_name]) if by_name else none
        raise ConfigError(f"there is no receiver {name}; {mend}")

    async def send() -> float | None:
        receiver = make_receiver(by_name[name])
        alert = trial_alert(config, name, grade, time.time_ns())
        notice = Notice(alert, alert, (grade,))
        ended = dataclasses.replace(alert, id=f"{alert.incident}-2", status="resolved")
        try:
            await receiver.send(notice)
            if receiver.resend_s is None:
                await receiver.send(dataclasses.replace(notice, alert=ended))
        except DeliveryError as error:
            raise BrinkwatchError(f"the receiver {name} did not take it: {error}") from None
        finally:
            await receiver.close()
        return receiver.resend_s

    resend_s = asyncio.run(send())
    end = "and its resolution" if resend_s is None else "which ends by itself, in minutes"
    console.say(f"the receiver {name} has taken a test alert ({severity}), {end}")
    return {"receiver": name, "severity": severity, "taken": True}


def trial_alert(config: Config, name: str, severity: Severity, now_ns: int) -> Alert:
    """An alert that is none."""
    incident = f"{KIND}-{name}-{now_ns // SECOND_NS}"
    return Alert(
        id=f"{incident}-1",
        incident=incident,
        fingerprint=KIND,
        status="firing",
        severity=severity,
        layer="data",
        kind=KIND,
        symbols=(),
        ts=now_ns,
        since=now_ns,
        summary=f"Test of the receiver {name}: nothing is wrong",
        evidence=(AlertEvidence(KIND, KIND, 0.0, 0.0, None, "", None, None, 1.0),),
        accounts=(),
        zones=(),
        records=(),
        abstained=(),
        reproduce=f"brinkwatch receivers test {name}",
        versions=Versions(ENGINE_VERSION, config.engine().fingerprint(), config.alerts.per_day, {}),
    )
