"""`brinkwatch feedback`: verdicts on alerts, and the precision of each detector by them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from monitor.console import Console
from monitor.errors import BrinkwatchError, ConfigError

FILE = "feedback.jsonl"
UNKNOWN = "not known"
_ID = re.compile(r"[0-9a-f]{16}-[1-9][0-9]*")


def record(
    folder: Path, alert_id: str, verdict: str, alerts: Path | None, console: Console
) -> dict[str, Any]:
    """Store a verdict on an alert; `alerts` is a file of alerts that names its detector."""
    if verdict not in ("true", "false"):
        raise ConfigError(f"an alert was true or false, not {verdict!r}")
    if not _ID.fullmatch(alert_id):
        raise ConfigError(f"{alert_id!r} is no alert's id: copy the field `id` of the alert")
    entry = {"id": alert_id, "true": verdict == "true", **_alert_source(alert_id, alerts)}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / FILE).open("a") as file:
            file.write(json.dumps(entry, sort_keys=True) + "\n")
    except OSError as error:
        raise BrinkwatchError(f"{folder / FILE} cannot be written: {error.strerror}") from error
    console.say(f"kept: {alert_id} was {verdict} ({folder / FILE})")
    return entry


def _alert_source(alert_id: str, alerts: Path | None) -> dict[str, str]:
    if alerts is None:
        return {"detector": UNKNOWN, "stream": UNKNOWN}
    try:
        lines = alerts.read_text().splitlines()
    except OSError as error:
        raise ConfigError(f"cannot read {alerts}: {error.strerror}") from error
    for text in lines:
        if alert_id in text:
            alert = json.loads(text)
            if alert["id"] == alert_id:
                first = alert["evidence"][0]
                return {"detector": first["detector"], "stream": first["stream"]}
    raise ConfigError(f"{alerts} has no alert {alert_id}: give the file that it was written to")


def summary(folder: Path, console: Console) -> dict[str, Any]:
    """Precision by detector and stream; of several verdicts on one alert the last counts."""
    verdicts: dict[str, dict[str, Any]] = {}
    file = folder / FILE
    for text in file.read_text().splitlines() if file.exists() else []:
        entry = json.loads(text)
        if entry["detector"] == UNKNOWN:
            entry = {**verdicts.get(entry["id"], entry), "true": entry["true"]}
        verdicts[entry["id"]] = entry
    counts: dict[tuple[str, str], list[int]] = {}
    for entry in verdicts.values():
        pair = counts.setdefault((entry["detector"], entry["stream"]), [0, 0])
        pair[0 if entry["true"] else 1] += 1
    head = ["detector", "stream", "true", "false", "precision"]
    rows = [(*key, yes, no, yes / (yes + no)) for key, (yes, no) in sorted(counts.items())]
    cells = [[*map(str, row[:-1]), f"{row[-1]:.2f}"] for row in rows]
    console.table(f"{len(verdicts)} alerts judged", head, cells)
    detectors = [dict(zip(head, row, strict=True)) for row in rows]
    return {"judged": len(verdicts), "detectors": detectors}
