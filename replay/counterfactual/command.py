"""`brinkwatch replay --override`: a day under other rules, beside what was."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from monitor.config import Config
from monitor.console import Console
from monitor.core.alerts import formatting as fmt
from monitor.core.contract.units import SECOND_NS
from monitor.core.venue.stage import VenueStage
from monitor.plugins import detector_factories
from replay import diff
from replay.commands import describe_summary
from replay.counterfactual.comparison import (
    RuleComparison,
    compare_histories,
    comparison_object,
)
from replay.counterfactual.records import OverriddenDays
from replay.counterfactual.rules import OverrideRules, read_rules
from replay.counterfactual.run_history import SHOCK, STRESS_EVERY_NS, RunHistory
from replay.day.sequence import DaySequence
from replay.run import ReplayOptions, ReplaySummary, replay
from replay.selection import check_selection

CAVEAT = (
    "read it so: only the rules are others. Orders, fills, marks and books are those of the day, "
    "though under other rules people would have traded otherwise and prices would have gone "
    "another way; a liquidation that would not have come is a fill of the records all the same"
)
CAP_CAVEAT = (
    "leverage_max: an account that stood above it counts as if it had put up the difference: the "
    "margin that its positions need at their entry prices. For one market this gives the "
    "liquidation price of a position that was smaller from the start; forced notional is then an "
    "upper bound, for sizes stay as they were"
)
UNANSWERED = {
    "not_due": "by the records it was not due under the day's own rules either",
    "no_outcome": "the other run does not have it",
    "no_position": "no position on record that it reduces",
    "no_margin": "its margin is not on record",
    "no_collateral": "its collateral is not on record",
    "no_rules": "a market of its pool has no tier table",
    "no_mark": "a market of its pool has no mark",
    "no_price": "by the records no price would force it",
}
"""Why nothing can be said of a liquidation."""
ROWS_SHOWN = 20


def replay_override(
    days: DaySequence, config: Config, console: Console, options: ReplayOptions | None,
    alerts_to: Path | None, bands_to: Path | None, file: Path,
) -> dict[str, Any]:  # fmt: skip
    """Replay the days as they were, then under the rules of `file`, and show both."""
    options, rules = options or ReplayOptions(), read_rules(file)
    shown = options.shown
    empty = check_selection(days, shown.symbols, shown.from_ts, shown.to_ts)
    rules.check_markets(days.count_by_market())
    was, under = RunHistory(shown), RunHistory(shown)
    count = days.record_count
    with console.progress("replaying twice, records", 2 * count) as show:
        plain = _replay(days, config, options, None, was, show)
        summary = _replay(
            OverriddenDays(days.days, rules), config, options, rules, under,
            lambda done: show(count + done), alerts_to=alerts_to, bands_to=bands_to,
        )  # fmt: skip
    comparison = compare_histories(was, under, shown.symbols)
    console.alerts(under.alerts)
    if empty is not None:
        console.say(empty)
    describe_summary(summary, days, console)
    _describe(comparison, rules, plain.digest == summary.digest, console)
    result = {
        "rules": rules.given,
        "same": plain.digest == summary.digest,
        "was": {"digest": plain.digest, "alerts": plain.alerts},
        **comparison_object(comparison),
        "incidents": diff.comparison_object(comparison.incidents)["incidents"],
        "caveats": _caveats(rules),
    }
    return {**dataclasses.asdict(summary), "override": result}


def _replay(
    days: DaySequence, config: Config, options: ReplayOptions, rules: OverrideRules | None,
    history: RunHistory, show: Any, alerts_to: Path | None = None, bands_to: Path | None = None,
) -> ReplaySummary:  # fmt: skip
    settings = config.engine()

    def prepare(stage: VenueStage) -> None:
        history.watch(stage, rules)
        if isinstance(days, OverriddenDays):
            stage.venue_state.add_batch(days.missing_records())

    factories = detector_factories(config.streams)
    summary = replay(
        days, settings, factories, options, alerts_to=alerts_to, bands_to=bands_to,
        on_alert=history.alerts.append, progress=show, prepare=prepare,
    )  # fmt: skip
    history.forced.finish(settings.accounts.bands_interval_ns)
    return summary


def _caveats(rules: OverrideRules) -> list[str]:
    capped = any(one.leverage_max is not None for one in rules.by_market.values())
    return [CAVEAT, *([CAP_CAVEAT] if capped else [])]


def _describe(
    comparison: RuleComparison, rules: OverrideRules, same: bool, console: Console
) -> None:
    """For people: what the comparison rests on, then each part of it."""
    for caveat in _caveats(rules):
        console.say(caveat)
    if same:
        console.say("under these rules nothing is other than it was")
    _print_forced(comparison, console)
    _print_stress(comparison, console)
    diff.print_incidents(comparison.incidents, console)
    _print_liquidations(comparison, console)


def _print_forced(comparison: RuleComparison, console: Console) -> None:
    changed = [
        p for p in comparison.forced if p.highest[0] != p.highest[1] or p.mean[0] != p.mean[1]
    ]
    rows = [
        [
            pair.symbol, pair.side, f"{pair.within_pct:g} %",
            *map(fmt.format_number, (*pair.highest, *pair.mean)),
        ]
        for pair in changed
    ]  # fmt: skip
    head = ["market", "side", "within", "max was", "max under", "mean was", "mean under"]
    console.table(f"forced notional: {_changed(len(changed), len(comparison.forced))}", head, rows)


def _print_stress(comparison: RuleComparison, console: Console) -> None:
    changed = [pair for pair in comparison.stress if pair.both[0] != pair.both[1]]
    rows = [
        [
            pair.symbol, pair.side, f"{pair.survives:.0%}",
            *("none" if one.nearest is None else f"{one.nearest:+.2%}" for one in pair.both),
            *(f"{one.with_critical:,} of {one.moments:,}" for one in pair.both),
            *(fmt.format_number(one.shortfall) for one in pair.both),
            *(fmt.format_number(one.adl_notional) for one in pair.both),
        ]
        for pair in changed
    ]  # fmt: skip
    head = ["market", "side", "book left"] + [
        f"{what} {whose}"
        for what in ("critical shock", "moments with one", "shortfall", "ADL")
        for whose in ("was", "under")
    ]
    title = (
        f"under stress every {STRESS_EVERY_NS // SECOND_NS} s (the nearest critical shock; the "
        f"highest shortfall and ADL of a move of {SHOCK:.0%}): "
        f"{_changed(len(changed), len(comparison.stress))}"
    )
    console.table(title, head, rows)


def _changed(changed: int, every: int) -> str:
    return f"{changed:,} of {every:,} rows differ" if changed else f"all {every:,} rows the same"


def _print_liquidations(comparison: RuleComparison, console: Console) -> None:
    liquidations = comparison.liquidations
    spared = liquidations.spared
    rows = [
        [
            fmt.clock(one.outcome.ts), one.outcome.account, one.outcome.symbol, one.outcome.mode,
            *("none" if p is None else f"{p:.6g}" for p in _prices(one)),
        ]
        for one in spared[:ROWS_SHOWN]
    ]  # fmt: skip
    more = f", the first {ROWS_SHOWN} shown" if len(spared) > ROWS_SHOWN else ""
    console.table(
        f"would not have been liquidated at that moment: {len(spared):,} positions of "
        f"{len({one.outcome.account for one in spared}):,} accounts{more}; "
        f"{liquidations.forced:,} would have been all the same",
        ["UTC", "account", "market", "mode", "mark", "price was", "price under"],
        rows,
    )
    for sentence in _unanswered(liquidations.unanswered):
        console.say(sentence)


def _prices(one: Any) -> tuple[float | None, ...]:
    mark = None if one.outcome.actual is None else float(one.outcome.actual)
    return mark, one.price, one.price_under


def _unanswered(reasons: Mapping[str, int]) -> list[str]:
    return [
        f"{number:,} liquidations are not answered: {UNANSWERED.get(reason, reason)}"
        for reason, number in sorted(reasons.items())
    ]
