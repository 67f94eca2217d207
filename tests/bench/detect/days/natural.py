"""Recorded days as they are, through the whole engine: are the moments found that a desk would want
to hear of, and what are the alerts worth?

Protocol. Each recording is imported and replayed from nothing, once at ten false alerts a day and
once at one. *Moments* (`moments.py`): the share of the most extreme that is found; the chance that
a random stretch as long is found by the same alerts stands beside it. *Alerts* (`verdicts.py`):
shares judged worth waking for, real but trivial, false, after the warm-up and in it, and how many
critical ones are not worth waking for. *Shares by severity*: the gravest of each incident; the
calmest six hours, those in which the price moved least, say what a quiet day sees.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from monitor.core.alerts.history import IncidentHistory, group_by_incident
from monitor.core.contract.alert import Alert
from monitor.core.contract.units import SECOND_NS
from tests.bench.detect.days.engine_runs import Run, unchanged_run
from tests.bench.detect.days.moments import (
    DAY_S,
    KINDS,
    alert_times,
    chance_of,
    is_about_data,
    is_seen,
    moments_of,
    warm_up_s,
)
from tests.bench.detect.days.recordings import recorded_days
from tests.bench.detect.days.series import DaySeries, MarketSeries
from tests.bench.detect.days.verdicts import Judge, Verdict

BUDGETS = (10.0, 1.0)
CALM_S = 6 * 3600


def rows(quick: bool = False) -> Iterator[dict[str, Any]]:
    """Of each recording that is here; `quick` leaves out those of many files."""
    for name, path in recorded_days(quick):
        yield from day_rows(name, path)


def day_rows(name: str, path: Path) -> Iterator[dict[str, Any]]:
    """Of one recorded day."""
    runs = {per_day: unchanged_run(path, per_day) for per_day in BUDGETS}
    names = {per_day: f"{name}, {per_day:g} a day" for per_day in BUDGETS}
    if runs[BUDGETS[0]].series.markets:
        for part in (moment_rows, verdict_rows):
            for per_day, run in runs.items():
                yield from part(names[per_day], run)
        for per_day, run in runs.items():
            yield stream_row(names[per_day], run, per_day)
    for per_day, run in runs.items():
        yield severity_row(names[per_day], run)


def moment_rows(background: str, run: Run) -> Iterator[dict[str, Any]]:
    """Recall on natural moments, of each kind; in the busiest market."""
    market = run.series.markets[0]
    times = alert_times(run.alerts, market.symbol)
    for kind in KINDS:
        if kind not in market.scores:
            continue
        moments = moments_of(market, kind, warm_up_s(market))
        seen = [is_seen(moment, times) for moment in moments]
        yield {
            "table": "natural moments of recorded days",
            "background": background,
            "detector": kind,
            "recall_at_1": float(np.mean(seen)) if seen else None,
            "note": f"{sum(seen)} of {len(seen)}",
            "by chance": chance_of(moments, times, market),
        }


def verdict_rows(background: str, run: Run) -> Iterator[dict[str, Any]]:
    """What the alerts are worth, after the warm-up and in it."""
    judge, incidents = Judge(run.series), group_by_incident(run.alerts)
    worth, real = judge.shares_at_random()
    settled = [one for one in incidents if one.opened_ns / SECOND_NS >= _warm_up_end_s(run.series)]
    parts = {
        "after the warm-up": settled,
        "of them about markets": [one for one in settled if not is_about_data(one.alerts[0])],
        "in the warm-up": [one for one in incidents if one not in settled],
    }
    for when, part in parts.items():
        number = Counter(judge.verdict(one.alerts[0]) for one in part)
        ruled = len(part) - number[Verdict.NOT_JUDGED]
        alarming = [judge.verdict(alert) for one in part if (alert := first_critical(one))]
        idle = sum(verdict in (Verdict.TRIVIAL, Verdict.FALSE) for verdict in alarming)
        yield {
            "table": "alerts of recorded days, judged by a fixed rule",
            "background": background,
            "detector": when,
            "note": f"{len(part)} alerts: "
            + ", ".join(f"{number[verdict]} {verdict}" for verdict in Verdict)
            + f"; critical and not worth it: {idle} of {len(alarming)}",
            "worth": number[Verdict.WORTH] / ruled if ruled else None,
            "real": (number[Verdict.WORTH] + number[Verdict.TRIVIAL]) / ruled if ruled else None,
            "worth at random": worth,
            "real at random": real,
        }


def first_critical(incident: IncidentHistory) -> Alert | None:
    """The first of its alerts that is critical."""
    return next((alert for alert in incident.alerts if alert.severity == "critical"), None)


def stream_row(background: str, run: Run, per_day: float) -> dict[str, Any]:
    """Who spends the budget: incidents that a rule did not decide, by kind and first stream."""
    judge = Judge(run.series)
    spent = [one for one in group_by_incident(run.alerts) if not one.is_by_rule]
    days = run.series.markets[0].seconds / DAY_S
    false = sum(judge.verdict(one.alerts[0]) is Verdict.FALSE for one in spent)
    by_source = Counter(source_of(one) for one in spent)
    return {
        "table": "alerts of recorded days that spend the budget",
        "background": background,
        "detector": "all",
        "false_a_day": false / days,
        "note": f"{len(spent)} alerts ({false} false) in {24 * days:.1f} h, where "
        f"{per_day * days:.2g} false ones are allowed: "
        + ", ".join(f"{source} {n}" for source, n in by_source.most_common()),
    }


def source_of(incident: IncidentHistory) -> str:
    """The kind of an incident and the stream that spoke first."""
    first = incident.alerts[0]
    return f"{first.kind}/{first.evidence[0].stream}"


def severity_row(background: str, run: Run) -> dict[str, Any]:
    """The gravest severity of each incident, over the day and in its calmest hours."""
    incidents = group_by_incident(run.alerts)
    number = Counter(one.severity for one in incidents)
    note = ", ".join(f"{number[s]} {s}" for s in ("critical", "warning", "info"))
    if run.series.markets:
        begin = calm_begin_s(run.series.markets[0])
        calm = [one for one in incidents if begin <= one.opened_ns / SECOND_NS < begin + CALM_S]
        critical = sum(one.severity == "critical" for one in calm)
        note += f"; in the calmest {CALM_S // 3600} h: {len(calm)} alerts, {critical} critical"
    return {
        "table": "severity of the alerts of recorded days",
        "background": background,
        "detector": "all",
        "note": note,
        "critical": number["critical"] / len(incidents) if incidents else None,
    }


def calm_begin_s(market: MarketSeries) -> int:
    """When the six hours begin in which the price moved least, s since 1970; the recording's begin
    where it is not longer."""
    moves = np.append(0.0, np.cumsum(np.nan_to_num(market.scores["price"]) ** 2))
    if market.seconds <= CALM_S:
        return market.start
    return market.start + int(np.argmin(moves[CALM_S:] - moves[:-CALM_S]))


def _warm_up_end_s(series: DaySeries) -> int:
    market = series.markets[0]
    return market.start + warm_up_s(market)
