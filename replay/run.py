"""Replay: a recorded day through the same engine that runs live."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from monitor.commands.cores import count_cores
from monitor.core.bands.market_bands import VenueBands
from monitor.core.bands.records import band_records
from monitor.core.contract.alert import Alert, alert_json
from monitor.core.detection.detector_group import DetectorFactory
from monitor.core.settings import EngineSettings
from monitor.core.venue.stage import StageOutput, VenueStage
from monitor.core.watch_state import StreamState, not_watched, short_books, watch_state
from monitor.errors import ConfigError
from monitor.silences.silence import Silences
from replay import coverage
from replay.day import Day
from replay.day.sequence import DaySequence
from replay.metrics import ROWS as METRICS_ROWS
from replay.metrics import DayMetrics, MetricsTarget
from replay.single import SingleReplay
from replay.workers.parallel import ParallelReplay, worker_count

if TYPE_CHECKING:
    from replay.workers.cluster import Cluster

REFRESH_THREADS = 2
"""Threads that compute the bands: longs and shorts are independent, so more would be idle."""


NO_SILENCES = Silences()


@dataclass(frozen=True, slots=True)
class AlertFilter:
    """Which alerts of a replay are shown: decided from `from_ts` to `to_ts` (ns UTC, inclusive),
    about one of `symbols` (empty: all).

    The engine reads the day from its start up to `to_ts` all the same: its state at the time is
    part of the reason for an alert.
    """

    from_ts: int | None = None
    to_ts: int | None = None
    symbols: frozenset[str] = frozenset()

    def matches(self, alert: Alert) -> bool:
        """Whether the alert is shown."""
        started = self.from_ts is None or alert.ts >= self.from_ts
        in_time = started and (self.to_ts is None or alert.ts <= self.to_ts)
        return in_time and not (self.symbols and self.symbols.isdisjoint(alert.symbols))


@dataclass(frozen=True, slots=True)
class ReplayOptions:
    """How a day is replayed."""

    rows: int = 65_536
    """Records of a batch at most; the output does not depend on it."""
    speed: float | None = None
    """Seconds of event time in a second; None: as fast as possible."""
    shown: AlertFilter = AlertFilter()
    workers: int | None = None
    """Processes that run shards, beside this one with the venue stage; 1: all in this one. None: as
    the machine and the day suit. The output does not depend on it. A replay that has a speed, or
    stops before the day's end, or writes metrics or a report, runs in one process."""
    on: str | None = None
    """The engine of a cluster that runs the shards, `dask`; None: this machine alone."""
    cluster: str | None = None
    """The address of its scheduler; None: a cluster of `workers` processes on this machine."""
    silences: Silences = NO_SILENCES
    """What the alerts say that are covered; the digest does not depend on it."""
    metrics: MetricsTarget | None = None
    """Where the metrics of the days go, as OpenMetrics; None: nowhere. Such a replay runs in one
    process."""
    report: Path | None = None
    """Where the page of the days goes (`replay/report/day.py`); None: nowhere. Such a replay runs
    in one process too, for only there are closed windows seen."""


@dataclass(slots=True)
class ReplaySummary:
    """The numbers of one replay."""

    records: int = 0
    events: dict[str, int] = field(default_factory=dict)
    refused: int = 0
    refused_by_reason: dict[str, int] = field(default_factory=dict)
    late: int = 0
    late_by_kind: dict[str, int] = field(default_factory=dict)
    late_in_accounts: dict[str, int] = field(default_factory=dict)
    """Late records that count in the accounts all the same: `in_order`, or (`unordered`) so late
    that the entry value of their position depends on when they came."""
    repeated: int = 0
    repeated_by_kind: dict[str, int] = field(default_factory=dict)
    windows: int = 0
    alerts: int = 0
    incidents: int = 0
    """That no silence covers as a whole."""
    silenced: dict[str, int] = field(default_factory=dict)
    """Alerts that each silence covers, by its name; they are among `alerts`."""
    streams_out: dict[str, int] = field(default_factory=dict)
    """By detector: streams that were taken out, because it raised."""
    streams: dict[str, StreamState] = field(default_factory=dict)
    """By stream: in how many symbols it judges or learns at the end, and until when."""
    not_watched: dict[str, str] = field(default_factory=dict)
    """By stream that judges nowhere at the end: why."""
    short_books: dict[str, float] = field(default_factory=dict)
    """By market whose book ends before the depth that is watched: how far it goes, bps."""
    outcomes: dict[str, dict[str, dict[str, int]]] = field(default_factory=dict)
    """Forced fills compared with their predictions: number by cause, margin mode and verdict."""
    digest: str = ""
    kinds_not_seen: dict[str, str] = field(default_factory=dict)
    """Kinds of which no record was accepted, and what is therefore not watched."""
    dropped: dict[str, int] = field(default_factory=dict)
    """What was left out because a table was full, by table."""
    tasks_repeated: int = 0
    """Tasks of a cluster that failed and were given out again."""
    last_bands: dict[str, Any] = field(default_factory=dict)
    """Of the last bands: markets, those left out, margin pools, and those that are not known."""
    seconds: float = 0.0
    seconds_cpu: float = 0.0
    """CPU time of all threads in these seconds."""
    events_per_second: float = 0.0


def replay(
    days: Day | DaySequence,
    settings: EngineSettings,
    factories: list[DetectorFactory],
    options: ReplayOptions | None = None,
    *,
    alerts_to: Path | None = None,
    bands_to: Path | None = None,
    on_alert: Callable[[Alert], None] | None = None,
    progress: Callable[[int], None] | None = None,
    observe: Callable[[StageOutput], None] | None = None,
    prepare: Callable[[VenueStage], None] | None = None,
) -> ReplaySummary:
    """Run `days` through the engine and write what it publishes.

    `alerts_to`, `bands_to`: files of JSON lines, as on the topics `brinkwatch.alerts` and
    `brinkwatch.bands`; they appear only when the replay has ended. `on_alert` takes each alert that
    is shown, `progress` the number of records read so far. `observe` takes what each step puts out,
    before its alerts. `prepare`: see `replay_outputs`.
    """
    options = options or ReplayOptions()
    summary = ReplaySummary(silenced={one.name: 0 for one in options.silences.every})
    incidents: set[str] = set()
    with ExitStack() as stack:
        alerts_file, bands_file = (
            None if path is None else stack.enter_context(atomic_file(path))
            for path in (alerts_to, bands_to)
        )
        outputs = closing(replay_outputs(days, settings, factories, options, summary, prepare))
        for output in stack.enter_context(outputs):
            if observe is not None:
                observe(output)
            for alert in filter(options.shown.matches, output.alerts):
                summary.alerts += 1
                if alert.silenced_by is not None:
                    summary.silenced[alert.silenced_by] += 1
                elif alert.status != "resolved":
                    incidents.add(alert.incident)
                if alerts_file is not None:
                    alerts_file.write(alert_json(alert) + b"\n")
                if on_alert is not None:
                    on_alert(alert)
            if bands_file is not None:
                for bands in output.bands:
                    bands_file.writelines(value + b"\n" for _, value in band_records(bands))
            if progress is not None:
                progress(summary.records)
    summary.incidents = len(incidents)
    return summary


@contextmanager
def atomic_file(path: Path) -> Iterator[BinaryIO]:
    """A file to write; it takes the name `path` only when the block ends without an exception, and
    otherwise is removed. A device or a pipe is written as it is."""
    if path.is_dir():
        raise ConfigError(f"{path} is a folder: name a file")
    if path.exists() and not path.is_file():
        with path.open("wb") as file:
            yield file
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(path.name + ".part")
    try:
        with beside.open("wb") as file:
            yield file
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def replay_outputs(
    days: Day | DaySequence,
    settings: EngineSettings,
    factories: list[DetectorFactory],
    options: ReplayOptions,
    summary: ReplaySummary,
    prepare: Callable[[VenueStage], None] | None = None,
) -> Generator[StageOutput]:
    """What each step of the venue stage publishes; `summary` is complete when the iterator ends.

    `factories`: those of the settings' streams. Worker processes make their own. `prepare`: takes
    the venue stage before its first record.
    """
    start, start_cpu = time.perf_counter(), _cpu_seconds()
    sequence = days if isinstance(days, DaySequence) else DaySequence([days])
    sequence.check_order(settings.time.lateness_ns)
    bands: VenueBands | None = None
    with ExitStack() as stack:
        cluster = _open_cluster(options, stack)
        run = _choose_run(sequence, settings, factories, options, cluster)
        if prepare is not None:
            prepare(run.stage)
        threads = stack.enter_context(ThreadPoolExecutor(REFRESH_THREADS))
        run.stage.band_maker.parallel_map = threads.map
        metrics = None
        if options.metrics is not None and sequence.span is not None:
            first_ts = sequence.span.first_ts
            file = stack.enter_context(atomic_file(options.metrics.path))
            metrics = DayMetrics(file, options.metrics.every_s, first_ts, settings, run)
        for output in run.outputs():
            summary.records = run.records
            bands = output.bands[-1] if output.bands else bands
            output.alerts = [*map(options.silences.mark, output.alerts)]
            if metrics is not None:
                metrics.add(output)
            yield output
        if metrics is not None:
            metrics.finish()
    summary.tasks_repeated = 0 if cluster is None else cluster.repeated
    stage = run.stage
    counts = stage.tally()
    by_kind = counts.reproducible_counts()
    summary.events, summary.late_by_kind = by_kind["events"], by_kind["late"]
    summary.refused_by_reason, summary.repeated_by_kind = by_kind["refused"], by_kind["repeated"]
    summary.late_in_accounts = dict(stage.venue_state.ledger.late)
    summary.repeated = counts.repeated.total()
    summary.refused, summary.late = counts.refused.total(), counts.late.total()
    summary.outcomes = stage.venue_state.outcomes.counts_by_name()
    summary.streams_out = dict(stage.streams_out)
    spans = [*run.progress, stage.progress]
    summary.streams, summary.short_books = watch_state(settings, spans), short_books(spans)
    summary.not_watched = not_watched(summary.streams)
    summary.kinds_not_seen = coverage.kinds_not_seen(summary.events)
    summary.dropped = coverage.count_dropped(run.evicted)
    summary.last_bands = coverage.describe_bands(bands)
    summary.windows, summary.digest = stage.windows, stage.digest()
    summary.seconds = time.perf_counter() - start
    summary.seconds_cpu = _cpu_seconds() - start_cpu
    summary.events_per_second = summary.records / summary.seconds


def _cpu_seconds() -> float:
    """CPU time of this process and of its children that have ended."""
    times = os.times()
    return time.process_time() + times.children_user + times.children_system


def _open_cluster(options: ReplayOptions, stack: ExitStack) -> Cluster | None:
    """The cluster that was asked for; it is left as `stack` closes."""
    if options.on is None:
        if options.cluster is not None:
            raise ConfigError("--cluster goes with --on dask")
        return None
    if options.on != "dask":
        raise ConfigError(f"--on {options.on}: only dask can be asked for")
    from replay.workers.cluster import open_cluster

    return stack.enter_context(open_cluster(options.cluster, options.workers or count_cores()))


def _choose_run(
    days: DaySequence,
    settings: EngineSettings,
    factories: list[DetectorFactory],
    options: ReplayOptions,
    cluster: Cluster | None,
) -> SingleReplay | ParallelReplay:
    speed, last_ts = options.speed, options.shown.to_ts
    written = options.metrics is not None or options.report is not None
    alone = speed is not None or last_ts is not None or written
    if alone and (cluster is not None or (options.workers or 1) > 1):
        raise ConfigError(
            "a replay at a speed, up to a time, with metrics or with a report runs in one process: "
            "leave out the workers"
        )
    rows = options.rows if options.metrics is None else min(options.rows, METRICS_ROWS)
    if cluster is not None:
        shards = days.partition_count
        return ParallelReplay(days, settings, factories, options.rows, shards, cluster.begin)
    workers = 0 if alone else worker_count(days, options.workers)
    if workers:
        return ParallelReplay(days, settings, factories, options.rows, workers)
    return SingleReplay(days, settings, factories, rows, speed, last_ts)
