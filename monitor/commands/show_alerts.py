"""`brinkwatch show` and `brinkwatch alerts`: one incident whole, and what is firing."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from monitor.config import Config
from monitor.console import Console, printable
from monitor.core.alerts import formatting as fmt
from monitor.core.alerts.history import IncidentHistory
from monitor.core.contract.alert import Alert, Stake, StakeShock, alert_json
from monitor.core.contract.units import DAY_S, SECOND_NS
from monitor.desk.published_alerts import PublishedAlerts, follow_alerts, read_alerts
from monitor.desk.verdicts import VerdictFile
from monitor.kafka.clients import run_async

EVIDENCE = "evidence"
"""The title of a table that is too wide for a terminal."""


def show_incident(
    config: Config,
    reference: str,
    alerts: str | None,
    console: Console,
    ca_file: Path | None = None,
) -> dict[str, Any]:
    """All of an incident, as of its latest alert; or as of the alert whose id it is.

    alerts, ca_file: see `read_alerts`.
    """
    published = _read(config, alerts, console, ca_file)
    incident, alert = published.find(reference)
    shown = alert or incident.latest
    console.say(f"incident {incident.incident}: {incident.severity}, {describe_state(incident)}")
    console.say_prose(shown.summary)
    if shown.because:
        console.say(f"{shown.severity} because: {shown.because}")
    if shown.look_at:
        console.say_prose(f"look at: {'; '.join(shown.look_at)}")
    for name, head, rows in _tables(shown):
        if name == EVIDENCE and console.rich.is_terminal:
            console.entries(name, head, [_evidence_entry(*row) for row in rows])
        elif rows:
            console.table(name, head, rows)
    if shown.at_stake is not None:
        stake = shown.at_stake
        longs, shorts = fmt.format_number(stake.long), fmt.format_number(stake.short)
        console.say_prose(
            f"at stake: {fmt.format_number(stake.forced_notional)} would be forced within "
            f"{fmt.format_number(stake.within_pct)} % of the mark (longs {longs}, shorts {shorts})"
            f"{_describe_absorbed(stake)}"
        )
        for shock in (stake.down, stake.up):
            if shock is not None:
                console.say_prose(_describe_shock(shock))
    lives = [[fmt.format_iso(a.ts), a.status, a.severity, a.kind, a.id] for a in incident.alerts]
    console.table("its alerts", ["UTC", "status", "severity", "kind", "id"], lives)
    versions = shown.versions
    console.say(
        f"made by engine {versions.engine}, settings {versions.config}, at "
        f"{fmt.format_number(versions.alerts_per_day)} false alerts a day"
    )
    verdict = VerdictFile(config.state.dir).find(incident.incident)
    if verdict is None:
        console.say(f"not judged yet: brinkwatch feedback {incident.incident} true|false")
    else:
        note = f": {verdict.note}" if verdict.note else ""
        console.say(f"judged {'true' if verdict.is_true else 'false'} on {verdict.at}{note}")
    console.say(f"again: {shown.reproduce}")
    return {"incident": incident.incident, "alerts": list(map(_plain, incident.alerts))}


def _evidence_entry(
    stream: str, market: str, detector: str, observed: str, expected: str, ratio: str, unit: str,
    chance: str, share: str,
) -> list[str]:  # fmt: skip
    """A row of the evidence, its numbers as prose."""
    times = f" (×{ratio})" if ratio else ""
    return [
        stream,
        market,
        detector,
        share,
        f"{observed} {unit} against {expected}{times}; {chance}",
    ]


def _rarity(days: float, seen_s: float | None) -> str:
    return fmt.rarity(days, None if seen_s is None else seen_s / DAY_S)


def _with_hints(alert: Alert) -> str:
    """The sentence, and what to look at next."""
    hints = "; ".join(alert.look_at)
    return f"{alert.summary}. Look at: {hints}" if hints else alert.summary


def _describe_absorbed(stake: Stake) -> str:
    if stake.absorbed is None:
        return ""
    return f", of which the last book takes {fmt.format_percent(stake.absorbed)}"


def _describe_shock(shock: StakeShock) -> str:
    inside = "inside" if shock.within_hour else "beyond"
    return (
        f"critical shock: {fmt.format_move(shock.shock)}, {inside} an hour's move, carries the "
        f"mark {fmt.format_percent(shock.jump)} further with "
        f"{fmt.format_percent(shock.survives)} of the book, and forces "
        f"{fmt.format_amount(shock.forced_notional)}"
    )


def _tables(alert: Alert) -> list[tuple[str, list[str], list[list[str]]]]:
    """Title, head and rows of what an alert holds."""
    evidence = [
        [
            row.stream, row.symbol or ", ".join(alert.symbols), row.detector,
            fmt.format_number(row.observed), fmt.format_number(row.expected),
            "" if row.ratio is None else fmt.format_number(row.ratio), row.unit,
            "a rule" if row.once_per_days is None else _rarity(row.once_per_days, row.seen_s),
            fmt.format_percent(row.share),
        ]
        for row in alert.evidence
    ]  # fmt: skip
    zones = [
        [f"{fmt.format_price(z.low)} to {fmt.format_price(z.high)}", z.side,
         fmt.format_number(z.forced_notional)]
        for z in alert.zones
    ]  # fmt: skip
    records = [
        [r.topic, str(r.partition), str(r.first_offset), str(r.last_offset)] for r in alert.records
    ]
    accounts = [[carrier.account, fmt.format_percent(carrier.share)] for carrier in alert.accounts]
    head = [
        "stream", "market", "detector", "observed", "expected", "ratio", "unit", "by chance",
        "share",
    ]  # fmt: skip
    return [
        (EVIDENCE, head, evidence),
        ("layer by layer", ["layer", "says"], [[s.layer, s.says] for s in alert.triage or ()]),
        ("accounts", ["account", "share"], accounts),
        ("heaviest zones", ["price", "side", "forced notional"], zones),
        ("records", ["topic", "partition", "first offset", "last offset"], records),
        ("could not judge", ["stream", "why"], [[a.detector, a.why] for a in alert.abstained]),
    ]


def describe_state(incident: IncidentHistory) -> str:
    """Since when it fires, or from when to when it did."""
    opened = fmt.format_iso(incident.opened_ns)
    if incident.resolved_ns is None:
        state = f"firing since {opened}"
    else:
        lasted = fmt.format_duration((incident.resolved_ns - incident.opened_ns) / SECOND_NS)
        state = f"opened {opened}, resolved after {lasted}"
    if incident.returns:
        times = "once" if incident.returns == 1 else f"{incident.returns:,} times"
        state += f", came back {times}"
    if incident.silenced_by is not None:
        state += f", silenced by {incident.silenced_by}"
    return state


def list_alerts(
    config: Config, alerts: str | None, every: bool, console: Console, ca_file: Path | None = None
) -> dict[str, Any]:
    """The incidents that fire; with `every` those that are resolved too.

    alerts, ca_file: see `read_alerts`.
    """
    incidents = _read(config, alerts, console, ca_file).incidents
    firing = [one for one in incidents if one.resolved_ns is None]
    shown = incidents if every else firing
    rows = [
        [
            fmt.format_iso(one.opened_ns), _status(one), one.severity, one.latest.kind,
            one.incident, _with_hints(one.latest),
        ]
        for one in shown
    ]  # fmt: skip
    head = ["opened, UTC", "status", "severity", "kind", "incident", "what happened"]
    silenced = sum(one.silenced_by is not None for one in firing)
    quiet = f", {silenced} of them silenced" if silenced else ""
    console.entries(f"{len(firing)} of {len(incidents)} incidents are firing{quiet}", head, rows)
    if incidents and not shown:
        console.say("`--all` shows those that are resolved")
    return {
        "firing": len(firing),
        "silenced": silenced,
        "incidents": [_plain(one.alerts[-1]) for one in shown],
    }


def _status(incident: IncidentHistory) -> str:
    """What the desk has to do about it, in a word: nothing, where it is resolved or silenced."""
    if incident.resolved_ns is not None:
        return "resolved"
    return "firing" if incident.silenced_by is None else "silenced"


def follow(config: Config, json_asked: bool, console: Console) -> None:
    """Every alert of the topic, in one line, then as they are committed; until Ctrl-C."""

    async def show() -> None:
        async for alert in follow_alerts(config):
            if json_asked:
                sys.stdout.write(alert_json(alert).decode() + "\n")
                sys.stdout.flush()
            else:
                status = alert.status if alert.silenced_by is None else "silenced"
                words = alert.severity, status, alert.kind, alert.incident, alert.summary
                console.say("  ".join([fmt.format_iso(alert.ts), *map(printable, words)]))

    run_async(show())


def _read(
    config: Config, alerts: str | None, console: Console, ca_file: Path | None
) -> PublishedAlerts:
    published = read_alerts(config, alerts, ca_file)
    if published.foreign:
        console.say(
            f"left out of {published.place}: {published.foreign:,} that are no alerts of this "
            "version"
        )
    return published


def _plain(alert: Alert) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads(alert_json(alert))
    return plain
