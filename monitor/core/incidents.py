"""The lifecycle of alerts: firing, updated while the evidence grows, resolved when it is quiet."""

from __future__ import annotations

import dataclasses
import hashlib
from dataclasses import dataclass
from typing import Any

from monitor.core.findings import Finding
from monitor.core.history import Range
from monitor.core.streams import TABLE

GROWTH = 2.0
"""An open alert is published again when its excess has grown by this factor."""


@dataclass(slots=True)
class Incident:
    """One stretch of evidence that belongs together, from its first finding to its resolution."""

    fingerprint: str
    sequence: int
    """Of this publication, over all incidents with the fingerprint."""
    status: str
    window: int
    """Index of the window in which this was decided."""
    finding: Finding
    """All evidence so far, as one."""
    published_excess: float = 0.0
    last: int = 0
    """The last window with new evidence."""


def fingerprint(finding: Finding) -> str:
    """The name of a lifecycle: the same for the same symbol, stream and detector, for ever.

    The partition is part of it: a symbol lives in one, and where a venue's keys say otherwise,
    each partition's evidence (and its offsets) stay their own.
    """
    parts = finding.detector, finding.symbol, finding.stream, str(finding.partition)
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def _order(finding: Finding) -> tuple[int, str, str, str, int]:
    """Event time, symbol, kind; never arrival."""
    return finding.window, finding.symbol, finding.detector, finding.stream, finding.partition


class Incidents:
    """Findings in event-time order in, changes of incidents out."""

    def __init__(self, quiet_windows: int) -> None:
        self._quiet = quiet_windows
        self._open: dict[str, Incident] = {}
        self._sequence: dict[str, int] = {}

    def advance(self, findings: list[Finding], until: int) -> list[Incident]:
        """All that changes in windows before `until`; `findings` are all those not seen yet."""
        changes: list[Incident] = []
        for finding in sorted(findings, key=_order):
            changes += self._resolve(finding.window)
            changes += self._take(finding)
        changes += self._resolve(until)
        return sorted(changes, key=lambda i: (i.window, *_order(i.finding)[1:]))

    def _take(self, finding: Finding) -> list[Incident]:
        name = fingerprint(finding)
        incident = self._open.get(name)
        if finding.over:
            return [] if incident is None else [self._end(incident, finding)]
        if incident is None:
            opened = Incident(name, 0, "firing", finding.window, finding)
            self._open[name] = opened
            return [self._publish(opened)]
        incident.finding = _merge(incident.finding, finding)
        incident.last = incident.window = finding.window
        excess = abs(incident.finding.observed - incident.finding.expected)
        if excess < GROWTH * incident.published_excess:
            return []
        incident.status = "updated"
        return [self._publish(incident)]

    def _end(self, incident: Incident, finding: Finding) -> Incident:
        """The end of what lasts until it is told."""
        incident.finding, incident.window = finding, finding.window
        incident.status = "resolved"
        del self._open[incident.fingerprint]
        return self._publish(incident)

    def _resolve(self, until: int) -> list[Incident]:
        """Those whose quiet time is over before window `until`."""
        done = []
        for name in sorted(self._open):
            incident = self._open[name]
            end = incident.last + self._quiet
            if incident.finding.over is None and end < until:
                incident.status, incident.window = "resolved", end
                done.append(self._publish(incident))
                del self._open[name]
        return done

    def _publish(self, incident: Incident) -> Incident:
        self._sequence[incident.fingerprint] = self._sequence.get(incident.fingerprint, 0) + 1
        incident.sequence = self._sequence[incident.fingerprint]
        incident.published_excess = abs(incident.finding.observed - incident.finding.expected)
        if incident.status != "resolved":
            incident.last = incident.window
        return dataclasses.replace(incident)

    def snapshot(self) -> dict[str, Any]:
        return {
            "open": [dataclasses.asdict(self._open[name]) for name in sorted(self._open)],
            "sequence": self._sequence,
        }

    def restore(self, state: dict[str, Any]) -> None:
        self._open = {}
        for held in state["open"]:
            self._open[held["fingerprint"]] = Incident(**{**held, "finding": thaw(held["finding"])})
        self._sequence = dict(state["sequence"])


def thaw(held: dict[str, Any]) -> Finding:
    """A finding from its snapshot."""
    lists: dict[str, Any] = {
        "accounts": [tuple(pair) for pair in held["accounts"]],
        "records": [Range(**r) for r in held["records"]],
        "abstained": [tuple(pair) for pair in held["abstained"]],
    }
    return Finding(**{**held, **lists})


def _merge(old: Finding, new: Finding) -> Finding:
    """The evidence of both; accounts are weighed by the excess that each part tells of."""
    if TABLE[new.stream].form not in ("count", "amount"):
        return _merge_levels(old, new)
    total = old.observed + new.observed
    share: dict[str, float] = {}
    for part in (old, new):
        for name, s in part.accounts:
            share[name] = share.get(name, 0.0) + s * part.observed / total if total else 0.0
    ranked = sorted(share.items(), key=lambda pair: (-pair[1], pair[0]))[:5]
    return dataclasses.replace(
        new,
        since=old.since,
        observed=total,
        expected=old.expected + new.expected,
        p=min(old.p, new.p),
        accounts=ranked,
        records=_spans(old, new),
    )


def _merge_levels(old: Finding, new: Finding) -> Finding:
    """Levels do not add up: of both, the one that lies farther from what was expected of it."""
    far = max(old, new, key=lambda f: abs(f.observed - f.expected))
    return dataclasses.replace(
        new,
        since=old.since,
        observed=far.observed,
        expected=far.expected,
        p=min(old.p, new.p),
        accounts=far.accounts,
        records=_spans(old, new),
    )


def _spans(old: Finding, new: Finding) -> list[Range]:
    spans: dict[str, Range] = {r.kind: r for r in old.records}
    for r in new.records:
        known = spans.get(r.kind, r)
        spans[r.kind] = Range(r.kind, min(known.first, r.first), max(known.last, r.last))
    return [spans[kind] for kind in sorted(spans)]
