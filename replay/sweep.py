"""`brinkwatch sweep`: the alerts of a recorded day under each of several budgets."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from monitor.config import Config
from monitor.console import Console
from monitor.core.alerts.formatting import format_number
from monitor.core.contract.alert import Alert
from monitor.core.contract.units import DAY_NS
from monitor.plugins import detector_factories
from replay import commands, ground_truth
from replay.run import replay

BUDGETS = (1.0, 3.0, 10.0, 30.0, 100.0)
"""False alerts a day, by default: from a desk that is seldom called to one that looks at all."""


def run(path: Path, config: Config, budgets: list[float], console: Console) -> dict[str, Any]:
    """Replay the day once for each budget (false alerts a day) and print a table of the results."""
    day = commands.open_day(path)
    span = day.meta.span
    days = (1 if span is None else max(span.last_ts - span.first_ts, 1)) / DAY_NS
    planted = ground_truth.read_planted(path)
    rows: list[dict[str, Any]] = []
    with console.progress("sweeping, records", day.record_count * len(budgets)) as show:
        for turn, budget in enumerate(budgets):
            alerts: list[Alert] = []
            settings = config.engine()
            with_budget = settings.alerts.model_copy(update={"per_day": budget})
            before = turn * day.record_count
            replay(
                day,
                settings.model_copy(update={"alerts": with_budget}),
                detector_factories(config.streams),
                on_alert=alerts.append,
                progress=lambda done, before=before: show(before + done),  # type: ignore[misc]
            )
            kinds = Counter(alert.kind for alert in alerts if alert.status == "firing")
            missed = Counter(i["kind"] for i in planted if not ground_truth.alerts_about(alerts, i))
            away = ground_truth.unrelated_incidents(alerts, planted)
            rows.append(
                {
                    "budget": budget,
                    "alerts": kinds.total(),
                    "alerts_per_day": kinds.total() / days,
                    "kinds": dict(kinds),
                    "found": len(planted) - missed.total(),
                    "missed": dict(missed),
                    "away": len(away) if planted else None,
                }
            )
    header = ["budget a day", "alerts", "alerts a day"]
    shown = [
        [format_number(r["budget"]), str(r["alerts"]), format_number(r["alerts_per_day"])]
        for r in rows
    ]
    if planted:
        header += ["found", "missed", "speak of none"]
        for cells, row in zip(shown, rows, strict=True):
            by_kind = (f"{n} {kind}" for kind, n in sorted(row["missed"].items()))
            found = f"{row['found']} of {len(planted)}"
            cells += [found, ", ".join(by_kind) or "none", str(row["away"])]
    console.table(f"{format_number(days * 24)} h of {path}", header, shown)
    if not planted:
        console.say("the day has no ground truth: what would be missed cannot be said")
    return {"days": days, "planted": len(planted), "budgets": rows}
