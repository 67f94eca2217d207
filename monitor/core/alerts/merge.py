"""Two findings that belong together, as one."""

from __future__ import annotations

import dataclasses
import math

from monitor.core.contract.feature_catalogue import FEATURES
from monitor.core.finding import ACCOUNT_BURST, JOINT, Finding, FindingPart, OffsetRange

ACCOUNTS_MOST = 5
"""Accounts that are named."""
P_LEAST = 1e-300

PartKey = tuple[str, str, bool]
"""Symbol, stream, and whether it is of few accounts beside their own habits: their numbers and the
market's are not of one kind."""


def key_of(part: FindingPart) -> PartKey:
    return part.symbol, part.stream, part.by_account


def excess(part: FindingPart) -> float:
    """How far what was observed lies from what was expected."""
    return abs(part.observed - part.expected)


def parts_of(finding: Finding) -> list[FindingPart]:
    """Its parts; of evidence of one stream, that one."""
    if finding.parts:
        return finding.parts
    f = finding
    numbers = f.since, f.observed, f.expected, f.p
    return [FindingPart(f.symbol, f.stream, f.detector, *numbers, share=1.0)]


def merge_findings(old: Finding, new: Finding) -> Finding:
    """The evidence of both, under the name of the first."""
    parts = {key_of(part): part for part in parts_of(old)}
    fresh = {key_of(part): part for part in parts_of(new)}
    for key, part in fresh.items():
        parts[key] = _merge_parts(parts[key], part, old.window) if key in parts else part
    first = parts[old.symbol, old.stream, old.detector == ACCOUNT_BURST]
    named = _pick_accounts(old, new)
    shared = _with_shares(list(parts.values())) if len(parts) > 1 else []
    return dataclasses.replace(
        old,
        window=new.window,
        since=min(old.since, new.since),
        observed=first.observed,
        expected=first.expected,
        p=min(old.p, new.p),
        accounts=named.accounts,
        accounts_of=named.accounts_of or named.stream,
        accounts_by=named.accounts_by or named.detector,
        records=_records(old, new),
        abstained=new.abstained if new.symbol == old.symbol else old.abstained,
        facts=new.facts or old.facts,
        parts=shared,
    )


def _merge_parts(old: FindingPart, new: FindingPart, until: int) -> FindingPart:
    """What one detector says twice adds up, unless it is of the same time (a market's own joint
    evidence, and its part in that of many); of two detectors on a stream, its own is believed
    rather than the joint evidence. `until`: the last window of the old."""
    if old.detector != new.detector:
        kept = old if new.detector == JOINT else new
        return dataclasses.replace(kept, since=min(old.since, new.since), p=min(old.p, new.p))
    told = FEATURES.get(old.stream)
    again = new.detector == JOINT and new.since <= until
    if not again and (told is None or told.form in ("count", "amount")):
        numbers = old.observed + new.observed, old.expected + new.expected
    else:
        # Levels do not add up, nor does what is said twice: of both, the one that lies farther from
        # what was expected of it.
        far = max(old, new, key=excess)
        numbers = far.observed, far.expected
    return dataclasses.replace(
        new, since=old.since, observed=numbers[0], expected=numbers[1], p=min(old.p, new.p)
    )


def _with_shares(parts: list[FindingPart]) -> list[FindingPart]:
    """Each part's -ln p over the sum, the highest first."""
    weight = [-math.log(max(part.p, P_LEAST)) for part in parts]
    total = sum(weight) or 1.0
    shared = [
        dataclasses.replace(part, share=w / total) for part, w in zip(parts, weight, strict=True)
    ]
    return sorted(shared, key=lambda part: (-part.share, *key_of(part)))


def _pick_accounts(old: Finding, new: Finding) -> Finding:
    """The one whose accounts are told. Those that stand out beside their own habits are told rather
    than those that make most of a market's numbers; of two alike, the older's, and where both are
    shares of the same numbers, all of them, weighed by what each part tells of.
    """
    if not old.accounts or not new.accounts:
        return old if old.accounts else new
    by = [(f.accounts_by or f.detector) == ACCOUNT_BURST for f in (old, new)]
    if by[0] != by[1]:
        return old if by[0] else new
    of = [f.accounts_of or f.stream for f in (old, new)]
    if old.symbol != new.symbol or (of[0] != of[1] and not by[0]):
        return old
    weight = [_accounts_total(f, by[0]) for f in (old, new)]
    total = sum(weight) or 1.0
    share: dict[str, float] = {}
    for part, w in zip((old, new), weight, strict=True):
        for name, s in part.accounts:
            share[name] = share.get(name, 0.0) + s * w / total
    most = sorted(share.items(), key=lambda pair: (-pair[1], pair[0]))[:ACCOUNTS_MOST]
    return dataclasses.replace(old, accounts=most)


def _accounts_total(finding: Finding, by_account: bool) -> float:
    """What its accounts' shares are shares of."""
    of = finding.accounts_of or finding.stream
    parts = (p for p in parts_of(finding) if p.symbol == finding.symbol)
    return sum(p.observed for p in parts if p.by_account == by_account and p.stream == of)


def _records(old: Finding, new: Finding) -> list[OffsetRange]:
    """The span of each kind in each partition."""
    spans: dict[tuple[str, int], OffsetRange] = {}
    for finding in (old, new):
        for r in finding.records:
            at = finding.partition if r.partition is None else r.partition
            known = spans.get((r.kind, at), r)
            low, high = min(known.first, r.first), max(known.last, r.last)
            spans[r.kind, at] = OffsetRange(r.kind, low, high, at)
    return [spans[key] for key in sorted(spans)]
