"""The output of commands: tables and a progress bar on a terminal, plain lines elsewhere.

With --json one JSON object is the last line of stdout, and all else goes to stderr. Names and
sentences may come from anyone's data, so everything is written through `printable`: a terminal
never sees a character that it would obey.
"""

from __future__ import annotations

import json
import re
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from rich.console import Console as RichConsole
    from rich.console import ConsoleOptions
    from rich.measure import Measurement
    from rich.text import Text

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


_UNIT_SPACE = re.compile(r"(?<=\d) (?=[^\W\d_]|%)")
NO_BREAK = "\u00a0"


def wrap_lines(text: str, width: int) -> list[str]:
    """Lines of at most `width` characters; no number is parted from its unit.

    >>> wrap_lines("quiet for 30 s on SOL-PERP", 12)
    ['quiet for', '30 s on', 'SOL-PERP']
    """
    kept = _UNIT_SPACE.sub(NO_BREAK, text)
    lines = textwrap.wrap(kept, max(1, width), break_on_hyphens=False)
    return [line.replace(NO_BREAK, " ") for line in lines] or [""]


class _Cell:
    """A cell of a table on a terminal. Rich by itself would break at every kind of space."""

    def __init__(self, text: str, style: str) -> None:
        self._text, self._style = text, style

    def __rich_console__(self, console: RichConsole, options: ConsoleOptions) -> Iterator[Text]:
        from rich.text import Text

        # As text, never as markup: names come from the venue.
        for line in wrap_lines(self._text, options.max_width):
            yield Text(line, self._style, overflow="fold")

    def __rich_measure__(self, console: RichConsole, options: ConsoleOptions) -> Measurement:
        from rich.measure import Measurement

        least = max(map(len, _UNIT_SPACE.sub(NO_BREAK, self._text).split(" ")))
        return Measurement(least, len(self._text)).with_maximum(options.max_width)


def make_entry(row: list[str], width: int) -> Text:
    """A row for a terminal whose last cell is prose: the others in one line, the prose below it.

    The first cell that has a style gives it to the line.
    """
    from rich.text import Text

    *cells, prose = map(printable, row)
    text = Text().append("  ".join(cells), next((STYLES[c] for c in cells if c in STYLES), ""))
    for line in wrap_lines(prose, width - 2):
        text.append(f"\n  {line}")
    return text


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

    def say_prose(self, text: str) -> None:
        """A sentence for people: on a terminal in lines of its width, elsewhere in one."""
        width = self.rich.width if self.rich.is_terminal else sys.maxsize
        for line in wrap_lines(printable(text), width):
            self.say(line)

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
            table.add_row(*(_Cell(printable(cell), STYLES.get(cell, "")) for cell in row))
        self.rich.print(table)

    def entries(self, title: str, head: list[str], rows: list[list[str]]) -> None:
        """Rows whose last cell is prose: on a terminal it stands below the others, elsewhere as
        `table` has it."""
        if not self.rich.is_terminal:
            self.table(title, head, rows)
            return
        self.say(title)
        for row in rows:
            self.rich.print(make_entry(row, self.rich.width))

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
        line = head + printable(alert.summary)
        if self.rich.is_terminal:
            line = "\n".join(wrap_lines(line, self.rich.width))
        text = Text(line)
        text.stylize(STYLES[alert.severity], 0, len(head))
        self.rich.print(text)

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
