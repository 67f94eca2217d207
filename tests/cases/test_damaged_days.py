"""A recorded day that is damaged ends every command in one sentence, before a record is used.

Source: public reports of archives with flipped bytes, cut downloads and folders copied in part.
Read 2026-11. `tests/replay/day/test_checks.py` has every variant.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from replay.simulation.settings import SimulationSettings
from replay.simulation.simulate import simulate
from tests.cases.front_door import brinkwatch


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("whole") / "day"
    simulate(path, SimulationSettings(minutes=1, symbols=2, accounts=20, rate=20.0))
    return path


@pytest.mark.parametrize("command", ["replay", "sweep", "diff"])
def test_a_flipped_byte_ends_the_command_with_two_and_says_what_to_do(
    day: Path, tmp_path: Path, command: str
) -> None:
    damaged, alerts = shutil.copytree(day, tmp_path / "day"), tmp_path / "alerts"
    part = damaged / "order/part-00000.parquet"
    raw = bytearray(part.read_bytes())
    raw[len(raw) // 2] ^= 4
    part.write_bytes(raw)
    more = {"replay": ["--alerts", alerts], "sweep": ["--budget", "10"], "diff": [day]}[command]
    done = brinkwatch(command, damaged, *more)
    assert done.returncode == 2
    assert "order/part-00000.parquet is damaged (its sha256 differs): copy the day" in done.stderr
    assert not list(tmp_path.glob("alerts*"))
