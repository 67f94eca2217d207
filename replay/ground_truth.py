"""A day's alerts compared with the incidents planted in it: detected, missed, unrelated."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from monitor.core.alerts.history import group_by_incident
from monitor.core.contract.alert import Alert
from monitor.core.contract.units import SECOND_NS
from monitor.errors import ConfigError

INCIDENTS_FILE = "incidents.json"
"""The planted incidents of a simulated day, in its folder."""
GRACE_NS = 5 * SECOND_NS
"""An alert within five seconds after the end of a planted incident is still about it."""
LEAD_NS = 90 * SECOND_NS
"""The orders of a burst of cancels are placed before it, 20 s on average and seldom over 90 s: an
alert of that time that names the burst's accounts is about the burst."""

Planted = dict[str, Any]


def read_planted(day: Path) -> list[Planted]:
    """The planted incidents of a simulated day; none for any other day."""
    file = day / INCIDENTS_FILE
    try:
        return json.loads(file.read_text()) if file.exists() else []
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"{file} cannot be read ({error}): simulate the day anew") from error


def lifecycles(alerts: list[Alert]) -> list[list[Alert]]:
    """The alerts of each incident, from the first to the last, without the resolutions."""
    histories = (one.alerts for one in group_by_incident(alerts))
    return [[alert for alert in one if alert.status != "resolved"] for one in histories]


def is_about(alert: Alert, incident: Planted) -> bool:
    """Whether an alert is about a planted incident: the same market, and either the time of the
    incident, or one of its accounts while it places the orders that it will cancel."""
    if incident["symbol"] not in alert.symbols:
        return False
    if incident["start_ts"] < alert.ts <= incident["end_ts"] + GRACE_NS:
        return True
    early = incident["start_ts"] - LEAD_NS < alert.ts <= incident["start_ts"]
    named = {a.account for a in alert.accounts}
    return early and not named.isdisjoint(incident["accounts"])


def alerts_about(alerts: list[Alert], incident: Planted) -> list[Alert]:
    """The alerts about a planted incident, without resolutions."""
    return [a for a in alerts if a.status != "resolved" and is_about(a, incident)]


def unrelated_incidents(alerts: list[Alert], planted: list[Planted]) -> list[list[Alert]]:
    """The incidents in which no alert is about a planted incident."""
    return [
        life
        for life in lifecycles(alerts)
        if not any(is_about(alert, incident) for alert in life for incident in planted)
    ]
