"""Simulated days in which nothing happens, through the whole engine: every alert is false.

    python -m tests.bench.detect.days.quiet_days [--runs N] [--hours N] [--seed N] [--per-day N ...]

Protocol. Runs of two days each, from nothing, with other seeds: two markets, 300 accounts, 16
orders, cancels and fills a second, as in `incidents.py`; once at ten false alerts a day and once at
one. The first day, in which everything is learnt, and the second are counted apart. What a rule
decides (silences, unsound books) spends no budget and is counted apart too. With n alerts the
figure is within n ± 2√n. The streams that can judge share the budget, so the list of kinds and
first streams says who spends more than others. A second costs a millisecond of processor time, so
twenty days at two budgets take an hour; `quick` is four hours.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from monitor.core.alerts.history import IncidentHistory, group_by_incident
from monitor.core.contract.units import SECOND_NS
from replay.day import Day
from replay.simulation.settings import SimulationSettings
from replay.simulation.simulate import START_TS, simulate
from tests.bench.bench_detect import print_tables
from tests.bench.detect.days.engine_runs import run_day
from tests.bench.detect.days.natural import BUDGETS, source_of

SEED = 700
SYMBOLS, ACCOUNTS, RATE = 2, 300, 16.0
DAY_S = 86_400


class Size(NamedTuple):
    """How much is simulated, and the budgets."""

    runs: int = 10
    hours: int = 48
    seed: int = SEED
    budgets: tuple[float, ...] = BUDGETS


QUICK = Size(runs=2, hours=2, budgets=(10.0,))


class QuietRun(NamedTuple):
    """The incidents of one run, at one budget."""

    incidents: list[IncidentHistory]
    hours: int


def rows(quick: bool = False, size: Size | None = None) -> Iterator[dict[str, Any]]:
    """For each budget the first day and later ones."""
    size = size or (QUICK if quick else Size())
    runs: dict[float, list[QuietRun]] = {per_day: [] for per_day in size.budgets}
    for number in range(size.runs):
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "day"
            simulate(
                out,
                SimulationSettings(
                    size.seed + number, 60 * size.hours, SYMBOLS, ACCOUNTS, RATE, "none"
                ),
            )
            for per_day in size.budgets:
                incidents = group_by_incident(run_day(Day(out), per_day).alerts)
                runs[per_day].append(QuietRun(incidents, size.hours))
    for per_day in size.budgets:
        yield from budget_rows(per_day, runs[per_day])


def budget_rows(per_day: float, runs: list[QuietRun]) -> Iterator[dict[str, Any]]:
    """Of runs at one budget; a part of a day that they do not have gives none."""
    for name, begin_s, end_s in (("first day", 0, DAY_S), ("later", DAY_S, 31 * DAY_S)):
        days = sum(max(0, min(3600 * one.hours, end_s) - begin_s) for one in runs) / DAY_S
        if not days:
            continue
        opened = [
            incident
            for one in runs
            for incident in one.incidents
            if begin_s <= (incident.opened_ns - START_TS) / SECOND_NS < end_s
        ]
        spent = [one for one in opened if not one.is_by_rule]
        share = len(spent) / days / per_day
        by_rule = (len(opened) - len(spent)) / days
        critical = sum(one.severity == "critical" for one in spent)
        by_source = Counter(map(source_of, spent))
        yield {
            "table": "false alarms of the whole product on simulated days without incidents",
            "background": f"{per_day:g} a day, {name}",
            "detector": "all that spend the budget",
            "false_a_day": len(spent) / days,
            "note": f"{len(spent)} in {days:.3g} days, where {per_day * days:.3g} are allowed"
            f" ({share:.2f} of the budget), {critical} critical; by rule {by_rule:.2f} a day; "
            + ", ".join(f"{source} {n}" for source, n in by_source.most_common()),
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name, value in Size()._asdict().items():
        if name != "budgets":
            parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--per-day", type=float, nargs="+", default=BUDGETS)
    asked = parser.parse_args()
    size = Size(asked.runs, asked.hours, asked.seed, tuple(asked.per_day))
    print_tables(rows(size=size))


if __name__ == "__main__":
    main()
