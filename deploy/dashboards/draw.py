"""Dashboards as a page that a browser shows without Grafana: their queries' results, drawn plainly.

    python -m deploy.dashboards.draw http://127.0.0.1:9090 FROM TO OUT.html venue.json

For looking at panels where no Grafana can be had: the grid, titles, numbers, lines, bars, heat maps
and tables of a dashboard, from FROM to TO (Unix time, s). Colours and legends are not Grafana's.
"""

from __future__ import annotations

import html
import json
import math
import sys
import urllib.parse
import urllib.request
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from deploy.dashboards.__main__ import FOLDER

UNIT_PX = 36
"""Height of one of Grafana's grid units."""
WIDTH_PX = 1600
STEPS = 240
LEGEND_MAX = 8
COLORS = ("#7eb26d", "#eab839", "#6ed0e0", "#ef843c", "#e24d42", "#1f78c1", "#ba43a9", "#705da0")
VARIABLES = {"$__rate_interval": "1m", "$job": ".+", "$symbol": ".+"}
STYLE = """body{background:#111217;color:#ccccdc;font:13px sans-serif;margin:0;position:relative}
.panel{position:absolute;background:#181b1f;border:1px solid #2c3235;overflow:hidden;
box-sizing:border-box;padding:4px 8px} .row{position:absolute;font-size:16px;padding:6px}
.big{font-size:34px;text-align:center;padding-top:14px} td{padding:2px 10px;vertical-align:top}
.legend{font-size:11px;white-space:nowrap} h1{font-size:20px;margin:0;padding:8px}"""


class Server:
    """A Prometheus, asked about one span."""

    def __init__(self, address: str, since_s: float, until_s: float) -> None:
        self._address, self.since_s, self.until_s = address, since_s, until_s
        self.step_s = max(1.0, (until_s - since_s) / STEPS)

    def ask(self, target: dict[str, Any]) -> list[dict[str, Any]]:
        """The result of a panel's query."""
        expr = target["expr"].replace("$__interval", f"{math.ceil(self.step_s)}s")
        expr = expr.replace("$__range", f"{math.ceil(self.until_s - self.since_s)}s")
        for name, value in VARIABLES.items():
            expr = expr.replace(name, value)
        if target.get("instant"):
            path, times = "query", {"time": self.until_s}
        else:
            path = "query_range"
            times = {"start": self.since_s, "end": self.until_s, "step": self.step_s}
        question = urllib.parse.urlencode({"query": expr, **times})
        with urllib.request.urlopen(f"{self._address}/api/v1/{path}?{question}") as reply:
            data = json.load(reply)["data"]["result"]
        return data if isinstance(data, list) else []


def draw(dashboard: dict[str, Any], server: Server) -> str:
    """The page."""
    parts = [f"<h1>{html.escape(dashboard['title'])}</h1>"]
    bottom = 0
    for panel in dashboard["panels"]:
        place = panel["gridPos"]
        top = 40 + place["y"] * UNIT_PX
        bottom = max(bottom, top + place["h"] * UNIT_PX)
        left, width = place["x"] * WIDTH_PX // 24, place["w"] * WIDTH_PX // 24
        style = f"left:{left}px;top:{top}px;width:{width}px;height:{place['h'] * UNIT_PX}px"
        title = html.escape(panel["title"])
        if panel["type"] == "row":
            parts.append(f'<div class="row" style="{style}">{title}</div>')
        else:
            inside = _inside(panel, server, width - 18, place["h"] * UNIT_PX - 30)
            parts.append(f'<div class="panel" style="{style}"><b>{title}</b>{inside}</div>')
    size = f"width:{WIDTH_PX}px;height:{bottom}px"
    head = f'<!doctype html><meta charset="utf-8"><style>{STYLE}</style>'
    return f'{head}<body style="{size}">{"".join(parts)}</body>'


def _inside(panel: dict[str, Any], server: Server, width: int, height: int) -> str:
    every = [
        (_legend(target, series["metric"]), series)
        for target in panel["targets"]
        for series in server.ask(target)
    ]
    if not every:
        return '<div class="big">no data</div>'
    unit = panel.get("fieldConfig", {}).get("defaults", {}).get("unit", "")
    match panel["type"]:
        case "stat":
            return f'<div class="big">{_number(float(every[0][1]["value"][1]), unit)}</div>'
        case "bargauge":
            rows = [(name, _number(float(one["value"][1]), unit)) for name, one in every]
            return _table(rows[: height // 22])
        case "table":
            columns = ("severity", "kind", "symbol", "summary")
            rows = [
                (_moment(float(one["value"][1])), *(one["metric"].get(c, "") for c in columns))
                for _, one in every
            ]
            return _table(rows[: height // 22])
        case "heatmap":
            return _heat(every, server, width, height)
    return _lines(every, server, unit, width, height)


def _legend(target: dict[str, Any], labels: dict[str, str]) -> str:
    text: str = target.get("legendFormat") or ""
    for name, value in labels.items():
        text = text.replace("{{" + name + "}}", value)
    return text


def _moment(ms: float) -> str:
    return f"{datetime.fromtimestamp(ms / 1000, UTC):%Y-%m-%d %H:%M:%S}"


def _number(value: float, unit: str) -> str:
    if not math.isfinite(value):
        return "—"
    if unit == "percentunit":
        return f"{100 * value:.3g} %"
    for size, sign in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if abs(value) >= size:
            return f"{value / size:.3g}{sign}"
    return f"{value:.3g}{' s' if unit == 's' else ''}"


def _table(rows: Sequence[tuple[str, ...]]) -> str:
    cells = ("".join(f"<td>{html.escape(cell)}</td>" for cell in row) for row in rows)
    return f"<table>{''.join(f'<tr>{row}</tr>' for row in cells)}</table>"


def _points(series: dict[str, Any]) -> list[tuple[float, float]]:
    points = [(float(ts), float(value)) for ts, value in series["values"]]
    return [(ts, value) for ts, value in points if math.isfinite(value)]


def _lines(every: list[Any], server: Server, unit: str, width: int, height: int) -> str:
    plot = height - 16 * min(len(every), LEGEND_MAX) // 2 - 14
    named = [(name, _points(series)) for name, series in every]
    values = [value for _, points in named for _, value in points]
    if not values:
        return '<div class="big">no data</div>'
    low, high = min(0.0, *values), max(0.0, *values)
    scale = (high - low) or 1.0
    span = server.until_s - server.since_s
    parts = []
    for i, (_, points) in enumerate(named):
        place = [
            f"{(ts - server.since_s) / span * width:.1f},{plot - (v - low) / scale * plot:.1f}"
            for ts, v in points
        ]
        color = COLORS[i % len(COLORS)]
        parts.append(f'<polyline points="{" ".join(place)}" fill="none" stroke="{color}"/>')
    legend = "&ensp; ".join(
        f'<span style="color:{COLORS[i % len(COLORS)]}">■</span> {html.escape(name)}'
        for i, (name, _) in enumerate(named[:LEGEND_MAX])
    )
    top = f'<span style="float:right">{_number(high, unit)}</span>'
    svg = f'<svg width="{width}" height="{plot}">{"".join(parts)}</svg>'
    return f'{top}<br>{svg}<div class="legend">{legend}</div>'


def _heat(every: list[Any], server: Server, width: int, height: int) -> str:
    named = [(name, _points(series)) for name, series in every]
    named.sort(key=lambda one: float(one[0].split()[0]), reverse=True)
    most = max((value for _, points in named for _, value in points), default=0.0) or 1.0
    tall = (height - 10) / len(named)
    span = server.until_s - server.since_s
    wide = max(1.0, server.step_s / span * (width - 60)) + 0.5
    cells = []
    for row, (name, points) in enumerate(named):
        y = row * tall
        cells.append(f'<text x="0" y="{y + tall / 2 + 4:.0f}" fill="#ccc">{name}</text>')
        for ts, value in points:
            x = 60 + (ts - server.since_s) / span * (width - 60)
            share = math.sqrt(value / most)
            cells.append(
                f'<rect x="{x:.1f}" y="{y:.1f}" width="{wide:.1f}" height="{tall:.1f}" '
                f'fill="hsl({60 - 60 * share:.0f} 90% {10 + 45 * share:.0f}%)"/>'
            )
    return f'<svg width="{width}" height="{height}">{"".join(cells)}</svg>'


if __name__ == "__main__":
    address, since, until, out, name = sys.argv[1:]
    page = draw(
        json.loads((FOLDER / name).read_text()), Server(address, float(since), float(until))
    )
    Path(out).write_text(page, "utf-8")
