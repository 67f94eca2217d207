"""The simulated flow beside recorded days: one table, the same measurement for all.

    python -m tests.bench.flow [DAY ...] [--minutes M] [--seed N] [--quick] [--write FILE]

Recordings that are not here are left out, and so are those of many files with `--quick`. DAY:
further recorded days (`brinkwatch import`). Of each day the busiest market is measured.
"""

from __future__ import annotations

import argparse
import math
import tempfile
from collections.abc import Iterator
from pathlib import Path

from replay.day import Day
from replay.simulation.settings import SimulationSettings
from replay.simulation.simulate import simulate
from tests.bench.detect.days.recordings import recorded_days
from tests.bench.flow.leverage import LEVERAGE, leverage_of_accounts, leverage_of_day
from tests.bench.flow.market import STATISTICS, busiest_market, measure_market
from tests.bench.tables import write_table

Columns = dict[str, dict[str, float]]
"""The statistics of each day, by its name."""
SIMULATED = "simulated"
COMMAND = "python -m tests.bench.flow"


def main() -> None:
    parser = argparse.ArgumentParser(prog=COMMAND, description=__doc__)
    parser.add_argument("days", nargs="*", type=Path, help="further recorded days")
    parser.add_argument("--minutes", type=int, default=60, help="of the simulated day")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--quick", action="store_true", help="without recordings of many files")
    parser.add_argument("--write", type=Path, help="the document to put the table into")
    asked = parser.parse_args()
    columns = {SIMULATED: measure_simulated(asked.minutes, asked.seed)}
    for name, path in (*recorded_days(asked.quick), *((day.name, day) for day in asked.days)):
        day = Day(path)
        columns[name] = measure_market(day, busiest_market(day))
    for name, numbers in leverage_of_accounts():
        columns[name] = numbers
    lines = list(table_lines(columns))
    print("\n".join(lines))
    if asked.write:
        write_table(asked.write, COMMAND, lines)


def measure_simulated(minutes: int, seed: int) -> dict[str, float]:
    """The statistics of a simulated day without incidents."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "day"
        simulate(out, SimulationSettings(seed=seed, minutes=minutes, incidents="none"))
        day = Day(out)
        return {**measure_market(day, busiest_market(day)), **leverage_of_day(day)}


def table_lines(columns: Columns) -> Iterator[str]:
    """The table as Markdown: a row for each statistic, a column for each day."""
    yield f"| | {' | '.join(columns)} |"
    yield f"|---|{'---:|' * len(columns)}"
    for key, meaning in {**STATISTICS, **LEVERAGE}.items():
        cells = (cell(numbers.get(key, math.nan)) for numbers in columns.values())
        yield f"| {meaning} | {' | '.join(cells)} |"


def cell(number: float) -> str:
    """Three digits; `–` where the recording does not hold it, `> 60` for what takes longer."""
    if math.isnan(number):
        return "–"
    return "> 60" if math.isinf(number) else f"{number:.3g}"


if __name__ == "__main__":
    main()
