"""Replay: a recorded day through the same engine that runs live."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from monitor.core.bands.market_bands import VenueBands
from monitor.core.bands.records import band_records
from monitor.core.contract.alert import Alert, alert_json
from monitor.core.contract.units import SECOND_NS
from monitor.core.decode.batch import Batch
from monitor.core.detection.detector_group import DetectorFactory
from monitor.core.engine import Engine, EngineOutput
from monitor.core.settings import EngineSettings
from monitor.core.watch_state import StreamState, not_watched
from monitor.errors import ConfigError
from replay import coverage
from replay.day import Day

WINDOWS_PER_CLOSE_MAX = 60
"""Windows that are closed together at most, where nobody waits for the first of them."""
REFRESH_THREADS = 2
"""Threads that compute the bands: longs and shorts are independent, so more would be idle."""
PACED_ROWS = 256
"""Records of a batch where a speed is given: a batch starts when its last record is due."""


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
    streams_out: dict[str, int] = field(default_factory=dict)
    """By detector: streams that were taken out, because it raised."""
    streams: dict[str, StreamState] = field(default_factory=dict)
    """By stream: in how many symbols it judges or learns at the end, and until when."""
    not_watched: dict[str, str] = field(default_factory=dict)
    """By stream that judges nowhere at the end: why."""
    outcomes: dict[str, dict[str, dict[str, int]]] = field(default_factory=dict)
    """Forced fills compared with their predictions: number by cause, margin mode and verdict."""
    digest: str = ""
    kinds_not_seen: dict[str, str] = field(default_factory=dict)
    """Kinds of which no record was accepted, and what is therefore not watched."""
    dropped: dict[str, int] = field(default_factory=dict)
    """What was left out because a table was full, by table."""
    last_bands: dict[str, Any] = field(default_factory=dict)
    """Of the last bands: markets, those left out, margin pools, and those that are not known."""
    seconds: float = 0.0
    seconds_cpu: float = 0.0
    """CPU time of all threads in these seconds."""
    events_per_second: float = 0.0


def replay(
    day: Day,
    settings: EngineSettings,
    factories: list[DetectorFactory],
    options: ReplayOptions | None = None,
    *,
    alerts_to: Path | None = None,
    bands_to: Path | None = None,
    on_alert: Callable[[Alert], None] | None = None,
    progress: Callable[[int], None] | None = None,
) -> ReplaySummary:
    """Run `day` through the engine and write what it publishes.

    `alerts_to`, `bands_to`: files of JSON lines, as on the topics `brinkwatch.alerts` and
    `brinkwatch.bands`; they appear only when the replay has ended. `on_alert` takes each alert that
    is shown, `progress` the number of records read so far.
    """
    options = options or ReplayOptions()
    summary = ReplaySummary()
    with ExitStack() as stack:
        alerts_file, bands_file = (
            None if path is None else stack.enter_context(atomic_file(path))
            for path in (alerts_to, bands_to)
        )
        for output in replay_outputs(day, settings, factories, options, summary):
            for alert in filter(options.shown.matches, output.alerts):
                summary.alerts += 1
                if alerts_file is not None:
                    alerts_file.write(alert_json(alert) + b"\n")
                if on_alert is not None:
                    on_alert(alert)
            if bands_file is not None:
                for bands in output.bands:
                    bands_file.writelines(value + b"\n" for _, value in band_records(bands))
            if progress is not None:
                progress(summary.records)
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
    day: Day,
    settings: EngineSettings,
    factories: list[DetectorFactory],
    options: ReplayOptions,
    summary: ReplaySummary,
) -> Iterator[EngineOutput]:
    """What each step of the engine publishes; `summary` is complete when the iterator ends."""
    start, start_cpu = time.perf_counter(), time.process_time()
    partitions = 1 + max((part.partition for part in day.meta.partitions), default=0)
    paced = options.speed is not None
    engine = Engine(settings, factories, partitions, 0 if paced else WINDOWS_PER_CLOSE_MAX)
    rows = min(options.rows, PACED_ROWS) if paced else options.rows
    last_ts = options.shown.to_ts
    first: tuple[float, int] | None = None
    bands: VenueBands | None = None
    with ThreadPoolExecutor(REFRESH_THREADS) as threads:
        engine.stage.band_maker.parallel_map = threads.map
        controls = day.controls(settings.accounts.bands_interval_ns, settings.topics)
        yield engine.control(controls)
        for batch in prefetch(day.batches(rows)):
            # Wait until the wall clock has moved as far as event time, divided by the speed.
            if options.speed is not None and len(batch):
                ts = int(batch.numbers["ts"][-1])
                first = first or (time.monotonic(), ts)
                due = first[0] + (ts - first[1]) / SECOND_NS / options.speed
                time.sleep(max(0.0, due - time.monotonic()))
            output = engine.step(batch)
            summary.records += len(batch) + len(batch.refused)
            bands = output.bands[-1] if output.bands else bands
            yield output
            if last_ts is not None and engine.passed_ns > last_ts:
                break  # every alert that could be shown has been decided
        else:
            output = engine.finish()
            bands = output.bands[-1] if output.bands else bands
            yield output
    counts = engine.tally()
    by_kind = counts.reproducible_counts()
    summary.events, summary.late_by_kind = by_kind["events"], by_kind["late"]
    summary.refused_by_reason, summary.repeated_by_kind = by_kind["refused"], by_kind["repeated"]
    summary.late_in_accounts = dict(engine.venue.ledger.late)
    summary.repeated = counts.repeated.total()
    summary.refused, summary.late = counts.refused.total(), counts.late.total()
    summary.outcomes = engine.venue.outcomes.counts_by_name()
    summary.streams_out = dict(engine.stage.streams_out)
    summary.streams = engine.watch_state()
    summary.not_watched = not_watched(summary.streams)
    summary.kinds_not_seen = coverage.kinds_not_seen(summary.events)
    summary.dropped = coverage.count_dropped(engine.shards)
    summary.last_bands = coverage.describe_bands(bands)
    summary.windows, summary.digest = engine.windows, engine.digest()
    summary.seconds = time.perf_counter() - start
    summary.seconds_cpu = time.process_time() - start_cpu
    summary.events_per_second = summary.records / summary.seconds


def prefetch(batches: Iterator[Batch]) -> Iterator[Batch]:
    """The same batches; a thread reads the next one while the engine works on the one before."""
    with ThreadPoolExecutor(1) as reader:
        coming = reader.submit(next, batches, None)
        while (batch := coming.result()) is not None:
            coming = reader.submit(next, batches, None)
            yield batch
