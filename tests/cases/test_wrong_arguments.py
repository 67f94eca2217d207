"""What a newcomer types wrong is answered in one sentence with the mend, and never in silence.

Source: public reports of tools that take a mistyped market for an empty one, show an error of the
operating system twice, or end in a traceback. Read 2026-11.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cases.front_door import START_NS, TIMEOUT_S, brinkwatch, replay_day, replay_records
from tests.cases.markets import Record, mark, prices, quiet_market

PROGRAM = [sys.executable, "-m", "monitor.cli"]


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty seconds of a market, and an order of another at their end."""
    folder = tmp_path_factory.mktemp("days")
    order: Record = {
        "kind": "order", "ts": START_NS + 19_500_000_000, "symbol": "ETH-PERP", "side": "buy",
        "quantity": "1", "action": "new",
    }  # fmt: skip
    replay_records(folder, [*quiet_market("BTC-PERP", prices(20, 100.0, 1e-4, 1)), order])
    return folder / "day"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--symbol", "BTC-PREP"], "--symbol BTC-PREP: the day has no record of it; did you mean"),
        (["--symbol", "x"], "the day has no record of it; there are BTC-PERP, ETH-PERP"),
        (["--from", "2026-01-01"], "--from 2026-01-01T00:00:00Z is after the day: the day goes"),
        (["--to", "2020-01-01"], "--to 2020-01-01T00:00:00Z is before the day: the day goes from"),
        (["--from", "2025-11-24T16:00:09Z", "--to", "2025-11-24T16:00:02Z"], " is after --to "),
        (["--from", "noon"], "--from 'noon' is no moment: write "),
    ],
)
def test_what_is_not_in_the_day_is_an_error(day: Path, options: list[str], says: str) -> None:
    done = brinkwatch("replay", day, *options)
    assert done.returncode == 2
    assert says in done.stderr
    assert done.stderr.count("\n") == 1


def test_an_empty_choice_of_what_there_is_is_said(day: Path) -> None:
    done = replay_day(day, "--symbol", "ETH-PERP", "--to", "2025-11-24T16:00:05Z")
    assert done.exit_code == 0
    assert "no record of ETH-PERP in the time that was chosen" in done.words
    done = replay_day(day, "--symbol", "ETH-PERP", "--from", "2025-11-24T16:00:05Z")
    assert "in the time that was chosen" not in done.words


def test_the_end_says_what_did_not_come_and_is_not_watched(day: Path) -> None:
    done = replay_day(day)
    assert set(done.report["kinds_not_seen"]) == {"cancel", "leverage", "collateral", "reference"}
    assert "no cancel records came, so not watched: cancels, their ages, and " in done.words
    assert "no liquidation bands: no position with a mark and rules came" in done.words
    assert done.report["seconds_cpu"] > 0
    assert done.report["seconds_compiling"] >= 0


def test_pools_that_cannot_have_bands_are_counted(tmp_path: Path) -> None:
    fills: list[Record] = [
        {
            "kind": "fill", "ts": START_NS + n * 1_000_000_000, "symbol": "BTC-PERP", "side": "buy",
            "account": f"a{n}", "price": "100", "quantity": "1",
        }
        for n in range(3)
    ]  # fmt: skip
    done = replay_records(tmp_path, [*fills, mark(4, "BTC-PERP", 100.0)])
    bands = done.report["last_bands"]
    assert (bands["pools"], bands["unknown_pools"]) == (3, 3)


@pytest.mark.parametrize(
    "arguments",
    [
        ["replay", "missing"],
        ["replay", "file"],
        ["replay", "DAY", "--config", "missing"],
        ["replay", "DAY", "--config", "folder"],
        ["replay", "DAY", "--alerts", "file/alerts"],
        ["replay", "DAY", "--alerts", "folder"],
        ["import", "dydx", "missing", "out"],
        ["import", "dydx", "folder", "out"],
        ["import", "dydx", "file", "folder"],
        ["simulate", "folder"],
        ["simulate", "out", "--incidents", "missing"],
        ["demo", "--out", "file"],
        ["margin", "missing"],
        ["margin", "folder"],
        ["sweep", "missing"],
        ["diff", "missing", "file"],
        ["feedback", "0123456789abcdef-1", "true", "--alerts", "missing"],
        ["check-config", "missing"],
        ["publish", "missing"],
        ["record", "folder"],
        ["run", "--config", "missing"],
        ["kafka", "--dir", "file"],
    ],
    ids=" ".join,
)
def test_a_wrong_path_is_one_sentence(
    day: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("x\n")
    (tmp_path / "folder").mkdir()
    done = brinkwatch(*(str(day) if word == "DAY" else word for word in arguments))
    assert done.returncode == 2
    assert done.stderr.startswith("brinkwatch: ")
    assert done.stderr.count("\n") == 1
    assert "Errno" not in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]


@pytest.mark.parametrize("arguments", [["dlq", "list"], ["topics", "create"], ["publish", "DAY"]])
def test_a_broker_that_is_not_there_is_named_once(
    day: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    monkeypatch.setenv("BRINKWATCH_KAFKA__BOOTSTRAP_SERVERS", "127.0.0.1:1")
    words = [str(day) if word == "DAY" else word for word in arguments]
    done = subprocess.run([*PROGRAM, *words], capture_output=True, text=True, timeout=TIMEOUT_S)
    assert done.returncode == 2
    assert done.stderr == "brinkwatch: nobody listens at 127.0.0.1:1: is Kafka running there?\n"


def test_a_closed_output_or_pipe_is_no_traceback(day: Path) -> None:
    replay = [*PROGRAM, "replay", str(day), "--json"]
    closed = subprocess.run(
        ["/bin/sh", "-c", 'exec "$@" >&-', "sh", *replay], capture_output=True, timeout=TIMEOUT_S
    )
    assert (closed.returncode, b"Traceback" in closed.stderr) == (0, False)
    read, write = os.pipe()
    os.close(read)
    try:
        piped = subprocess.run(
            [*PROGRAM, "schema"], stdout=write, stderr=subprocess.PIPE, timeout=TIMEOUT_S
        )
    finally:
        os.close(write)
    assert b"Traceback" not in piped.stderr


def test_a_start_that_compiles_says_so_and_counts_it(day: Path, tmp_path: Path) -> None:
    """One kernel of a file of its own: the whole program would take minutes."""
    script = tmp_path / "one.py"
    script.write_text(
        "import json\nfrom monitor.commands import compilation as start\n"
        "start.find_kernels = lambda: []\n"
        "compilation = start.announce()\nfrom numba import njit\n"
        "@njit('int64(int64)')\ndef twice(n):\n    return 2 * n\n"
        "twice.py_func.__module__ = 'monitor.some'\n"
        "@njit\ndef again(n):\n    return 3 * n\n"
        "again.py_func.__module__ = 'monitor.some'\nagain(1)\nagain(2)\n"
        "print(json.dumps([compilation.functions, compilation.seconds > 0]))\n"
    )
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, timeout=TIMEOUT_S
    )
    assert json.loads(done.stdout) == [1, True]
    assert done.stderr == "brinkwatch: compiling, on the first start only: about 0 kernels\n"
