"""The first start compiles, for one to two minutes: it says so, and how far it has come.

numba keeps what it compiles beside the sources (or in NUMBA_CACHE_DIR), so later starts only read
it. Import this before anything that has compiled code, and call `announce`.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from numba.core import event

ROOT = Path(__file__).parents[2]
PACKAGES = ("monitor", "detectors", "replay")
EVERY_S = 10.0
"""Where there is no terminal, progress is a line this often."""
_CLEAR = "\r\x1b[K"


class Compilation(event.Listener):
    """What this process compiles: told on stderr as it happens."""

    def __init__(self) -> None:
        self.seconds = 0.0
        """Spent on compiling so far."""
        self.functions = 0
        """Own functions compiled so far."""
        self._depth = 0
        self._total = 0
        self._began_s = self._first_s = self._shown_s = 0.0

    def on_start(self, event: event.Event) -> None:
        now = time.monotonic()
        if not self._depth:
            self._began_s = now
        self._first_s = self._first_s or now
        self._depth += 1
        if self._is_own(event):
            self.functions += 1
            self._show(now)

    def on_end(self, event: event.Event) -> None:
        self._depth -= 1
        if not self._depth:
            self.seconds += time.monotonic() - self._began_s
            if self._shown_s and sys.stderr.isatty():
                sys.stderr.write(_CLEAR)

    def _is_own(self, event: event.Event) -> bool:
        module: str = event.data["dispatcher"].py_func.__module__
        return module.partition(".")[0] in PACKAGES

    def _show(self, now: float) -> None:
        is_terminal = sys.stderr.isatty()
        if self._shown_s and not is_terminal and now - self._shown_s < EVERY_S:
            return
        self._total = self._total or _count_functions()
        self._shown_s = now
        text = (
            f"compiling, on the first start only: {self.functions:,} of about {self._total:,} "
            f"functions, {now - self._first_s:.0f} s"
        )
        sys.stderr.write(f"{_CLEAR}{text}" if is_terminal else f"brinkwatch: {text}\n")
        sys.stderr.flush()


def _count_functions() -> int:
    """How many functions there are to compile, about."""
    files = (path for name in PACKAGES for path in (ROOT / name).rglob("*.py"))
    return sum(path.read_text().count("\n@njit(") for path in files)


_announced: list[Compilation] = []


def announce() -> Compilation:
    """Tell from now on what is compiled; returns the counts, which begin anew."""
    while _announced:
        event.unregister("numba:compile", _announced.pop())  # type: ignore[no-untyped-call]
    _announced.append(Compilation())
    event.register("numba:compile", _announced[0])  # type: ignore[no-untyped-call]
    return _announced[0]
