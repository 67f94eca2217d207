"""Tables that a command writes into a document, between two marks."""

from __future__ import annotations

from pathlib import Path

END = "<!-- end -->"


def mark(command: str) -> str:
    """The line before the table that `command` makes."""
    return f"<!-- table: {command} -->"


def write_table(path: Path, command: str, lines: list[str]) -> None:
    """Put the table in the place of the one there. Raises `ValueError` where there is no place."""
    text, begin = path.read_text("utf-8"), mark(command)
    before, begins, after = text.partition(begin + "\n")
    _, ends, rest = after.partition(END)
    if not begins or not ends:
        raise ValueError(f"{path} has no place for it: lines {begin!r} and {END!r}")
    path.write_text(before + begin + "\n" + "\n".join(lines) + "\n" + END + rest, "utf-8")
