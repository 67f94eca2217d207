"""A log recorded as one day, and the same log cut into several: one run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from monitor.core.settings import EngineSettings
from monitor.errors import ConfigError
from monitor.plugins import detector_factories
from replay.day import Day, DayWriter
from replay.day.address import open_day_at
from replay.day.sequence import DaySequence
from replay.run import ReplayOptions, ReplaySummary, replay
from replay.simulation.settings import SimulationSettings
from replay.simulation.simulate import simulate

SETTINGS = EngineSettings()
DEPENDS_ON_THE_RUN = ("seconds", "seconds_cpu", "events_per_second")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sequence") / "whole"
    simulate(folder, SimulationSettings(minutes=3, symbols=5, accounts=40, rate=40.0, partitions=2))
    return folder


def cut(whole: Path, out: Path, edges: list[int]) -> list[Path]:
    """The same logs in several days: each topic partition is cut where its first record is behind
    an edge (ns). Offsets begin anew with each day."""
    day = Day(whole)
    bounds: dict[tuple[str, int], list[int]] = {}
    for part in day.meta.partitions:
        place = part.kind, part.partition
        parts = list(day.batches(sources=[place]))
        ts = np.concatenate([b.numbers["ts"] for b in parts] or [np.empty(0, np.int64)])
        offset = np.concatenate([b.offset for b in parts] or [np.empty(0, np.int64)])
        firsts = [offset[ts >= edge][:1].tolist() or [part.next_offset] for edge in edges]
        bounds[place] = [0, *(first[0] for first in firsts), part.next_offset]
    folders = []
    for number in range(len(edges) + 1):
        folders.append(out / f"day-{number}")
        with DayWriter(folders[-1], venue=day.meta.venue) as writer:
            for batch in day.batches():
                low, high = bounds[batch.kind, batch.partition][number : number + 2]
                rows = batch.select_rows((batch.offset >= low) & (batch.offset < high))
                if len(rows):
                    rows.offset = rows.offset - low
                    writer.write(rows)
            for part in day.meta.partitions:
                low, high = bounds[part.kind, part.partition][number : number + 2]
                writer.declare(part.kind, part.topic, part.partition, high - low)
    return folders


def run(days: Day | DaySequence, out: Path, **options: Any) -> tuple[Any, ...]:
    """The summary and the bytes of alerts and bands."""
    out.mkdir()
    files = out / "alerts.jsonl", out / "bands.jsonl"
    factories, chosen = detector_factories(SETTINGS.streams), ReplayOptions(rows=2_000, **options)
    summary = replay(days, SETTINGS, factories, chosen, alerts_to=files[0], bands_to=files[1])
    numbers = {
        name: getattr(summary, name)
        for name in ReplaySummary.__slots__
        if name not in DEPENDS_ON_THE_RUN
    }
    return numbers, *(file.read_bytes() for file in files)


@pytest.fixture(scope="module")
def days(whole: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    span = Day(whole).span
    assert span is not None
    length = span.end_ts - span.first_ts
    edges = [span.first_ts + length // 3 + 123_456_789, span.first_ts + length * 2 // 3]
    return cut(whole, tmp_path_factory.mktemp("cut"), edges)


def test_a_log_cut_into_days_is_the_log(whole: Path, days: list[Path], tmp_path: Path) -> None:
    expected = run(Day(whole), tmp_path / "one", workers=1)
    assert expected[0]["windows"] > 300
    assert len(expected[2]) > 10_000
    sequence = DaySequence([Day(day) for day in days])
    assert run(sequence, tmp_path / "three", workers=1) == expected
    assert run(sequence, tmp_path / "workers", workers=2) == expected


def test_a_day_of_a_store_is_the_day(days: list[Path], tmp_path: Path) -> None:
    there = open_day_at(f"file://{days[0]}")
    assert there.path != days[0]
    expected = run(Day(days[0]), tmp_path / "folder", workers=1)
    assert run(there, tmp_path / "store", workers=1) == expected
    with pytest.raises(ConfigError, match="file:///no/such/day cannot be read"):
        open_day_at("file:///no/such/day")


def test_what_a_store_holds_damaged_is_not_read(days: list[Path], tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    for file in days[0].rglob("*"):
        if file.is_file():
            target = copy / file.relative_to(days[0])
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(file.read_bytes())
    orders = next(copy.glob("order/*.parquet"))
    raw = bytearray(orders.read_bytes())
    raw[len(raw) // 2] ^= 1
    orders.write_bytes(raw)
    with pytest.raises(ConfigError, match="is damaged"):
        open_day_at(f"file://{copy}")


def test_days_in_a_wrong_order_are_refused(days: list[Path], tmp_path: Path) -> None:
    for order in ([1, 0], [0, 0], [0, 2, 1]):
        sequence = DaySequence([Day(days[number]) for number in order])
        with pytest.raises(ConfigError, match="name the days in the order of time"):
            run(sequence, tmp_path / "".join(map(str, order)))
