"""Findings, incidents and alerts for tests, in which nothing but the named fields matters."""

from __future__ import annotations

import json
from typing import Any

from monitor.core.alerts.build import AlertBuilder
from monitor.core.alerts.incidents import Incident, Incidents
from monitor.core.contract.alert import Alert, Status, alert_json
from monitor.core.finding import JOINT, Finding, FindingPart, OffsetRange
from monitor.core.settings import EngineSettings

START = 1_764_000_187  # 2025-11-24 16:03:07 UTC
ONCE_IN_40_DAYS = 1 / (86_400 * 40)
SEEN = 86_400 * 90
"""Windows of 90 days."""


def finding(**changes: Any) -> Finding:
    """A burst of cancels over twelve windows of a second."""
    base: dict[str, Any] = {
        "window": START + 11,
        "since": START,
        "partition": 3,
        "symbol": "SOL-PERP",
        "stream": "cancels",
        "detector": "burst",
        "observed": 984.0,
        "expected": 240.0,
        "p": ONCE_IN_40_DAYS,
        "accounts": [("a-17", 0.40), ("a-3", 0.21), ("a-9", 0.10)],
        "records": [OffsetRange("cancel", 120, 1103)],
        "abstained": [("liquidations", "none seen so far")],
        "seen": SEEN,
    }
    return Finding(**{**base, **changes})


def part(
    stream: str, observed: float, expected: float, share: float, symbol: str = "SOL"
) -> FindingPart:
    """What one stream brings to joint evidence."""
    numbers = observed, expected, ONCE_IN_40_DAYS
    return FindingPart(symbol, stream, JOINT, START, *numbers, share, windows=12, seen=SEEN)


def joint_finding(**changes: Any) -> Finding:
    """Cancels, leverage and a thin book in SOL, over twelve windows."""
    base: dict[str, Any] = {
        "symbol": "SOL",
        "detector": JOINT,
        "records": [
            OffsetRange("book", 7, 19),
            OffsetRange("cancel", 120, 1103),
            OffsetRange("leverage", 3, 5),
        ],
        "abstained": [("mark_gap_bps", "none seen so far")],
        "parts": [
            part("cancels", 984.0, 240.0, 0.5),
            part("leverage_raises", 18.0, 1.2, 0.3),
            part("depth_25bps_least", 20_000.0, 100_000.0, 0.2),
        ],
    }
    return finding(**{**base, **changes})


def incident(status: Status = "firing", **changes: Any) -> Incident:
    """The first publication of a finding."""
    one = finding(**changes)
    return Incident("f00d", "cafe", 1, status, one.window, one, last_window=one.window)


def alert(status: Status = "firing", **changes: Any) -> Alert:
    """The alert of one finding."""
    return AlertBuilder(EngineSettings()).build(incident(status, **changes))


def alerts_of(*findings: Finding, until: int = START + 12) -> list[Alert]:
    """The alerts that findings become before window `until`."""
    builder = AlertBuilder(EngineSettings())
    return [builder.build(i) for i in Incidents(30).advance(list(findings), until)]


def plain(alert: Alert) -> dict[str, Any]:
    """An alert as a reader of its JSON has it."""
    record: dict[str, Any] = json.loads(alert_json(alert))
    return record
