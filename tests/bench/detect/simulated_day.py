"""A simulated day with every kind of incident, several times each, through `brinkwatch replay`.

    python -m tests.bench.detect.simulated_day [--rounds N] [--seed N] [--keep DIR] [--write FILE]

The first hour is learnt. Then each kind comes once a round, in an order drawn for each round, in
one of the busiest markets. The command line replays the day with its defaults, and the alerts are
compared with what was planted (`replay/ground_truth.py`). `--write README.md` puts the table there.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import numpy as np

from monitor.core.alerts.history import group_by_incident
from monitor.core.alerts.severity import SEVERITIES
from monitor.core.contract.alert import Alert, parse_alert
from monitor.core.contract.units import DAY_S, SECOND_NS
from replay import ground_truth
from replay.day import Day
from replay.ground_truth import PlantedOutcome
from replay.simulation.incidents.plan import (
    CASCADE,
    DEFAULT_MIX,
    LATENCY_FLIP,
    draw_incident,
    encode_plan,
)
from replay.simulation.incidents.planted import INCIDENT_RULES, PlantedIncident
from replay.simulation.market import make_markets
from replay.simulation.settings import SimulationSettings
from replay.simulation.simulate import START_TS, simulate
from tests.bench.tables import write_table

COMMAND = "python -m tests.bench.detect.simulated_day"
MIX = (*DEFAULT_MIX, LATENCY_FLIP, CASCADE)
QUIET_S, SPACING_S = 3600, 300
SYMBOLS, ACCOUNTS, RATE = 4, 1000, 100.0
BUSIEST = 3


def main() -> None:
    parser = argparse.ArgumentParser(prog=COMMAND, description=__doc__)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--seed", type=int, default=90)
    parser.add_argument("--keep", type=Path, help="where to leave the day and its alerts")
    parser.add_argument("--write", type=Path, help="the document to put the table into")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = asked.keep or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        day = make_day(folder, asked.rounds, asked.seed)
        alerts = replay_day(day, folder / "alerts.jsonl")
        lines = list(table_lines(day, alerts))
    print("\n".join(lines))
    if asked.write:
        write_table(asked.write, COMMAND, lines)


def make_day(folder: Path, rounds: int, seed: int) -> Day:
    """Simulate the day `folder`/day."""
    file, out = folder / "plan.json", folder / "day"
    file.write_bytes(encode_plan(plan(rounds, seed)))
    minutes = (QUIET_S + rounds * len(MIX) * SPACING_S) // 60
    simulate(out, SimulationSettings(seed, minutes, SYMBOLS, ACCOUNTS, RATE, str(file)))
    return Day(out)


def plan(rounds: int, seed: int) -> list[PlantedIncident]:
    """Each of `MIX` once a round."""
    rng = np.random.default_rng(seed)
    names = make_markets(np.random.default_rng(0), SYMBOLS).names[:BUSIEST]
    accounts = [f"a-{n}" for n in range(ACCOUNTS)]
    incidents = []
    for number, drawn in enumerate(
        MIX[k] for _ in range(rounds) for k in rng.permutation(len(MIX))
    ):
        at = QUIET_S + number * SPACING_S + int(rng.integers(10, 40))
        start_ts = START_TS + at * SECOND_NS
        incidents.append(draw_incident(rng, drawn, f"i-{number}", start_ts, names, accounts))
    return incidents


def replay_day(day: Day, alerts: Path) -> list[Alert]:
    """Its alerts, as the command line writes them."""
    command = [sys.executable, "-m", "monitor.cli", "replay", str(day.path), "--alerts"]
    subprocess.run([*command, str(alerts)], check=True, stdout=subprocess.DEVNULL)
    return [parse_alert(line) for line in alerts.read_bytes().splitlines()]


def table_lines(day: Day, alerts: list[Alert]) -> Iterator[str]:
    """A row for each kind, then what came beside them."""
    outcomes = ground_truth.compare(day, alerts)
    yield "| planted | found | delay, median | before the first liquidation | gravest alert |"
    yield "|---|---:|---:|---:|---|"
    for kind in INCIDENT_RULES:
        mine = [one for one in outcomes if one.incident.kind == kind]
        if mine:
            yield kind_line(kind.replace("_", " "), mine)
    yield kind_line("**all**", outcomes)
    first, _, end = day.span or (0, 0, 0)
    hours = (end - first) / SECOND_NS / 3600
    planted = [one.incident for one in outcomes]
    lives = ground_truth.unrelated_incidents(alerts, planted)
    drawn = [life for life in lives if life and not group_by_incident(life)[0].is_by_rule]
    yield ""
    yield (
        f"Away from all of them: {len(lives)} incidents in {hours:.1f} h, of which chance explains "
        f"{len(drawn)} ({len(drawn) * DAY_S / 3600 / hours:.1f} a day; 10 are allowed) and rules "
        f"decided {len(lives) - len(drawn)}."
    )


def kind_line(name: str, outcomes: list[PlantedOutcome]) -> str:
    """One row of the table."""
    delays = [one.delay_s for one in outcomes if one.delay_s is not None]
    leads = [one.lead_s for one in outcomes if one.lead_s is not None]
    grave = Counter(one.severity for one in outcomes if one.severity)
    return (
        f"| {name} | {len(delays)} of {len(outcomes)} | {_seconds(delays)} | {_seconds(leads)} | "
        + (", ".join(f"{grave[s]} {s}" for s in reversed(SEVERITIES) if grave[s]) or "–")
        + " |"
    )


def _seconds(values: list[float]) -> str:
    return f"{round(median(values))} s" if values else "–"


if __name__ == "__main__":
    main()
