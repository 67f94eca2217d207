"""A replay on a cluster that runs Dask: each day of some shards is one task, and the venue stage,
which needs all of them in the order of time, stays here.

A task gets what its shards left behind the day before and gives back their reports and their new
state, so what is lost with a worker is one day of its shards. Dask gives the task to another worker
where one dies; a task that fails otherwise is given out again here.
"""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

from monitor.errors import BrinkwatchError, ConfigError
from replay.workers.shard_task import ShardsEnd, ShardStep, ShardTask, run_task

ATTEMPTS = 3
"""How often a task is given out that fails."""
ANSWER_S = 30
"""How long the scheduler has to answer, s."""


class DayResult(NamedTuple):
    """What a task brought: its steps and its end, or the error that the user must mend."""

    steps: list[ShardStep]
    end: ShardsEnd | None
    error: BrinkwatchError | None


def run_day(task: ShardTask) -> DayResult:
    """Run one task to its end, on a worker of the cluster."""
    try:
        *steps, end = run_task(task)
    except BrinkwatchError as error:
        return DayResult([], None, error)
    assert isinstance(end, ShardsEnd)
    return DayResult([step for step in steps if isinstance(step, ShardStep)], end, None)


class Cluster:
    """A connection to a cluster, and how often tasks had to be given out again."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.repeated = 0

    @property
    def workers(self) -> int:
        """How many workers it has now."""
        return len(self._client.scheduler_info(n_workers=-1)["workers"])

    def begin(self, task: ShardTask) -> ClusterWorker:
        """Have the cluster run a task, day by day."""
        return ClusterWorker(self, task)

    def submit(self, task: ShardTask) -> Any:
        """Give out one day."""
        return self._client.submit(run_day, task, pure=False)

    def wait(self, future: Any, task: ShardTask) -> DayResult:
        """The result of a day; where the task failed, it is given out again."""
        for attempt in range(1, ATTEMPTS + 1):
            try:
                result: DayResult = future.result()
            except Exception as error:
                if attempt == ATTEMPTS:
                    raise BrinkwatchError(
                        f"a task of the cluster failed {ATTEMPTS} times ({error}): see the "
                        "workers' logs; they need this version of brinkwatch, and the days' files"
                    ) from error
                self.repeated += 1
                future = self.submit(task)
                continue
            if result.error is not None:
                raise result.error
            return result
        raise AssertionError


class ClusterWorker:
    """A task on a cluster; the day that comes next is given out when one has come back."""

    def __init__(self, cluster: Cluster, task: ShardTask) -> None:
        self.task = task
        self.records = 0
        """Records whose reports have been taken."""
        self.end: ShardsEnd | None = None
        """None until the last day's reports have been taken."""
        self._cluster = cluster
        self._steps: deque[ShardStep] = deque()
        self._last: ShardsEnd | None = None
        self._records_before = 0
        self._next = dataclasses.replace(task, until=task.since + 1)
        self._future = cluster.submit(self._next)

    def receive(self) -> list[bytes]:
        """The reports of the next step; none at the task's end. Waits for it."""
        if not self._steps and self._last is None:
            self._take_day()
        if not self._steps:
            self.end = self._last
            return []
        step = self._steps.popleft()
        self.records = self._records_before + step.records
        return step.reports

    def _take_day(self) -> None:
        self._records_before = self.records
        result = self._cluster.wait(self._future, self._next)
        self._steps.extend(result.steps)
        if self._next.until == self.task.until:
            self._last = result.end
            return
        assert result.end is not None
        until = self._next.until
        self._next = dataclasses.replace(
            self._next, since=until, until=until + 1, state=result.end.state
        )
        self._future = self._cluster.submit(self._next)

    def close(self) -> None:
        """Nobody wants what is still to come."""
        if self.end is None:
            self._future.cancel()


@contextmanager
def open_cluster(address: str | None, workers: int) -> Iterator[Cluster]:
    """A Dask cluster: that of the scheduler at `address`, or (None) one of `workers` processes on
    this machine, which end with the block."""
    try:
        from distributed import Client, LocalCluster
    except ImportError as error:
        raise ConfigError(
            "--on dask needs the packages of a cluster: pip install 'brinkwatch[dask]'"
        ) from error
    with ExitStack() as stack:
        if address is None:
            local = LocalCluster(  # type: ignore[no-untyped-call]
                n_workers=workers, threads_per_worker=1, dashboard_address=None
            )
            address = stack.enter_context(local).scheduler_address
        try:
            client = Client(address, timeout=ANSWER_S)  # type: ignore[no-untyped-call]
            stack.enter_context(client)
        except (OSError, ValueError) as error:
            raise ConfigError(
                f"--cluster {address}: no Dask scheduler answers there ({error}): write the "
                "address that `dask scheduler` prints, as tcp://host:8786"
            ) from error
        yield Cluster(client)
