"""What a command prints is shown, never obeyed, whatever is in it."""

from __future__ import annotations

from io import StringIO

import pytest
from rich.console import Console as RichConsole

from monitor.console import Console, print_error, printable, wrap_lines

HOSTILE = "A\x1b[31m\x07\r\u202e\ud800B"
SHOWN = "A\\x1b[31m\\x07\\r\\u202e\\ud800B"


def test_what_can_be_shown_is_left_as_it_is() -> None:
    assert printable("BTC-USD · 5 % →") == "BTC-USD · 5 % →"
    assert printable(HOSTILE) == SHOWN


def test_no_number_is_parted_from_its_unit() -> None:
    said = "Cancels ×4.1 for 12 s on SOL (82 a second, usual 20), since 16:03 UTC; 61 % of 38 M"
    pairs = ("12 s", "82 a", "16:03 UTC", "61 %", "38 M")
    for width in (*range(12, 40), 80):
        lines = wrap_lines(said, width)
        assert " ".join(lines) == said
        assert max(map(len, lines)) <= width
        assert all(any(pair in line for line in lines) for pair in pairs)
        console = Console(False)
        console.rich = RichConsole(force_terminal=True, file=StringIO(), width=width + 10)
        console.table("t", ["a", "what happened"], [["x", said]])
        assert isinstance(console.rich.file, StringIO)
        drawn = console.rich.file.getvalue()
        assert all(pair in drawn for pair in pairs)


def test_a_sentence_is_one_line_where_there_is_no_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Console(False).say_prose("a b " * 100)
    assert len(capsys.readouterr().out.splitlines()) == 1


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
