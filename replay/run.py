"""Replay: a recorded day through the same engine that runs live."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from monitor.core.alerts.wording import alert_json
from monitor.core.bands.records import band_records
from monitor.core.decode.batch import Batch
from monitor.core.detection.detector_group import DetectorFactory
from monitor.core.engine import Engine, EngineOutput
from monitor.core.settings import EngineSettings
from replay.day.reader import Day

_SECOND_NS = 1_000_000_000
WINDOWS_PER_CLOSE_MAX = 60
"""Windows that are closed together at most, where nobody waits for the first of them."""
REFRESH_THREADS = 2
"""Threads that make the bands: more than the loops of one side each could not all be used."""
PACED_ROWS = 256
"""Records of a batch where a speed is kept: a batch is handed on when its last record is due."""


@dataclass(frozen=True, slots=True)
class AlertFilter:
    """What of a replay is shown. The engine reads the whole day up to `to_ts` all the same: what
    it knew at the time is part of why it alerted.
    """

    from_ts: int | None = None
    to_ts: int | None = None
    symbols: frozenset[str] = frozenset()

    def matches(self, alert: dict[str, Any]) -> bool:
        """Whether an alert is to be shown."""
        if self.symbols and self.symbols.isdisjoint(alert["symbols"]):
            return False
        begun = self.from_ts is None or alert["ts"] >= self.from_ts
        return begun and (self.to_ts is None or alert["ts"] <= self.to_ts)

    def is_past_end(self, passed_ns: int) -> bool:
        """Whether all that is wanted has been decided."""
        return self.to_ts is not None and passed_ns > self.to_ts


@dataclass(slots=True)
class ReplaySummary:
    """The numbers of one replay."""

    records: int = 0
    events: dict[str, int] = field(default_factory=dict)
    refused: int = 0
    refused_by_reason: dict[str, int] = field(default_factory=dict)
    late: int = 0
    late_by_kind: dict[str, int] = field(default_factory=dict)
    windows: int = 0
    alerts: int = 0
    outcomes: dict[str, dict[str, dict[str, int]]] = field(default_factory=dict)
    """Forced fills beside what was predicted: by cause, mode and verdict."""
    digest: str = ""
    seconds: float = 0.0
    events_per_second: float = 0.0


def replay(
    day: Day,
    settings: EngineSettings,
    factories: list[DetectorFactory],
    *,
    rows: int = 65_536,
    choice: AlertFilter | None = None,
    speed: float | None = None,
    alerts_to: Path | None = None,
    bands_to: Path | None = None,
    on_alert: Callable[[dict[str, Any]], None] | None = None,
    progress: Callable[[int], None] | None = None,
) -> ReplaySummary:
    """Run `day` through the engine.

    `rows`: records a batch at most; it does not change the output. `speed`: event seconds a
    second, None for as fast as it goes. `alerts_to`: a file of JSON lines, in place only when the
    replay has ended; `bands_to`: the records of `brinkwatch.bands` likewise. `progress` is told the
    number of records read so far.
    """
    choice = choice or AlertFilter()
    began = time.perf_counter()
    partitions = 1 + max((part.partition for part in day.meta.partitions), default=0)
    hold = WINDOWS_PER_CLOSE_MAX if speed is None else 0
    engine = Engine(settings, factories, partitions, hold)
    summary = ReplaySummary()
    with (
        _atomic_file(alerts_to) as file,
        _atomic_file(bands_to) as bands_file,
        ThreadPoolExecutor(REFRESH_THREADS) as threads,
    ):
        engine.stage.band_maker.parallel_map = threads.map

        def show(output: EngineOutput) -> None:
            for alert in filter(choice.matches, output.alerts):
                summary.alerts += 1
                if file is not None:
                    file.write(alert_json(alert) + b"\n")
                if on_alert is not None:
                    on_alert(alert)
            if bands_file is not None:
                for bands in output.bands:
                    bands_file.writelines(
                        value + b"\n" for _, value in band_records(bands)
                    )

        show(engine.control(day.controls(settings.accounts.bands_interval_ns)))
        pace = _Pacer(speed)
        for batch in prefetch(day.batches(rows if speed is None else min(rows, PACED_ROWS))):
            if len(batch):
                pace.wait(int(batch.numbers["ts"][-1]))
            show(engine.step(batch))
            summary.records += len(batch) + len(batch.refused)
            if progress is not None:
                progress(summary.records)
            if choice.is_past_end(engine.passed_ns):
                break
        else:
            show(engine.finish())
    tally = engine.tally()
    facts = tally.reproducible_counts()
    summary.events, summary.late_by_kind = facts["events"], facts["late"]
    summary.refused_by_reason = facts["refused"]
    summary.refused, summary.late = tally.refused.total(), tally.late.total()
    summary.outcomes = engine.venue.outcomes.counts_by_name()
    summary.windows, summary.digest = engine.windows, engine.digest()
    summary.seconds = time.perf_counter() - began
    summary.events_per_second = summary.records / summary.seconds
    return summary


def prefetch(batches: Iterator[Batch]) -> Iterator[Batch]:
    """The same batches, each read from the files while the engine works on the one before."""
    with ThreadPoolExecutor(1) as reader:
        coming = reader.submit(next, batches, None)
        while (batch := coming.result()) is not None:
            coming = reader.submit(next, batches, None)
            yield batch


class _Pacer:
    """Waits until the wall clock has come as far as event time, times the speed."""

    def __init__(self, speed: float | None) -> None:
        self._speed = speed
        self._start: tuple[float, int] | None = None

    def wait(self, ts: int) -> None:
        if self._speed is None:
            return
        if self._start is None:
            self._start = time.monotonic(), ts
        due = self._start[0] + (ts - self._start[1]) / _SECOND_NS / self._speed
        time.sleep(max(0.0, due - time.monotonic()))


@contextmanager
def _atomic_file(path: Path | None) -> Iterator[BinaryIO | None]:
    """A file that is there whole or not at all."""
    if path is None:
        yield None
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(path.name + ".part")
    with beside.open("wb") as file:
        yield file
    beside.replace(path)
