"""The lifecycle of alerts: firing, updated while the evidence grows, resolved when it is quiet, and
firing again where it comes back.

All findings of one symbol at one time are one incident, whichever streams they are about: a finding
of another stream joins the incident that is open there, and is not published on its own. So does a
finding of another symbol, where both began within a few windows. Two markets seldom do so by
chance: at a hundred false alerts a day, once in two days.

Evidence that comes back reopens the incident: a storm of ten minutes is one. An incident is thus a
row of stretches of evidence, of which the last one is published. How long it must be quiet before
it is resolved is learnt from its pauses, so that it does not open and close all the time.
"""

from __future__ import annotations

import dataclasses
import hashlib
import math
from collections.abc import Callable, Iterable
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
PAUSES = 2
"""Once evidence has come back, an incident is quiet after so many times its longest pause. With one
pause it would be resolved just before evidence comes that is as regular as before."""
PARTS_MAX = 500
"""Streams and markets of one incident; evidence of others is another incident. A part takes some
200 bytes of an alert, and the broker takes messages of a megabyte."""
ACCOUNTS_MAX = 5
"""Accounts that an alert names at most."""
MOST = 0.5
"""The share of what was observed that makes it the work of the accounts that are named first."""
TOO_LONG = "it has lasted as long as an incident may"


@dataclass(slots=True)
class Incident:
    """Evidence that belongs together, from its first finding to its last resolution."""

    fingerprint: str
    incident_id: str
    """Its own, from the first publication to the last."""
    sequence: int
    """The number of this publication among those of the incident, from 1."""
    status: Status
    window: int
    """Index of the window in which this was decided."""
    finding: Finding
    """All evidence of the present stretch, as one finding."""
    published: dict[PartKey, float] = field(default_factory=dict)
    """The excess of each part at the last publication; empty before the first of a stretch."""
    last_window: int = 0
    first_window: int = 0
    """Indices of the windows of the last and of the first finding of the present stretch."""
    opened_window: int = 0
    """Index of the window in which the incident began."""
    quiet_windows: int = 0
    """It is resolved after so many windows without evidence."""
    earlier: list[tuple[str, str]] = field(default_factory=list)
    """Symbol and layer of the evidence of its earlier stretches."""
    returns: int = 0
    """How often its evidence has come back after it was quiet."""
    end_reason: str = ""
    """Why it was closed although its evidence lasts; empty otherwise."""
    because: str = ""
    """The gravest condition (`severity.CONDITIONS`) of the publications of the present stretch, by
    name; empty: there was none, or nobody judges."""

    @property
    def symbols(self) -> list[str]:
        """All symbols that it covers, the one in which it began first."""
        return self.finding.symbols


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

    An incident is resolved after `quiet_windows` without new evidence, and later where its evidence
    has come back before. Evidence in another symbol that begins within `together_windows` belongs
    to the incident. Evidence of one of its markets and layers within `reopen_windows` of its
    resolution reopens it, unless other accounts make it. After `longest_windows` in all it is
    closed, and evidence that comes then is another one. `judge`: how grave an incident is now; it
    is published again when that rises. None: nobody judges.
    """

    def __init__(
        self,
        quiet_windows: int,
        together_windows: int = 5,
        reopen_windows: int = 900,
        longest_windows: int = 86_400,
        judge: Callable[[Incident], SeverityCondition] | None = None,
    ) -> None:
        self._judge = judge
        self._quiet = quiet_windows
        self._together = together_windows
        self._reopen = reopen_windows
        self._longest = longest_windows
        self._open: dict[str, Incident] = {}
        """By id, the oldest stretch first."""
        self._resolved: dict[str, Incident] = {}
        """By id: those that evidence may reopen."""

    def advance(self, findings: list[Finding], until: int) -> list[Incident]:
        """The publications of the windows before `until`.

        `findings` are all findings of those windows that earlier calls did not have. However many
        findings a window adds to an incident, it is published once.
        """
        published: list[Incident] = []
        ordered = sorted(findings, key=_sort_key)
        for window, group in groupby(ordered, key=lambda finding: finding.window):
            published += self._close(window)
            grown: dict[str, Incident] = {}
            for finding in group:
                if not finding.is_end:
                    incident = self._assign(finding)
                    grown[incident.incident_id] = incident
                    continue
                ended = self._find_active(finding)
                if ended is None:
                    continue
                # What begins and ends within one window is published as both.
                if grown.pop(ended.incident_id, None):
                    published += self._publish_grown(ended)
                ended.finding, ended.last_window = finding, window
            for incident in grown.values():
                published += self._publish_grown(incident)
        published += self._close(until)
        return sorted(published, key=lambda i: (i.window, *_sort_key(i.finding)[1:]))

    def _publish_grown(self, incident: Incident) -> list[Incident]:
        """The open incident, where there is something new about it."""
        has_risen = self._has_risen(incident)
        if not _has_grown(incident) and not has_risen:
            return []
        is_open = incident.sequence and incident.status != "resolved"
        return [self._publish(incident, "updated" if is_open else "firing")]

    def _has_risen(self, incident: Incident) -> bool:
        """Whether it is graver than at any publication; the incident remembers why."""
        if self._judge is None:
            return False
        now = self._judge(incident)
        if incident.because and not is_graver(now, find_condition(incident.because)):
            return False
        incident.because = now.name
        return True

    def _assign(self, finding: Finding) -> Incident:
        """Add a finding to its incident, which may be a new one or one that it reopens."""
        incident = self._find_active(finding)
        if incident is not None:
            incident.finding = merge_findings(incident.finding, finding)
        else:
            incident = self._find_returning(finding)
            if incident is None:
                return self._begin(finding)
            self._begin_stretch(incident, finding)
        incident.last_window = incident.window = finding.window
        return incident

    def _begin(self, finding: Finding) -> Incident:
        name, window = fingerprint(finding), finding.window
        quiet = self._quiet if finding.is_end is None else 0
        own = incident_id(name, window)
        self._open[own] = Incident(
            name, own, 0, "firing", window, finding, {}, window, window, window, quiet
        )
        return self._open[own]

    def _begin_stretch(self, incident: Incident, finding: Finding) -> None:
        """Evidence has come back: what is published next is about it alone."""
        self._open.pop(incident.incident_id, None)
        self._resolved.pop(incident.incident_id, None)
        self._open[incident.incident_id] = incident
        places = dict.fromkeys([*incident.earlier, *_places(incident.finding)])
        incident.earlier = [*places][:PARTS_MAX]
        pause = PAUSES * (finding.window - incident.last_window)
        incident.quiet_windows = max(incident.quiet_windows, min(pause, self._reopen))
        incident.returns += 1
        incident.finding, incident.first_window = finding, finding.window
        incident.published, incident.because = {}, ""

    def _is_active(self, incident: Incident, window: int) -> bool:
        """Whether the present stretch of an open incident lasts."""
        condition = incident.finding.is_end
        quiet = window - incident.last_window > self._quiet
        return condition is False or (condition is None and not quiet)

    def _find_active(self, finding: Finding) -> Incident | None:
        """The incident whose stretch the finding joins: the oldest of one of its symbols, else the
        oldest that began together with it."""
        window = finding.window
        active = (i for i in self._open.values() if self._is_active(i, window))
        if _is_standalone(finding):
            return _find_standalone(fingerprint(finding), active)
        near = None
        symbols = set(finding.symbols)
        for incident in active:
            if _is_standalone(incident.finding) or not _has_room(incident, finding):
                continue
            if not symbols.isdisjoint(incident.symbols):
                return incident
            if near is None and incident.first_window >= window - self._together:
                near = incident
        return near

    def _find_returning(self, finding: Finding) -> Incident | None:
        """The incident that was quiet and whose evidence comes back with the finding: of several,
        the one that was quiet last."""
        window = finding.window
        resolved = (
            i
            for i in self._resolved.values()
            if window <= min(i.window + self._reopen, i.opened_window + self._longest)
        )
        every = [i for i in self._open.values() if not self._is_active(i, window)] + [*resolved]
        if _is_standalone(finding):
            return _find_standalone(fingerprint(finding), every)
        may = (i for i in every if not _is_standalone(i.finding) and _comes_back(i, finding))
        return max(may, key=lambda i: (i.last_window, i.incident_id), default=None)

    def _close(self, until: int) -> list[Incident]:
        """Resolve what is quiet, and close what has lasted too long, before window `until`.

        A condition lasts as long as its rule says: it does not grow, and costs no alert meanwhile.
        """
        published = []
        for incident in sorted(self._open.values(), key=lambda i: i.incident_id):
            condition, last = incident.finding.is_end, incident.last_window
            end = last + incident.quiet_windows
            if condition is None:
                end = min(end, incident.opened_window + self._longest)
            if condition is False or end >= until:
                continue
            incident.window = end
            del self._open[incident.incident_id]
            if condition is None and last + self._quiet > end:
                incident.end_reason = TOO_LONG
            else:
                self._resolved[incident.incident_id] = incident
            published.append(self._publish(incident, "resolved"))
        for own, incident in [*self._resolved.items()]:
            if incident.window + self._reopen < until:
                del self._resolved[own]
        return published

    def _publish(self, incident: Incident, status: Status) -> Incident:
        """Number a publication; returns a copy of the incident as it is now."""
        incident.status = status
        incident.sequence += 1
        incident.published = {part.key: part.excess for part in incident.finding.all_parts}
        return dataclasses.replace(incident)

    @property
    def firing(self) -> list[Incident]:
        """Those that are published and not resolved."""
        return [i for i in self._open.values() if i.sequence and i.status != "resolved"]

    def snapshot(self) -> dict[str, Any]:
        """The incidents that are open, and those that may be reopened."""
        return {
            "open": to_state([*self._open.values()]),
            "resolved": to_state([*self._resolved.values()]),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a snapshot."""
        self._open, self._resolved = (
            {i.incident_id: i for i in from_state(list[Incident], state[name])}
            for name in ("open", "resolved")
        )


def _find_standalone(name: str, among: Iterable[Incident]) -> Incident | None:
    """The incident of a rule with this fingerprint."""
    return next((i for i in among if i.fingerprint == name and _is_standalone(i.finding)), None)


def _places(finding: Finding) -> list[tuple[str, str]]:
    """Symbol and layer of each of its parts, the one with the highest share first."""
    parts = ((part.symbol, FEATURES.get(part.stream)) for part in finding.all_parts)
    return [(symbol, "" if spec is None else spec.layer) for symbol, spec in parts]


def _comes_back(incident: Incident, finding: Finding) -> bool:
    """Whether a finding is of what an incident was about: its leading evidence is of a market and a
    layer of the incident, and it is not the work of others: where a few accounts make most of it
    and made most of what was before, they have one in common."""
    if _places(finding)[0] not in (*_places(incident.finding), *incident.earlier):
        return False
    before, after = _actors(incident.finding), _actors(finding)
    return not before or not after or not before.isdisjoint(after)


def _actors(finding: Finding) -> set[str]:
    """The few accounts that make most of a finding; none where no few do."""
    names, total = set(), 0.0
    for name, share in finding.accounts:
        names.add(name)
        total += share
        if total >= MOST:
            return names
    return set()


def _has_room(incident: Incident, finding: Finding) -> bool:
    """Whether an incident may take evidence in. One that is full takes what it has already, and
    what has its own fingerprint, so that no two incidents of one window have one id."""
    parts = incident.finding.parts
    if len(parts) < PARTS_MAX or fingerprint(finding) == incident.fingerprint:
        return True
    return {part.key for part in finding.all_parts} <= {part.key for part in parts}


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
        reach_bps=first.reach_bps,
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
