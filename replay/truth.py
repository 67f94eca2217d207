"""A day's alerts beside what was planted in it: found, missed, and what speaks of nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

SECOND_NS = 1_000_000_000
GRACE_NS = 5 * SECOND_NS
"""An alert within five seconds of a planted incident's end still speaks of it."""


def planted(day: Path) -> list[dict[str, Any]]:
    """The ground truth of a simulated day; nothing where there is none."""
    file = day / "incidents.json"
    return json.loads(file.read_text()) if file.exists() else []


def speaks_of(alert: dict[str, Any], incident: dict[str, Any]) -> bool:
    """Whether an alert tells of a planted incident: the same market, overlapping in time."""
    begun = alert["ts"] > incident["start_ts"] and alert["since"] < incident["end_ts"] + GRACE_NS
    return begun and incident["symbol"] in alert["symbols"]
