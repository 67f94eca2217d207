"""What a command prints is shown, never obeyed, whatever is in it."""

from __future__ import annotations

import pytest

from monitor.console import Console, print_error, printable

HOSTILE = "A\x1b[31m\x07\r\u202e\ud800B"
SHOWN = "A\\x1b[31m\\x07\\r\\u202e\\ud800B"


def test_what_can_be_shown_is_left_as_it_is() -> None:
    assert printable("BTC-USD · 5 % →") == "BTC-USD · 5 % →"
    assert printable(HOSTILE) == SHOWN


def test_lines_tables_and_errors_are_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    console = Console(False)
    console.say(HOSTILE)
    console.table(HOSTILE, ["name"], [[HOSTILE, "x\ty"]])
    print_error(HOSTILE)
    written = capsys.readouterr()
    title, *lines = written.out.splitlines()[1:]
    assert (title, lines[0].split()) == (SHOWN, ["name"])
    assert lines[1].split() == [SHOWN, "x\\ty"]
    assert written.err == f"brinkwatch: {SHOWN}\n"
