"""How much harm the parts of a finding speak of: by how much, in which direction, how rarely."""

from __future__ import annotations

from math import inf

from monitor.core.contract.feature_catalogue import FEATURES
from monitor.core.finding import P_MIN, Finding, FindingPart

LEAST_HARM = 1.1
"""No desk acts on less than a tenth more, or less, than is usual."""
LARGE = 2.0
"""A desk looks at twice the usual, or at half of it where a fall does harm."""


def harm(part: FindingPart) -> float:
    """By what factor a number left its usual value in the direction that does harm.

    A fall to a fifth of a depth is 5, and so is a spread of five times the usual; inf: where none
    is usual. Below 1 the number moved to the side that does none: more depth, a narrower spread.
    A signed level (funding, an imbalance) does harm either way: 1 and its change over the usual.
    """
    spec, usual = FEATURES.get(part.stream), abs(part.expected)
    if spec is not None and spec.form == "signed":
        return 1.0 + part.excess / usual if usual else inf
    if spec is not None and spec.is_factor:
        return part.observed
    above, below = part.observed, part.expected
    if spec is not None and spec.fall_is_bad:
        above, below = below, above
    if below <= 0.0:
        return inf if above > 0.0 else 1.0
    return max(0.0, above) / below


def is_harmful(part: FindingPart) -> bool:
    """Whether it is a reason for an alert at all."""
    return harm(part) >= LEAST_HARM


def windows_between(evidence: Finding | FindingPart) -> float:
    """Chance alone makes as much evidence in one of so many windows: in none fewer than all those
    that the chance was learnt from, beyond which nothing bears it out."""
    windows = 1.0 / max(evidence.p, P_MIN)
    return min(windows, evidence.seen or windows)


def is_rare(finding: Finding, windows_per_day: float) -> bool:
    """Whether it comes less than once a day, or is rarer than anything seen so far."""
    return windows_between(finding) >= min(windows_per_day, finding.seen or windows_per_day)


def reasons(finding: Finding) -> list[FindingPart]:
    """The parts that an alert gives, the most alarming first.

    Those in the harmless direction are no reasons, unless there are no others. What is large leads,
    by its harm: first what lasts, then events, then what a few accounts do (where next to nothing
    is usual, as of them, any burst is immense). Then comes the rest, the rarest first. What a rule
    decided stays as it is.
    """
    if finding.facts:
        return finding.all_parts
    parts = [part for part in finding.all_parts if is_harmful(part)] or finding.all_parts

    def order(part: FindingPart) -> tuple[bool, bool, bool, float, str, str]:
        size, spec = harm(part), FEATURES.get(part.stream)
        rank = -size if size >= LARGE else part.p
        is_event = spec is not None and spec.is_event
        return size < LARGE, part.by_account, is_event, rank, part.symbol, part.stream

    return sorted(parts, key=order)
