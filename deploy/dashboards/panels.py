"""The look of every kind of panel, so that a dashboard names only titles and queries."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

from grafana_foundation_sdk.builders import (
    bargauge,
    common,
    dashboard,
    prometheus,
    stat,
    timeseries,
)
from grafana_foundation_sdk.builders.common import ReduceDataOptions
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common as common_model
from grafana_foundation_sdk.models import dashboard as model

SOURCE = common_model.DataSourceRef(type_val="prometheus", uid="brinkwatch-prometheus")
"""As provisioned in `grafana/provisioning/datasources`."""
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
        target = prometheus.Dataquery().expr(query.expr).ref_id(chr(ord("A") + number))
        if query.legend:
            target = target.legend_format(query.legend)
        panel = panel.with_target(target.instant() if instant else target.range())
    return panel.datasource(SOURCE)


def _limits(limits: Sequence[tuple[float, str]], base: str = GREEN) -> Any:
    steps = [model.Threshold(value=None, color=base)]
    steps += [model.Threshold(value=value, color=color) for value, color in limits]
    return dashboard.ThresholdsConfig().mode(model.ThresholdsMode.ABSOLUTE).steps(steps)


def number(
    title: str,
    what: str,
    query: str,
    unit: str = "short",
    limits: Sequence[tuple[float, str]] = (),
    base: str = GREEN,
) -> Any:
    """One number; `limits`: the values from which on it has another colour."""
    panel = stat.Panel().title(title).description(what).unit(unit)
    panel = panel.thresholds(_limits(limits, base)).height(LOW).span(SMALL)
    panel = panel.graph_mode(common_model.BigValueGraphMode.NONE)
    panel = panel.reduce_options(ReduceDataOptions().calcs(["lastNotNull"]))
    return _with_targets(panel, [Query(query)], instant=True)


def lines(title: str, what: str, *queries: Query, unit: str = "short", span: int = HALF) -> Any:
    """Lines over time."""
    panel = timeseries.Panel().title(title).description(what).unit(unit).min(0)
    panel = panel.fill_opacity(8).line_width(1).height(HIGH).span(span)
    panel = panel.show_points(common_model.VisibilityMode.NEVER)
    return _with_targets(panel, queries, instant=False)


def rates(title: str, what: str, metric: str, by: str, span: int = HALF) -> Any:
    """A counter's growth each second, a line for each value of one of its labels."""
    return lines(title, what, Query(rate(metric, by), f"{{{{{by}}}}}"), unit="cps", span=span)


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


def page(uid: str, title: str, what: str, rows: Sequence[tuple[str, Sequence[Any]]]) -> str:
    """A dashboard's JSON: rows of panels, numbered in the order in which they stand."""
    page = dashboard.Dashboard(title).uid(uid).description(what).tags(["brinkwatch"])
    page = page.time("now-1h", "now").refresh("10s").timezone("utc").editable()
    page = page.tooltip(model.DashboardCursorSync.CROSSHAIR)
    ids = count(1)
    for name, panels in rows:
        page = page.with_row(dashboard.Row(name).id(next(ids)))
        for panel in panels:
            page = page.with_panel(panel.id(next(ids)))
    return json.dumps(page.build(), cls=JSONEncoder, indent=2, sort_keys=True) + "\n"
