"""How grave an alert is: info, warning or critical."""

from __future__ import annotations

from typing import get_args

from monitor.core.contract.alert import Severity, Stake
from monitor.core.contract.feature_catalogue import (
    CRITICAL_FEATURES,
    MARKET_SILENCE,
    REPEATS,
    STREAM_OUT,
)
from monitor.core.finding import Finding, FindingPart

CRITICAL_RATIO, WARNING_RATIO = 5.0, 2.0
"""A desk acts on five times the usual, and looks at twice the usual."""
RULE_SEVERITY: dict[str, Severity] = {
    "outlying_mark": "critical", "outlying_index": "critical", "outlying_source": "warning",
    "stale_source": "warning", "frozen_source": "warning", "mark_off_market": "critical",
    "unsound_book": "warning", "stale_book": "warning", "frozen_book": "warning",
    "stale_mark": "warning", "stale_index": "warning", REPEATS: "warning", "time_jump": "warning",
    "late_share": "warning", "delay": "warning", "new_log": "warning", "cut_log": "warning",
    MARKET_SILENCE: "warning",
}  # fmt: skip
"""The severity of what a rule decided. While the mark or the index is not believed, all margins and
bands are as of the last good one; what a repeat says counts once all the same. Records that are
missing: somebody has accepted that already."""
SEVERITIES: tuple[Severity, ...] = get_args(Severity)


def severity(finding: Finding, parts: list[FindingPart], much_at_stake: bool) -> Severity:
    """The gravest of the parts; one step higher where much is at stake in the market."""
    if finding.stream == STREAM_OUT:
        return "warning"
    if finding.stream in CRITICAL_FEATURES:
        # What would be forced, over what the book takes; less than that is no harm by itself.
        level = severity_of_ratio(max(1.0, finding.ratio or 1.0))
    elif finding.facts:
        level = RULE_SEVERITY[finding.detector]
    else:
        level = max((severity_of_ratio(part.ratio) for part in parts), key=SEVERITIES.index)
    return escalate(level) if much_at_stake else level


def severity_of_ratio(ratio: float | None) -> Severity:
    """How grave a change is, by observed over expected; a fall to a fifth is as a rise to five."""
    if ratio is not None and 0 <= ratio < 1:
        ratio = 1.0 / ratio if ratio > 0 else None
    if ratio is None or ratio >= CRITICAL_RATIO:
        return "critical"
    return "warning" if ratio >= WARNING_RATIO else "info"


def escalate(level: Severity) -> Severity:
    """The severity one step higher."""
    return SEVERITIES[min(SEVERITIES.index(level) + 1, len(SEVERITIES) - 1)]


def most_at_stake(stake: Stake) -> float:
    """The most that a move of its market may force, quote currency: one within the stake's
    distance, or a cascade that an hour's move may set off."""
    shocks = (shock for shock in (stake.down, stake.up) if shock is not None and shock.within_hour)
    return max([stake.forced_notional, *(shock.forced_notional for shock in shocks)])
