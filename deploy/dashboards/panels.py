"""The look of every kind of panel, so that a dashboard names only titles and queries."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

from grafana_foundation_sdk.builders import (
    bargauge,
    common,
    dashboard,
    heatmap,
    prometheus,
    stat,
    table,
    timeseries,
)
from grafana_foundation_sdk.builders.common import ReduceDataOptions
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common as common_model
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

PROVISIONED = "brinkwatch-prometheus"
"""The data source of `grafana/provisioning/datasources`: the variable's first choice."""
SOURCE = common_model.DataSourceRef(type_val="prometheus", uid="${datasource}")
RUNBOOKS = "https://wiki.example.com/brinkwatch"
"""Where the pages of docs/runbooks are: the variable `runbooks`, and what rules link to."""
OWN = re.compile(r"\b((?:brinkwatch|process)_\w+|anomaly:\w+)(\{?)")
"""A metric of ours in a query, with the brace of its selector."""
WIDE, HALF, THIRD, SMALL = 24, 12, 8, 4
"""Widths, of Grafana's 24 columns."""
HIGH, LOW = 8, 4
"""Heights, in Grafana's grid units."""
RATE_RANGE = "$__rate_interval"
"""Grafana's variable: at least four scrape intervals."""

GREEN, AMBER, RED = "green", "orange", "red"


@dataclass(frozen=True)
class Query:
    """PromQL, and the legend of its line."""

    expr: str
    legend: str = ""


def scoped(expr: str) -> str:
    """The query, of the chosen job alone."""
    return OWN.sub(lambda m: m[1] + '{job=~"$job"' + ("," if m[2] else "}"), expr)


def rate(metric: str, by: str = "") -> str:
    """The growth of a counter a second, summed over all members."""
    return f"sum{f' by ({by}) ' if by else ''}(rate({metric}[{RATE_RANGE}]))"


def growth(metric: str, by: str, over: str) -> str:
    """How much a counter grew. A new series counts from zero: `increase` alone would not see the
    first alert of a market.
    """
    return f"sum by ({by}) (({metric} unless {metric} offset {over}) or increase({metric}[{over}]))"


def quantile(q: float, histogram: str) -> str:
    """A quantile of a histogram of seconds, over all members."""
    return f"histogram_quantile({q}, sum by (le) (rate({histogram}_bucket[{RATE_RANGE}])))"


def _with_targets(panel: Any, queries: Sequence[Query], instant: bool) -> Any:
    for number, query in enumerate(queries):
        target = prometheus.Dataquery().expr(scoped(query.expr)).ref_id(chr(ord("A") + number))
        if query.legend:
            target = target.legend_format(query.legend)
        panel = panel.with_target(target.instant() if instant else target.range())
    return panel.datasource(SOURCE)


def _limits(limits: Sequence[tuple[float, str]], base: str = GREEN) -> Any:
    steps = [model.Threshold(value=None, color=base)]
    steps += [model.Threshold(value=value, color=color) for value, color in limits]
    return dashboard.ThresholdsConfig().mode(model.ThresholdsMode.ABSOLUTE).steps(steps)


def _with_runbooks(panel: Any, rules: Sequence[str]) -> Any:
    links = [
        dashboard.DashboardLink(rule)
        .type(model.DashboardLinkType.LINK)
        .url(f"${{runbooks}}/{rule}")
        .target_blank(True)
        for rule in rules
    ]
    return panel.links(links) if links else panel


def number(
    title: str,
    what: str,
    query: str,
    unit: str = "short",
    limits: Sequence[tuple[float, str]] = (),
    base: str = GREEN,
    rules: Sequence[str] = (),
) -> Any:
    """One number; `limits`: the values from which on it has another colour. `rules`: those on it,
    to whose pages the panel links."""
    panel = stat.Panel().title(title).description(what).unit(unit)
    panel = panel.thresholds(_limits(limits, base)).height(LOW).span(SMALL)
    panel = _with_runbooks(panel, rules).graph_mode(common_model.BigValueGraphMode.NONE)
    panel = panel.reduce_options(ReduceDataOptions().calcs(["lastNotNull"]))
    return _with_targets(panel, [Query(query)], instant=True)


def lines(
    title: str, what: str, *queries: Query, unit: str = "short", span: int = HALF,
    signed: bool = False, rules: Sequence[str] = (),
) -> Any:  # fmt: skip
    """Lines over time, from zero up unless they are `signed`. `rules`: as of `number`."""
    panel = timeseries.Panel().title(title).description(what).unit(unit)
    panel = panel if signed else panel.min(0)
    panel = panel.fill_opacity(8).line_width(1).height(HIGH).span(span)
    panel = panel.show_points(common_model.VisibilityMode.NEVER)
    return _with_targets(_with_runbooks(panel, rules), queries, instant=False)


def rates(
    title: str, what: str, metric: str, by: str, span: int = HALF, rules: Sequence[str] = ()
) -> Any:
    """A counter's growth each second, a line for each value of one of its labels."""
    query = Query(rate(metric, by), f"{{{{{by}}}}}")
    return lines(title, what, query, unit="cps", span=span, rules=rules)


def bars(title: str, what: str, *queries: Query, span: int = HALF, interval: str = "1m") -> Any:
    """Stacked counts, a bar for each `interval` at the least."""
    panel = timeseries.Panel().title(title).description(what).unit("short").min(0).decimals(0)
    panel = panel.draw_style(common_model.GraphDrawStyle.BARS).fill_opacity(80).line_width(0)
    panel = panel.stacking(common.StackingConfig().mode(common_model.StackingMode.NORMAL))
    return _with_targets(panel.interval(interval).height(HIGH).span(span), queries, instant=False)


def ranking(title: str, what: str, query: Query, span: int = HALF) -> Any:
    """The largest, as horizontal bars."""
    panel = bargauge.Panel().title(title).description(what).unit("short").min(0).decimals(0)
    panel = panel.orientation(common_model.VizOrientation.HORIZONTAL)
    panel = panel.display_mode(common_model.BarGaugeDisplayMode.BASIC)
    panel = panel.reduce_options(ReduceDataOptions().calcs(["lastNotNull"]))
    return _with_targets(panel.height(HIGH).span(span), [query], instant=True)


def heat(title: str, what: str, query: Query, unit: str = "short", span: int = WIDE) -> Any:
    """Rows of colour over time, a row for each series."""
    panel = heatmap.Panel().title(title).description(what).unit(unit).calculate(False)
    return _with_targets(panel.height(HIGH).span(span), [query], instant=False)


def firing_table(title: str, what: str, query: Query, span: int = WIDE) -> Any:
    """What fires: severity, kind, market, since when, and its sentence."""
    hidden = ("Time", "job", "instance", "__name__", "incident")
    names = {"Value": "since", "summary": "what"}
    order = {"severity": 0, "kind": 1, "symbol": 2, "Value": 3, "summary": 4}
    organize = model.DataTransformerConfig(
        id_val="organize",
        options={
            "excludeByName": dict.fromkeys(hidden, True),
            "renameByName": names,
            "indexByName": order,
        },
    )
    since = [
        model.DynamicConfigValue(id_val="unit", value="dateTimeAsIso"),
        model.DynamicConfigValue(id_val="custom.width", value=180),
    ]
    markets = [
        _link("symbol", "/d/brinkwatch-symbol?var-symbol=${__value.text}&${__url_time_range}")
    ]
    kinds = [_link("runbook", "${runbooks}/kinds")]
    panel = table.Panel().title(title).description(what).height(HIGH).span(span)
    panel = panel.with_transformation(organize).override_by_name("since", since)
    panel = panel.override_by_name("symbol", markets).override_by_name("kind", kinds)
    panel = panel.no_value("nothing fires")
    seconds = f"1000 * ({query.expr})"  # Grafana's moments are in ms
    target = prometheus.Dataquery().expr(scoped(seconds)).ref_id("A").instant()
    return panel.with_target(target.format(PromQueryFormat.TABLE)).datasource(SOURCE)


def _link(title: str, url: str) -> Any:
    value = [{"title": title, "url": url}]
    return model.DynamicConfigValue(id_val="links", value=value)


def _variables(has_symbol: bool) -> list[Any]:
    chosen = model.VariableOption(selected=True, text=PROVISIONED, value=PROVISIONED)
    every = model.VariableOption(selected=True, text="All", value="$__all")
    source = dashboard.DatasourceVariable("datasource").label("data source").type("prometheus")
    runbooks = dashboard.TextBoxVariable("runbooks").label("runbooks").default_value(RUNBOOKS)
    names = {"job": "label_values(brinkwatch_watermark_seconds, job)"}
    if has_symbol:
        names["symbol"] = 'label_values(brinkwatch_feature_level{job=~"$job"}, symbol)'
    variables: list[Any] = [source.current(chosen)]
    for name, query in names.items():
        one = dashboard.QueryVariable(name).label(name).datasource(SOURCE).query(query)
        one = one.refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED).multi(True)
        variables.append(one.include_all(True).all_value(".+").current(every))
    return [*variables, runbooks]


def _incident_marks(has_symbol: bool) -> Any:
    """What fires, over the time in which it does, on all panels."""
    of = ',symbol=~"$symbol"' if has_symbol else ""
    metric = f'brinkwatch_alert_since_timestamp_seconds{{severity!="info"{of}}}'
    marks = dashboard.AnnotationQuery().name("incidents").datasource(SOURCE).enable(True)
    marks = marks.icon_color(RED).expr(scoped(metric)).step("15s").tag_keys("severity,kind,symbol")
    return marks.title_format("{{severity}}: {{kind}} {{symbol}}").text_format("{{summary}}")


def page(
    uid: str, title: str, what: str, rows: Sequence[tuple[str, Sequence[Any]]],
    has_symbol: bool = False,
) -> str:  # fmt: skip
    """A dashboard's JSON: rows of panels, numbered in the order in which they stand.

    `has_symbol`: whether people choose markets (`$symbol` in queries).
    """
    page = dashboard.Dashboard(title).uid(uid).description(what).tags(["brinkwatch"])
    page = page.time("now-1h", "now").refresh("10s").timezone("utc").editable()
    page = page.tooltip(model.DashboardCursorSync.CROSSHAIR)
    page = page.variables(_variables(has_symbol)).annotation(_incident_marks(has_symbol))
    others = dashboard.DashboardLink("brinkwatch").type(model.DashboardLinkType.DASHBOARDS)
    page = page.link(others.tags(["brinkwatch"]).include_vars(True).keep_time(True))
    ids = count(1)
    for name, panels in rows:
        page = page.with_row(dashboard.Row(name).id(next(ids)))
        for panel in panels:
            page = page.with_panel(panel.id(next(ids)))
    return json.dumps(page.build(), cls=JSONEncoder, indent=2, sort_keys=True) + "\n"
