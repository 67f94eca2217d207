"""The yardstick on recorded days that somebody names."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from monitor.core.alerts.history import group_by_incident
from monitor.core.contract.units import SECOND_NS
from monitor.errors import ConfigError
from tests.bench.bench_detect import print_tables
from tests.bench.detect.days import natural, planted
from tests.bench.detect.days.engine_runs import unchanged_run
from tests.bench.detect.days.moments import KINDS, alert_times, is_seen, moments_of, warm_up_s
from tests.bench.detect.days.verdicts import Judge


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.detect.days", description=__doc__)
    parser.add_argument("days", nargs="+", type=Path, metavar="DAY", help="a recorded day's folder")
    parser.add_argument("--only", choices=("natural", "planted"), help="one part")
    parser.add_argument("--places", type=int, default=planted.PLACES, help="how many are changed")
    parser.add_argument("--seed", type=int, default=planted.SEED, help="of the places")
    parser.add_argument("--list", action="store_true", help="every alert and every moment")
    asked = parser.parse_args()
    for path in asked.days:
        try:
            parts = []
            if asked.only != "planted":
                parts.append(natural.day_rows(path.name, path))
            if asked.only != "natural":
                parts.append(planted.day_rows(path.name, path, asked.seed, asked.places))
            print_tables(chain(*parts))
            for line in list_day(path) if asked.list else ():
                print(line)
        except ConfigError as error:
            parser.error(str(error))


def list_day(path: Path) -> Iterator[str]:
    """What each alert at ten a day is worth, and whether each moment of the day is found."""
    run = unchanged_run(path, natural.BUDGETS[0])
    judge = Judge(run.series)
    yield f"\n{path.name}: alerts at {natural.BUDGETS[0]:g} a day"
    for one in group_by_incident(run.alerts):
        first = one.alerts[0]
        at = _clock(first.ts / SECOND_NS)
        yield f"{at} {judge.verdict(first):17} {one.severity:9} {first.summary}"
    for market in run.series.markets[:1]:
        times = alert_times(run.alerts, market.symbol)
        yield f"\n{path.name}: moments of {market.symbol}"
        for kind in KINDS:
            for m in moments_of(market, kind, warm_up_s(market)) if kind in market.scores else ():
                what = "seen" if is_seen(m, times) else "missed"
                span = f"{_clock(m.onset)} to {_clock(m.end)}"
                yield f"{span} {kind:7} {what:7} {m.score:.4g}"


def _clock(second: float) -> str:
    return time.strftime("%H:%M:%S", time.gmtime(second))


if __name__ == "__main__":
    main()
