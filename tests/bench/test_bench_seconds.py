"""The bench of the whole runs, at a tiny size."""

from __future__ import annotations

from pathlib import Path

from replay.simulation.settings import SimulationSettings
from replay.simulation.simulate import simulate
from tests.bench.bench_seconds import SecondsCost, measure


def test_a_day_is_measured_from_its_second_half_on(tmp_path: Path) -> None:
    simulate(tmp_path / "day", SimulationSettings(minutes=3, symbols=2, accounts=20, rate=20.0))
    cost = measure(tmp_path / "day")
    assert 0 < cost.seconds <= 90
    assert 0 < cost.records < 90 * 200
    assert cost.cpu_s > 0


def test_the_cost_of_events_is_no_cost_of_seconds() -> None:
    assert SecondsCost(cpu_s=0.5, seconds=100, records=100_000).ms_a_second == 4.0
