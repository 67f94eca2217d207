"""The metrics of a recorded day: what Prometheus takes in, and what it says then."""

from __future__ import annotations

import re
import subprocess
from itertools import pairwise
from pathlib import Path

import pytest

from monitor.core.contract.units import SECOND_NS
from monitor.metrics.catalogue import CATALOGUE
from monitor.plugins import detector_factories
from replay.day import Day
from replay.metrics import MetricsTarget
from replay.run import ReplayOptions, ReplaySummary, replay
from replay.simulation.settings import SimulationSettings
from replay.simulation.simulate import simulate
from tests.support import program
from tests.theorems.days import SETTINGS

LINE = re.compile(r"(\w+)\{(.*)\} (\S+) (\d+\.\d{3})")
EVERY_S = 5.0


def run(day: Path, out: Path, rows: int = 65_536) -> ReplaySummary:
    options = ReplayOptions(rows, metrics=MetricsTarget(out, EVERY_S))
    return replay(Day(day), SETTINGS, detector_factories(SETTINGS.streams), options)


@pytest.fixture(scope="module")
def replayed(tmp_path_factory: pytest.TempPathFactory) -> tuple[ReplaySummary, Path]:
    folder = tmp_path_factory.mktemp("metrics")
    simulate(folder / "day", SimulationSettings(1, 2, 3, 50, 60.0, "none", 2))
    return run(folder / "day", folder / "day.om"), folder / "day.om"


def samples(text: str) -> list[tuple[str, str, float, float]]:
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    matches = [LINE.fullmatch(line) for line in lines]
    assert all(matches)
    return [(m[1], m[2], float(m[3]), float(m[4])) for m in matches if m]


def last(text: str, name: str) -> float:
    """The sum of the last samples of all series of a name."""
    of_series = {labels: value for own, labels, value, _ in samples(text) if own == name}
    return sum(of_series.values())


def test_the_last_samples_are_the_numbers_of_the_replay(
    replayed: tuple[ReplaySummary, Path],
) -> None:
    summary, path = replayed
    text = path.read_text()
    assert text.endswith("# EOF\n")
    assert summary.alerts > 0
    assert last(text, "brinkwatch_windows_total") == summary.windows
    assert last(text, "brinkwatch_events_total") == sum(summary.events.values())
    assert last(text, "brinkwatch_alerts_total") == summary.alerts
    assert last(text, "brinkwatch_incidents_total") == summary.incidents
    trades = [
        value for name, labels, value, _ in samples(text)
        if name == "brinkwatch_feature_total" and 'feature="trades"' in labels
    ]  # fmt: skip
    assert trades


def test_samples_stand_at_multiples_of_the_interval_and_rise(
    replayed: tuple[ReplaySummary, Path],
) -> None:
    stamps = [stamp for *_, stamp in samples(replayed[1].read_text())]
    assert stamps == sorted(stamps)
    moments = sorted(set(stamps))
    assert {b - a for a, b in pairwise(moments)} == {EVERY_S}
    assert moments[0] % EVERY_S == 0


def test_what_is_not_counted_by_steps_does_not_depend_on_batches(
    replayed: tuple[ReplaySummary, Path], tmp_path: Path
) -> None:
    day = replayed[1].parent / "day"
    run(day, tmp_path / "small.om", rows=97)
    exact = re.compile(r"brinkwatch_(alert|incident|band|feature|evidence)")
    wanted, small = (
        [line for line in path.read_text().splitlines() if exact.match(line)]
        for path in (replayed[1], tmp_path / "small.om")
    )
    assert wanted == small


def test_promtool_makes_blocks_of_it(replayed: tuple[ReplaySummary, Path], tmp_path: Path) -> None:
    summary, path = replayed
    promtool = program("promtool")
    make = [promtool, "tsdb", "create-blocks-from", "openmetrics", str(path), str(tmp_path)]
    done = subprocess.run(make, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (tmp_path / "wal").mkdir()  # a dump wants one
    dump = [promtool, "tsdb", "dump", str(tmp_path)]
    text = subprocess.run(dump, capture_output=True, text=True, check=True).stdout
    rows = re.findall(r'__name__="brinkwatch_windows_total".*\} (\S+) (\d+)', text)
    assert max(float(value) for value, _ in rows) == summary.windows
    assert len(text.splitlines()) == len(samples(path.read_text()))


def test_every_family_of_the_file_is_said_to_be_replayed(
    replayed: tuple[ReplaySummary, Path],
) -> None:
    names = {name for name, *_ in samples(replayed[1].read_text())}
    assert all(CATALOGUE[name].is_replayed for name in names)
    wanted = {name for name, spec in CATALOGUE.items() if spec.is_replayed}
    assert len(names) > len(wanted) / 2


def test_samples_have_event_time(replayed: tuple[ReplaySummary, Path]) -> None:
    span = Day(replayed[1].parent / "day").span
    assert span is not None
    stamps = [stamp for *_, stamp in samples(replayed[1].read_text())]
    assert span.first_ts / SECOND_NS <= stamps[0]
    assert stamps[-1] <= span.last_ts / SECOND_NS + EVERY_S
