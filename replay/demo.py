"""`brinkwatch demo`: a simulated day through the engine, and what it found of what was planted."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from monitor.config import Config
from monitor.console import Console
from monitor.core.alerts.formatting import clock
from monitor.core.contract.alert import Alert, parse_alert
from replay import commands, ground_truth
from replay.run import AlertFilter
from replay.simulation.simulate import INCIDENTS_FILE

_SECOND_NS = 1_000_000_000


def run(out: Path, config: Config, console: Console, minutes: int) -> dict[str, Any]:
    """Simulate into `out`/day, replay, and write `out`/alerts.jsonl."""
    day = make_day(out, console, minutes)
    alerts = out / "alerts.jsonl"
    result = commands.replay_day(
        day, config, console, rows=65_536, choice=AlertFilter(), speed=None, alerts_to=alerts
    )
    written = [parse_alert(line) for line in alerts.read_text().splitlines()]
    return {**result, **compare_with_planted(day, written, console)}


def make_day(out: Path, console: Console, minutes: int) -> Path:
    """The day, simulated anew."""
    day = out / "day"
    if day.exists():
        commands.open_day(day)  # whatever else lies there is not ours to remove
        shutil.rmtree(day)
    out.mkdir(parents=True, exist_ok=True)
    numbers = {"seed": 7, "minutes": minutes, "symbols": 8, "accounts": 2000}
    commands.simulate_day(day, console, **numbers, rate=400.0, incidents="default", partitions=1)
    return day


def compare_with_planted(day: Path, alerts: list[Alert], console: Console) -> dict[str, Any]:
    """What was planted in the day, and what the alerts found of it."""
    planted = json.loads((day / INCIDENTS_FILE).read_text())
    rows = []
    for incident in planted:
        hits = ground_truth.alerts_about(alerts, incident)
        first = min((a.ts for a in hits), default=None)
        delay = "" if first is None else _delay_text((first - incident["start_ts"]) / _SECOND_NS)
        rows.append(
            [
                clock(incident["start_ts"]),
                incident["symbol"],
                incident["kind"],
                ", ".join(sorted({a.kind for a in hits})) or "not found",
                delay,
            ]
        )
    console.table(
        "What was planted, and what was found", ["UTC", "symbol", "planted", "found", "after"], rows
    )
    found = sum(row[4] != "" for row in rows)
    away = len(ground_truth.unrelated_incidents(alerts, planted))
    console.say(
        f"{found} of {len(planted)} planted incidents were found; {away} alerts speak of none"
    )
    return {"planted": len(planted), "found": found, "away_from_planted": away}


def _delay_text(seconds: float) -> str:
    """How long after its beginning; a burst may be found while its orders are placed."""
    return f"{seconds:.0f} s" if seconds >= 0 else f"{-seconds:.0f} s before"
