"""The alerts: by severity, kind and symbol."""

from __future__ import annotations

from deploy.dashboards.panels import AMBER, RED, WIDE, Query, bars, growth, number, page, ranking

INCIDENTS = "brinkwatch_incidents_total"
RANGE, STEP = "$__range", "$__interval"


def _firing_count(severity: str, color: str) -> object:
    metric = f'{INCIDENTS}{{severity="{severity}"}}'
    return number(
        severity.capitalize(),
        "Incidents that began within the time shown, without those that a silence covers.",
        f"{growth(metric, 'severity', RANGE)} or on() vector(0)",
        limits=[(1, color)],
    )


NOW = [
    _firing_count("critical", RED),
    _firing_count("warning", AMBER),
    _firing_count("info", "blue"),
    number(
        "Messages",
        "Fired, updated and resolved, silenced ones too, within the time shown.",
        f"sum({growth('brinkwatch_alerts_total', 'status', RANGE)})",
    ),
]
OVER_TIME = [
    bars(
        "Incidents, by severity",
        "Each incident once, when it begins.",
        Query(growth(INCIDENTS, "severity", STEP), "{{severity}}"),
        span=WIDE,
    ),
    bars(
        "Incidents, by kind",
        "Each incident once, when it begins.",
        Query(growth(INCIDENTS, "kind", STEP), "{{kind}}"),
    ),
    bars(
        "Incidents, by symbol",
        "The 15 markets with the most; one that alerts more than the rest has a change of regime, "
        "or a detector that does not fit it.",
        Query(f"topk(15, {growth(INCIDENTS, 'symbol', STEP)} > 0)", "{{symbol}}"),
    ),
]
MOST = [
    ranking(
        "Kinds",
        "Incidents that began within the time shown.",
        Query(f"sort_desc({growth(INCIDENTS, 'kind', RANGE)})", "{{kind}}"),
    ),
    ranking(
        "Symbols, with kind and severity",
        "Incidents that began within the time shown; the 15 most.",
        Query(
            f"sort_desc(topk(15, {growth(INCIDENTS, 'symbol, kind, severity', RANGE)}))",
            "{{symbol}} {{kind}} {{severity}}",
        ),
    ),
]


def build() -> str:
    """The dashboard's JSON."""
    return page(
        "brinkwatch-alerts",
        "brinkwatch: alerts",
        "What fired, where and how grave.",
        [
            ("Within the time shown", NOW),
            ("Over time", OVER_TIME),
            ("The most", MOST),
        ],
    )
