"""Child processes that end with this one, whatever ends it."""

from __future__ import annotations

import ctypes
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

_PR_SET_PDEATHSIG = 1
"""prctl(2): the signal that the kernel sends a process when its parent dies."""


def start_child(
    command: list[str], log: Path, environment: dict[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Start a process that says what it says at the end of the file `log`."""
    with log.open("ab") as file:
        return subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            # Its own session: an interrupt from the terminal reaches only us, who stop it.
            start_new_session=True,
            preexec_fn=_parent_death_hook(),
        )


def end_child(process: subprocess.Popen[bytes], seconds: float) -> None:
    """End it in order, and by force if it does not end in so long."""
    process.terminate()
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _parent_death_hook() -> Callable[[], None] | None:
    """The preexec_fn for `subprocess.Popen` that has the kernel end a child with its parent.

    The child gets SIGTERM when its parent dies, even by SIGKILL. Only Linux can do this; elsewhere
    None, and a killed parent leaves its children. To the kernel the parent is the thread that
    started the child, so outside the main thread it is None too: the child would end with the
    thread.
    """
    if sys.platform != "linux" or threading.current_thread() is not threading.main_thread():
        return None
    prctl = ctypes.CDLL(None).prctl  # looked up here: little may be done between fork and exec
    return lambda: prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
