"""The page of `brinkwatch replay --report`: a day as a desk reads it. What fired and why, prices
with what would be forced around them, and what was not seen."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from monitor.core import ENGINE_VERSION
from monitor.core.alerts.formatting import format_iso, format_number, format_span, join_list
from monitor.core.alerts.history import IncidentHistory, group_by_incident
from monitor.core.alerts.severity import SEVERITIES
from monitor.core.contract.alert import alert_json
from monitor.core.contract.units import DAY_S, MILLISECOND_NS
from monitor.core.settings import EngineSettings
from monitor.desk.verdicts import judge_incident
from monitor.page.document import COMPONENTS, GRAPHS, LINES, make_document
from replay.coverage import RESTS_ON
from replay.report.day_recorder import DayRecorder
from replay.run import ReplaySummary

DAY_ASSETS = (*LINES, *GRAPHS)
PAGE_FILES = (*COMPONENTS, Path(__file__).parent / "scripts" / "day.js")
SERIES_CHARTS = {
    "depth": "Depth within 25 bps of the mid",
    "spread": "Spread",
    "flow": "Orders and cancels",
    "trades": "Trades",
    "liquidated": "Liquidations",
    "leverage-changes": "Changes of leverage",
    "leverage": "Notional that a move of 50 % would force, by leverage",
    "rate": "Reproduction number R; from 1 on it runs on by itself",
    "shock": "Critical shocks",
    "near": "Forced within 2 % of the mark",
}
"""By the element's id: the heads of a market's charts."""


class DayNames(NamedTuple):
    """What the days are called: `title`, of their folders; `venues`."""

    title: str
    venues: list[str]


def day_report(
    names: DayNames, recorder: DayRecorder, summary: ReplaySummary, settings: EngineSettings,
    lines: Sequence[str],
) -> str:  # fmt: skip
    """The page. `summary`, `lines`: what the replay ended with, as numbers and as it was printed.

    Raises `BrinkwatchError` where `DAY_ASSETS` are missing.
    """
    incidents = group_by_incident(recorder.alerts)
    kinds = sorted({one.latest.kind for one in incidents})
    symbols = {name for one in incidents for name in one.latest.symbols}
    markets = [*recorder.markets, *sorted(symbols - {*recorder.markets})]
    body = _body(names, recorder, summary, settings, incidents, lines, kinds, markets)
    data = {
        "from": recorder.from_ns / MILLISECOND_NS,
        "to": recorder.to_ns / MILLISECOND_NS,
        "series": {
            "from": recorder.windows.low * settings.time.window_ms,
            "step": recorder.series.step * settings.time.window_ms,
            "steps": recorder.series.steps,
        },
        "markets": {name: _market(recorder, name) for name in recorder.markets},
        "incidents": [_incident(one, recorder) for one in incidents],
    }
    return make_document(f"{names.title}: report of the day", body, data, DAY_ASSETS, PAGE_FILES)


def _market(recorder: DayRecorder, name: str) -> dict[str, Any]:
    extent = recorder.series.extent(name)
    return {
        "series": recorder.series.packed(name),
        "bands": recorder.bands.packed(name, extent),
    }


def _incident(one: IncidentHistory, recorder: DayRecorder) -> dict[str, Any]:
    """As the page's `incidents.js` says."""
    verdict = msgspec.to_builtins(judge_incident(one, one.latest.id, True, ""))
    for given in ("true", "note", "at"):
        del verdict[given]
    return {
        "alert": json.loads(alert_json(one.latest)),
        "severity": one.severity,
        "since": one.since_ns / MILLISECOND_NS,
        "opened": one.opened_ns / MILLISECOND_NS,
        "resolved": None if one.resolved_ns is None else one.resolved_ns / MILLISECOND_NS,
        "history": [[a.ts / MILLISECOND_NS, a.status, a.severity] for a in one.alerts],
        "charts": recorder.evidence.charts.get(one.incident, []),
        "verdict": json.dumps(verdict, sort_keys=True),
    }


def _body(
    names: DayNames, recorder: DayRecorder, summary: ReplaySummary, settings: EngineSettings,
    incidents: Sequence[IncidentHistory], lines: Sequence[str], kinds: Sequence[str],
    markets: Sequence[str],
) -> str:  # fmt: skip
    charts = "\n".join(
        f'<section class="chart"><h3>{head}</h3><line-chart id="{place}"></line-chart></section>'
        for place, head in SERIES_CHARTS.items()
    )
    left_out = len(recorder.left_out)
    note = f"Of the {len(recorder.markets)} markets of the most records; {left_out} have no charts."
    return f"""<header class="masthead" id="top"><div><h1>{escape(names.title)}</h1>
<p class="soft">{escape(join_list(names.venues))}, {format_iso(recorder.from_ns)} to
{format_iso(recorder.to_ns)}. Times are UTC, money is in the quote currency.</p></div></header>
{_figures(recorder, summary, incidents)}
<p class="soft">Engine {ENGINE_VERSION}, settings <code>{settings.fingerprint()}</code>, digest of
all output <code>{escape(summary.digest)}</code>: the same records give the same digest.</p>
<div class="filters screen" role="group" aria-label="What is shown">
{_select("market", "Market", markets)}{_select("kind", "Kind", kinds)}
{_select("severity", "Severity", SEVERITIES[::-1], "at least ")}
<span id="shown" role="status"></span>
</div>
<h2>When incidents fired</h2>
<p class="screen"><label>A lane for each <select id="lanes-by">{_options(["market", "kind"])}
</select></label> <span class="soft">A bar goes from the alert to its resolution; press it to read
the incident.</span></p>
<swim-lanes id="lanes"></swim-lanes>
{_budget(recorder, settings, incidents)}
<h2 id="market-name">Market</h2>
<p class="screen"><label>Charts of
<select id="charts-of">{_options(recorder.markets)}</select></label>
<span class="soft">Drag over a chart to zoom all of them in time, a double click shows all again.
{note if left_out else ""}</span></p>
<section class="chart"><h3>Price, and what would be forced at which price</h3>
<p class="soft" id="no-bands">No liquidation bands of this market: no position with a mark and
margin rules came.</p>
<heat-map id="bands"></heat-map><line-chart id="price"></line-chart></section>
<div class="charts">
{charts}
</div>
<p class="soft" id="not-drawn"></p>
<h2>Incidents</h2>
<p class="screen" id="verdicts-line" hidden><span id="verdicts" role="status"></span>
<button type="button" id="save">Save the verdicts</button>
<span class="soft">then <code>brinkwatch feedback --import verdicts.jsonl</code></span></p>
<div id="cards"></div>
<h2>What was read, and what was not</h2>
{_refusals(summary)}
<ul class="lines">{"".join(f"<li>{escape(line)}</li>" for line in lines)}</ul>"""


def _select(place: str, head: str, names: Sequence[str], prefix: str = "") -> str:
    every = '<option value="">all</option>'
    return f'<label>{head} <select id="{place}">{every}{_options(names, prefix)}</select></label>\n'


def _options(names: Sequence[str], prefix: str = "") -> str:
    return "".join(
        f'<option value="{escape(name)}">{prefix}{escape(name)}</option>' for name in names
    )


def _figures(
    recorder: DayRecorder, summary: ReplaySummary, incidents: Sequence[IncidentHistory]
) -> str:
    severities = Counter(one.severity for one in incidents)
    shown = ", ".join(f"{severities[s]} {s}" for s in SEVERITIES[::-1] if severities[s]) or "none"
    facts = {
        "incidents": shown,
        "alerts published": f"{len(recorder.alerts) + recorder.alerts_left_out:,}",
        "records read": f"{summary.records:,}",
        "markets": f"{len(recorder.markets) + len(recorder.left_out):,}",
        "refused": f"{summary.refused:,}",
        "late for their window": f"{summary.late:,}",
        "repeated": f"{summary.repeated:,}",
        "kinds of records not seen": f"{len(summary.kinds_not_seen)} of {len(RESTS_ON)}",
    }
    rows = "".join(
        f"<div><dt>{name}</dt><dd>{escape(value)}</dd></div>" for name, value in facts.items()
    )
    return f'<dl class="facts">{rows}</dl>'


def _budget(
    recorder: DayRecorder, settings: EngineSettings, incidents: Sequence[IncidentHistory]
) -> str:
    """The false alarms that are borne in this time, beside what came."""
    windows = recorder.windows
    seconds = (windows.until - windows.low) * settings.time.window_s
    per_day = settings.alerts.per_day
    by_rule = sum(one.is_by_rule for one in incidents)
    borne = per_day * seconds / DAY_S
    return (
        f"<p>The budget bears {format_number(per_day)} false alarms a day, so "
        f"{format_number(borne)} in these {format_span(seconds)}. "
        f"{_count(len(incidents) - by_rule)} came that count against it, true and false alike; "
        f"{_count(by_rule)} that follow from a rule, which needs no budget.</p>"
    )


def _count(number: int) -> str:
    return f"{number:,} {'incident' if number == 1 else 'incidents'}"


def _refusals(summary: ReplaySummary) -> str:
    """By kind of record: accepted, late, repeated; by reason: refused."""
    kinds = {**summary.events, **summary.late_by_kind, **summary.repeated_by_kind}
    rows = "".join(
        f"<tr><td>{escape(kind)}</td><td>{summary.events.get(kind, 0):,}</td>"
        f"<td>{summary.late_by_kind.get(kind, 0):,}</td>"
        f"<td>{summary.repeated_by_kind.get(kind, 0):,}</td></tr>"
        for kind in kinds
    )
    refused = join_list([f"{n:,} as {why}" for why, n in summary.refused_by_reason.items() if n])
    reasons = f"<p>Refused: {escape(refused)}.</p>" if refused else "<p>No record was refused.</p>"
    return (
        '<div class="scroll" role="group" aria-label="Records by kind" tabindex="0"><table>'
        "<caption>Records by kind; repeats count once</caption><thead><tr><th>kind</th>"
        "<th>accepted</th><th>late for their window</th><th>repeated</th></tr></thead>"
        f"<tbody>{rows}</tbody></table></div>{reasons}"
    )
