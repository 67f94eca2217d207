"""Two findings that belong together, as one."""

from __future__ import annotations

import dataclasses
import math

from monitor.core.contract.feature_catalogue import FEATURES
from monitor.core.finding import ACCOUNT_BURST, JOINT, P_MIN, Finding, FindingPart, OffsetRange

ACCOUNTS_MAX = 5
"""Accounts that an alert names at most."""


def merge_findings(old: Finding, new: Finding) -> Finding:
    """The evidence of both, under the name of `old`."""
    parts = {part.key: part for part in old.all_parts}
    for part in new.all_parts:
        before = parts.get(part.key)
        parts[part.key] = part if before is None else _merge_parts(before, part, old.window)
    first = parts[old.symbol, old.stream, old.detector == ACCOUNT_BURST]
    named = _pick_accounts(old, new)
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
    since, p = min(old.since, new.since), min(old.p, new.p)
    if old.detector != new.detector:
        return dataclasses.replace(old if new.detector == JOINT else new, since=since, p=p)
    spec = FEATURES.get(old.stream)
    overlap = new.detector == JOINT and new.since <= old_window
    if not overlap and (spec is None or spec.is_additive):
        observed, expected = old.observed + new.observed, old.expected + new.expected
    else:
        # Neither levels nor numbers of the same time add up: keep those farther from the expected.
        far = max(old, new, key=lambda part: part.excess)
        observed, expected = far.observed, far.expected
    return dataclasses.replace(new, since=old.since, observed=observed, expected=expected, p=p)


def _with_shares(parts: list[FindingPart]) -> list[FindingPart]:
    """The parts, each with its -ln p over the sum, the highest share first."""
    weight = [-math.log(max(part.p, P_MIN)) for part in parts]
    total = sum(weight) or 1.0
    shared = [
        dataclasses.replace(part, share=w / total) for part, w in zip(parts, weight, strict=True)
    ]
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
    weight = [_accounts_total(f, by[0]) for f in (old, new)]
    total = sum(weight) or 1.0
    shares: dict[str, float] = {}
    for finding, w in zip((old, new), weight, strict=True):
        for name, share in finding.accounts:
            shares[name] = shares.get(name, 0.0) + share * w / total
    most = sorted(shares.items(), key=lambda pair: (-pair[1], pair[0]))[:ACCOUNTS_MAX]
    return dataclasses.replace(old, accounts=most)


def _accounts_total(finding: Finding, by_account: bool) -> float:
    """The number that the shares of a finding's accounts refer to."""
    key = finding.symbol, finding.accounts_of or finding.stream, by_account
    return sum(part.observed for part in finding.all_parts if part.key == key)


def _merge_records(old: Finding, new: Finding) -> list[OffsetRange]:
    """The span of offsets of each kind and partition, in that order."""
    spans: dict[tuple[str, int], OffsetRange] = {}
    for finding in (old, new):
        for r in finding.records:
            partition = finding.partition if r.partition is None else r.partition
            span = spans.get((r.kind, partition), r)
            low, high = min(span.first, r.first), max(span.last, r.last)
            spans[r.kind, partition] = OffsetRange(r.kind, low, high, partition)
    return [spans[key] for key in sorted(spans)]
