"""The program as people and scripts call it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest


def brinkwatch(*arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "monitor.cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True, **options)  # type: ignore[call-overload, no-any-return]


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("cli") / "day"
    made = brinkwatch(
        "simulate", str(out), "--minutes", "8", "--symbols", "2", "--rate", "100", "--json"
    )
    assert made.returncode == 0, made.stderr
    assert json.loads(made.stdout.splitlines()[-1])["records"] > 10_000
    return out


def test_replay_puts_one_json_object_on_stdout_and_words_on_stderr(day: Path) -> None:
    done = brinkwatch("replay", str(day), "--json")
    assert done.returncode == 0
    (only,) = done.stdout.splitlines()
    held = json.loads(only)
    expected = {
        "records", "events", "refused", "late", "windows", "alerts", "digest", "seconds",
        "events_per_second",
    }  # fmt: skip
    assert expected <= held.keys()
    assert held["digest"] in done.stderr


def test_replay_is_the_same_in_another_process_with_other_hash_seeds(day: Path) -> None:
    digests = set()
    for seed in ("1", "2"):
        done = brinkwatch("replay", str(day), "--json", env={"PYTHONHASHSEED": seed, "PATH": ""})
        digests.add(json.loads(done.stdout)["digest"])
    assert len(digests) == 1


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["replay", "/nowhere"], "is no recorded day"),
        (["replay"], "Missing argument"),
        (["replya"], "replay"),
        (["import", "nowhere", "a", "b"], "no venue 'nowhere'"),
        (["import", "dydx", "only-one"], "OUT"),
        (["replay", "{day}", "--from", "yesterday"], "is no moment"),
        (["replay", "{day}", "--speed", "-3"], "above 0"),
        (["check-config", "{config}"], "did you mean per_day?"),
        (["margin", "{config}"], "is not JSON"),
    ],
)
def test_wrong_usage_ends_with_two_and_says_how_to_mend_it(
    arguments: list[str], says: str, day: Path, tmp_path: Path
) -> None:
    config = tmp_path / "wrong.toml"
    config.write_text("[alerts]\nper_dya = 3\n")
    filled = [a.format(day=day, config=config) for a in arguments]
    done = brinkwatch(*filled)
    assert done.returncode == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_an_interrupted_replay_ends_cleanly_and_leaves_no_half_file(
    day: Path, tmp_path: Path
) -> None:
    alerts = tmp_path / "alerts.jsonl"
    command = [sys.executable, "-m", "monitor.cli", "replay", str(day), "--speed", "1"]
    with subprocess.Popen(
        [*command, "--alerts", str(alerts)], stderr=subprocess.PIPE, text=True
    ) as process:
        while not (tmp_path / "alerts.jsonl.part").exists():
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
    assert process.returncode == 130
    assert not alerts.exists()


def test_margin_reads_standard_input() -> None:
    document = {
        "regime": "hyperliquid",
        "tiers": [{"lower_bound": 0, "maintenance_rate": 0.0125}],
        "pool": {"mode": "cross", "equity": 130},
        "positions": [
            {"symbol": "A", "quantity": 1, "mark": 40, "tiers": [[0, 0.05]]},
            {"symbol": "B", "quantity": 100, "mark": 80},
        ],
    }
    done = brinkwatch("margin", "-", "--json", input=json.dumps(document))
    assert done.returncode == 0, done.stderr
    first = json.loads(done.stdout.splitlines()[-1])["pools"][0]["positions"][0]
    assert float(first["liquidation"]) == pytest.approx(10.526315789473685, rel=1e-12)


def test_the_schema_is_printed_as_committed() -> None:
    printed = json.loads(brinkwatch("schema").stdout)
    committed = Path(__file__).parents[1] / "docs" / "schema.json"
    assert printed == json.loads(committed.read_text())
