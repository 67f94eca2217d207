"""The lifecycle of alerts: firing, updated while the evidence grows, resolved when it is quiet.

All findings of one symbol at one time are one incident, whichever streams they are about: a finding
of another stream joins the incident that is open there, and is not published on its own. So does a
finding of another symbol, where both began within a few windows. Two markets seldom do so by
chance: at a hundred false alerts a day, once in two days.
"""

from __future__ import annotations

import dataclasses
import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from monitor.core import finding as evidence
from monitor.core.alerts.harm import is_harmful, windows_between
from monitor.core.alerts.severity import SeverityCondition, find_condition, is_graver
from monitor.core.contract.alert import Status
from monitor.core.contract.feature_catalogue import FEATURES, STREAM_OUT
from monitor.core.finding import ACCOUNT_BURST, JOINT, Finding, FindingPart, PartKey
from monitor.core.snapshot import from_state, to_state

GROWTH = 2.0
"""An open alert is published again when the excess in a stream has grown by this factor."""
REOPENED_WITHIN = 2
"""An incident is reopened within so many quiet times of its resolution: a minute by default. Within
ten of them bursts of different accounts became one on a simulated day with a burst every few
minutes."""
ACCOUNTS_MAX = 5
"""Accounts that an alert names at most."""


@dataclass(slots=True)
class Incident:
    """A stretch of evidence that belongs together, from its first finding to its resolution."""

    fingerprint: str
    incident_id: str
    """Its own, from the first publication to the last."""
    sequence: int
    """The number of this publication among all incidents with the fingerprint, from 1."""
    status: Status
    window: int
    """Index of the window in which this was decided."""
    finding: Finding
    """All evidence so far, as one finding."""
    published: dict[PartKey, float] = field(default_factory=dict)
    """The excess of each part at the last publication; empty before the first."""
    last_window: int = 0
    first_window: int = 0
    """Indices of the windows of its last and of its first finding."""
    because: str = ""
    """The gravest condition (`severity.CONDITIONS`) of its publications, by name; empty: there was
    none, or nobody judges."""

    @property
    def symbols(self) -> list[str]:
        """All symbols that it covers, the one in which it began first."""
        return self.finding.symbols


@dataclass(slots=True)
class LastPublication:
    """The last publication under a fingerprint."""

    incident_id: str
    sequence: int
    window: int


def fingerprint(finding: Finding) -> str:
    """What a lifecycle is about: the same, in every run, for the same first evidence.

    It names detector, symbol, stream and topic partition; joint evidence names no stream. The
    partition is part of it because offsets belong to one: where a venue's keys spread a symbol over
    several, the evidence of each stays apart.
    """
    stream = "" if finding.detector == JOINT else finding.stream
    parts = [finding.detector, finding.symbol, stream, str(finding.partition)]
    if finding.stream == STREAM_OUT:
        parts.append(str(finding.facts["stream"]))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def incident_id(fingerprint: str, window: int) -> str:
    """The id of the incident that began with this evidence in the window of index `window`."""
    return hashlib.sha256(f"{fingerprint}\n{window}".encode()).hexdigest()[:12]


def _sort_key(finding: Finding) -> tuple[int, str, str, str, int]:
    """Event time, symbol, kind; never the order of arrival."""
    return finding.window, finding.symbol, finding.detector, finding.stream, finding.partition


def _is_standalone(finding: Finding) -> bool:
    """Whether it keeps an incident of its own: a rule decided it, it has no symbol, or it lasts."""
    return bool(finding.facts) or not finding.symbol or finding.is_end is not None


class Incidents:
    """Turns findings, in the order of event time, into publications of incidents.

    An incident is resolved after `quiet_windows` without new evidence. Evidence in another symbol
    that begins within `together_windows` belongs to the incident. `judge`: how grave an incident is
    now; it is published again when that rises. None: nobody judges.
    """

    def __init__(
        self,
        quiet_windows: int,
        together_windows: int = 5,
        judge: Callable[[Incident], SeverityCondition] | None = None,
    ) -> None:
        self._judge = judge
        self._quiet = quiet_windows
        self._together = together_windows
        self._open: dict[str, Incident] = {}
        self._last: dict[str, LastPublication] = {}

    def advance(self, findings: list[Finding], until: int) -> list[Incident]:
        """The publications of the windows before `until`.

        `findings` are all findings of those windows that earlier calls did not have. However many
        findings a window adds to an incident, it is published once.
        """
        published: list[Incident] = []
        ordered = sorted(findings, key=_sort_key)
        for window, group in groupby(ordered, key=lambda finding: finding.window):
            published += self._resolve_quiet(window)
            names: dict[str, None] = {}
            for finding in group:
                if not finding.is_end:
                    names[self._assign(finding)] = None
                    continue
                # What begins and ends within one window is published as both.
                ends = fingerprint(finding)
                if ends in names:
                    del names[ends]
                    published += self._publish_grown(ends)
                published += self._resolve_ended(finding)
            for name in names:
                published += self._publish_grown(name)
        published += self._resolve_quiet(until)
        return sorted(published, key=lambda i: (i.window, *_sort_key(i.finding)[1:]))

    def _publish_grown(self, name: str) -> list[Incident]:
        """The open incident, where there is something new about it."""
        incident = self._open[name]
        has_risen = self._has_risen(incident)
        if not _has_grown(incident) and not has_risen:
            return []
        return [self._publish(incident, "updated" if incident.published else "firing")]

    def _has_risen(self, incident: Incident) -> bool:
        """Whether it is graver than at any publication; the incident remembers why."""
        if self._judge is None:
            return False
        now = self._judge(incident)
        if incident.because and not is_graver(now, find_condition(incident.because)):
            return False
        incident.because = now.name
        return True

    def _assign(self, finding: Finding) -> str:
        """Add a finding to its incident, which may be new; returns the incident's fingerprint."""
        name = self._find_incident(finding)
        if name is None:
            name, window = fingerprint(finding), finding.window
            own = self._reopened_id(name, window) or incident_id(name, window)
            self._open[name] = Incident(name, own, 0, "firing", window, finding, {}, window, window)
            return name
        incident = self._open[name]
        incident.finding = merge_findings(incident.finding, finding)
        incident.last_window = incident.window = finding.window
        return name

    def _reopened_id(self, name: str, window: int) -> str | None:
        """The id of the incident that evidence of this fingerprint reopens, if it does."""
        last = self._last.get(name)
        if last is None or window > last.window + REOPENED_WITHIN * self._quiet:
            return None
        return last.incident_id

    def _find_incident(self, finding: Finding) -> str | None:
        """The open incident of one of its symbols, else the oldest that began together with it."""
        if _is_standalone(finding):
            name = fingerprint(finding)
            return name if name in self._open else None
        near = None
        symbols = set(finding.symbols)
        for name, incident in self._open.items():
            if _is_standalone(incident.finding):
                continue
            if not symbols.isdisjoint(incident.symbols):
                return name
            if near is None and incident.first_window >= finding.window - self._together:
                near = name
        return near

    def _resolve_ended(self, finding: Finding) -> list[Incident]:
        """The incident that a finding ends, if it is one that ends a condition."""
        incident = self._open.pop(fingerprint(finding), None) if finding.is_end else None
        if incident is None:
            return []
        incident.finding, incident.window = finding, finding.window
        return [self._publish(incident, "resolved")]

    def _resolve_quiet(self, until: int) -> list[Incident]:
        """The incidents whose quiet time is over before window `until`."""
        resolved = []
        for name in sorted(self._open):
            incident = self._open[name]
            end = incident.last_window + self._quiet
            if incident.finding.is_end is None and end < until:
                incident.window = end
                resolved.append(self._publish(incident, "resolved"))
                del self._open[name]
        return resolved

    def _publish(self, incident: Incident, status: Status) -> Incident:
        """Number a publication; returns a copy of the incident as it is now."""
        incident.status = status
        last = self._last.get(incident.fingerprint)
        incident.sequence = 1 if last is None else last.sequence + 1
        self._last[incident.fingerprint] = LastPublication(
            incident.incident_id, incident.sequence, incident.window
        )
        incident.published = {part.key: part.excess for part in incident.finding.all_parts}
        return dataclasses.replace(incident)

    def snapshot(self) -> dict[str, Any]:
        """The open incidents, and the last publication by fingerprint."""
        return {"open": to_state([*self._open.values()]), "last": to_state(self._last)}

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a snapshot."""
        self._open = {i.fingerprint: i for i in from_state(list[Incident], state["open"])}
        self._last = from_state(dict[str, LastPublication], state["last"])


def _has_grown(incident: Incident) -> bool:
    """Whether there is something new to publish: another part, or far more excess in one."""
    before = incident.published
    if not before:
        return True
    return any(
        part.key not in before or 0 < part.excess >= GROWTH * before[part.key]
        for part in incident.finding.all_parts
        if is_harmful(part)
    )


def merge_findings(old: Finding, new: Finding) -> Finding:
    """The evidence of both, under the name of `old`."""
    parts = {part.key: part for part in old.all_parts}
    for part in new.all_parts:
        before = parts.get(part.key)
        parts[part.key] = part if before is None else _merge_parts(before, part, old.window)
    first = parts[old.symbol, old.stream, old.detector == ACCOUNT_BURST]
    named = _pick_accounts(old, new)
    rarer = max(old, new, key=windows_between)
    return dataclasses.replace(
        old,
        window=new.window,
        since=min(old.since, new.since),
        observed=first.observed,
        expected=first.expected,
        p=rarer.p,
        seen=rarer.seen,
        accounts=named.accounts,
        accounts_of=named.accounts_of or named.stream,
        accounts_by=named.accounts_by or named.detector,
        records=_merge_records(old, new),
        abstained=new.abstained if new.symbol == old.symbol else old.abstained,
        facts=new.facts or old.facts,
        parts=_with_shares(list(parts.values())) if len(parts) > 1 else [],
    )


def _merge_parts(old: FindingPart, new: FindingPart, old_window: int) -> FindingPart:
    """Two parts with one key.

    Where two detectors judged the stream, the stream's own detector counts and joint evidence does
    not. One detector's findings add up, unless they cover the same time: joint evidence of one
    market and of many may both include the windows up to `old_window`.
    """
    since, p, seen = min(old.since, new.since), min(old.p, new.p), max(old.seen, new.seen)
    # What lies beyond the end of the old part.
    later = new.since + new.windows - (old.since + old.windows)
    windows = old.windows + max(0, min(new.windows, later))
    both: dict[str, Any] = {"p": p, "windows": windows, "seen": seen}
    if old.detector != new.detector:
        return dataclasses.replace(old if new.detector == JOINT else new, since=since, **both)
    spec = FEATURES.get(old.stream)
    overlap = new.detector == JOINT and new.since <= old_window
    if not overlap and (spec is None or spec.is_additive):
        observed, expected = old.observed + new.observed, old.expected + new.expected
    else:
        # Neither levels nor numbers of the same time add up: keep those farther from the expected.
        far = max(old, new, key=lambda part: part.excess)
        observed, expected = far.observed, far.expected
    return dataclasses.replace(new, since=old.since, observed=observed, expected=expected, **both)


def _with_shares(parts: list[FindingPart]) -> list[FindingPart]:
    """The parts, each with its -ln p over the sum, the highest share first."""
    weight = [-math.log(max(part.p, evidence.P_MIN)) for part in parts]
    total = sum(weight) or 1.0
    pairs = zip(parts, weight, strict=True)
    shared = [dataclasses.replace(part, share=w / total) for part, w in pairs]
    return sorted(shared, key=lambda part: (-part.share, *part.key))


def _pick_accounts(old: Finding, new: Finding) -> Finding:
    """The finding whose accounts the incident names.

    Accounts that stand out beside their own habits come before those with the largest share of a
    market's numbers; otherwise the older finding's are kept. Where both findings name shares of the
    same numbers, they are combined, each weighted by the total that its shares refer to.
    """
    if not old.accounts or not new.accounts:
        return old if old.accounts else new
    by = [(f.accounts_by or f.detector) == ACCOUNT_BURST for f in (old, new)]
    if by[0] != by[1]:
        return old if by[0] else new
    of = [f.accounts_of or f.stream for f in (old, new)]
    if old.symbol != new.symbol or (of[0] != of[1] and not by[0]):
        return old
    weight = []  # the number that the shares of a finding's accounts refer to
    for f, stream in zip((old, new), of, strict=True):
        key = f.symbol, stream, by[0]
        weight.append(sum(part.observed for part in f.all_parts if part.key == key))
    total = sum(weight) or 1.0
    shares: dict[str, float] = {}
    for finding, w in zip((old, new), weight, strict=True):
        for name, share in finding.accounts:
            shares[name] = shares.get(name, 0.0) + share * w / total
    most = sorted(shares.items(), key=lambda pair: (-pair[1], pair[0]))[:ACCOUNTS_MAX]
    return dataclasses.replace(old, accounts=most)


def _merge_records(old: Finding, new: Finding) -> list[evidence.OffsetRange]:
    """The span of offsets of each kind and partition, in that order."""
    spans: dict[tuple[str, int], evidence.OffsetRange] = {}
    for finding in (old, new):
        for r in finding.records:
            partition = finding.partition if r.partition is None else r.partition
            span = spans.get((r.kind, partition), r)
            low, high = min(span.first, r.first), max(span.last, r.last)
            spans[r.kind, partition] = evidence.OffsetRange(r.kind, low, high, partition)
    return [spans[key] for key in sorted(spans)]
