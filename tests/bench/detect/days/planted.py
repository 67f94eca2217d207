"""Changes planted in recorded books, through the whole engine at ten false alerts a day, beside
plain rules at the same realised rate.

Protocol. The first half of a recording is what is learnt; in the second 30 places are changed, of a
short recording as many as fit, in several runs until there are at least twelve. Each kind of change
is a run of its own. A place is found when an alert about its market is fired or updated within the
change's time; how many would be found in the untouched day stands beside it. Other alerts are
incidents that spend the budget (no rule decided them, as it does silences) and first fire in the
second half, neither in a change nor in the 90 seconds after it. The plain rules (`plain_rules.py`)
have thresholds with which they alarm as often.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from monitor.core.alerts.history import group_by_incident
from monitor.core.contract.alert import Alert
from monitor.core.contract.units import SECOND_NS
from replay.day import Day
from tests.bench.detect.days.engine_runs import middle_s, run_day, unchanged_run
from tests.bench.detect.days.moments import DAY_S, alert_times
from tests.bench.detect.days.plain_rules import RULES, delays_of
from tests.bench.detect.days.planting import CHANGES, Change, Planting, choose_places
from tests.bench.detect.days.recordings import recorded_days

SEED = 40
PLACES, PLACES_LEAST, ROUNDS_MOST = 30, 12, 6
PER_DAY = 10.0


class Round(NamedTuple):
    """What one run found."""

    delays: dict[str, list[float | None]]
    """Of the product and of each rule, a number for each place; None: not in time."""
    by_chance: int
    others: int
    days: float
    """How long the tested part is."""


def rows(quick: bool = False) -> Iterator[dict[str, Any]]:
    """Of each recording that is here; `quick` leaves out those of many files."""
    for name, path in recorded_days(quick):
        yield from day_rows(name, path)


def day_rows(
    name: str, path: Path, seed: int = SEED, places: int = PLACES
) -> Iterator[dict[str, Any]]:
    """Of one recorded day."""
    if unchanged_run(path, PER_DAY).series.markets:
        for change in CHANGES:
            yield from change_rows(name, change, run_rounds(path, change, seed, places))


def run_rounds(path: Path, change: Change, seed: int, places: int) -> list[Round]:
    """Runs with other places each until there are enough of them."""
    done: list[Round] = []
    while len(done) < ROUNDS_MOST:
        one = run_round(path, change, seed + len(done), places)
        if one is None:
            break
        done.append(one)
        if sum(len(r.delays["product"]) for r in done) >= min(places, PLACES_LEAST):
            break
    return done


def run_round(path: Path, change: Change, seed: int, places: int) -> Round | None:
    """One run; None where the second half has no room."""
    day, before = Day(path), unchanged_run(path, PER_DAY)
    market = before.series.markets[0]
    begin_s, end_s = middle_s(day), float(market.start + market.seconds)
    starts = choose_places(market, change, begin_s, end_s, places, seed)
    if not len(starts):
        return None
    planting = Planting(change, market.symbol, starts)
    run = run_day(day, PER_DAY, planting.apply, before.prefix)
    changed = next(m for m in run.series.markets if m.symbol == market.symbol)
    others = other_incidents(run.alerts, planting, begin_s)
    delays = {"product": product_delays(run.alerts, planting)}
    for rule, score in RULES.items():
        delays[rule] = delays_of(score(changed), changed, planting, begin_s, others)
    by_chance = sum(delay is not None for delay in product_delays(before.alerts, planting))
    return Round(delays, by_chance, others, (end_s - begin_s) / DAY_S)


def product_delays(alerts: list[Alert], planting: Planting) -> list[float | None]:
    """How soon each place is told, s; None: not in time. What is decided at its beginning is about
    the second before it, and a second is decided when it has passed."""
    times = alert_times(alerts, planting.symbol)
    delays: list[float | None] = []
    for start in planting.starts.tolist():
        at = int(np.searchsorted(times, start, side="right"))
        soon = at < len(times) and times[at] <= start + planting.change.within_s + 1
        delays.append(float(times[at]) - start if soon else None)
    return delays


def other_incidents(alerts: list[Alert], planting: Planting, begin_s: float) -> int:
    """Incidents that spend the budget and first fire from `begin_s` on, outside what is planted."""
    incidents = (one for one in group_by_incident(alerts) if not one.is_by_rule)
    opened = np.array([one.opened_ns / SECOND_NS for one in incidents])
    return int(((opened >= begin_s) & ~planting.is_near(opened)).sum()) if len(opened) else 0


def change_rows(name: str, change: Change, rounds: list[Round]) -> Iterator[dict[str, Any]]:
    """One row for the product and one for each rule."""
    if not rounds:
        return
    days = sum(one.days for one in rounds)
    for who in rounds[0].delays:
        delays = [delay for one in rounds for delay in one.delays[who]]
        hits = [delay for delay in delays if delay is not None]
        row: dict[str, Any] = {
            "table": f"planted in recorded books: {change.name}; within {change.within_s} s",
            "background": name,
            "detector": who,
            "recall_at_1": len(hits) / len(delays),
            "delay_p50_s": float(np.median(hits)) if hits else None,
            "delay_p95_s": float(np.percentile(hits, 95)) if hits else None,
            "note": f"{len(hits)} of {len(delays)}",
        }
        if who == "product":
            row["false_a_day"] = sum(one.others for one in rounds) / days
            row["note"] += f", {sum(one.by_chance for one in rounds)} of them by chance"
        yield row
