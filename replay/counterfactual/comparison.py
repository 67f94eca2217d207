"""Two runs of one day, as it was and under other rules, side by side."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, NamedTuple

from monitor.core.accounts.liquidation_outcomes import EDGES_BPS, Outcome
from monitor.core.contract.units import SECOND_NS
from replay.counterfactual.run_history import (
    SHOCK,
    STRESS_EVERY_NS,
    WITHIN_PCT,
    RunHistory,
    StressHistory,
)
from replay.incident_changes import RunComparison, compare_runs

CAUSES = ("liquidation", "backstop")
"""Causes of the forced fills that are compared: an account that is deleveraged need not be due."""
EARLY_BPS = EDGES_BPS[0]
"""A mark that is short of an account's price by so little counts as having reached it: marks are
sampled, and the venue acted between two of them."""


class ForcedPair(NamedTuple):
    """Notional forced within a distance of the mark, quote currency: at its highest and on the mean
    over time, each as it was and under the other rules."""

    symbol: str
    side: str
    within_pct: float
    highest: tuple[float, float]
    mean: tuple[float, float]


class StressPair(NamedTuple):
    """One side of a market under stress, as it was and under the other rules."""

    symbol: str
    side: str
    survives: float
    both: tuple[StressHistory, StressHistory]


class ForcedPosition(NamedTuple):
    """A position that the venue forced, and its price under both rules (None: there is none)."""

    outcome: Outcome
    price: float | None
    price_under: float | None


@dataclass(frozen=True, slots=True)
class LiquidationComparison:
    """The liquidations of the day (those within a minute of each other are one).

    `spared`: not due under the other rules at the moment at which the venue forced them. `forced`:
    how many are due under both. `unanswered`: how many others, by the reason why nothing can be
    said of them.
    """

    spared: list[ForcedPosition]
    forced: int
    unanswered: Counter[str]


@dataclass(frozen=True, slots=True)
class RuleComparison:
    """All that is compared; the first of a pair is what was."""

    forced: list[ForcedPair]
    stress: list[StressPair]
    incidents: RunComparison
    liquidations: LiquidationComparison


def compare_histories(
    was: RunHistory, other: RunHistory, symbols: Collection[str]
) -> RuleComparison:
    """`symbols`: the markets that are compared; none: all."""
    return RuleComparison(
        _compare_forced(was, other, symbols),
        _compare_stress(was, other, symbols),
        compare_runs(was.alerts, other.alerts),
        _compare_liquidations(was, other, symbols),
    )


def _compare_forced(
    was: RunHistory, other: RunHistory, symbols: Collection[str]
) -> list[ForcedPair]:
    pairs = []
    for symbol in sorted({*was.forced.symbols, *other.forced.symbols}):
        if symbols and symbol not in symbols:
            continue
        (high, mean), (high_under, mean_under) = was.forced.of(symbol), other.forced.of(symbol)
        for s, side in enumerate(("long", "short")):
            for e, pct in enumerate(WITHIN_PCT):
                highest = float(high[s, e]), float(high_under[s, e])
                means = round(float(mean[s, e]), 2), round(float(mean_under[s, e]), 2)
                pairs.append(ForcedPair(symbol, side, pct, highest, means))
    return pairs


def _compare_stress(
    was: RunHistory, other: RunHistory, symbols: Collection[str]
) -> list[StressPair]:
    places = sorted({*was.stress, *other.stress}, key=lambda p: (p[0], p[1], -p[2]))
    none = StressHistory()
    return [
        StressPair(*place, (was.stress.get(place, none), other.stress.get(place, none)))
        for place in places
        if not symbols or place[0] in symbols
    ]


def _compare_liquidations(
    was: RunHistory, other: RunHistory, symbols: Collection[str]
) -> LiquidationComparison:
    under = {_key(outcome): outcome for outcome in other.outcomes}
    spared, unanswered, forced = [], Counter[str](), 0
    for outcome in was.outcomes:
        wanted = not symbols or outcome.symbol in symbols
        if outcome.cause not in CAUSES or not wanted or not was.shows(outcome.ts):
            continue
        then = under.get(_key(outcome))
        reason = _reason_unanswered(outcome, then)
        if reason is not None or then is None:
            unanswered[reason or "no_outcome"] += 1
        elif _is_due(then, outcome):
            forced += 1
        else:
            prices = (None if o.predicted is None else float(o.predicted) for o in (outcome, then))
            spared.append(ForcedPosition(outcome, *prices))
    return LiquidationComparison(spared, forced, unanswered)


def _key(outcome: Outcome) -> tuple[int, str, str, str]:
    return outcome.ts, outcome.account, outcome.symbol, outcome.cause


def _reason_unanswered(was: Outcome, then: Outcome | None) -> str | None:
    """Why nothing can be said of a position; None: its prices under both rules can be compared."""
    if was.error_bps is None:
        return was.verdict
    if then is None or (then.error_bps is None and then.verdict != "no_price"):
        return "no_outcome" if then is None else then.verdict
    return None if was.error_bps >= -EARLY_BPS else "not_due"


def _is_due(then: Outcome, was: Outcome) -> bool:
    """Whether the mark at which the venue acted had reached the price under the other rules too."""
    return then.error_bps is not None and then.error_bps >= min(0.0, was.error_bps or 0.0)


def comparison_object(comparison: RuleComparison) -> dict[str, Any]:
    """The comparison as JSON has it, without the incidents."""
    forced = [
        {
            "symbol": pair.symbol, "side": pair.side, "within_pct": pair.within_pct,
            "max": _pair(*pair.highest), "mean": _pair(*pair.mean),
        }
        for pair in comparison.forced
    ]  # fmt: skip
    names = [field.name for field in dataclasses.fields(StressHistory)]
    stress = [
        {
            "symbol": pair.symbol, "side": pair.side, "survives": pair.survives,
            **{name: _pair(*(getattr(one, name) for one in pair.both)) for name in names},
        }
        for pair in comparison.stress
    ]  # fmt: skip
    spared = [
        {
            "ts": one.outcome.ts, "account": one.outcome.account, "symbol": one.outcome.symbol,
            "cause": one.outcome.cause, "mode": one.outcome.mode,
            "mark": None if one.outcome.actual is None else float(one.outcome.actual),
            "price": _pair(one.price, one.price_under),
        }
        for one in comparison.liquidations.spared
    ]  # fmt: skip
    return {
        "forced": forced,
        "stress": {"every_s": STRESS_EVERY_NS / SECOND_NS, "shock": SHOCK, "rows": stress},
        "liquidations": {
            "not_forced": spared,
            "still_forced": comparison.liquidations.forced,
            "unanswered": dict(sorted(comparison.liquidations.unanswered.items())),
        },
    }


def _pair(was: Any, under: Any) -> dict[str, Any]:
    return {"was": was, "under": under}
