"""Two findings that belong together, as one."""

from __future__ import annotations

import dataclasses
import math

from monitor.core.findings import JOINT, Finding, Part
from monitor.core.history import Range
from monitor.core.streams import TABLE

ACCOUNTS_MOST = 5
"""Accounts that are named."""
P_LEAST = 1e-300

Key = tuple[str, str]
"""Symbol and stream."""


def key_of(part: Part) -> Key:
    return part.symbol, part.stream


def excess(part: Part) -> float:
    """How far what was observed lies from what was expected."""
    return abs(part.observed - part.expected)


def parts_of(finding: Finding) -> list[Part]:
    """Its parts; of evidence of one stream, that one."""
    if finding.parts:
        return finding.parts
    f = finding
    numbers = f.since, f.observed, f.expected, f.p
    return [Part(f.symbol, f.stream, f.detector, *numbers, share=1.0)]


def fold(old: Finding, new: Finding) -> Finding:
    """The evidence of both, under the name of the first."""
    parts = {key_of(part): part for part in parts_of(old)}
    fresh = {key_of(part): part for part in parts_of(new)}
    for key, part in fresh.items():
        parts[key] = _joined(parts[key], part) if key in parts else part
    first = parts[old.symbol, old.stream]
    shared = _shares(list(parts.values())) if len(parts) > 1 else []
    return dataclasses.replace(
        old,
        window=new.window,
        since=min(old.since, new.since),
        observed=first.observed,
        expected=first.expected,
        p=min(old.p, new.p),
        accounts=_accounts(old, new),
        records=_records(old, new),
        abstained=new.abstained if new.symbol == old.symbol else old.abstained,
        facts=new.facts or old.facts,
        parts=shared,
    )


def _joined(old: Part, new: Part) -> Part:
    """What one detector says twice adds up; of two detectors on a stream, its own is believed
    rather than the joint evidence."""
    if old.detector != new.detector:
        kept = old if new.detector == JOINT else new
        return dataclasses.replace(kept, since=min(old.since, new.since), p=min(old.p, new.p))
    told = TABLE.get(old.stream)
    if told is None or told.form in ("count", "amount"):
        numbers = old.observed + new.observed, old.expected + new.expected
    else:
        # Levels do not add up: of both, the one that lies farther from what was expected of it.
        far = max(old, new, key=excess)
        numbers = far.observed, far.expected
    return dataclasses.replace(
        new, since=old.since, observed=numbers[0], expected=numbers[1], p=min(old.p, new.p)
    )


def _shares(parts: list[Part]) -> list[Part]:
    """Each part's -ln p over the sum, the highest first."""
    weight = [-math.log(max(part.p, P_LEAST)) for part in parts]
    total = sum(weight) or 1.0
    shared = [
        dataclasses.replace(part, share=w / total) for part, w in zip(parts, weight, strict=True)
    ]
    return sorted(shared, key=lambda part: (-part.share, part.symbol, part.stream))


def _accounts(old: Finding, new: Finding) -> list[tuple[str, float]]:
    """Of evidence of the same stream, weighed by what each part tells of, else the first."""
    if not old.accounts or not new.accounts:
        return old.accounts or new.accounts
    if (old.symbol, old.stream) != (new.symbol, new.stream):
        return old.accounts
    total = old.observed + new.observed
    share: dict[str, float] = {}
    for part in (old, new):
        for name, s in part.accounts:
            share[name] = share.get(name, 0.0) + s * part.observed / total if total else 0.0
    return sorted(share.items(), key=lambda pair: (-pair[1], pair[0]))[:ACCOUNTS_MOST]


def _records(old: Finding, new: Finding) -> list[Range]:
    """The span of each kind in each partition."""
    spans: dict[tuple[str, int], Range] = {}
    for finding in (old, new):
        for r in finding.records:
            at = finding.partition if r.partition is None else r.partition
            known = spans.get((r.kind, at), r)
            low, high = min(known.first, r.first), max(known.last, r.last)
            spans[r.kind, at] = Range(r.kind, low, high, at)
    return [spans[key] for key in sorted(spans)]
