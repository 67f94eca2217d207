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
from monitor.core.contract.units import SECOND_NS
from monitor.errors import BrinkwatchError
from monitor.page.document import check_assets
from replay import commands, ground_truth
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
    planted = ground_truth.read_planted(day)
    rows = []
    for incident in planted:
        hits = ground_truth.alerts_about(alerts, incident)
        kinds = ", ".join(sorted({a.kind for a in hits})) or "not found"
        # The first alert may come before: a burst can be detected while its orders are placed.
        delay = (min(a.ts for a in hits) - incident["start_ts"]) / SECOND_NS if hits else None
        after = (
            "" if delay is None else f"{delay:.0f} s" if delay >= 0 else f"{-delay:.0f} s before"
        )
        rows.append(
            [clock(incident["start_ts"]), incident["symbol"], incident["kind"], kinds, after]
        )
    console.table(
        "What was planted, and what was found", ["UTC", "symbol", "planted", "found", "after"], rows
    )
    detected = sum(row[4] != "" for row in rows)
    away = len(ground_truth.unrelated_incidents(alerts, planted))
    console.say(
        f"{detected} of {len(planted)} planted incidents were found; {away} alerts speak of none"
    )
    return {"planted": len(planted), "found": detected, "away_from_planted": away}
