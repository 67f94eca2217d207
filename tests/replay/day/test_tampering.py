"""Random changes of a recorded day: refused in words, or the same records; never others silently.

`BRINKWATCH_TEST_TAMPERINGS`: how many changes are tried (`make soak`: 1,000).
"""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from monitor.config import load
from monitor.plugins import detector_factories
from replay.day import Day, DayError
from replay.run import replay
from replay.simulation.settings import SimulationSettings
from replay.simulation.simulate import simulate
from tests.replay.day.damage import META, content_of, edit_table, seal

TAMPERINGS = int(os.environ.get("BRINKWATCH_TEST_TAMPERINGS", "60"))
Change = Callable[[Path, random.Random], None]


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sound") / "day"
    simulate(path, SimulationSettings(minutes=1, symbols=2, accounts=20, rate=5.0, partitions=2))
    return path


def _files(day: Path) -> list[Path]:
    return sorted(p for p in day.rglob("*") if p.is_file())


def _flip(day: Path, rng: random.Random) -> None:
    path = rng.choice(_files(day))
    raw = bytearray(path.read_bytes())
    for _ in range(rng.randint(1, 3)):
        raw[rng.randrange(len(raw))] ^= 1 << rng.randrange(8)
    path.write_bytes(raw)


def _truncate(day: Path, rng: random.Random) -> None:
    path = rng.choice(_files(day))
    path.write_bytes(path.read_bytes()[: rng.randrange(path.stat().st_size)])


def _swap(day: Path, rng: random.Random) -> None:
    one, two = rng.sample(_files(day), 2)
    a, b = one.read_bytes(), two.read_bytes()
    one.write_bytes(b)
    two.write_bytes(a)


def _remove(day: Path, rng: random.Random) -> None:
    rng.choice(_files(day)).unlink()


def _damage_sealed(change: Change) -> Change:
    """The same change of a Parquet file, with a `day.json` that fits it."""

    def change_and_seal(day: Path, rng: random.Random) -> None:
        document = (day / META).read_bytes()
        change(day, rng)
        (day / META).write_bytes(document)
        if all((day / name).is_file() for name in Day(day.parent / "sound").meta.files):
            seal(day)

    return change_and_seal


def _edit_column(day: Path, rng: random.Random) -> None:
    path = rng.choice([p for p in _files(day) if p.suffix == ".parquet"])

    def change(table: pa.Table) -> pa.Table:
        way = rng.randrange(4)
        if way == 0 or not table.num_rows:
            return table.slice(1)
        if way == 1:
            order = np.arange(table.num_rows)
            one, two = rng.randrange(table.num_rows), rng.randrange(table.num_rows)
            order[one], order[two] = order[two], order[one]
            return table.take(pa.array(order))
        at = rng.randrange(table.num_columns)
        column: list[Any] = table.column(at).to_pylist()
        row = rng.randrange(len(column))
        column[row] = rng.choice([None, 0, -1, column[row - 1], -(2**62), 2**62, "", "\x1b", [1]])
        field = table.schema.field(at)
        try:
            return table.set_column(at, field, pa.array(column, field.type))
        except (pa.ArrowException, TypeError, ValueError, OverflowError):
            return table.slice(1)

    try:
        edit_table(day, path.relative_to(day).as_posix(), change)
    except (pa.ArrowException, ValueError):  # pyarrow itself writes no null where none may be
        pq.write_table(pa.table({"x": [1]}), path)
        seal(day)


def _edit_meta(day: Path, rng: random.Random) -> None:
    def change(meta: dict[str, Any]) -> None:
        part = rng.choice(meta["partitions"])
        name = rng.choice(["partition", "rows", "next_offset", "topic", "kind", "file"])
        numbers = [-1, 0, 1, 3, 10**6, 2**62]
        texts = [None, "", "order", "orders", rng.choice([*meta["files"]])]
        part[name] = rng.choice(numbers if isinstance(part[name], int) else texts)
        if name in ("topic", "kind") and part[name] is None:
            part[name] = ""

    seal(day, change)


UNSEALED: list[Change] = [_flip, _truncate, _swap, _remove]
SEALED: list[Change] = [_edit_column, _edit_meta, _damage_sealed(_flip), _damage_sealed(_swap)]


@pytest.mark.parametrize("seed", range(TAMPERINGS))
def test_a_changed_day_is_refused_in_words_or_is_the_same(
    sound: Path, tmp_path: Path, seed: int
) -> None:
    rng = random.Random(seed)
    shutil.copytree(sound, tmp_path / "sound")
    day = shutil.copytree(sound, tmp_path / "day")
    change = rng.choice([*UNSEALED, *SEALED])
    change(day, rng)
    try:
        same = content_of(day) == content_of(sound)
    except DayError:
        return
    assert same or change in SEALED
    if not same:  # a day that the contract allows: the engine takes it
        config = load()
        replay(Day(day), config.engine(), detector_factories(config.streams))
