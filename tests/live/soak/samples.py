"""What is noted of a running sidecar every few seconds, and whether it stays flat."""

from __future__ import annotations

import math
import os
import re
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tests.live.sidecars import Process

BLOCKS = 12
"""Samples next to each other are alike: a slope's error is that of the means of so many spans."""
GROWTH = 0.03
"""Over the span that is judged; less is not told from a day that is busier at noon."""
LAG_S_MAX = 10.0
"""Lag beyond this, on the whole of the span's last quarter, is a backlog."""
MB = 1 << 20


@dataclass
class Sample:
    """One look. `at_s`: wall time since the start of the day; the rest as its name says."""

    at_s: float
    memory_mb: float
    """Resident, of the process and its children."""
    processor_s: float
    """Used since its start."""
    series: int
    lag_records: float
    lag_s: float
    event_s: float
    """Highest event time read, Unix time."""
    bands_s: float
    """Event time that the bands are as of, Unix time."""
    transactions: float
    transaction_s: float
    """Of all transactions so far, s."""
    snapshot_mb: float
    snapshot_age_s: float
    kafka_mb: float
    """Kafka's files."""

    @property
    def bands_behind_s(self) -> float:
        """How far the bands are behind the newest record, event time, s."""
        return max(0.0, self.event_s - self.bands_s)


@dataclass
class Sampler:
    """Looks at a sidecar every `every_s` seconds from a thread of its own, until it is stopped."""

    sidecar: Process
    kafka: Path
    every_s: float
    samples: list[Sample] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    start_s: float | None = None
    """Wall time at which the day began; None: not yet."""

    def __post_init__(self) -> None:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(self.every_s):
            if self.start_s is None:
                continue
            try:
                self.samples.append(self._look(self.start_s))
            except (OSError, AssertionError, ValueError) as error:
                self.faults.append(f"{time.time() - self.start_s:.0f} s: {error!r:.200}")

    def _look(self, start_s: float) -> Sample:
        status, text = self.sidecar.get("/metrics")
        if status != 200:
            raise ValueError(f"/metrics answers {status}")
        lines = [line for line in text.splitlines() if not line.startswith("#")]
        tree = process_tree(self.sidecar.child.pid)
        now_s = time.time()
        return Sample(
            now_s - start_s,
            sum(map(resident_mb, tree)),
            sum(map(processor_s, tree)),
            len(lines),
            _total(text, "brinkwatch_lag_records"),
            _total(text, "brinkwatch_lag_seconds"),
            _highest(text, "brinkwatch_event_timestamp_seconds"),
            _highest(text, "brinkwatch_bands_timestamp_seconds"),
            _total(text, "brinkwatch_transaction_seconds_count"),
            _total(text, "brinkwatch_transaction_seconds_sum"),
            _total(text, "brinkwatch_snapshot_bytes") / MB,
            now_s - _highest(text, "brinkwatch_snapshot_timestamp_seconds"),
            sum(file.stat().st_blocks * 512 for file in self.kafka.rglob("*") if file.exists())
            / MB,
        )


def _values(text: str, name: str) -> list[float]:
    return [float(v) for v in re.findall(rf"^{name}(?:{{.*}})? (\S+)", text, re.MULTILINE)]


def _total(text: str, name: str) -> float:
    return sum(_values(text, name))


def _highest(text: str, name: str) -> float:
    return max(_values(text, name), default=math.nan)


def folder_mb(folder: Path) -> float:
    """On the disk; files that go meanwhile do not count."""
    blocks = 0
    for file in folder.rglob("*"):
        with suppress(OSError):
            blocks += file.stat().st_blocks
    return blocks * 512 / MB


def process_tree(pid: int) -> list[int]:
    """A process and all its descendants."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(each for child in children for each in process_tree(int(child)))]


def resident_mb(pid: int) -> float:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE") / MB


def processor_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@dataclass
class Slope:
    """A line through what was sampled: its mean, its growth over the span, and that one's error."""

    mean: float
    growth: float
    error: float
    """One standard error of `growth`, from the scatter of `BLOCKS` means about the line."""

    @property
    def is_flat(self) -> bool:
        """Whether it grows by less than `GROWTH` of its mean, or by nothing beyond its error."""
        return self.growth <= max(GROWTH * self.mean, 2 * self.error)


def fit_slope(at: np.ndarray, values: np.ndarray) -> Slope:
    """A straight line through the means of `BLOCKS` spans; at least `BLOCKS` samples."""
    blocks = np.array_split(np.arange(len(at)), BLOCKS)
    x = np.array([at[block].mean() for block in blocks])
    y = np.array([values[block].mean() for block in blocks])
    middle = x - x.mean()
    slope = float(middle @ y / (middle @ middle))
    rest = y - y.mean() - slope * middle
    error = math.sqrt(float(rest @ rest) / (BLOCKS - 2) / float(middle @ middle))
    span = float(at[-1] - at[0])
    return Slope(float(y.mean()), slope * span, error * span)


@dataclass
class Verdict:
    """What is judged, after the warm-up."""

    slopes: dict[str, Slope]
    lag_s: float
    """Median of the last quarter."""
    faults: list[str]
    """What is wrong, a sentence each."""


def judge(samples: list[Sample], warm_up_s: float) -> Verdict:
    """Memory, series and lag from `warm_up_s` of the wall time on."""
    after = [one for one in samples if one.at_s >= warm_up_s]
    if len(after) < 2 * BLOCKS:
        return Verdict({}, math.nan, [f"only {len(after)} samples after the warm-up"])
    at = np.array([one.at_s for one in after])
    columns = {
        "memory, MB": [one.memory_mb for one in after],
        "series": [float(one.series) for one in after],
        "lag, s": [one.lag_s for one in after],
    }
    slopes = {name: fit_slope(at, np.array(values)) for name, values in columns.items()}
    lag_s = float(np.median(columns["lag, s"][-len(after) // 4 :]))
    faults = [
        f"{name} grows by {slopes[name].growth:.3g} (± {slopes[name].error:.2g})"
        for name in ("memory, MB", "series")
        if not slopes[name].is_flat
    ]
    if lag_s > LAG_S_MAX:
        faults.append(f"the lag is {lag_s:.1f} s at the end")
    return Verdict(slopes, lag_s, faults)
