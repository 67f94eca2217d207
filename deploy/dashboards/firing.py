"""What fires, and the incidents over time: panels that several dashboards have."""

from __future__ import annotations

from typing import Any

from deploy.dashboards.panels import (
    AMBER,
    RED,
    WIDE,
    Query,
    bars,
    firing_table,
    growth,
    number,
)

INCIDENTS = "brinkwatch_incidents_total"
STEP = "$__interval"


def firing_query(selector: str = "") -> Query:
    """What fires with its sentence, the newest first: what the newest scrape has. Imported blocks
    do not say where a series ends, and Prometheus shows it on for five minutes."""
    since = f"brinkwatch_alert_since_timestamp_seconds{selector}"
    newest = "max by (job, instance) (timestamp(brinkwatch_alerts_firing))"
    return Query(
        "sort_desc(max by (incident, severity, kind, symbol, summary) "
        f"({since} and timestamp({since}) >= on (job, instance) group_left () {newest}))"
    )


def _standing(severity: str, color: str) -> Any:
    return number(
        severity.capitalize(),
        "Incidents that fire and that no silence covers.",
        f'sum(brinkwatch_alerts_firing{{severity="{severity}"}}) or on() vector(0)',
        limits=[(1, color)],
        rules=["BrinkwatchCriticalUnattended"] if severity == "critical" else (),
    )


STANDING = [_standing("critical", RED), _standing("warning", AMBER), _standing("info", "blue")]
FIRING = [
    firing_table(
        "What fires",
        "Each incident that fires with its last sentence, without silenced ones; fifty at most, "
        "the gravest. brinkwatch show has the evidence. The market leads to its dashboard, the "
        "kind to what to look at.",
        firing_query(),
    )
]
OVER_TIME = [
    bars(
        "Incidents, by severity",
        "Each incident once, when it begins.",
        Query(growth(INCIDENTS, "severity", STEP), "{{severity}}"),
        span=WIDE,
    )
]
