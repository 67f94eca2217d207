"""Two runs of one day, incident by incident: what is new, gone, or not as it was."""

from __future__ import annotations

import dataclasses
import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from monitor.core.alerts.history import IncidentHistory, group_by_incident
from monitor.core.contract.alert import Alert, Versions, alert_json

Pair = tuple[Any, Any]
"""A value of the run before, and of the one after."""


@dataclass(frozen=True, slots=True)
class IncidentChange:
    """One incident in both runs.

    `before`, `after`: its alerts in each; None: the run does not have it. `differences`: by name
    what differs, as it was and as it is: `severity` (the gravest), `opened` and `resolved` (event
    time, ns), `kind`, `symbols`, `accounts`, `forced_notional`, `messages` (how many),
    `evidence` of a stream in a market (observed and expected), or the alert's other fields.
    """

    before: IncidentHistory | None
    after: IncidentHistory | None
    differences: dict[str, Pair] = field(default_factory=dict)

    @property
    def is_same(self) -> bool:
        """Whether both runs have it, and it does not differ."""
        return self.before is not None and self.after is not None and not self.differences

    @property
    def shown(self) -> IncidentHistory:
        """As it is after, or as it was where it is gone."""
        one = self.after or self.before
        assert one is not None
        return one


@dataclass(frozen=True, slots=True)
class RunComparison:
    """Two runs of one day.

    `before`, `after`: under what each run's alerts were made, in the order of their first alert.
    `changes`: a row for each incident of either run, those that are equal too, by time.
    """

    before: tuple[Versions, ...]
    after: tuple[Versions, ...]
    changes: tuple[IncidentChange, ...]

    @property
    def new(self) -> list[IncidentChange]:
        """Incidents of the run after alone."""
        return [change for change in self.changes if change.before is None]

    @property
    def gone(self) -> list[IncidentChange]:
        """Incidents of the run before alone."""
        return [change for change in self.changes if change.after is None]

    @property
    def changed(self) -> list[IncidentChange]:
        """Incidents of both runs that differ."""
        return [change for change in self.changes if change.differences]

    @property
    def unchanged(self) -> list[IncidentChange]:
        """Incidents of both runs that are the same."""
        return [change for change in self.changes if change.is_same]


def compare_runs(before: Iterable[Alert], after: Iterable[Alert]) -> RunComparison:
    """Match the incidents of two runs and say what differs.

    Incidents with one id are the same. The others are matched by what they speak of, because under
    other settings or another engine an incident may begin in another window: a rule's by its
    fingerprint, those of chance by their markets, and both only where their times overlap.
    """
    alerts = list(before), list(after)
    left, right = map(group_by_incident, alerts)
    pairs = _match(left, right)
    changes = [IncidentChange(a, b, _find_differences(a, b)) for a, b in pairs]
    matched = {id(one) for pair in pairs for one in pair}
    changes += [IncidentChange(one, None) for one in left if id(one) not in matched]
    changes += [IncidentChange(None, one) for one in right if id(one) not in matched]
    changes.sort(key=lambda change: (change.shown.opened_ns, change.shown.incident))
    versions = [tuple(_distinct(alert.versions for alert in run)) for run in alerts]
    return RunComparison(versions[0], versions[1], tuple(changes))


def _distinct(versions: Iterable[Versions]) -> list[Versions]:
    every: list[Versions] = []
    for one in versions:
        if one not in every:
            every.append(one)
    return every


def _match(
    left: list[IncidentHistory], right: list[IncidentHistory]
) -> list[tuple[IncidentHistory, IncidentHistory]]:
    """The pairs of incidents that are the same, those with one id first."""
    by_id = {one.incident: one for one in right}
    pairs = [(one, by_id[one.incident]) for one in left if one.incident in by_id]
    matched = {id(one) for pair in pairs for one in pair}
    subjects: dict[str, list[IncidentHistory]] = defaultdict(list)
    for one in right:
        for subject in _subjects(one):
            subjects[subject].append(one)
    candidates = [
        (_closeness(one, other), i, one, other)
        for i, one in enumerate(left)
        if id(one) not in matched
        for other in {id(o): o for s in _subjects(one) for o in subjects[s]}.values()
        if id(other) not in matched and _overlap_ns(one, other) > 0
    ]
    for _, _, one, other in sorted(candidates, key=lambda c: c[:2], reverse=True):
        if id(one) not in matched and id(other) not in matched:
            matched |= {id(one), id(other)}
            pairs.append((one, other))
    return pairs


def _subjects(one: IncidentHistory) -> tuple[str, ...]:
    """What it speaks of: its markets; a rule, or the whole venue, has a fingerprint for that."""
    symbols = one.latest.symbols
    return symbols if symbols and not one.is_by_rule else (f"={one.alerts[0].fingerprint}",)


def _overlap_ns(one: IncidentHistory, other: IncidentHistory) -> int:
    return min(one.end_ns, other.end_ns) - max(one.since_ns, other.since_ns)


def _closeness(one: IncidentHistory, other: IncidentHistory) -> tuple[Any, ...]:
    """What makes two incidents the same rather than another pair, the weightiest first."""
    a, b = one.latest, other.latest
    return (
        len({*a.symbols} & {*b.symbols}),
        _overlap_ns(one, other),
        a.kind == b.kind,
        a.layer == b.layer,
        -abs(one.opened_ns - other.opened_ns),
    )


def _find_differences(before: IncidentHistory, after: IncidentHistory) -> dict[str, Pair]:
    """What differs between two histories of one incident, by name."""
    plain = [[_without_run(alert) for alert in one.alerts] for one in (before, after)]
    if plain[0] == plain[1]:
        return {}
    named = [_facts(one) for one in (before, after)]
    names = dict.fromkeys([*named[0], *named[1]])
    pairs = {name: (named[0].get(name), named[1].get(name)) for name in names}
    differences = {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}
    if differences:
        return differences
    lines = ([json.loads(alert_json(alert)) for alert in side] for side in plain)
    return {
        name: (old.get(name), new.get(name))
        for old, new in zip(*lines, strict=True)
        for name in old | new
        if old.get(name) != new.get(name)
    }


def _without_run(alert: Alert) -> Alert:
    """The alert without what follows from the settings and from what came before it."""
    versions = Versions("", "", 0.0, {})
    return dataclasses.replace(
        alert, id="", incident="", fingerprint="", reproduce="", versions=versions
    )


def _facts(one: IncidentHistory) -> dict[str, Any]:
    """By name what an incident came to, in the order in which it is shown."""
    alert = one.latest
    facts: dict[str, Any] = {
        "severity": one.severity,
        "opened": one.opened_ns,
        "resolved": one.resolved_ns,
        "kind": alert.kind,
        "symbols": list(alert.symbols),
        "forced_notional": alert.at_stake and alert.at_stake.forced_notional,
    }
    only = alert.symbols[0] if len(alert.symbols) == 1 else ""
    for row in alert.evidence:
        of = f"{row.stream} {row.symbol or only}".strip()
        facts[f"evidence {of}"] = row.observed, row.expected
    facts["accounts"] = {carrier.account: carrier.share for carrier in alert.accounts}
    facts["messages"] = len(one.alerts)
    return facts
