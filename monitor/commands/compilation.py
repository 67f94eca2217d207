"""The first start compiles: it says so, and how far it has come.

numba keeps what it compiles beside the sources (or in NUMBA_CACHE_DIR), so later starts only read
it. Import this before anything that has compiled code, and call `announce`.
"""

from __future__ import annotations

import sys
import time

from numba.core import event

from monitor.commands.compile_ahead import compile_folders, find_kernels, is_own

EVERY_S = 10.0
"""Where there is no terminal, progress is a line this often."""
_CLEAR = "\r\x1b[K"


class Compilation(event.Listener):
    """What this start compiles: told on stderr as it happens.

    The first kernel that is not in the cache has all of them compiled, on all cores; what it then
    takes from the cache is no event.
    """

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
        self._depth += 1
        if is_own(event):
            if not self._first_s:
                self._first_s = now
                self._compile_all()
            self.functions += 1
            self._show()

    def on_end(self, event: event.Event) -> None:
        self._depth -= 1
        if not self._depth:
            self.seconds += time.monotonic() - self._began_s
            if self._shown_s and sys.stderr.isatty():
                sys.stderr.write(_CLEAR)

    def _compile_all(self) -> None:
        folders = find_kernels()
        self._total = sum(folder.kernels for folder in folders)
        self._show()
        for kernels in compile_folders(folders):
            self.functions += kernels
            self._show()

    def _show(self) -> None:
        now, is_terminal = time.monotonic(), sys.stderr.isatty()
        if self._shown_s and not is_terminal and now - self._shown_s < EVERY_S:
            return
        self._shown_s = now
        text = (
            f"compiling, on the first start only: {self.functions:,} of about {self._total:,} "
            f"kernels, {now - self._first_s:.0f} s"
        )
        sys.stderr.write(f"{_CLEAR}{text}" if is_terminal else f"brinkwatch: {text}\n")
        sys.stderr.flush()


_announced: list[Compilation] = []


def announce() -> Compilation:
    """Tell from now on what is compiled; returns the counts, which begin anew."""
    while _announced:
        event.unregister("numba:compile", _announced.pop())  # type: ignore[no-untyped-call]
    _announced.append(Compilation())
    event.register("numba:compile", _announced[0])  # type: ignore[no-untyped-call]
    return _announced[0]
