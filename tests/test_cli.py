"""The program as people and scripts call it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import monitor
from monitor import cli
from tests.support import ROOT


def brinkwatch(*arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "monitor.cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True, **options)  # type: ignore[call-overload, no-any-return]


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("cli") / "day"
    done = brinkwatch(
        "simulate", str(out), "--minutes", "8", "--symbols", "2", "--rate", "100", "--json"
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["records"] > 10_000
    return out


def test_replay_puts_one_json_object_on_stdout_and_words_on_stderr(day: Path) -> None:
    done = brinkwatch("replay", str(day), "--json")
    assert done.returncode == 0
    (only,) = done.stdout.splitlines()
    result = json.loads(only)
    expected = {
        "records", "events", "refused", "late", "windows", "alerts", "digest", "seconds",
        "events_per_second",
    }  # fmt: skip
    assert expected <= result.keys()
    assert result["digest"] in done.stderr


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


def test_too_little_memory_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def exhaust(**_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(cli, "app", exhaust)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    with pytest.raises(SystemExit) as ended:
        cli.run_command()
    assert ended.value.code == 2
    assert "too little memory" in capsys.readouterr().err


def test_the_version_is_printed() -> None:
    assert brinkwatch("--version").stdout == f"brinkwatch {monitor.__version__}\n"


def test_the_help_imports_nothing_heavy() -> None:
    """What takes long to import is imported by the command that needs it."""
    command = [sys.executable, "-X", "importtime", "-m", "monitor.cli", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "check-config" in done.stdout
    imported = {line.rsplit("|", 1)[-1].strip().split(".")[0] for line in done.stderr.splitlines()}
    assert "typer" in imported
    assert not imported & {"numba", "numpy", "pyarrow", "pydantic", "river", "aiokafka"}


def test_a_shell_gets_its_completion() -> None:
    done = brinkwatch(
        "--show-completion", "bash", env={"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    )
    assert done.returncode == 0, done.stderr
    assert "complete" in done.stdout


@pytest.mark.parametrize("name", ["detectors", "replay", "monitor"])
def test_a_foreign_package_of_the_same_name_is_one_sentence(name: str, tmp_path: Path) -> None:
    foreign = tmp_path / "elsewhere" / name / "__init__.py"
    foreign.parent.mkdir(parents=True)
    foreign.touch()
    python_path = os.pathsep.join([str(foreign.parents[1]), str(ROOT)])
    done = subprocess.run(
        [sys.executable, "-m", "brinkwatch", "replay", "a-day"],
        cwd=tmp_path,
        env={"PYTHONPATH": python_path, "PATH": ""},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert done.stderr == (
        f"brinkwatch: the package {name} that Python imports is {foreign.resolve()}, not the one "
        f"in {ROOT}: run from another directory, take that path out of PYTHONPATH, or install "
        "brinkwatch in an environment of its own\n"
    )


def test_a_foreign_folder_in_the_working_directory_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "detectors").mkdir()
    (tmp_path / "detectors" / "__init__.py").touch()
    done = brinkwatch("--help", cwd=tmp_path, env={"PYTHONPATH": str(ROOT), "PATH": ""})
    assert done.returncode == 2
    assert f"is {tmp_path.resolve()}/detectors/__init__.py, not the one in {ROOT}" in done.stderr


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


@pytest.fixture(scope="module")
def alerts(day: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("alerts") / "a.jsonl"
    done = brinkwatch("replay", str(day), "--alerts", str(out), "--alerts-per-day", "300")
    assert done.returncode == 0, done.stderr
    assert out.read_text()
    return out


def test_a_sweep_shows_for_each_budget_the_alerts_and_what_is_missed(day: Path) -> None:
    done = brinkwatch("sweep", str(day), "--budget", "0.14", "--budget", "300", "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    assert result["planted"] > 0
    few, many = result["budgets"]
    assert (few["budget"], many["budget"]) == (0.14, 300)
    assert few["alerts"] <= many["alerts"]
    assert few["found"] <= many["found"] <= result["planted"]
    for row in result["budgets"]:
        assert row["found"] + sum(row["missed"].values()) == result["planted"]
        assert row["alerts_per_day"] == pytest.approx(row["alerts"] / result["days"])
        assert row["alerts"] == sum(row["kinds"].values())
        assert row["expected"] == pytest.approx(row["budget"] * result["judged_days"])
    # What the present budget reports and this one does not.
    assert result["present"]["budget"] == 10
    assert len(few["lost"]) >= result["present"]["alerts"] - few["alerts"]
    assert result["present"]["lost"] == []
    assert f"{many['found']} of {result['planted']}" in done.stderr
    assert "a budget of 0.14, 10, and 300 a day expects less than one false alert in" in done.stderr
    lines = [line.strip().split("\t") for line in done.stderr.splitlines()]
    assert any(line[:3] == ["budget a day", "expected false here", "alerts here"] for line in lines)
    assert ["kind", "0.14 (1 in 7.14 days)", "10 (now)", "300"] in lines
    assert result["learning_s"]["peak"] == 6 * 3600
    assert "peak 6 h 0 min, so not in this day" in done.stderr


def test_a_diff_matches_the_incidents_of_two_budgets_and_shows_the_settings_once(
    day: Path, alerts: Path, tmp_path: Path
) -> None:
    few = tmp_path / "few.jsonl"
    brinkwatch("replay", str(day), "--alerts", str(few), "--alerts-per-day", "3")
    done = brinkwatch("diff", str(few), str(alerts), "--json")
    assert done.returncode == 1
    outcome = json.loads(done.stdout)
    incidents = outcome["incidents"]
    ids = [
        {json.loads(line)["incident"] for line in f.read_text().splitlines()} for f in (few, alerts)
    ]
    matched = incidents["same"] + len(incidents["changed"])
    assert matched + len(incidents["gone"]) == len(ids[0]) > 0
    assert matched + len(incidents["new"]) == len(ids[1])
    assert [side[0]["alerts_per_day"] for side in outcome["versions"]] == [3, 300]
    assert done.stderr.count("false alerts a day\t3\t300") == 1
    assert "  change\tUTC\tseverity\tkind\tmarkets\tincident\twhat\n" in done.stderr
    assert f"incidents: {incidents['same']} the same" in done.stderr


def test_a_diff_names_the_first_alert_and_the_fields_in_which_two_files_part(
    alerts: Path, tmp_path: Path
) -> None:
    same = brinkwatch("diff", str(alerts), str(alerts), "--json")
    assert same.returncode == 0
    lines = alerts.read_text().splitlines()
    assert json.loads(same.stdout) == {"same": True, "compared": len(lines)}
    firing = max(i for i, line in enumerate(lines) if '"status":"firing"' in line)
    other = json.loads(lines[firing])
    other["evidence"][0]["p"], other["evidence"][0]["observed"] = 1.0, 1e6
    changed = tmp_path / "changed.jsonl"
    changed.write_text("\n".join([*lines[:firing], json.dumps(other), *lines[firing + 1 :]]) + "\n")
    parted = brinkwatch("diff", str(alerts), str(changed), "--json")
    assert parted.returncode == 1
    outcome = json.loads(parted.stdout)
    assert outcome["compared"] == firing
    assert outcome["at"] == [f"line {firing + 1}"] * 2
    assert outcome["fields"] == ["evidence[0].observed", "evidence[0].p"]
    (change,) = outcome["incidents"]["changed"]
    assert change["incident"] == [other["incident"]] * 2
    assert other["summary"] in parted.stderr
    assert "both made by engine" in parted.stderr
    changed.write_text("\n".join(lines[:-1]) + "\n")
    shorter = brinkwatch("diff", str(changed), str(alerts))
    assert shorter.returncode == 1
    assert f"{changed}: ends here" in shorter.stdout


def test_a_diff_of_other_files_goes_by_lines_and_says_where_alerts_are_of_another_version(
    alerts: Path, tmp_path: Path
) -> None:
    one, other = tmp_path / "one.txt", tmp_path / "other.txt"
    one.write_text("a\nb\n")
    other.write_text("a\nc\n")
    plain = brinkwatch("diff", str(one), str(other))
    assert (plain.returncode, "line 2: b" in plain.stdout) == (1, True)
    older = [json.loads(line) for line in alerts.read_text().splitlines()]
    for alert in older:
        del alert["incident"]
    other.write_text("".join(json.dumps(alert) + "\n" for alert in older))
    mixed = brinkwatch("diff", str(alerts), str(other))
    assert mixed.returncode == 1
    assert (
        "line 1: no alert of this version, so the files are compared line by line" in mixed.stdout
    )


def test_a_diff_of_days_names_the_first_record(day: Path, tmp_path: Path) -> None:
    assert brinkwatch("diff", str(day), str(day)).returncode == 0
    out = tmp_path / "other"
    arguments = ("--minutes", "1", "--symbols", "2", "--rate", "20", "--json")
    for seed in ("1", "2"):
        brinkwatch("simulate", str(out / seed), "--seed", seed, *arguments)
    outcome = brinkwatch("diff", str(out / "1"), str(out / "2"), "--json")
    assert outcome.returncode == 1
    result = json.loads(outcome.stdout)
    assert "offset" in result["at"][0]
    assert result["fields"]


def test_feedback_is_kept_and_becomes_precision_by_kind(alerts: Path, tmp_path: Path) -> None:
    state = {**os.environ, "BRINKWATCH_STATE__DIR": str(tmp_path / "state")}

    def say(*arguments: str) -> subprocess.CompletedProcess[str]:
        return brinkwatch("feedback", *arguments, "--json", env=state)

    one = json.loads(alerts.read_text().splitlines()[0])
    first = say(one["id"], "false", "--alerts", str(alerts), "--note", "a maker restarted")
    assert first.returncode == 0, first.stderr
    assert json.loads(first.stdout)["incident"] == one["incident"]
    # A second word on the same incident is the one that counts, and needs no file to be known.
    assert say(one["incident"], "true").returncode == 0
    outcome = json.loads(say("--summary").stdout)
    assert (outcome["judged"], outcome["contradicted"]) == (1, [one["incident"]])
    (verdict,) = json.loads(say("list").stdout)["verdicts"]
    row = {"true": 1, "false": 0, "precision": 1.0}
    assert {"alerts_per_day": 300.0, "kind": verdict["kind"], **row} in outcome["kinds"]
    whose = {"detector": verdict["detector"], "stream": verdict["stream"]}
    assert outcome["detectors"] == [{**whose, **row}]
    for wrong in (["x", "true"], [one["id"], "maybe"], [one["id"]], [one["fingerprint"], "true"]):
        assert say(*wrong).returncode == 2
    missing = say(one["incident"][::-1], "true", "--alerts", str(alerts))
    assert (missing.returncode, "has no alert or incident" in missing.stderr) == (2, True)


def test_show_has_all_of_an_incident_and_alerts_lists_their_ids(
    alerts: Path, tmp_path: Path
) -> None:
    state = {**os.environ, "BRINKWATCH_STATE__DIR": str(tmp_path / "state")}
    listed = brinkwatch("alerts", "--alerts", str(alerts), "--all", "--json", env=state)
    assert listed.returncode == 0, listed.stderr
    incidents = json.loads(listed.stdout)["incidents"]
    lines = [json.loads(line) for line in alerts.read_text().splitlines()]
    assert [one["incident"] for one in incidents] == list(
        dict.fromkeys(a["incident"] for a in lines)
    )
    one = next(a for a in lines[::-1] if a["status"] != "resolved")
    last = next(a for a in lines[::-1] if a["incident"] == one["incident"])
    for shown, reference in ((one, one["incident"]), (last, last["id"])):
        done = brinkwatch("show", reference, "--alerts", str(alerts), env=state)
        assert done.returncode == 0, done.stderr
        parts = (shown["summary"], shown["reproduce"], "stream\tmarket\tdetector", "not judged yet")
        assert [part for part in parts if part not in done.stdout] == []
    mine = [a["id"] for a in lines if a["incident"] == one["incident"]]
    assert all(alert_id in done.stdout for alert_id in mine)
    unknown = brinkwatch("show", one["incident"][1:], "--alerts", str(alerts), env=state)
    assert unknown.returncode == 2
    assert f"did you mean {one['incident']}?" in unknown.stderr
    wrong = brinkwatch("alerts", "--follow", "--alerts", str(alerts), env=state)
    assert (wrong.returncode, "--follow reads the alerts topic" in wrong.stderr) == (2, True)
