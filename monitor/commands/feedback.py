"""`brinkwatch feedback`: verdicts on incidents, and the precision of each kind by them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from monitor.config import Config
from monitor.console import Console
from monitor.core.alerts.formatting import format_number
from monitor.desk.published_alerts import read_alerts
from monitor.desk.verdicts import (
    Precision,
    Verdict,
    VerdictFile,
    count_verdicts,
    judge_incident,
    now_iso,
    read_verdicts,
)
from monitor.errors import ConfigError
from monitor.kafka.clients import UnreachableError

VERDICTS = {"true": True, "false": False}


def record(
    config: Config, reference: str, verdict: str, note: str, alerts: str | None, console: Console
) -> dict[str, Any]:
    """Keep a verdict on the incident that an incident's or an alert's id names.

    `alerts`: a file of alerts that has it; None: an incident that was judged before, or the alerts
    topic.
    """
    if verdict not in VERDICTS:
        raise ConfigError(f"an alert was true or false, not {verdict!r}")
    file = _open_verdicts(config, console)
    before = file.find(reference)
    if before is not None and alerts is None:
        new = msgspec.structs.replace(before, is_true=VERDICTS[verdict], note=note, at=now_iso())
    else:
        new = _judge(config, reference, VERDICTS[verdict], note, alerts)
        before = file.find(new.incident)
    is_new = file.add(new)
    of = f"incident {new.incident} ({new.kind}, {', '.join(new.symbols) or 'the whole venue'})"
    if not is_new:
        console.say(f"{of} was judged {verdict} before: nothing to add")
    else:
        console.say(f"kept: {of} was {verdict} ({file.path})")
        if before is not None and before.is_true != new.is_true:
            was = "true" if before.is_true else "false"
            console.say(f"on {before.at} it was judged {was}: the last verdict counts")
    return {**_plain(new), "added": is_new}


def import_verdicts(config: Config, source: Path, console: Console) -> dict[str, Any]:
    """Keep the verdicts of a file that the page of a day saved. Lines that are none are counted.

    Raises `ConfigError` for a file that has no verdicts.
    """
    verdicts, broken = read_verdicts(source)
    if not verdicts:
        raise ConfigError(
            f"{source} has no verdicts: give the file that the page of a replay "
            "saved (`brinkwatch replay --report`)"
        )
    file = _open_verdicts(config, console)
    added = sum(file.add(one) for one in verdicts)
    console.say(f"kept: {added} of {len(verdicts)} verdicts, the others were there ({file.path})")
    if broken:
        console.say(f"lines of {source} that are no verdicts, left out: {broken}")
    return {"verdicts": len(verdicts), "added": added, "broken": broken}


def _judge(config: Config, reference: str, is_true: bool, note: str, alerts: str | None) -> Verdict:
    try:
        incident, alert = read_alerts(config, alerts).find(reference)
    except UnreachableError as error:
        raise ConfigError(
            f"{reference} was not judged before, and the alerts topic cannot be read to know it: "
            f"name a file of alerts with --alerts FILE, or mend this: {error}"
        ) from None
    return judge_incident(incident, (alert or incident.latest).id, is_true, note)


def _open_verdicts(config: Config, console: Console) -> VerdictFile:
    file = VerdictFile(config.state.dir)
    if file.broken:
        console.say(f"lines of {file.path} that are no verdicts, left out: {file.broken}")
    return file


def _plain(verdict: Verdict) -> dict[str, Any]:
    plain: dict[str, Any] = msgspec.to_builtins(verdict)
    return plain


def list_verdicts(config: Config, console: Console) -> dict[str, Any]:
    """Every incident that was judged, with the verdict that counts."""
    file = _open_verdicts(config, console)
    contradicted = file.contradicted
    rows = [
        [
            one.at, "true" if one.is_true else "false", one.incident, one.severity, one.kind,
            ", ".join(one.symbols), "contradicted" if one.incident in contradicted else "",
            one.note,
        ]
        for one in file.latest
    ]  # fmt: skip
    head = ["judged", "verdict", "incident", "severity", "kind", "markets", "", "note"]
    console.table(f"{_count(len(rows))} judged", head, rows)
    return {"judged": len(rows), "verdicts": list(map(_plain, file.latest))}


def summary(config: Config, console: Console) -> dict[str, Any]:
    """Precision by kind for each budget and by detector, one verdict an incident: the last."""
    file = _open_verdicts(config, console)
    judged, contradicted = file.latest, file.contradicted
    console.say(f"{_count(len(judged))} judged")
    kinds = count_verdicts(file.by_budget, lambda v: (v.alerts_per_day, v.kind))
    totals = count_verdicts(file.by_budget, lambda v: (v.alerts_per_day, "all"))
    by_kind = sorted(
        [*kinds.items(), *totals.items()], key=lambda i: (i[0][0], i[0][1] == "all", i[0])
    )
    by_detector = sorted(count_verdicts(judged, lambda v: (v.detector, v.stream)).items())
    result: dict[str, Any] = {"judged": len(judged), "contradicted": contradicted}
    result["kinds"] = _print_precision(
        "precision by kind, for each budget", ["alerts_per_day", "kind"], by_kind, console
    )
    result["detectors"] = _print_precision(
        "precision by the first stream", ["detector", "stream"], by_detector, console
    )
    if contradicted:
        console.say(
            f"{_count(len(contradicted))} called true and false, of which the last verdict counts: "
            + ", ".join(contradicted)
        )
    return result


def _print_precision(
    title: str, names: list[str], groups: list[tuple[Any, Precision]], console: Console
) -> list[dict[str, Any]]:
    """Print a row for each group; the rows by name."""
    head = [*names, "true", "false", "precision"]
    rows = [(*group, p.true, p.false, p.share) for group, p in groups]
    cells = [
        [f"{v:.2f}" if name == "precision" else _text(v) for name, v in zip(head, row, strict=True)]
        for row in rows
    ]
    if cells:
        console.table(title, [name.replace("_", " ") for name in head], cells)
    return [dict(zip(head, row, strict=True)) for row in rows]


def _text(value: float | str) -> str:
    return value if isinstance(value, str) else format_number(value)


def _count(number: int) -> str:
    return f"{number:,} {'incident' if number == 1 else 'incidents'}"
