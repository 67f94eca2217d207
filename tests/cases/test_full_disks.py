"""A full disk ends a command in one sentence and leaves nothing half-written.

Source: public reports of recorders and batch jobs on full disks. Read 2026-11.
"""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import pytest

from replay.simulation.settings import SimulationSettings
from replay.simulation.simulate import simulate
from tests.cases.front_door import START_NS, TIMEOUT_S, brinkwatch

LIMIT_BYTES = 4_096


def limited(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the program where no file may grow beyond `LIMIT_BYTES`."""
    limits = LIMIT_BYTES, LIMIT_BYTES
    return subprocess.run(
        [sys.executable, "-m", "monitor.cli", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limits),
    )


def assert_full(done: subprocess.CompletedProcess[str]) -> None:
    assert (done.returncode, "Traceback" in done.stderr) == (2, False), done.stderr
    assert "the disk is full" in done.stderr
    assert "free some space or name another place" in done.stderr


@pytest.fixture(scope="module")
def feed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Canonical lines; a first import has filled the compiler's cache, which is files too."""
    folder = tmp_path_factory.mktemp("feed")
    line = '{{"kind":"fill","ts":{},"symbol":"A{}","side":"buy","price":"1.{}","quantity":"2"}}\n'
    lines = (line.format(START_NS + i * 997_001, i % 7, i * 7_919) for i in range(5_000))
    (folder / "feed.jsonl").write_text("".join(lines))
    assert brinkwatch("import", "canonical", folder / "feed.jsonl", folder / "day").returncode == 0
    return folder


def test_an_import_leaves_no_folder(feed: Path, tmp_path: Path) -> None:
    assert_full(limited("import", "canonical", feed / "feed.jsonl", tmp_path / "day"))
    assert list(tmp_path.iterdir()) == []


def test_a_simulation_leaves_no_folder(tmp_path: Path) -> None:
    assert_full(limited("simulate", tmp_path / "day", "--minutes", "1"))
    assert list(tmp_path.iterdir()) == []


def test_a_replay_leaves_no_files(tmp_path: Path) -> None:
    day, full = tmp_path / "day", tmp_path / "bands"
    simulate(day, SimulationSettings(minutes=1, symbols=2, accounts=20, rate=20.0))
    full.symlink_to("/dev/full")
    assert_full(brinkwatch("replay", day, "--bands", full, "--alerts", tmp_path / "alerts"))
    assert sorted(tmp_path.iterdir()) == [full, day]


def test_standard_output_may_be_full() -> None:
    command = [sys.executable, "-m", "monitor.cli", "schema"]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=TIMEOUT_S
        )
    assert_full(done)
