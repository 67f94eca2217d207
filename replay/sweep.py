"""`brinkwatch sweep`: what each budget of false alerts would have said of a recorded day."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from monitor.config import Config
from monitor.console import Console
from monitor.core.alerts.formatting import format_number
from monitor.core.contract.alert import Alert
from monitor.plugins import detector_factories
from replay import commands
from replay import ground_truth as planted
from replay.run import replay

BUDGETS = (1.0, 3.0, 10.0, 30.0, 100.0)
"""False alerts a day, by default: from a desk that is seldom called to one that looks at all."""
DAY_NS = 86_400_000_000_000


def run(path: Path, config: Config, budgets: list[float], console: Console) -> dict[str, Any]:
    """Replay the day once for each budget; a table of what it comes to."""
    day = commands.open_day(path)
    span = day.meta.span or (0, 0)
    days = max(span[1] - span[0], 1) / DAY_NS
    truth = planted.read_planted(path)
    rows: list[dict[str, Any]] = []
    total = sum(day.meta.records.values())
    with console.progress("sweeping, records", total * len(budgets)) as show:
        for turn, budget in enumerate(budgets):
            alerts: list[Alert] = []
            settings = config.engine()
            asked = settings.alerts.model_copy(update={"per_day": budget})
            replay(
                day,
                settings.model_copy(update={"alerts": asked}),
                detector_factories(config.streams),
                on_alert=alerts.append,
                progress=lambda done, turn=turn: show(turn * total + done),  # type: ignore[misc]
            )
            rows.append(_row(budget, days, alerts, truth))
    header = ["budget a day", "alerts", "alerts a day"]
    shown = [
        [format_number(r["budget"]), str(r["alerts"]), format_number(r["alerts_per_day"])]
        for r in rows
    ]
    if truth:
        header += ["found", "missed", "speak of none"]
        for cells, row in zip(shown, rows, strict=True):
            missed = ", ".join(f"{n} {kind}" for kind, n in sorted(row["missed"].items())) or "none"
            cells += [f"{row['found']} of {len(truth)}", missed, str(row["away"])]
    console.table(f"{format_number(days * 24)} h of {path}", header, shown)
    if not truth:
        console.say("the day has no ground truth: what would be missed cannot be said")
    return {"days": days, "planted": len(truth), "budgets": rows}


def _row(
    budget: float, days: float, alerts: list[Alert], truth: list[dict[str, Any]]
) -> dict[str, Any]:
    fired = [a for a in alerts if a.status == "firing"]
    kinds: dict[str, int] = {}
    for alert in fired:
        kinds[alert.kind] = kinds.get(alert.kind, 0) + 1
    missed: dict[str, int] = {}
    for incident in truth:
        if not planted.alerts_about(alerts, incident):
            missed[incident["kind"]] = missed.get(incident["kind"], 0) + 1
    return {
        "budget": budget,
        "alerts": len(fired),
        "alerts_per_day": len(fired) / days,
        "kinds": kinds,
        "found": len(truth) - sum(missed.values()),
        "missed": missed,
        "away": len(planted.unrelated_incidents(alerts, truth)) if truth else None,
    }
