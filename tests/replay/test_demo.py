"""The demo leaves its alerts and its page, and goes on where a page cannot be drawn."""

from __future__ import annotations

import webbrowser
from pathlib import Path

import pytest

from monitor.config import Config
from monitor.console import Console
from monitor.errors import BrinkwatchError
from monitor.page import document
from replay import demo
from replay.report.day import DAY_ASSETS
from tests.support import write_page_assets


@pytest.fixture
def assets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "assets"
    folder.mkdir()
    write_page_assets(folder, DAY_ASSETS)
    monkeypatch.setattr(document, "ASSETS", folder)
    return folder


def test_it_writes_its_report_and_opens_it_where_asked(
    tmp_path: Path, assets: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", lambda address: opened.append(address) or True)
    out = tmp_path / "out"
    result = demo.run(out, Config(), Console(True), 1, is_opened=True)
    assert opened == [(out / "report.html").resolve().as_uri()]
    assert result["digest"] in (out / "report.html").read_text()
    assert (out / "alerts.jsonl").exists()
    assert f"the day as a page: {out / 'report.html'}" in capsys.readouterr().err


def test_without_assets_there_is_no_page_and_a_line_says_so(
    tmp_path: Path, assets: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (assets / DAY_ASSETS[0]).unlink()
    demo.run(tmp_path / "out", Config(), Console(True), 1)
    assert "no report of the day: a report draws with" in capsys.readouterr().err
    assert not (tmp_path / "out" / "report.html").exists()
    with pytest.raises(BrinkwatchError, match="run `make assets`"):
        demo.run(tmp_path / "other", Config(), Console(True), 1, is_opened=True)
    assert not (tmp_path / "other").exists()
