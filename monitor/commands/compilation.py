"""The first start compiles: it says so, and on a terminal how far it has come.

numba keeps what it compiles beside the sources (or in NUMBA_CACHE_DIR), so later starts only read
it. Import this before anything that has compiled code, and call `announce`.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from contextlib import closing

from numba.core import event

from monitor.commands.compile_ahead import compile_folders, find_kernels, kernel_name
from monitor.console import print_error

_CLEAR = "\r\x1b[K"
_WHAT = "compiling, on the first start only"


class Compilation(event.Listener):
    """What this start compiles: told on stderr as it happens.

    The first kernel that is not in the cache has all of them compiled, on all cores; what it then
    takes from the cache is no event.

    say: takes the one line that is written where stderr is no terminal.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self.seconds = 0.0
        """Spent on compiling so far."""
        self._kernels: set[str] = set()
        self._depth = 0
        self._total = 0
        self._began_s = self._first_s = 0.0

    @property
    def functions(self) -> int:
        """Own functions compiled so far, each counted once whatever its types."""
        return len(self._kernels)

    def on_start(self, event: event.Event) -> None:
        now = time.monotonic()
        if not self._depth:
            self._began_s = now
        self._depth += 1
        if name := kernel_name(event):
            if not self._first_s:
                self._first_s = now
                self._compile_all()
            self._kernels.add(name)
            self._show()

    def on_end(self, event: event.Event) -> None:
        self._depth -= 1
        if not self._depth:
            self.seconds += time.monotonic() - self._began_s
            if self._first_s and sys.stderr.isatty():
                sys.stderr.write(_CLEAR)

    def _compile_all(self) -> None:
        folders = find_kernels()
        self._total = sum(folder.kernels for folder in folders)
        if not sys.stderr.isatty():
            self._say(f"{_WHAT}: about {self._total:,} kernels")
        self._show()
        with closing(compile_folders(folders)) as progress:
            for name in progress:
                self._kernels.add(name)
                self._show()

    def _show(self) -> None:
        if sys.stderr.isatty():
            count, seconds = len(self._kernels), time.monotonic() - self._first_s
            sys.stderr.write(
                f"{_CLEAR}{_WHAT}: {count:,} of about {self._total:,} kernels, {seconds:.0f} s"
            )
            sys.stderr.flush()


_announced: list[Compilation] = []


def announce(say: Callable[[str], None] = print_error) -> Compilation:
    """Tell from now on what is compiled; returns the counts, which begin anew.

    say: see `Compilation`.
    """
    while _announced:
        event.unregister("numba:compile", _announced.pop())  # type: ignore[no-untyped-call]
    _announced.append(Compilation(say))
    event.register("numba:compile", _announced[0])  # type: ignore[no-untyped-call]
    return _announced[0]
