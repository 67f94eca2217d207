"""The alerts: by severity, kind and symbol."""

from __future__ import annotations

from deploy.dashboards.panels import AMBER, RED, WIDE, Query, bars, growth, number, page, ranking

FIRED = 'brinkwatch_alerts_total{status="firing"}'
RANGE, STEP = "$__range", "$__interval"


def _firing_count(severity: str, color: str) -> object:
    metric = f'brinkwatch_alerts_total{{status="firing",severity="{severity}"}}'
    return number(
        severity.capitalize(),
        "Alerts fired within the time shown.",
        f"{growth(metric, 'severity', RANGE)} or on() vector(0)",
        limits=[(1, color)],
    )


NOW = [
    _firing_count("critical", RED),
    _firing_count("warning", AMBER),
    _firing_count("info", "blue"),
    number(
        "Messages",
        "Fired, updated and resolved, within the time shown.",
        f"sum({growth('brinkwatch_alerts_total', 'status', RANGE)})",
    ),
]
OVER_TIME = [
    bars(
        "Fired, by severity",
        "Each alert once, when it fires.",
        Query(growth(FIRED, "severity", STEP), "{{severity}}"),
        span=WIDE,
    ),
    bars(
        "Fired, by kind",
        "Each alert once, when it fires.",
        Query(growth(FIRED, "kind", STEP), "{{kind}}"),
    ),
    bars(
        "Fired, by symbol",
        "The 15 markets with the most; one that alerts more than the rest has a change of regime, "
        "or a detector that does not fit it.",
        Query(f"topk(15, {growth(FIRED, 'symbol', STEP)} > 0)", "{{symbol}}"),
    ),
]
MOST = [
    ranking(
        "Kinds",
        "Alerts fired within the time shown.",
        Query(f"sort_desc({growth(FIRED, 'kind', RANGE)})", "{{kind}}"),
    ),
    ranking(
        "Symbols, with kind and severity",
        "Alerts fired within the time shown; the 15 most.",
        Query(
            f"sort_desc(topk(15, {growth(FIRED, 'symbol, kind, severity', RANGE)}))",
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
