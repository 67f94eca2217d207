"""The one writer of alerts: from an incident, and from what is at stake in its market."""

from __future__ import annotations

import dataclasses
import shlex
from typing import get_args

from monitor.core import ENGINE_VERSION
from monitor.core.alerts.formatting import format_iso, join_list
from monitor.core.alerts.harm import harm, reasons
from monitor.core.alerts.hints import look_at
from monitor.core.alerts.incidents import Incident
from monitor.core.alerts.severity import Case, SeverityCondition, find_condition, is_graver
from monitor.core.alerts.severity import judge as judge_case
from monitor.core.alerts.wording import Wording, change_phrase
from monitor.core.contract import alert
from monitor.core.contract.feature_catalogue import FEATURES, Layer
from monitor.core.detection.feed_times import SILENCE
from monitor.core.finding import Finding, FindingPart
from monitor.core.settings import EngineSettings


class AlertBuilder:
    """Makes the alerts of one configuration."""

    def __init__(self, settings: EngineSettings) -> None:
        self._settings = settings
        self._wording = Wording(settings)
        labels = zip(settings.stream_labels, settings.streams, strict=True)
        detectors = {label: stream.detector for label, stream in labels}
        watched = {*(stream.feature for stream in settings.streams), *settings.joint.streams}
        self._watched: dict[Layer, list[str]] = {
            layer: [n for n, spec in FEATURES.items() if spec.layer == layer and n in watched]
            for layer in get_args(Layer)
        }
        budget = settings.alerts.per_day
        self._versions = alert.Versions(ENGINE_VERSION, settings.fingerprint(), budget, detectors)

    def decision_ns(self, incident: Incident) -> int:
        """Event time of an incident's publication: the end of its window."""
        return (incident.window + 1) * self._settings.time.window_ns

    def judge(self, incident: Incident, stake: alert.MarketStake | None) -> SeverityCondition:
        """How grave an incident is now; never less than at a publication before."""
        per_day = self._settings.time.windows_per_day
        condition = judge_case(
            Case(
                incident.finding,
                reasons(incident.finding),
                stake.at_stake if stake else None,
                self._settings.alerts.stake_notional,
                per_day,
            )
        )
        if incident.because and not is_graver(condition, find_condition(incident.because)):
            return find_condition(incident.because)
        return condition

    def build(self, incident: Incident, stake: alert.MarketStake | None = None) -> alert.Alert:
        """The alert of one publication; `stake` is that of the incident's first market."""
        f = incident.finding
        parts = reasons(f)
        several = len(parts) > 1
        first = FEATURES[parts[0].stream]
        named = {part.symbol for part in parts if part.symbol}
        symbols = tuple(symbol for symbol in f.symbols if symbol in named)
        ts, since = self.decision_ns(incident), f.since * self._settings.time.window_ns
        condition = self.judge(incident, stake)
        kinds = [_kind(f, part) for part in parts]
        return alert.Alert(
            id=f"{incident.incident_id}-{incident.sequence}",
            incident=incident.incident_id,
            fingerprint=incident.fingerprint,
            status=incident.status,
            severity=condition.severity,
            layer=first.layer,
            kind="incident" if several and not f.facts else kinds[0],
            symbols=symbols,
            ts=ts,
            since=since,
            because=condition.name,
            summary=self._sentence(incident, stake.at_stake if stake else None),
            look_at=look_at([part.stream for part in parts], kinds),
            evidence=tuple(self._evidence(f, part, len(symbols) > 1) for part in parts),
            accounts=tuple(alert.Carrier(name, round_digits(share)) for name, share in f.accounts),
            zones=stake.zones if stake else (),
            at_stake=stake.at_stake if stake else None,
            triage=_walk_layers(f, parts, self._watched) if several and not f.facts else None,
            records=self._records(f),
            abstained=tuple(alert.Abstention(name, why) for name, why in f.abstained),
            reproduce=self._reproduce(symbols, since, ts),
            versions=self._versions,
            returns=incident.returns,
            end_reason=incident.end_reason or None,
        )

    def _sentence(self, incident: Incident, stake: alert.Stake | None) -> str:
        """What happened; of evidence that lasts longer than an incident may, that it is closed."""
        if not incident.end_reason:
            return self._wording.sentence(incident, stake)
        lasting = dataclasses.replace(incident, status="updated")
        return f"{self._wording.sentence(lasting)}; closed: {incident.end_reason}"

    def _evidence(self, f: Finding, part: FindingPart, several: bool) -> alert.AlertEvidence:
        """One row of evidence; it names its symbol where the alert has several."""
        by_chance = not f.by_rule and part.detector != SILENCE
        seen_s = part.seen * self._settings.time.window_s
        days = self._wording.days_between(part)
        return alert.AlertEvidence(
            stream=part.stream,
            detector=part.detector,
            observed=round_digits(part.observed),
            expected=round_digits(part.expected),
            ratio=None if part.ratio is None else round_digits(part.ratio),
            unit=FEATURES[part.stream].unit,
            p=None if f.by_rule else round_digits(part.p),
            once_per_days=round_digits(days) if by_chance else None,
            share=round_digits(part.share),
            symbol=part.symbol if several else None,
            reach_bps=None if part.reach_bps is None else round_digits(part.reach_bps),
            seen_s=round_digits(seen_s) if by_chance and seen_s else None,
        )

    def _records(self, f: Finding) -> tuple[alert.Records, ...]:
        topics, own = self._settings.topics, f.partition
        places = ((r, own if r.partition is None else r.partition) for r in f.records)
        return tuple(alert.Records(topics[r.kind], p, r.first, r.last) for r, p in places)

    def _reproduce(self, symbols: tuple[str, ...], since: int, ts: int) -> str:
        """The command that shows the alert again: from its beginning to one window behind it."""
        chosen = "".join(f"--symbol {shlex.quote(symbol)} " for symbol in symbols)
        until = format_iso(ts + self._settings.time.window_ns)
        return f"brinkwatch replay DAY {chosen}--from {format_iso(since)} --to {until}"


def _kind(finding: Finding, part: FindingPart) -> str:
    """The kind of an alert about one stream. A level that moves to the side that does no harm (a
    deep book) is not called by the harm (a thin one), but by who noticed it."""
    spec = FEATURES[part.stream]
    harmless = spec.form == "level" and not finding.facts and harm(part) < 1.0
    return part.detector if spec.kind is None or harmless else spec.kind


def round_digits(value: float) -> float:
    """Six significant digits: an alert does not depend on the last bit of a logarithm."""
    return float(f"{value:.6g}")


def _walk_layers(
    finding: Finding, parts: list[FindingPart], watched: dict[Layer, list[str]]
) -> tuple[alert.Step, ...]:
    """What each layer says, the lowest first, and which of its `watched` streams could not judge:
    what is broken in a lower layer explains what is odd above it.
    """
    abstained, several = dict(finding.abstained), len({part.symbol for part in parts}) > 1
    steps = []
    for layer, streams in watched.items():
        changes = [
            change_phrase(part) + (f" in {part.symbol}" if several else "")
            for part in parts
            if FEATURES[part.stream].layer == layer
        ]
        silent = [f"{name} ({abstained[name]})" for name in streams if name in abstained]
        if changes:
            said = join_list(changes)
        elif not streams:
            said = "not watched"
        else:
            said = "cannot tell" if len(silent) == len(streams) else "nothing out of the ordinary"
        said += f"; abstained: {', '.join(silent)}" if silent else ""
        steps.append(alert.Step(layer, said))
    return tuple(steps)
