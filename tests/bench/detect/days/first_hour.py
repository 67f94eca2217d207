"""What is found an hour after the start, against what is found of the same after a day.

Protocol. The same records, the same attacks in their last two hours, two engines at their defaults:
one has read everything before, the other begins an hour before those two hours. *Simulated*: 26
hours of two markets, 16 orders, cancels and fills a second; an incident every four minutes, told
as in `incidents.py`. *Recorded*: days of at least twelve hours, changed in up to 30 places of their
last two hours, told as in `planted.py`. Other alerts are those about nothing planted, in the two
hours. `quick`: four hours, simulated alone.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from monitor.core.contract.alert import Alert
from monitor.core.contract.units import SECOND_NS
from replay import ground_truth
from replay.day import Day
from replay.simulation.incidents.plan import encode_plan
from replay.simulation.incidents.planted import PlantedIncident
from replay.simulation.settings import SimulationSettings
from replay.simulation.simulate import simulate
from tests.bench.detect import incidents
from tests.bench.detect.days.engine_runs import run_day
from tests.bench.detect.days.planted import PER_DAY, PLACES, other_incidents, product_delays
from tests.bench.detect.days.planting import CHANGES, Planting, choose_places
from tests.bench.detect.days.recordings import recorded_days

SEED = 60
HOUR_S = 3600
TEST_S, YOUNG_S = 2 * HOUR_S, HOUR_S
RECORDED_LEAST_S = 12 * HOUR_S
SIMULATED = incidents.Kind("simulated", 2, 300, 16.0, 26 * 60, 24 * HOUR_S)
SHORT = incidents.Kind("simulated, 4 h", 2, 300, 16.0, 4 * 60, 2 * HOUR_S)
KINDS = ("", *incidents.KINDS)


class Outcome(NamedTuple):
    """What one engine told of what was planted."""

    delays: list[float | None]
    others: int


def rows(quick: bool = False) -> Iterator[dict[str, Any]]:
    """Of simulated attacks by kind, then of each long recording that is here."""
    yield from simulated_rows(SHORT if quick else SIMULATED)
    for name, path in recorded_days(quick):
        yield from recorded_rows(name, path)


def simulated_rows(kind: incidents.Kind, seed: int = SEED) -> Iterator[dict[str, Any]]:
    """One row for each kind of incident and age of the engine."""
    with tempfile.TemporaryDirectory() as folder:
        out, file = Path(folder) / "day", Path(folder) / "plan.json"
        file.write_bytes(encode_plan(incidents.plan(kind, seed, TEST_S / HOUR_S)))
        size = kind.minutes, kind.symbols, kind.accounts, kind.rate
        simulate(out, SimulationSettings(seed, *size, str(file)))
        day, planted = Day(out), ground_truth.read_planted(out)
        begin_s = (day.span or (0,))[0] / SECOND_NS + kind.quiet_s
        alerts = {
            age: run_day(day, PER_DAY, begin_s=start).alerts
            for age, start in _starts(begin_s).items()
        }
    for what in KINDS:
        yield from compare(
            kind.name,
            what or "all incidents",
            {age: _outcome(some, planted, what, begin_s) for age, some in alerts.items()},
        )


def _starts(begin_s: float) -> dict[str, float | None]:
    """When each engine begins to read; None: at the start."""
    return {"all learnt": None, "hour learnt": begin_s - YOUNG_S}


def _outcome(
    alerts: list[Alert], planted: list[PlantedIncident], what: str, begin_s: float
) -> Outcome:
    tested = [alert for alert in alerts if alert.ts / SECOND_NS > begin_s]
    delays: list[float | None] = []
    for incident in planted:
        if what and incident.kind != what:
            continue
        hits = ground_truth.alerts_about(tested, incident)
        delays.append((hits[0].ts - incident.start_ts) / SECOND_NS if hits else None)
    return Outcome(delays, len(ground_truth.unrelated_incidents(tested, planted)))


def recorded_rows(name: str, path: Path, seed: int = SEED) -> Iterator[dict[str, Any]]:
    """One row for each change and age of the engine; none for a day that is too short."""
    day = Day(path)
    first, last, _ = day.span or (0, 0, 0)
    if (last - first) / SECOND_NS < RECORDED_LEAST_S:
        return
    begin_s, end_s = last / SECOND_NS - TEST_S, last / SECOND_NS
    prefixes, whole = {}, None
    for age, start in _starts(begin_s).items():
        run = run_day(day, PER_DAY, split_s=begin_s, begin_s=start)
        prefixes[age], whole = run.prefix, whole or run
    if whole is None or not whole.series.markets:
        return
    market = whole.series.markets[0]
    for change in CHANGES:
        starts = choose_places(market, change, begin_s, end_s, PLACES, seed)
        if not len(starts):
            continue
        planting = Planting(change, market.symbol, starts)
        outcomes = {}
        for age, start in _starts(begin_s).items():
            alerts = run_day(day, PER_DAY, planting.apply, prefixes[age], begin_s=start).alerts
            others = other_incidents(alerts, planting, begin_s)
            outcomes[age] = Outcome(product_delays(alerts, planting), others)
        yield from compare(name, change.name, outcomes)


def compare(background: str, what: str, outcomes: dict[str, Outcome]) -> Iterator[dict[str, Any]]:
    """A row for each engine; the first is the measure of the others."""
    most = None
    for age, outcome in outcomes.items():
        hits = [delay for delay in outcome.delays if delay is not None]
        recall = len(hits) / len(outcome.delays) if outcome.delays else None
        most = recall if most is None else most
        row: dict[str, Any] = {
            "table": "the first hour: the same attacks, seen by a young engine and by an old one",
            "background": background,
            "detector": f"{what}: {age}",
            "recall_at_1": recall,
            "delay_p50_s": float(np.median(hits)) if hits else None,
            "note": f"{len(hits)} of {len(outcome.delays)}, {outcome.others} other alerts",
        }
        if recall is not None and most:
            row["of the recall of all learnt"] = recall / most
        yield row
