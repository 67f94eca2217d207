"""`brinkwatch feedback`: verdicts on alerts, and the precision of each detector by them."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from monitor.console import Console
from monitor.errors import BrinkwatchError, ConfigError

FILE = "feedback.jsonl"
UNKNOWN = "not known"


class Verdict(msgspec.Struct, frozen=True):
    """What a person said of an alert."""

    id: str
    is_true: bool = msgspec.field(name="true")
    detector: str = UNKNOWN
    stream: str = UNKNOWN


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
        with (folder / FILE).open("a+b") as file:
            half = _ends_in_half_a_line(file)
            line = json.dumps(entry, sort_keys=True) + "\n"
            file.write(("\n" if half else "").encode() + line.encode())
    except OSError as error:
        raise BrinkwatchError(f"{folder / FILE} cannot be written: {error.strerror}") from error
    console.say(f"kept: {alert_id} was {verdict} ({folder / FILE})")
    return entry


def _ends_in_half_a_line(file: BinaryIO) -> bool:
    """Whether writing was cut short before (a full disk, a kill): what follows needs a new line."""
    if not file.seek(0, os.SEEK_END):
        return False
    file.seek(-1, os.SEEK_END)
    return file.read(1) != b"\n"


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


def _read_verdicts(path: Path) -> tuple[list[Verdict], int]:
    """The verdicts in a file, and how many of its lines are none."""
    try:
        lines = path.read_bytes().splitlines() if path.exists() else []
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from error
    verdicts, broken = [], 0
    for line in filter(None, lines):
        try:
            verdicts.append(msgspec.json.decode(line, type=Verdict))
        except (ValueError, RecursionError):
            broken += 1
    return verdicts, broken


def summary(folder: Path, console: Console) -> dict[str, Any]:
    """Precision by detector and stream; of several verdicts on one alert the last counts."""
    latest: dict[str, Verdict] = {}
    verdicts, broken = _read_verdicts(folder / FILE)
    if broken:
        console.say(f"lines of {folder / FILE} that are no verdicts, left out: {broken}")
    for verdict in verdicts:
        before = latest.get(verdict.id, verdict)
        if verdict.detector == UNKNOWN:
            verdict = msgspec.structs.replace(before, is_true=verdict.is_true)
        latest[verdict.id] = verdict
    counts: dict[tuple[str, str], list[int]] = {}
    for verdict in latest.values():
        pair = counts.setdefault((verdict.detector, verdict.stream), [0, 0])
        pair[0 if verdict.is_true else 1] += 1
    head = ["detector", "stream", "true", "false", "precision"]
    rows = [(*key, yes, no, yes / (yes + no)) for key, (yes, no) in sorted(counts.items())]
    cells = [[*map(str, row[:-1]), f"{row[-1]:.2f}"] for row in rows]
    console.table(f"{len(latest)} alerts judged", head, cells)
    detectors = [dict(zip(head, row, strict=True)) for row in rows]
    return {"judged": len(latest), "detectors": detectors}
