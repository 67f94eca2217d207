"""`brinkwatch watch`: a running sidecar in the terminal."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any

from monitor.console import STYLES, Console, make_entry, printable
from monitor.core.alerts import formatting as fmt
from monitor.desk.sidecar_client import SidecarAddress
from monitor.errors import BrinkwatchError, ConfigError

if TYPE_CHECKING:
    from rich.console import RenderableType

EVERY_S = 2.0
"""Between two looks."""
INCIDENTS_SHOWN = 20


def watch_sidecar(sidecar: SidecarAddress, console: Console) -> None:
    """Show the sidecar until it is interrupted.

    Raises `BrinkwatchError` where the first look fails. One that goes away later is said to be
    away, and shown again when it is back.
    """
    view = LiveView(sidecar)
    view.look()
    if not console.rich.is_terminal:
        while True:
            for line in view.changes():
                console.say(line)
            time.sleep(EVERY_S)
            view.look_again()
    from rich.live import Live

    with Live(
        view.picture(console.rich.width), console=console.rich, auto_refresh=False, screen=True
    ) as live:
        while True:
            time.sleep(EVERY_S)
            view.look_again()
            live.update(view.picture(console.rich.width), refresh=True)


class LiveView:
    """What was seen of a sidecar at the last look."""

    def __init__(self, sidecar: SidecarAddress) -> None:
        self._sidecar = sidecar
        self._state: dict[str, Any] = {}
        self._alerts: dict[str, Any] = {}
        self._away = ""
        """Why it cannot be seen now."""
        self._last_line = ""
        self._rows: dict[str, dict[str, Any]] = {}
        """Those whose changes were said, by incident."""

    def look(self) -> None:
        """Ask the sidecar; raises `BrinkwatchError`."""
        state = self._sidecar.fetch_document("/state")
        try:
            alerts = self._sidecar.fetch_document("/alerts")
        except ConfigError:
            raise
        except BrinkwatchError:
            if state.get("ready") is not False:
                raise
            alerts = {}  # it starts: the alerts are not there yet
        self._state, self._alerts, self._away = state, alerts, ""

    def look_again(self) -> None:
        """Ask the sidecar; where it does not answer, that is what is shown."""
        try:
            self.look()
        except BrinkwatchError as error:
            self._away = str(error)

    def headline(self) -> str:
        """Whether it is ready, and why not."""
        if self._away:
            return self._away
        state = self._state
        return "ready" if state.get("ready") else f"not ready: {state.get('why')}"

    def figures(self) -> str:
        """Its lag, what it reads and what it has published."""
        state = self._state
        lag, partitions = state.get("lag", 0), state.get("partitions", [])
        parts = [
            f"{lag:,} records wait",
            "partitions " + (", ".join(map(str, partitions)) or "none yet"),
        ]
        if "alerts" in state:
            parts.append(f"{state['alerts']:,} alerts published")
        refused = sum((state.get("refused") or {}).values())
        if refused:
            parts.append(f"{refused:,} records refused")
        if "busy" in state:
            parts.append(str(state["busy"]))
        return "; ".join(parts)

    def critical_shocks(self) -> list[str]:
        """A sentence for each side on which the markets together come to rest much further away."""
        graph = self._state.get("cascade_graph", {})
        sentences = []
        for shock in (graph.get("critical_factor_shock") or {}).values():
            if shock is not None:
                move = fmt.format_move(math.expm1(shock["shock"]))
                further = fmt.format_percent(abs(math.expm1(shock["jump"])))
                sentences.append(
                    f"critical shock of all markets together: {move} carries them {further} further"
                )
        return sentences

    @property
    def incidents(self) -> list[dict[str, Any]]:
        """Those that fire, the gravest first, then the newest; silenced ones last."""
        order = ("critical", "warning", "info")
        rows = sorted(
            self._alerts.get("incidents", []), key=lambda row: order.index(row["severity"])
        )
        return sorted(rows, key=lambda row: row["status"] == "silenced")

    def changes(self) -> list[str]:
        """Lines for what is new since the last call."""
        lines, line = [], self.headline()
        if line != self._last_line:
            self._last_line = line
            lines.append(line if self._away else f"{line}; {self.figures()}")
        if self._away:
            return lines
        now = {row["incident"]: row for row in self.incidents}
        new = [row for name, row in now.items() if self._rows.get(name) != row]
        lines += ["  ".join(_cells(row)) for row in sorted(new, key=lambda row: row["opened"])]
        lines += [f"resolved: {name}" for name in self._rows.keys() - now.keys()]
        self._rows = now
        return lines

    def picture(self, width: int) -> RenderableType:
        """All of it, for a terminal of `width` characters."""
        from rich.console import Group
        from rich.text import Text

        is_good = not self._away and self._state.get("ready")
        head = Text(printable(self.headline()), "green" if is_good else STYLES["critical"])
        lines = [Text(printable(self._sidecar.url) + "  ").append_text(head)]
        lines += [Text(printable(line)) for line in (self.figures(), *self.critical_shocks())]
        incidents = self.incidents
        shown = incidents[:INCIDENTS_SHOWN]
        more = len(incidents) - len(shown)
        lines.append(Text(f"{_count(incidents)}{f', {more} not shown' if more else ''}"))
        return Group(*lines, *(make_entry(_cells(row), width) for row in shown))


def _count(incidents: list[dict[str, Any]]) -> str:
    return (
        "1 incident is firing" if len(incidents) == 1 else f"{len(incidents)} incidents are firing"
    )


def _cells(row: dict[str, Any]) -> list[str]:
    """Of an incident of /alerts, its sentence last."""
    return [
        str(row[name]) for name in ("opened", "status", "severity", "kind", "incident", "summary")
    ]
