"""The one writer of alerts: from an incident, and from what is at stake in its market."""

from __future__ import annotations

import shlex
from typing import get_args

from monitor.core import ENGINE_VERSION
from monitor.core.alerts.formatting import format_iso, join_list
from monitor.core.alerts.incidents import Incident
from monitor.core.alerts.severity import most_at_stake, severity
from monitor.core.alerts.wording import Wording, change_phrase
from monitor.core.contract import alert
from monitor.core.contract.feature_catalogue import FEATURES, FeatureSpec, Layer
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

    def build(self, incident: Incident, stake: alert.MarketStake | None = None) -> alert.Alert:
        """The alert of one publication; `stake` is that of the incident's first market."""
        f = incident.finding
        several = len(f.parts) > 1
        parts = f.parts if several else [f.own_part]
        first = FEATURES[parts[0].stream]
        symbols = tuple(f.symbols) if several else (f.symbol,) if f.symbol else ()
        ts, since = self.decision_ns(incident), f.since * self._settings.time.window_ns
        much_at_stake = stake is not None and (
            most_at_stake(stake.at_stake) >= self._settings.alerts.stake_notional
        )
        return alert.Alert(
            id=f"{incident.fingerprint}-{incident.sequence}",
            incident=incident.incident_id,
            fingerprint=incident.fingerprint,
            status=incident.status,
            severity=severity(f, parts, much_at_stake),
            layer=first.layer,
            kind="incident" if several and not f.facts else _kind(f, first),
            symbols=symbols,
            ts=ts,
            since=since,
            summary=self._wording.sentence(incident),
            evidence=tuple(self._evidence(f, part, len(symbols) > 1) for part in parts),
            accounts=tuple(alert.Carrier(name, round_digits(share)) for name, share in f.accounts),
            zones=stake.zones if stake else (),
            at_stake=stake.at_stake if stake else None,
            triage=_walk_layers(f, self._watched) if several and not f.facts else None,
            records=self._records(f),
            abstained=tuple(alert.Abstention(name, why) for name, why in f.abstained),
            reproduce=self._reproduce(symbols, since, ts),
            versions=self._versions,
        )

    def _evidence(self, f: Finding, part: FindingPart, several: bool) -> alert.AlertEvidence:
        """One row of evidence; it names its symbol where the alert has several."""
        days = self._wording.days_between(part.p)
        return alert.AlertEvidence(
            stream=part.stream,
            detector=part.detector,
            observed=round_digits(part.observed),
            expected=round_digits(part.expected),
            ratio=None if part.ratio is None else round_digits(part.ratio),
            unit=FEATURES[part.stream].unit,
            p=None if f.facts else round_digits(part.p),
            once_per_days=None if f.facts else round_digits(days),
            share=round_digits(part.share),
            symbol=part.symbol if several else None,
            reach_bps=None if part.reach_bps is None else round_digits(part.reach_bps),
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


def _kind(finding: Finding, spec: FeatureSpec) -> str:
    """The kind of an alert about one stream. A level that moves to the side that does no harm (a
    deep book) is not called by the harm (a thin one), but by who noticed it."""
    rise = finding.observed - finding.expected
    harmless = (
        spec.form == "level"
        and not finding.facts
        and (rise > 0.0 if spec.fall_is_bad else rise < 0.0)
    )
    return finding.detector if spec.kind is None or harmless else spec.kind


def round_digits(value: float) -> float:
    """Six significant digits: an alert does not depend on the last bit of a logarithm."""
    return float(f"{value:.6g}")


def _walk_layers(finding: Finding, watched: dict[Layer, list[str]]) -> tuple[alert.Step, ...]:
    """What each layer says, the lowest first, and which of its `watched` streams could not judge:
    what is broken in a lower layer explains what is odd above it.
    """
    abstained, several = dict(finding.abstained), len(finding.symbols) > 1
    steps = []
    for layer, streams in watched.items():
        changes = [
            change_phrase(part) + (f" in {part.symbol}" if several else "")
            for part in finding.parts
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
