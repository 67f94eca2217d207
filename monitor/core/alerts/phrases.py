"""What a stream did and which accounts did it: the parts of which sentences are made."""

from __future__ import annotations

from monitor.core.alerts.formatting import format_number, format_percent
from monitor.core.contract.feature_catalogue import FEATURES
from monitor.core.finding import JOINT, FindingPart

RATIO_MAX = 1000.0
"""A larger ratio only says that next to nothing was expected, so no sentence gives it."""
FRACTIONS = {
    2: "half", 3: "a third", 4: "a quarter", 5: "a fifth", 6: "a sixth", 7: "a seventh",
    8: "an eighth", 9: "a ninth", 10: "a tenth",
}  # fmt: skip
"""Fractions in words, by denominator."""
COUNT_NAMES = ("no", "one", "two", "three", "four", "five")
ACCOUNT_NOUNS = {
    "orders": "orders", "cancels": "cancels", "fills": "fills", "leverage": "leverage changes",
    "notional": "amount",
}  # fmt: skip
"""The noun for what an account is counted by (`FeatureSpec.account_count`)."""


def ratio_phrase(ratio: float | None) -> str:
    """A ratio in words, with a space before it; empty where there is none, or from `RATIO_MAX`.

    >>> ratio_phrase(4.1), ratio_phrase(0.2), ratio_phrase(0.04), ratio_phrase(None)
    (' ×4.1', ' at a fifth of usual', ' at 4 % of usual', '')
    """
    if ratio is None or ratio >= RATIO_MAX:
        return ""
    if ratio >= 1.0 or ratio < 0:
        return f" ×{format_number(ratio)}"
    nearest = round(1.0 / ratio) if ratio > 0 else 0
    if nearest in FRACTIONS and abs(ratio * nearest - 1.0) < 0.1:
        return f" at {FRACTIONS[nearest]} of usual"
    return f" at {format_number(100 * ratio)} % of usual"


def change_phrase(part: FindingPart) -> str:
    """What a stream did, without its rates.

    >>> change_phrase(FindingPart("X", "cancels", "burst", 0, 984.0, 240.0, 1e-6, 0.5))
    'cancels ×4.1'
    >>> change_phrase(FindingPart("X", "depth_25bps", "joint", 0, 2e4, 1e5, 1e-6, 0.5))
    'depth within 25 bps at a fifth of usual'
    >>> change_phrase(FindingPart("X", "open_interest", "joint", 0, 5.0, 0.0, 1e-6, 0.5))
    'open interest at 5 where none is usual'
    """
    spec = FEATURES[part.stream]
    if part.by_account:
        return f"{spec.noun} of few accounts{ratio_phrase(part.ratio)} beside their own habits"
    observed, expected = format_number(part.observed), format_number(part.expected)
    if spec.form == "signed":
        return f"{spec.noun} at {observed} where {expected} is usual"
    if spec.form == "share":
        observed, expected = format_number(100 * part.observed), format_number(100 * part.expected)
        return f"{spec.noun} at {observed} % where {expected} % is usual"
    return spec.noun + (ratio_phrase(part.ratio) or f" at {observed} where none is usual")


def merge_markets(parts: list[FindingPart]) -> list[FindingPart]:
    """One part for each stream over all its markets, the highest share first.

    Counts and amounts are summed; of levels and shares it is the mean.
    """
    by_stream: dict[str, list[FindingPart]] = {}
    for part in parts:
        by_stream.setdefault(part.stream, []).append(part)
    merged = []
    for stream, here in by_stream.items():
        divisor = 1 if FEATURES[stream].is_additive else len(here)
        observed = sum(part.observed for part in here) / divisor
        expected = sum(part.expected for part in here) / divisor
        since, share = min(part.since for part in here), sum(part.share for part in here)
        least = min(part.p for part in here)
        merged.append(FindingPart("", stream, JOINT, since, observed, expected, least, share))
    return sorted(merged, key=lambda part: (-part.share, part.stream))


def count_name(count: int) -> str:
    """A small count in words."""
    return COUNT_NAMES[count] if count < len(COUNT_NAMES) else str(count)


def accounts_list(accounts: list[tuple[str, float]]) -> str:
    """Accounts with their shares: `a-5 75 %, a-8 25 %`."""
    return ", ".join(f"{name} {format_percent(share)}" for name, share in accounts)


def accounts_phrase(accounts: list[tuple[str, float]], what: str = "them") -> str:
    """The fewest accounts that have half of `what`, or all those named, with their shares."""
    if not accounts or accounts[0][1] < 0.05:
        return "spread over many accounts"
    count, total = 0, 0.0
    while count < len(accounts) and total < 0.5:
        total += accounts[count][1]
        count += 1
    part = f"{format_percent(total)} of {what}"
    if count == 1:
        return f"one account makes {part} ({accounts[0][0]})"
    return f"{count_name(count)} accounts make {part} ({accounts_list(accounts[:count])})"
