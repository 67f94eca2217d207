"""`docs/detectors.md` works when typed: package, suite, installation, configuration, day, alert."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tests.cases.front_door import brinkwatch
from tests.support import ROOT

PAGE = (ROOT / "docs" / "detectors.md").read_text()


def block_after(text: str) -> str:
    """The first indented block of the page after `text`."""
    rest = PAGE[PAGE.index(text) + len(text) :]
    block = re.search(r"(?:^(?: {4}.*)?\n)+", rest[rest.index("\n\n    ") :], re.MULTILINE)
    assert block is not None
    return textwrap.dedent(block.group()).strip() + "\n"


def run(*words: str | Path, folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, *map(str, words)], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_page_works_when_typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = "pyproject.toml", "acme_detectors.py", "test_acme_detectors.py", "own.toml"
    for name in names:
        (tmp_path / name).write_text(block_after(f"\n`{name}`"))
    (tmp_path / "make_day.py").write_text(block_after("near the end:"))
    installed = tmp_path / "installed"
    offline = "--quiet", "--no-index", "--no-deps", "--no-build-isolation"
    run("-m", "pip", "install", *offline, "--target", installed, ".", folder=tmp_path)
    monkeypatch.syspath_prepend(str(installed))
    monkeypatch.chdir(tmp_path)
    try:
        run("make_day.py", folder=tmp_path)
        # Beside it one of river's, and nothing that the page does not need: it takes half the time.
        river = block_after("## One of river's, by name")
        head = "replace_streams = true\n[joint]\nstreams = []\n[account_bursts]\nstreams = []\n"
        head += "[drift]\nbudget_share = 0\n"
        (tmp_path / "both.toml").write_text(head + Path("own.toml").read_text() + river)
        assert brinkwatch("import", "canonical", "books.jsonl", "DAY").returncode == 0
        checked = brinkwatch("check-config", "own.toml")
        assert checked.returncode == 0, checked.stderr
        assert "trying the detector times_usual" in checked.stdout
        done = brinkwatch(
            "replay", "DAY", "--config", "both.toml", "--alerts", "alerts.jsonl", "--json"
        )
        assert done.returncode == 0, done.stderr
    finally:
        sys.modules.pop("acme_detectors", None)
    report = json.loads(done.stdout.splitlines()[-1])
    own = "spread_bps by times_usual"
    assert {own, "spread_bps by anomaly.GaussianScorer"} < report["streams"].keys()
    assert report["streams"][own]["judging"] == 1
    assert report["not_watched"] == {}
    alerts = [json.loads(line) for line in (tmp_path / "alerts.jsonl").read_text().splitlines()]
    planted_ns = 1_764_022_500_000_000_000
    fired = [alert for alert in alerts if alert["status"] == "firing"]
    assert [alert["kind"] for alert in fired if alert["ts"] >= planted_ns] == ["wide_spread"]
    (alert,) = (alert for alert in fired if alert["ts"] >= planted_ns)
    assert alert["since"] == planted_ns
    assert alert["summary"].startswith("Spread ×")
    (evidence,) = alert["evidence"]
    assert 5 < evidence["ratio"] < 20
    assert 0.9 < evidence["expected"] < 1.3


def test_the_page_names_only_features_that_there_are() -> None:
    done = brinkwatch("features", "--json")
    names = {feature["name"] for feature in json.loads(done.stdout)["features"]}
    named = set(re.findall(r'feature = "(\w+)"', PAGE))
    assert named
    assert named <= names
