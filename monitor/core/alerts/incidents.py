"""The lifecycle of alerts: firing, updated while the evidence grows, resolved when it is quiet.

What happens to one symbol at one time is one incident, whichever streams tell of it: a finding of
another stream joins the incident that is open there and is not published on its own. So does one
of another symbol where both began together. Two markets seldom do so by chance: at a hundred false
alerts a day, once in two days.
"""

from __future__ import annotations

import dataclasses
import hashlib
from dataclasses import dataclass, field
from typing import Any

from monitor.core.alerts.merge import PartKey, excess, key_of, merge_findings, parts_of
from monitor.core.finding import JOINT, Finding, finding_from_state

GROWTH = 2.0
"""An open alert is published again when the excess in a stream has grown by this factor."""


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
    published: dict[PartKey, float] = field(default_factory=dict)
    """The excess of each symbol's streams when it was published last."""
    last_window: int = 0
    """The last window with new evidence."""
    first_window: int = 0
    """The window of its first finding."""

    @property
    def symbols(self) -> list[str]:
        """All that it covers; the one that began it first."""
        return symbols_of(self.finding)


def symbols_of(finding: Finding) -> list[str]:
    """The symbols that a finding is about, its own first."""
    return list(dict.fromkeys([finding.symbol, *(part.symbol for part in finding.parts)]))


def fingerprint(finding: Finding) -> str:
    """The name of a lifecycle, by what began it: the same for the same symbol, stream and detector,
    for ever. Joint evidence is of no stream.

    The partition is part of it: a symbol lives in one, and where a venue's keys say otherwise,
    each partition's evidence (and its offsets) stay their own.
    """
    stream = "" if finding.detector == JOINT else finding.stream
    parts = finding.detector, finding.symbol, stream, str(finding.partition)
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def _sort_key(finding: Finding) -> tuple[int, str, str, str, int]:
    """Event time, symbol, kind; never arrival."""
    return finding.window, finding.symbol, finding.detector, finding.stream, finding.partition


def _is_standalone(finding: Finding) -> bool:
    return bool(finding.facts) or not finding.symbol or finding.is_end is not None


class Incidents:
    """Findings in event-time order in, changes of incidents out.

    Parameters
    ----------
    quiet_windows
        An incident is over after so many windows without new evidence.
    together_windows
        Evidence in another symbol that begins within so many windows belongs to it.
    """

    def __init__(self, quiet_windows: int, together_windows: int = 5) -> None:
        self._quiet = quiet_windows
        self._together = together_windows
        self._open: dict[str, Incident] = {}
        self._sequence: dict[str, int] = {}

    def advance(self, findings: list[Finding], until: int) -> list[Incident]:
        """All that changes in windows before `until`; `findings` are all those not seen yet.

        What is found in one window is published once for each incident.
        """
        changes: list[Incident] = []
        ordered = sorted(findings, key=_sort_key)
        begin = 0
        while begin < len(ordered):
            window = ordered[begin].window
            end = begin
            while end < len(ordered) and ordered[end].window == window:
                end += 1
            changes += self._resolve_quiet(window)
            changes += [over for f in ordered[begin:end] for over in self._resolve_ended(f)]
            here = [finding for finding in ordered[begin:end] if not finding.is_end]
            touched = dict.fromkeys(self._assign(finding) for finding in here)
            changes += [
                self._publish(self._open[n]) for n in touched if self._has_grown(self._open[n])
            ]
            begin = end
        changes += self._resolve_quiet(until)
        return sorted(changes, key=lambda i: (i.window, *_sort_key(i.finding)[1:]))

    def _assign(self, finding: Finding) -> str:
        """Count it to the incident it belongs to; returns the incident's name."""
        name = self._find_incident(finding)
        if name is None:
            name = fingerprint(finding)
            self._open[name] = Incident(
                name, 0, "firing", finding.window, finding, {}, finding.window, finding.window
            )
            return name
        incident = self._open[name]
        incident.finding = merge_findings(incident.finding, finding)
        incident.last_window = incident.window = finding.window
        return name

    def _find_incident(self, finding: Finding) -> str | None:
        """The open incident of one of its symbols, or else the oldest that began together with it.

        What a rule decided, and what is of no symbol, keeps an incident of its own.
        """
        if _is_standalone(finding):
            name = fingerprint(finding)
            return name if name in self._open else None
        near = None
        symbols = symbols_of(finding)
        for name, incident in self._open.items():
            if _is_standalone(incident.finding):
                continue
            known = incident.symbols
            if any(symbol in known for symbol in symbols):
                return name
            if near is None and incident.first_window >= finding.window - self._together:
                near = name
        return near

    def _has_grown(self, incident: Incident) -> bool:
        """Whether there is something to publish: a stream more, or far more of one."""
        told = incident.published
        if not told:
            return True
        for part in parts_of(incident.finding):
            before = told.get(key_of(part))
            if before is None or (excess(part) >= GROWTH * before and excess(part) > 0):
                incident.status = "updated"
                return True
        return False

    def _resolve_ended(self, finding: Finding) -> list[Incident]:
        """The end of what lasts until it is told."""
        incident = self._open.get(fingerprint(finding)) if finding.is_end else None
        if incident is None:
            return []
        incident.finding, incident.window = finding, finding.window
        incident.status = "resolved"
        del self._open[incident.fingerprint]
        return [self._publish(incident)]

    def _resolve_quiet(self, until: int) -> list[Incident]:
        """Those whose quiet time is over before window `until`."""
        done = []
        for name in sorted(self._open):
            incident = self._open[name]
            end = incident.last_window + self._quiet
            if incident.finding.is_end is None and end < until:
                incident.status, incident.window = "resolved", end
                done.append(self._publish(incident))
                del self._open[name]
        return done

    def _publish(self, incident: Incident) -> Incident:
        self._sequence[incident.fingerprint] = self._sequence.get(incident.fingerprint, 0) + 1
        incident.sequence = self._sequence[incident.fingerprint]
        incident.published = {key_of(p): excess(p) for p in parts_of(incident.finding)}
        return dataclasses.replace(incident)

    def snapshot(self) -> dict[str, Any]:
        return {
            "open": [_to_state(incident) for incident in self._open.values()],
            "sequence": self._sequence,
        }

    def restore(self, state: dict[str, Any]) -> None:
        self._open = {}
        for held in state["open"]:
            told = {tuple(key): value for key, value in held["published"]}
            finding = finding_from_state(held["finding"])
            self._open[held["fingerprint"]] = Incident(
                **{**held, "finding": finding, "published": told}
            )
        self._sequence = dict(state["sequence"])


def _to_state(incident: Incident) -> dict[str, Any]:
    held = dataclasses.asdict(incident)
    return held | {"published": [[list(key), told] for key, told in incident.published.items()]}
