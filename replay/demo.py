"""`brinkwatch demo`: a simulated day through the engine, and which planted incidents it detects."""

from __future__ import annotations

import shutil
import webbrowser
from pathlib import Path
from typing import Any

from monitor.config import Config
from monitor.console import Console
from monitor.core.alerts.formatting import clock
from monitor.core.contract.alert import Alert, parse_alert
from monitor.errors import BrinkwatchError
from monitor.page.document import check_assets
from replay import commands, ground_truth
from replay.day import Day
from replay.run import ReplayOptions
from replay.simulation.settings import SimulationSettings


def run(
    out: Path, config: Config, console: Console, minutes: int, is_opened: bool = False
) -> dict[str, Any]:
    """Simulate into `out`/day, replay it, and write `out`/alerts.jsonl and `out`/report.html;
    `is_opened`: the report is shown in the browser of this machine.

    Without what pages are drawn with (`make assets`) there is no report, and a line says so.
    """
    report = _report_file(out, is_opened, console)
    day = make_day(out, console, minutes)
    alerts_file = out / "alerts.jsonl"
    result = commands.replay_days(
        commands.open_days([str(day)]),
        config,
        console,
        ReplayOptions(report=report),
        alerts_to=alerts_file,
    )
    alerts = [parse_alert(line) for line in alerts_file.read_text().splitlines()]
    compared = compare_with_planted(day, alerts, console)
    if report is not None:
        console.say(f"the day as a page: {report}")
        if is_opened and not webbrowser.open(report.resolve().as_uri()):
            console.say(f"no browser could be started: open {report} in one")
    return {**result, **compared}


def _report_file(out: Path, is_opened: bool, console: Console) -> Path | None:
    from replay.report.day import DAY_ASSETS

    try:
        check_assets(DAY_ASSETS)
    except BrinkwatchError as error:
        if is_opened:
            raise
        console.say(f"no report of the day: {error}")
        return None
    return out / "report.html"


def make_day(out: Path, console: Console, minutes: int) -> Path:
    """Simulate the day `out`/day; a recorded day that lies there is removed first."""
    day = out / "day"
    if day.exists():
        commands.open_day(day)  # raises where it is no recorded day: not ours to remove
        shutil.rmtree(day)
    out.mkdir(parents=True, exist_ok=True)
    commands.simulate_day(day, SimulationSettings(minutes=minutes), console)
    return day


def compare_with_planted(day: Path, alerts: list[Alert], console: Console) -> dict[str, Any]:
    """Print which alerts are about each planted incident; the numbers."""
    outcomes = ground_truth.compare(Day(day, verified=True), alerts)
    rows = [
        [
            clock(one.incident.start_ts),
            ", ".join(one.incident.markets) or "all",
            one.incident.kind,
            ", ".join(one.kinds) or "not found",
            # The first alert may come before: a burst is seen while its orders are placed.
            _after(one.delay_s),
            "" if one.lead_s is None else f"{one.lead_s:.0f} s before",
        ]
        for one in outcomes
    ]
    console.table(
        "What was planted, and what was found",
        ["UTC", "symbol", "planted", "found", "after", "first liquidation"],
        rows,
    )
    detected = sum(bool(one.alerts) for one in outcomes)
    away = len(ground_truth.unrelated_incidents(alerts, [one.incident for one in outcomes]))
    console.say(
        f"{detected} of {len(outcomes)} planted incidents were found; {away} alerts speak of none"
    )
    leads = [one.lead_s for one in outcomes if one.lead_s is not None]
    return {
        "planted": len(outcomes),
        "found": detected,
        "away_from_planted": away,
        "lead_s": min(leads, default=None),
    }


def _after(delay_s: float | None) -> str:
    if delay_s is None:
        return ""
    return f"{delay_s:.0f} s" if delay_s >= 0 else f"{-delay_s:.0f} s before"
