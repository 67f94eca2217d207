"""A verdict is never lost, whatever a killed process or a full disk has left of the one before."""

from __future__ import annotations

from pathlib import Path

import pytest

from monitor.commands.feedback import FILE, record, summary
from monitor.console import Console

IDS = [f"{'a' * 16}-{i}" for i in range(1, 4)]


@pytest.mark.parametrize("left", [1, 20, 60, -1])
def test_a_half_line_costs_at_most_its_own_verdict(tmp_path: Path, left: int) -> None:
    console = Console(True)
    record(tmp_path, IDS[0], "true", None, console)
    record(tmp_path, IDS[1], "true", None, console)
    first, second = (tmp_path / FILE).read_bytes().splitlines(keepends=True)
    (tmp_path / FILE).write_bytes(first + second[:left])
    record(tmp_path, IDS[2], "false", None, console)
    whole = left == -1  # only its newline is missing
    assert summary(tmp_path, console)["judged"] == 2 + whole


@pytest.mark.parametrize("line", [b"\xff\x00", b"[]", b"{}", b"[" * 100_000, b'"' + b"x" * 9])
def test_lines_that_are_no_verdicts_are_left_out(
    tmp_path: Path, line: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / FILE).write_bytes(line + b"\n")
    record(tmp_path, IDS[0], "true", None, Console(True))
    assert summary(tmp_path, Console(True))["judged"] == 1
    assert "no verdicts, left out: 1" in capsys.readouterr().err
