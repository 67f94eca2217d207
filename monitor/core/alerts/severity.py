"""How grave an alert is, in one table: the first of its conditions that holds decides.

*Critical*: a person must act now, because money is at stake, the market cannot be traded, or our
own data cannot be trusted where they decide margins. *Warning*: look at it this hour. *Info*: for
the record. `docs/severity.md` shows the table; it is made of this one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, get_args

from monitor.core.alerts.harm import LARGE, harm, is_harmful, is_rare
from monitor.core.contract.alert import Severity, Stake, StakeShock
from monitor.core.contract.feature_catalogue import (
    CRITICAL_FEATURES,
    FEATURES,
    MARKET_SILENCE,
    SILENCE_FEATURES,
    STEP_BACK,
    WHOLE_BOOK_FEATURES,
)
from monitor.core.contract.units import DAY_S
from monitor.core.finding import DRIFT, Finding, FindingPart

SEVERITIES: tuple[Severity, ...] = get_args(Severity)
"""The lowest first."""
GONE = 5.0
"""A book that takes a fifth of the usual, or a spread of five times the usual, is another market:
what was one trade is five."""
WIDE_BPS = 5.0
"""Below it a spread costs no more than what large venues charge a taker, 2 to 5 bps."""
LASTS_S = 10.0
"""On a StandX day nine of ten stretches with such a book, or such a spread, end within 10 s: quotes
that a trade took come back. What lasts longer is a state of the market, and no event."""
WAVE = 10
"""Fewer liquidations are no wave, however rare they are in their market."""
ABSORBED = 0.5
"""Where the book takes half of what would be forced, the rest finds takers on the way."""
PRICE_RULES = ("outlying_mark", "outlying_index")
"""The last good price stands in for what these rules refuse: right for one bad print, and wrong
where the market has moved."""
QUIET_KINDS = ("fill", "leverage")
"""Records that a quiet market does without while its feeds work."""


class Case(NamedTuple):
    """An incident, as its severity sees it."""

    finding: Finding
    parts: list[FindingPart]
    """Its reasons (`harm.reasons`)."""
    stake: Stake | None
    """What is at stake in its market; None: no margin is known there."""
    stake_notional: float
    """So much is much, quote currency."""
    windows_per_day: float

    @property
    def is_by_rule(self) -> bool:
        """Whether a rule decided, and not chance."""
        return self.finding.by_rule or (self.finding.is_end is not None and not self.is_drift)

    @property
    def is_drift(self) -> bool:
        """Whether a number stays off its usual for hours: an early sign, not to act on at once."""
        return self.finding.detector == DRIFT

    def lasts(self, windows: int) -> bool:
        """Whether so many windows are more than an event."""
        return windows * DAY_S / self.windows_per_day >= LASTS_S

    @property
    def is_rare(self) -> bool:
        """As `harm.is_rare`."""
        return is_rare(self.finding, self.windows_per_day)


@dataclass(frozen=True, slots=True)
class SeverityCondition:
    """One row of the table. `name`: what an alert gives as its reason. `takes`, `example`: what it
    takes, and a sentence that meets it, for readers."""

    severity: Severity
    name: str
    takes: str
    example: str
    holds: Callable[[Case], bool]


def judge(case: Case) -> SeverityCondition:
    """The first condition that holds."""
    return next(condition for condition in CONDITIONS if condition.holds(case))


def find_condition(name: str) -> SeverityCondition:
    """The condition of that name."""
    return next(condition for condition in CONDITIONS if condition.name == name)


def is_graver(one: SeverityCondition, other: SeverityCondition) -> bool:
    """Whether the severity of the first lies above that of the second."""
    return SEVERITIES.index(one.severity) > SEVERITIES.index(other.severity)


def shock_at_stake(stake: Stake) -> StakeShock | None:
    """The critical shock that an hour's move may bring, of the two sides that which forces more."""
    shocks = [s for s in (stake.down, stake.up) if s is not None and s.within_hour]
    return max(shocks, key=lambda shock: shock.forced_notional, default=None)


def _is_much_at_stake(case: Case) -> bool:
    """Whether a move may force much: a cascade within the hour, or more than the book takes."""
    if case.stake is None:
        return False
    shock, absorbed = shock_at_stake(case.stake), case.stake.absorbed
    if shock is not None and shock.forced_notional >= case.stake_notional:
        return True
    return case.stake.forced_notional >= case.stake_notional and (absorbed or 0.0) < ABSORBED


def _is_cascade(case: Case) -> bool:
    f = case.finding
    is_beyond_book = f.ratio is None or f.ratio >= LARGE
    return f.stream in CRITICAL_FEATURES and is_beyond_book and f.observed >= case.stake_notional


def _is_smaller_cascade(case: Case) -> bool:
    f = case.finding
    is_beyond_book = f.ratio is None or f.ratio >= LARGE
    return f.stream in CRITICAL_FEATURES and (is_beyond_book or f.observed >= case.stake_notional)


def _is_wave(case: Case) -> bool:
    waves = (part for part in case.parts if part.stream == "liquidations")
    return case.is_rare and any(p.observed >= WAVE and harm(p) >= GONE for p in waves)


def _is_unexplained(case: Case) -> bool:
    moved = (part for part in case.parts if part.stream == "unexplained")
    return case.is_rare and any(p.observed >= case.stake_notional for p in moved)


def _is_untradable(case: Case) -> bool:
    far = [part for part in case.parts if harm(part) >= GONE]
    empty = {part.symbol for part in far if _is_book_gone(part)}
    wide = (part for part in far if FEATURES[part.stream].is_width and part.observed >= WIDE_BPS)
    return any(part.symbol in empty and case.lasts(part.windows) for part in wide)


def _is_book_gone(part: FindingPart) -> bool:
    """Whether both sides of the book are gone: in depth, or up to half of a wide spread."""
    is_far = part.stream == STEP_BACK and part.observed >= WIDE_BPS / 2
    return is_far or part.stream in WHOLE_BOOK_FEATURES


def _is_price_untrusted(case: Case) -> bool:
    f = case.finding
    if f.detector in PRICE_RULES:
        return case.stake is not None and case.lasts(f.windows)
    return f.stream == "mark_off_market"


def _is_unsound(case: Case) -> bool:
    f = case.finding
    if not case.is_by_rule or f.stream in CRITICAL_FEATURES or f.facts.get("is_gone"):
        return False
    kinds = [SILENCE_FEATURES[f.stream]] if f.stream in SILENCE_FEATURES else []
    if f.stream == MARKET_SILENCE:
        kinds = str(f.facts["kinds"]).split(",")
    return not kinds or any(kind not in QUIET_KINDS for kind in kinds)


def _is_notable(case: Case) -> bool:
    is_large = any(harm(part) >= LARGE for part in case.parts)
    return is_large and case.is_rare and not case.is_by_rule


def _is_grave_for_money(case: Case) -> bool:
    if case.is_drift or not _is_much_at_stake(case):
        return False
    return _is_unsound(case) or _is_notable(case)


def _is_small_for_money(case: Case) -> bool:
    is_harm = not case.is_by_rule and any(map(is_harmful, case.parts))
    return is_harm and _is_much_at_stake(case)


CONDITIONS = (
    SeverityCondition(
        "critical", "a cascade is near",
        "A critical shock within an hour's move would force `alerts.stake_notional` or more, and "
        f"{LARGE:g} times what the book takes",
        "SOL −4.1 % (18 % likely within the hour) would force 38 M, 2.6 times what the book takes",
        _is_cascade,
    ),
    SeverityCondition(
        "critical", "liquidations come in a wave",
        f"{WAVE} liquidations or more, {GONE:g} times the usual or where none is usual, and rare",
        "Liquidations ×12 for 8 s on SOL-PERP",
        _is_wave,
    ),
    SeverityCondition(
        "critical", "money moves without a reason",
        "Adjustments that nothing explains move `alerts.stake_notional` or more, and that is rare",
        "Money moved by adjustments, 2.4 M, usual 10 k",
        _is_unexplained,
    ),
    SeverityCondition(
        "critical", "the market cannot be traded",
        f"For {LASTS_S:g} s the spread or the cost to trade is {GONE:g} times the usual and "
        f"{WIDE_BPS:g} bps or more; and both sides of the book are gone: together, or the thicker "
        f"one, at a fifth of the usual, or both best prices {WIDE_BPS / 2:g} bps further back",
        "Spread ×25 for 12 s (21 bps, usual 0.8), with depth on both sides at a tenth of usual",
        _is_untradable,
    ),
    SeverityCondition(
        "critical", "margins rest on a price that cannot be trusted",
        "The mark has left its book and its trades; or marks or index prices have been refused for "
        f"{LASTS_S:g} s in a market whose margins are known",
        "Mark and index of SOL-PERP 2.4 % above its book and trades (limit 1 %)",
        _is_price_untrusted,
    ),
    SeverityCondition(
        "critical", "much is at stake in this market",
        "What alone is *worth a look* or *data are not sound*, in a market where a cascade within "
        "an hour's move would force `alerts.stake_notional` or more, or where that much lies "
        "within 2 % of the mark and the book takes less than half of it",
        "Cancels ×4.1 for 12 s on SOL-PERP, with 38 M to be forced at −4.1 %, within an hour's "
        "move",
        _is_grave_for_money,
    ),
    SeverityCondition(
        "warning", "a smaller cascade is near",
        "A critical shock within an hour's move would force `alerts.stake_notional` or more, or "
        f"{LARGE:g} times what the book takes",
        "SOL −1 % (41 % likely within the hour) would force 100 k, 10 times what the book takes",
        _is_smaller_cascade,
    ),
    SeverityCondition(
        "warning", "data are not sound",
        "A rule about data: a price refused, a source or a feed that stands still, a book that is "
        "crossed or locked, records that repeat, are late, claim a future time or are missing, a "
        "stream that is out. Not the silence of fills or leverage changes alone, nor a market that "
        "is no longer waited for",
        "Book of BTC-USD is crossed by 3 bps; No record in topic books, partition 0 for 17 s",
        _is_unsound,
    ),
    SeverityCondition(
        "warning", "worth a look",
        f"A number is {LARGE:g} times the usual (half of it where a fall does harm) and rare: less "
        "than once a day, or rarer than anything seen where less than a day was",
        "Trades ×6 for 4 s on BTC-USD; Depth within 25 bps at a third of usual for 26 s",
        _is_notable,
    ),
    SeverityCondition(
        "warning", "small, where much is at stake",
        "Any other evidence in a market where much is at stake, as above",
        "Orders ×1.4 for 43 s on SOL-PERP, with 38 M to be forced within an hour's move",
        _is_small_for_money,
    ),
    SeverityCondition(
        "info", "for the record",
        "Everything else: small, or as frequent as once a day and more, or the silence of a quiet "
        "market",
        "Trades ×1.35 for 4 min on BTC-USD; No record in topic fills, partition 0 for 33 s",
        lambda _: True,
    ),
)  # fmt: skip
"""The table, the gravest first."""
