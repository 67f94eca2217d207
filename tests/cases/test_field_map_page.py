"""The page on the field map holds when it is typed: its files, its map, its commands."""

from __future__ import annotations

import re
import runpy
import shlex
import shutil
import sys
from pathlib import Path
from unittest import mock

import pytest

from tests.cases.front_door import brinkwatch
from tests.support import ROOT

PAGE = (ROOT / "docs" / "field-map.md").read_text()
EXAMPLE = ROOT / "docs" / "examples" / "field-map"


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def test_the_page_has_the_example_map() -> None:
    assert (EXAMPLE / "venue.toml").read_text() in blocks("toml")


def test_the_pages_commands_lead_from_an_empty_folder_to_alerts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(EXAMPLE, tmp_path / "docs" / "examples" / "field-map")
    for block in blocks("console"):
        command, shown = "", ""
        for line in [*block.splitlines(), "$ true"]:
            if not line.startswith("$ "):
                shown += line + "\n"
                continue
            if command:
                run(command, shown, capsys)
            command, shown = line.removeprefix("$ "), ""
    assert (tmp_path / "alerts.jsonl").read_text().count('"firing"') > 0
    (python,) = blocks("python")
    exec(python, {})
    assert capsys.readouterr().out.strip()


def run(command: str, shown: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Run a line of the page; `shown`: what the page says that it writes."""
    program, *words = shlex.split(command)
    if program == "brinkwatch":
        done = brinkwatch(*words)
        assert done.returncode == 0, done.stderr
    elif program == "python":
        with mock.patch.object(sys, "argv", words):
            runpy.run_path(words[0], run_name="__main__")
    elif program == "cp":
        shutil.copy(*words)
    else:
        assert program == "head"
        lines = Path(words[1]).read_text().splitlines()[: -int(words[0])]
        assert lines == shown.splitlines()
    capsys.readouterr()
