"""Where the time of an event goes: processor time by layer of the code and by kind of record."""

from __future__ import annotations

import functools
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from monitor.core import shard
from monitor.core.accounts import ledger, ledger_entries
from monitor.core.engine import Engine
from monitor.core.event_time import admission, repeats, watermark
from monitor.core.features import compute
from monitor.core.settings import EngineSettings
from monitor.core.tables import interner
from monitor.core.venue import event_time_queue, stage, state
from monitor.core.windows import open_windows
from monitor.plugins import detector_factories
from replay.day import Day, interleave, reader
from replay.simulation.settings import SimulationSettings
from replay.workers.shard_task import WINDOWS_PER_CLOSE_MAX
from tests.bench.bench_seconds import simulated_day
from tests.bench.figures import Figure

CASES = {
    "full": ({"minutes": 10, "rate": 5_000.0},),
    "quick": ({"minutes": 4, "rate": 2_700.0},),
    "tiny": ({"minutes": 1, "rate": 100.0},),
}
GOAL_US = 1.0

KINDS = ("order", "cancel", "fill", "book", "mark", "leverage", "collateral", "reference")
LAYERS: dict[str, list[tuple[Any, str]]] = {
    "sha256 of files": [(reader.Day, "verify")],
    "Parquet": [(interleave.PartitionReader, "_read_group")],
    "checks of a day": [(interleave, "check_table"), (interleave, "check_batch")],
    "columns": [(interleave, "from_table"), (interleave.PartitionReader, "_select_rows")],
    "order of batches": [(interleave.PartitionReader, "next_batch")],
    "clocks": [(admission.AdmissionControl, "admit"), (watermark.PartitionClock, "admit")],
    "repeats": [(shard, "split_records"), (stage, "split_records")],
    "names": [(interner.Interner, "intern"), (open_windows, "hash_text"), (repeats, "hash_text")],
    "windows: add": [(open_windows.OpenWindows, "add"), (open_windows.OpenWindows, "add_late")],
    "venue: queues": [
        (ledger_entries, "account_entries"),
        (event_time_queue.RowQueue, "add"),
        (state.VenueState, "add_batch"),
    ],
    "windows: close": [(open_windows.OpenWindows, "close")],
    "features": [(compute.FeatureCalculator, "compute")],
    "judges and reports": [(shard.Shard, "advance"), (shard.Shard, "drain_report")],
    "ledger": [(ledger.AccountLedger, "apply_entries"), (ledger.AccountLedger, "apply_late")],
    "venue: the rest": [(stage.VenueStage, "advance")],
}
"""Functions by layer; each counts without those of other layers that it calls."""
OF_SECONDS = ("windows: close", "features", "judges and reports", "ledger", "venue: the rest")
"""What is done once a window or a second, not for the kind of the batch that ended it."""


class LayerClock:
    """Processor time of all threads by layer and kind, s; `kind`: that of the batch in work."""

    def __init__(self) -> None:
        self.kind = ""
        self.spent_s: Counter[tuple[str, str]] = Counter()
        self._inner_s: list[float] = [0.0]

    def timed(self, layer: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function; its time counts in the layer."""

        @functools.wraps(function)
        def run(*arguments: Any, **named: Any) -> Any:
            self._inner_s.append(0.0)
            began = time.process_time()
            try:
                return function(*arguments, **named)
            finally:
                spent = time.process_time() - began
                self.spent_s[layer, self.kind] += spent - self._inner_s.pop()
                self._inner_s[-1] += spent

        return run

    @contextmanager
    def attached(self) -> Iterator[None]:
        """While the block runs, every function of `LAYERS` is timed."""
        originals = [
            (owner, name, layer, getattr(owner, name))
            for layer, places in LAYERS.items()
            for owner, name in places
        ]
        for owner, name, layer, function in originals:
            setattr(owner, name, self.timed(layer, function))
        try:
            yield
        finally:
            for owner, name, _, function in originals:
                setattr(owner, name, function)


def replay_timed(day: Path) -> tuple[LayerClock, Counter[str], float]:
    """The whole engine over a day, in one thread: times, records by kind, all processor time, s."""
    clock, records = LayerClock(), Counter[str]()
    settings, recorded = EngineSettings(), Day(day)
    with clock.attached():
        engine = Engine(settings, detector_factories(settings.streams), 1, WINDOWS_PER_CLOSE_MAX)
        began = time.process_time()
        engine.control(recorded.controls())
        # Behind a batch its own topic partition is read on: that counts for its kind too.
        for batch in recorded.batches():
            clock.kind = batch.kind
            records[batch.kind] += len(batch)
            engine.step(batch)
        engine.finish()
    return clock, records, time.process_time() - began


def measure(scratch: Path, minutes: int, rate: float) -> Iterator[Figure]:
    sizes = SimulationSettings(7, minutes, symbols=8, accounts=20_000, rate=rate)
    day = simulated_day(scratch, sizes)
    replay_timed(day)  # the caches of kernels and files
    clock, records, all_s = replay_timed(day)
    total, of_events = records.total(), Counter[str]()
    for layer in LAYERS:
        spent_s = sum(clock.spent_s[layer, kind] for kind in (*KINDS, ""))
        if layer not in OF_SECONDS:
            for kind in KINDS:
                of_events[kind] += clock.spent_s[layer, kind]
        yield Figure(layer, spent_s * 1e6 / total, "µs an event", total)
    for kind in KINDS:
        us = of_events[kind] * 1e6 / max(records[kind], 1)
        yield Figure(f"a {kind}, without the seconds", us, "µs", records[kind])
    us = of_events.total() * 1e6 / total
    yield Figure("an event, without the seconds", us, "µs", total, goal=GOAL_US)
    yield Figure("an event, with the seconds", all_s * 1e6 / total, "µs", total)
