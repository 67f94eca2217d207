"""Simulated truth through the whole engine: which planted incidents are told, how soon, in whose
name, and how many are told that nobody planted.

    python -m tests.bench.detect.incidents [--quick] [--seed N]

Protocol. *From nothing*: days of 60 minutes with incidents from the first quarter on, as the demo
has them (another seed each); nothing is learnt before, which is what a new user sees. *After a
day*: 24 hours without incidents for calibration, then six hours with one every four minutes, in two
markets of 8 records a second. The engine runs as in `replay`, at its default budget of ten false
alerts a day for everything. An incident is found when an alert is fired or updated while it lasts
(or up to 5 s after), or names its accounts while they place the orders that they are to pull; its
delay counts from its beginning and may be below 0. An alert, from its firing to its resolution, is
false when nothing it says speaks of anything planted. Streams are right that the incident moves,
judged over alerts that speak of one incident only; accounts are right when the first one named made
the burst. What was mended was mended on seeds below 200.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from monitor.config import load
from monitor.core.contract.alert import Alert
from monitor.core.contract.units import SECOND_NS
from monitor.plugins import detector_factories
from replay import ground_truth
from replay.day import Day
from replay.run import replay
from replay.simulation.incidents.plan import DEFAULT_MIX, encode_plan
from replay.simulation.incidents.planted import PlantedIncident
from replay.simulation.market import make_markets
from replay.simulation.settings import SimulationSettings
from replay.simulation.simulate import START_TS, simulate

SEED = 300
HOUR_S = 3600
KINDS = ("cancel_burst", "leverage_surge", "thin_book", "joint")
MIX = tuple(one for one in DEFAULT_MIX if one.kind in KINDS)
SPACING_S = 240
"""After a day: one incident in so long."""
RIGHT: dict[str, tuple[str, ...]] = {
    "cancels": ("cancel", "order"),
    "leverage": ("leverage", "mode_switches"),
    "thin": ("depth", "spread", "cost", "cancels_near", "imbalance", "refill"),
}
"""How the names of the streams begin that an incident moves. The orders of a burst are placed
before they are pulled; with a wider spread other cancels are near the touch."""


class Kind(NamedTuple):
    """A kind of day."""

    name: str
    symbols: int
    accounts: int
    rate: float
    minutes: int
    quiet_s: int
    """Where the test begins."""


COLD = Kind("from nothing, 1 h", 4, 1000, 200.0, 60, 0)
WARM = Kind("after a day, 6 h", 2, 300, 16.0, 30 * 60, 24 * HOUR_S)


class DayResult(NamedTuple):
    """A day's ground truth and alerts."""

    planted: list[PlantedIncident]
    alerts: list[Alert]


def plan(kind: Kind, seed: int, hours: float) -> list[PlantedIncident]:
    """Each kind of incident in turn, from the end of the quiet time on."""
    rng = np.random.default_rng(seed)
    names = make_markets(np.random.default_rng(0), kind.symbols).names
    made = []
    for number in range(int(hours * HOUR_S) // SPACING_S - 1):
        drawn = MIX[number % len(MIX)]
        at = kind.quiet_s + number * SPACING_S + int(rng.integers(100, SPACING_S - 60))
        accounts = sorted(rng.choice(kind.accounts, drawn.accounts, replace=False).tolist())
        made.append(
            PlantedIncident(
                id=f"i-{number}",
                kind=drawn.kind,
                symbol=names[int(rng.integers(len(names)))],
                start_ts=START_TS + at * SECOND_NS,
                end_ts=START_TS + (at + int(rng.choice(drawn.durations_s))) * SECOND_NS,
                size=round(float(rng.uniform(drawn.low, drawn.high)), 1),
                accounts=[f"a-{n}" for n in accounts],
            )
        )
    return made


def run(kind: Kind, seed: int) -> DayResult:
    """Simulate and replay a day."""
    with tempfile.TemporaryDirectory() as folder:
        out, incidents = Path(folder) / "day", "default"
        if kind.quiet_s:
            file = Path(folder) / "plan.json"
            file.write_bytes(
                encode_plan(plan(kind, seed, kind.minutes / 60 - kind.quiet_s / HOUR_S))
            )
            incidents = str(file)
        size = kind.minutes, kind.symbols, kind.accounts, kind.rate
        simulate(out, SimulationSettings(seed, *size, incidents))
        config = load()
        alerts: list[Alert] = []
        streams = detector_factories(config.streams)
        replay(Day(out), config.engine(), streams, on_alert=alerts.append)
        return DayResult(ground_truth.read_planted(out), alerts)


def moved(incident: PlantedIncident) -> tuple[str, ...]:
    """How the names of its streams begin."""
    which = (
        ("cancels", "cancel_burst"),
        ("leverage", "leverage_surge"),
        ("thin", "thin_book"),
    )
    return tuple(
        name for what, part in which if part in incident.part_kinds for name in RIGHT[what]
    )


def streams_right(days: list[DayResult]) -> tuple[int, int]:
    """Streams told in alerts that speak of one incident only: right, and all."""
    right = every = 0
    for day in days:
        for life in ground_truth.lifecycles(day.alerts):
            of = [i for i in day.planted if any(ground_truth.is_near(a, i) for a in life)]
            if len(of) != 1:
                continue
            told = {e.stream for e in life[-1].evidence}
            right += sum(name.startswith(moved(of[0])) for name in told)
            every += len(told)
    return right, every


def accounts_right(days: list[DayResult], kind: str) -> tuple[int, int]:
    """Found bursts of known accounts: those whose first-named account is one of them, and all."""
    right = every = 0
    for day in days:
        for incident in day.planted:
            hits = ground_truth.alerts_about(day.alerts, incident)
            if not hits or not incident.accounts or (kind and incident.kind != kind):
                continue
            named = hits[-1].accounts
            every += 1
            right += bool(named) and named[0].account in incident.accounts
    return right, every


def count_and_delays(days: list[DayResult], kind: str) -> tuple[int, list[float]]:
    """How many of a kind (all: "") were planted, and the delays of those found, s."""
    delays, number = [], 0
    for day in days:
        for incident in day.planted:
            if kind and incident.kind != kind:
                continue
            number += 1
            hits = ground_truth.alerts_about(day.alerts, incident)
            if hits:
                delays.append((hits[0].ts - incident.start_ts) / SECOND_NS)
    return number, delays


def row(kind: Kind, days: list[DayResult], what: str) -> dict[str, Any]:
    """A line of the table."""
    number, delays = count_and_delays(days, what)
    begin = START_TS + kind.quiet_s * SECOND_NS
    tested = [DayResult(d.planted, [a for a in d.alerts if a.ts > begin]) for d in days]
    length = len(days) * (kind.minutes * 60 - kind.quiet_s) / (24 * HOUR_S)
    lives = sum(len(ground_truth.lifecycles(d.alerts)) for d in tested)
    false = sum(len(ground_truth.unrelated_incidents(d.alerts, d.planted)) for d in tested)
    row: dict[str, Any] = {
        "table": "incidents through the whole engine, ten false alerts a day allowed",
        "background": kind.name,
        "detector": what or "all",
        "recall_at_1": len(delays) / max(1, number),
        "delay_p50_s": float(np.median(delays)) if delays else None,
        "delay_p95_s": float(np.percentile(delays, 95)) if delays else None,
        "planted": number,
    }
    right, every = accounts_right(tested, what)
    if every:
        row["accounts right"] = right / every
    if not what:
        row["false_a_day"] = false / length
        row["precision"] = (lives - false) / max(1, lives)
        row["note"] = f"{false} false of {lives} alerts in {length * 24:.0f} h"
        right, every = streams_right(tested)
        row["streams right"] = right / max(1, every)
        early = [DayResult(d.planted, [a for a in d.alerts if a.ts <= begin]) for d in days]
        if kind.quiet_s:
            before = sum(len(ground_truth.unrelated_incidents(d.alerts, d.planted)) for d in early)
            row["false on the day before"] = before / len(days)
    return row


def rows(quick: bool = False, seed: int = SEED) -> Iterator[dict[str, Any]]:
    """For each kind of day one row of all incidents, and one for each kind of incident."""
    for kind, number in ((COLD, 2 if quick else 4), (WARM, 0 if quick else 1)):
        days = [run(kind, seed + i) for i in range(number)]
        for what in ("", *KINDS) if days else ():
            yield row(kind, days, what)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two hours from nothing")
    parser.add_argument("--seed", type=int, default=SEED)
    args = parser.parse_args()
    for one in rows(args.quick, args.seed):
        print(json.dumps(one), flush=True)


if __name__ == "__main__":
    main()
