"""The alerts: by severity, kind and symbol."""

from __future__ import annotations

from deploy.dashboards.panels import AMBER, RED, WIDE, Query, bars, fresh, number, page, ranking

FIRED = 'brinkwatch_alerts_total{status="firing"}'
RANGE, STEP = "$__range", "$__interval"


def _fired(severity: str, color: str) -> object:
    metric = f'brinkwatch_alerts_total{{status="firing",severity="{severity}"}}'
    return number(
        severity.capitalize(),
        "Alerts fired within the time shown.",
        f"{fresh(metric, 'severity', RANGE)} or on() vector(0)",
        limits=[(1, color)],
    )


NOW = [
    _fired("critical", RED),
    _fired("warning", AMBER),
    _fired("info", "blue"),
    number(
        "Messages",
        "Fired, updated and resolved, within the time shown.",
        f"sum({fresh('brinkwatch_alerts_total', 'status', RANGE)})",
    ),
]
OVER_TIME = [
    bars(
        "Fired, by severity",
        "Each alert once, when it fires.",
        Query(fresh(FIRED, "severity", STEP), "{{severity}}"),
        span=WIDE,
    ),
    bars(
        "Fired, by kind",
        "Each alert once, when it fires.",
        Query(fresh(FIRED, "kind", STEP), "{{kind}}"),
    ),
    bars(
        "Fired, by symbol",
        "The 15 markets with the most; one that alerts more than the rest has a change of regime, "
        "or a detector that does not fit it.",
        Query(f"topk(15, {fresh(FIRED, 'symbol', STEP)} > 0)", "{{symbol}}"),
    ),
]
MOST = [
    ranking(
        "Kinds",
        "Alerts fired within the time shown.",
        Query(f"sort_desc({fresh(FIRED, 'kind', RANGE)})", "{{kind}}"),
    ),
    ranking(
        "Symbols, with kind and severity",
        "Alerts fired within the time shown; the 15 most.",
        Query(
            f"sort_desc(topk(15, {fresh(FIRED, 'symbol, kind, severity', RANGE)}))",
            "{{symbol}} {{kind}} {{severity}}",
        ),
    ),
]


def made() -> str:
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
