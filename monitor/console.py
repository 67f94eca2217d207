"""The output of commands: tables and a progress bar on a terminal, plain lines elsewhere.

With --json one JSON object is the last line of stdout, and all else goes to stderr. Names and
sentences may come from anyone's data, so everything is written through `printable`: a terminal
never sees a character that it would obey.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from monitor.core.contract.alert import Alert

PLAIN_EVERY_S = 5.0
"""Where there is no terminal, progress is a line this often."""
ALERTS_SHOWN = 40
STYLES = {
    "critical": "bold red", "warning": "yellow", "info": "dim", "not found": "dim",
    "silenced": "dim",
}  # fmt: skip


def printable(text: str) -> str:
    """`text` with each character that cannot be shown (controls, escapes, surrogates, changes of
    direction) as Python would write it.

    >>> printable("BTC\x1b[2J")
    'BTC\\x1b[2J'
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def print_error(text: str) -> None:
    """The sentences, a line each, with which a command ends, on stderr."""
    lines = map(printable, text.split("\n"))
    sys.stderr.write("brinkwatch: " + "\n".join(lines) + "\n")


class Display(Protocol):
    """Where what is for people goes: to a console, or on its way to one."""

    def say(self, text: str) -> None: ...

    def table(self, title: str, head: list[str], rows: list[list[str]]) -> None: ...


class DisplayLog:
    """What people are to see, kept as plain values until `show` puts it on a console."""

    def __init__(self) -> None:
        self.parts: list[Any] = []

    def say(self, text: str) -> None:
        self.parts.append(text)

    def table(self, title: str, head: list[str], rows: list[list[str]]) -> None:
        self.parts.append([title, head, rows])


class Console:
    """One command's output."""

    def __init__(self, json_asked: bool) -> None:
        from rich.console import Console as Rich

        self._json_asked = json_asked
        self.rich = Rich(stderr=json_asked, soft_wrap=True, highlight=False)

    def say(self, text: str) -> None:
        """A line for people."""
        self.rich.print(printable(text), markup=False)

    def result(self, value: dict[str, Any]) -> None:
        """Print the result as JSON, if --json was given."""
        if self._json_asked:
            sys.stdout.write(json.dumps(value) + "\n")

    @contextmanager
    def progress(self, what: str, total: int | None) -> Iterator[Callable[[int], None]]:
        """A progress bar; yields a function that takes how much is done so far."""
        what = printable(what)
        if self.rich.is_terminal:
            from rich import progress

            columns = progress.TextColumn(what, markup=False), progress.BarColumn()
            numbers = progress.MofNCompleteColumn(), progress.TimeRemainingColumn()
            shown = progress.Progress(*columns, *numbers, console=self.rich, transient=True)
            with shown as bar:
                task = bar.add_task(what, total=total)
                yield lambda done: bar.update(task, completed=done)
            return
        last = time.monotonic()

        def plain(done: int) -> None:
            nonlocal last
            if time.monotonic() - last >= PLAIN_EVERY_S:
                last = time.monotonic()
                self.say(f"{what}: {done:,}" + (f" of {total:,}" if total else ""))

        yield plain

    def table(self, title: str, head: list[str], rows: list[list[str]]) -> None:
        """A table on a terminal, tabbed lines with a head elsewhere."""
        if not self.rich.is_terminal:
            self.say(title)
            for row in [head, *rows] if rows else []:
                # Not through rich, which makes spaces of tabs.
                self.rich.file.write("  " + "\t".join(map(printable, row)) + "\n")
            return
        from rich.table import Table
        from rich.text import Text

        table = Table(title=Text(printable(title)), title_justify="left", show_lines=False)
        for name in head:
            table.add_column(name, overflow="fold")
        for row in rows:
            # As text, never as markup: names come from the venue.
            table.add_row(*(Text(printable(cell), STYLES.get(cell, "")) for cell in row))
        self.rich.print(table)

    def show(self, parts: list[Any]) -> None:
        """Show what a `DisplayLog` has kept; values of another form are skipped."""
        for part in parts:
            match part:
                case str():
                    self.say(part)
                case [str(title), list(head), list(rows)]:
                    cells = [[str(cell) for cell in row] for row in rows if isinstance(row, list)]
                    self.table(title, list(map(str, head)), cells)

    def alert(self, alert: Alert) -> None:
        """One alert as it arrives, in one line."""
        from rich.text import Text

        from monitor.core.alerts.formatting import clock

        head = f"{clock(alert.ts)}  {alert.severity:<8}  {alert.status:<8}  {alert.kind}  "
        self.rich.print(Text(head, STYLES[alert.severity]) + Text(printable(alert.summary)))

    def alerts(self, alerts: list[Alert]) -> None:
        """Alerts as they fired, each with its sentence; the gravest first where there are many. An
        incident that comes back fires again; one that a silence covers is only counted."""
        from monitor.core.alerts.formatting import clock

        order = {"critical": 0, "warning": 1, "info": 2}
        fired = [a for a in alerts if a.status == "firing" and a.silenced_by is None]
        shown = sorted(fired, key=lambda a: (order[a.severity], a.ts))[:ALERTS_SHOWN]
        rows = [[clock(a.ts), a.severity, a.kind, a.summary] for a in shown]
        more = f", the {len(shown)} gravest shown" if len(shown) < len(fired) else ""
        silenced = sum(alert.silenced_by is not None for alert in alerts)
        quiet = f", {silenced} of them silenced" if silenced else ""
        incidents = len({a.incident for a in fired})
        messages = f"{len(alerts)} messages{quiet}"
        title = f"{incidents} incidents fired {len(fired)} times ({messages}){more}"
        self.table(title, ["UTC", "severity", "kind", "what happened"], rows)
