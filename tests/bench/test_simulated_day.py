"""The table of a simulated day says what was planted, found and how soon."""

from __future__ import annotations

from pathlib import Path

import pytest

from monitor.core.contract.units import SECOND_NS
from replay.day import Day
from replay.ground_truth import PlantedOutcome
from replay.simulation.incidents.plan import encode_plan
from replay.simulation.incidents.planted import INCIDENT_RULES
from replay.simulation.settings import SimulationSettings
from replay.simulation.simulate import START_TS, simulate
from tests.bench.detect import simulated_day as bench
from tests.bench.tables import mark, write_table
from tests.replay.simulation.incidents.test_planted import incident
from tests.replay.test_ground_truth import SPAN, about


def test_each_round_has_every_kind_and_none_runs_into_the_next() -> None:
    plan = bench.plan(rounds=3, seed=1)
    kinds = {drawn.kind for drawn in bench.MIX}
    assert kinds == {*INCIDENT_RULES} - {"price_shock"}  # it is a part of each cascade
    for number in range(3):
        part = plan[number * len(bench.MIX) : (number + 1) * len(bench.MIX)]
        assert {one.kind for one in part} == kinds
    starts = [one.start_ts for one in plan]
    assert all(one.end_ts < after for one, after in zip(plan, starts[1:], strict=False))
    assert starts[0] >= START_TS + bench.QUIET_S * SECOND_NS


def test_a_line_counts_what_was_found_and_how_soon() -> None:
    one, two = incident("cascade", **SPAN), incident("cascade", **SPAN)
    forced = SPAN["start_ts"] + 60 * SECOND_NS
    alerts = [about("critical_fall", 20)]
    outcomes = [PlantedOutcome(one, alerts, forced), PlantedOutcome(two, [], forced)]
    assert bench.kind_line("cascade", outcomes) == (
        "| cascade | 1 of 2 | 20 s | 40 s | 1 " + alerts[0].severity + " |"
    )
    assert bench.kind_line("cascade", outcomes[1:]) == "| cascade | 0 of 1 | – | – | – |"


def test_what_no_incident_explains_is_counted_by_what_decided_it(tmp_path: Path) -> None:
    plan = tmp_path / "plan.json"
    plan.write_bytes(encode_plan([incident("thin_book", start_ts=START_TS, end_ts=START_TS + 1)]))
    settings = SimulationSettings(minutes=1, symbols=1, accounts=10, rate=1, incidents=str(plan))
    simulate(tmp_path / "day", settings)
    *_, last = bench.table_lines(Day(tmp_path / "day"), [about("depth_25bps", 40)])
    assert last == (
        "Away from all of them: 1 incidents in 0.0 h, of which chance explains 1 "
        "(1440.0 a day; 10 are allowed) and rules decided 0."
    )


def test_a_table_is_put_in_its_place_and_nowhere_else(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"one\n{mark('x')}\nold\n<!-- end -->\n{mark('y')}\nkept\n<!-- end -->\n")
    write_table(page, "x", ["| new |"])
    kept = f"{mark('y')}\nkept\n<!-- end -->\n"
    assert page.read_text() == f"one\n{mark('x')}\n| new |\n<!-- end -->\n{kept}"
    with pytest.raises(ValueError, match="has no place for it"):
        write_table(page, "z", [])
