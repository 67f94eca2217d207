"""A replay in several processes gives what one process gives, and outlives a worker."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
from pathlib import Path
from subprocess import Popen
from typing import Any

import pytest

from monitor.core.settings import EngineSettings
from monitor.core.shard_report import ShardReport
from monitor.errors import BrinkwatchError, ConfigError
from monitor.plugins import detector_factories
from replay.day import Day, DayError
from replay.day.sequence import DaySequence
from replay.run import AlertFilter, ReplayOptions, ReplaySummary, replay
from replay.simulation.settings import SimulationSettings
from replay.simulation.simulate import simulate
from replay.workers import process
from replay.workers.parallel import worker_count
from replay.workers.process import WorkerProcess
from replay.workers.shard_task import ShardsEnd, ShardStep, ShardTask, run_task

SETTINGS = EngineSettings()
ROWS = 2_000
DEPENDS_ON_THE_RUN = ("seconds", "seconds_cpu", "events_per_second")


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("workers") / "day"
    simulate(folder, SimulationSettings(minutes=4, symbols=5, accounts=60, rate=60.0, partitions=3))
    return folder


def run(day: Path, out: Path, workers: int, settings: EngineSettings = SETTINGS) -> tuple[Any, ...]:
    """The summary and the bytes of alerts and bands."""
    files = out / "alerts.jsonl", out / "bands.jsonl"
    factories = detector_factories(settings.streams)
    options = ReplayOptions(rows=ROWS, workers=workers)
    summary = replay(Day(day), settings, factories, options, alerts_to=files[0], bands_to=files[1])
    numbers = {
        name: getattr(summary, name)
        for name in ReplaySummary.__slots__
        if name not in DEPENDS_ON_THE_RUN
    }
    return numbers, *(file.read_bytes() for file in files)


def test_a_day_of_one_partition_has_its_shard_in_a_worker(tmp_path: Path) -> None:
    day = tmp_path / "day"
    simulate(day, SimulationSettings(minutes=2, symbols=3, accounts=40, rate=60.0))
    assert worker_count(DaySequence([Day(day)]), 2) == 1
    assert run(day, tmp_path, 2) == run(day, tmp_path, 1)


def start_counter(monkeypatch: pytest.MonkeyPatch) -> list[subprocess.Popen[bytes]]:
    """The worker processes that are started from now on."""
    started: list[subprocess.Popen[bytes]] = []

    def start(*command: Any, **options: Any) -> subprocess.Popen[bytes]:
        started.append(Popen(*command, **options))
        return started[-1]

    monkeypatch.setattr(subprocess, "Popen", start)
    return started


def test_a_worker_that_is_killed_is_begun_again(
    day: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one_process = run(day, tmp_path, 1)
    assert one_process[0]["records"] > 10_000
    killed: list[int] = []
    started = start_counter(monkeypatch)
    receive = WorkerProcess.receive

    def kill_once(worker: WorkerProcess) -> list[bytes]:
        if worker.records > ROWS and not killed:
            killed.append(worker.process_id)
            os.kill(worker.process_id, signal.SIGKILL)
        return receive(worker)

    monkeypatch.setattr(WorkerProcess, "receive", kill_once)
    assert run(day, tmp_path, 2) == one_process
    assert len(started) == 3


def test_a_worker_that_dies_each_time_is_an_error_and_nothing_is_left_running(
    day: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = start_counter(monkeypatch)
    monkeypatch.setattr(process, "_MAIN", "import os; os.kill(os.getpid(), 9)")
    with pytest.raises(BrinkwatchError, match=r"died 2 times .*--workers 1"):
        run(day, tmp_path, 2)
    assert len(started) == 2 + process.ATTEMPTS - 1
    assert all(one.returncode is not None for one in started)
    assert [*tmp_path.iterdir()] == []


def test_what_a_task_raises_is_raised_here(day: Path, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    worker = WorkerProcess(ShardTask((str(gone),), (0,), 1, SETTINGS, ROWS, 0, 1))
    try:
        with pytest.raises(DayError, match="gone"):
            worker.receive()
    finally:
        worker.close()


def test_a_task_goes_on_from_the_state_before(day: Path) -> None:
    """After a day its state has read every record: the same day again brings none that is new."""
    task = ShardTask((str(day),), (1,), 3, SETTINGS, ROWS, 0, 1)
    *steps, end = run_task(task)
    assert isinstance(end, ShardsEnd)
    first = last_report(steps)
    *steps, _ = run_task(dataclasses.replace(task, state=end.state))
    again = last_report(steps)
    events = sum(first.tally["events"].values())
    assert (first.tally["duplicates"], again.tally["duplicates"]) == (0, events)
    assert (again.windows, again.chain, again.high) == (first.windows, first.chain, first.high)


def last_report(steps: list[ShardStep | ShardsEnd]) -> ShardReport:
    step = steps[-1]
    assert isinstance(step, ShardStep)
    return ShardReport.unpack(step.reports[-1], SETTINGS.fingerprint())


def test_small_days_and_replays_that_stop_early_stay_in_one_process(day: Path) -> None:
    assert worker_count(DaySequence([Day(day)]), None) == 0
    assert [worker_count(DaySequence([Day(day)]), n) for n in (1, 2, 8)] == [0, 2, 3]
    factories = detector_factories(SETTINGS.streams)
    for options in (
        ReplayOptions(speed=10.0, workers=2),
        ReplayOptions(shown=AlertFilter(to_ts=1), workers=2),
    ):
        with pytest.raises(ConfigError, match="in one process"):
            replay(Day(day), SETTINGS, factories, options)
