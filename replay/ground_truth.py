"""A day's alerts beside what was planted in it: found, missed, and what speaks of nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from monitor.core.contract.alert import Alert
from monitor.core.contract.units import SECOND_NS

GRACE_NS = 5 * SECOND_NS
"""An alert within five seconds of a planted incident's end still speaks of it."""
LEAD_NS = 90 * SECOND_NS
"""The orders of a burst of cancels are placed beforehand, 20 s on the average and seldom over 90:
what names their accounts in that time speaks of the burst."""

Planted = dict[str, Any]


def read_planted(day: Path) -> list[Planted]:
    """The ground truth of a simulated day; nothing where there is none."""
    file = day / "incidents.json"
    return json.loads(file.read_text()) if file.exists() else []


def lifecycles(alerts: list[Alert]) -> list[list[Alert]]:
    """What was said of each incident from its first alert to its last, without the resolutions."""
    open_: dict[str, list[Alert]] = {}
    every: list[list[Alert]] = []
    for alert in alerts:
        if alert.status == "resolved":
            open_.pop(alert.fingerprint, None)
            continue
        if alert.fingerprint not in open_:
            open_[alert.fingerprint] = []
            every.append(open_[alert.fingerprint])
        open_[alert.fingerprint].append(alert)
    return every


def is_about(alert: Alert, incident: Planted) -> bool:
    """Whether an alert, fired or updated, tells of a planted incident: said of the same market
    while it lasts; or said of its accounts while they place what they are to pull."""
    if incident["symbol"] not in alert.symbols:
        return False
    if incident["start_ts"] < alert.ts <= incident["end_ts"] + GRACE_NS:
        return True
    early = incident["start_ts"] - LEAD_NS < alert.ts <= incident["start_ts"]
    named = {a.account for a in alert.accounts}
    return early and not named.isdisjoint(incident["accounts"])


def alerts_about(alerts: list[Alert], incident: Planted) -> list[Alert]:
    """What was said of a planted incident, fired or updated."""
    return [a for a in alerts if a.status != "resolved" and is_about(a, incident)]


def unrelated_incidents(alerts: list[Alert], truth: list[Planted]) -> list[list[Alert]]:
    """The incidents that speak of nothing that was planted."""
    return [
        life
        for life in lifecycles(alerts)
        if not any(is_about(alert, incident) for alert in life for incident in truth)
    ]
