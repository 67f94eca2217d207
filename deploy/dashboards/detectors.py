"""The detectors: incidents beside the budget, what judges and what learns, people's verdicts."""

from __future__ import annotations

from deploy.dashboards.firing import INCIDENTS, STEP
from deploy.dashboards.panels import (
    AMBER,
    Query,
    bars,
    growth,
    lines,
    number,
    page,
    ranking,
)

RANGE = "$__range"
EVIDENCE = "brinkwatch_evidence_total"
TRUE, FALSE = (
    f"sum by (detector, stream) (max by (detector, stream, verdict) "
    f'(brinkwatch_feedback_incidents{{verdict="{verdict}"}}))'
    for verdict in ("true", "false")
)

BUDGET = [
    number(
        "Budget",
        "False alerts a day that are borne, as configured (alerts.per_day).",
        "max(brinkwatch_budget_alerts_per_day)",
    ),
    number(
        "Incidents of a day",
        "Those that began in the last 24 hours and that no silence covers. True ones among them "
        "are beyond the budget.",
        f"sum({growth(INCIDENTS, 'kind', '1d')})",
        rules=["BrinkwatchAlertsBeyondBudget"],
    ),
    number(
        "Messages",
        "Fired, updated and resolved, silenced ones too, within the time shown.",
        f"sum({growth('brinkwatch_alerts_total', 'status', RANGE)})",
    ),
    number(
        "Streams that judge",
        "Streams of markets, over all members.",
        'sum(brinkwatch_streams{state="judging"})',
    ),
    number(
        "Streams that abstain",
        "Those that still learn. /state says until when.",
        'sum(brinkwatch_streams{state="learning"})',
    ),
    number(
        "Streams that are out",
        "Their detector raised an error.",
        'sum(brinkwatch_streams{state="out"})',
        limits=[(1, AMBER)],
        rules=["BrinkwatchStreamOut"],
    ),
]
OVER_TIME = [
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
        "Detectors and streams",
        "Of the evidence that incidents of the time shown began with; the 15 most.",
        Query(
            f"sort_desc(topk(15, {growth(EVIDENCE, 'detector, stream', RANGE)}))",
            "{{detector}} {{stream}}",
        ),
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
STREAMS = [
    lines(
        "Streams that learn",
        "In how many markets a stream abstains, for it has not seen enough.",
        Query('sum by (stream) (brinkwatch_streams{state="learning"}) > 0', "{{stream}}"),
    ),
    lines(
        "Streams that judge",
        "In how many markets a stream judges.",
        Query('sum by (stream) (brinkwatch_streams{state="judging"}) > 0', "{{stream}}"),
    ),
]
FEEDBACK = [
    ranking(
        "Judged true",
        "Incidents that people called true (brinkwatch feedback), by their first evidence.",
        Query(f"sort_desc({TRUE})", "{{detector}} {{stream}}"),
    ),
    lines(
        "Precision",
        "Share of the judged incidents that were true, by their first evidence.",
        Query(
            f"({TRUE} or 0 * {FALSE}) / (({TRUE} or 0 * {FALSE}) + ({FALSE} or 0 * {TRUE}))",
            "{{detector}} {{stream}}",
        ),
        unit="percentunit",
    ),
]


def build() -> str:
    """The dashboard's JSON."""
    return page(
        "brinkwatch-detectors",
        "brinkwatch: the detectors",
        "What alerts, beside its budget and people's verdicts; what judges and what abstains.",
        [
            ("Budget", BUDGET),
            ("Incidents over time", OVER_TIME),
            ("The most", MOST),
            ("Streams", STREAMS),
            ("Feedback", FEEDBACK),
        ],
    )
