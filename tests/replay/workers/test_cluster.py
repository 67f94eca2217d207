"""Days on a cluster of several workers, one of which is killed: what one process gives."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from monitor.errors import BrinkwatchError, ConfigError
from replay.day import Day
from replay.day.sequence import DaySequence
from replay.workers import cluster
from replay.workers.cluster import Cluster, ClusterWorker, open_cluster
from replay.workers.shard_task import ShardTask
from tests.replay.day.test_sequence import SETTINGS, days, run, whole

__all__ = ["days", "whole"]  # fixtures


def test_a_killed_worker_is_survived(
    days: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sequence = DaySequence([Day(day) for day in days])
    expected = run(sequence, tmp_path / "one", workers=1)
    killed: list[int] = []
    take_day = ClusterWorker._take_day

    def kill_then_take(worker: ClusterWorker) -> None:
        if worker.task.since == 0 and not killed and worker._next.since == 1:
            pids = worker._cluster._client.run(os.getpid)
            killed.append(sorted(pids.values())[0])
            os.kill(killed[0], signal.SIGKILL)
        take_day(worker)

    monkeypatch.setattr(ClusterWorker, "_take_day", kill_then_take)
    got = run(sequence, tmp_path / "cluster", on="dask", workers=2)
    assert killed
    assert got == expected


class FailingClient:
    """A client whose tasks fail a number of times, and then run here."""

    def __init__(self, failures: int) -> None:
        self._failures = failures

    def submit(self, function: Any, task: ShardTask, pure: bool) -> Any:
        client = self

        class Future:
            def result(self) -> Any:
                if client._failures:
                    client._failures -= 1
                    raise OSError("the worker's disk is full")
                return function(task)

            def cancel(self) -> None:
                pass

        return Future()


def test_a_task_that_fails_is_given_out_again(days: list[Path]) -> None:
    addresses = (str(days[0]), str(days[1]))
    task = ShardTask(addresses, (0,), 2, SETTINGS, 2_000, since=0, until=2)
    runs = []
    for failures in (0, 1):
        one = Cluster(FailingClient(failures))
        worker, reports = one.begin(task), []
        while worker.end is None:
            reports += worker.receive()
        assert one.repeated == failures
        runs.append((reports, worker.records, worker.end.progress))
    assert runs[0] == runs[1]
    assert runs[0][1] > 100
    with pytest.raises(BrinkwatchError, match=r"failed 3 times .*disk is full"):
        Cluster(FailingClient(cluster.ATTEMPTS)).begin(task).receive()


def test_an_error_for_the_user_is_raised_as_it_is(tmp_path: Path) -> None:
    task = ShardTask((str(tmp_path / "gone"),), (0,), 1, SETTINGS, 2_000, since=0, until=1)
    one = Cluster(FailingClient(0))
    with pytest.raises(ConfigError, match="gone is no recorded day"):
        one.begin(task).receive()
    assert one.repeated == 0


def test_a_scheduler_that_does_not_answer_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "ANSWER_S", 1)
    answers = pytest.raises(ConfigError, match="no Dask scheduler answers")
    with answers, open_cluster("tcp://127.0.0.1:9", 1):
        pass
