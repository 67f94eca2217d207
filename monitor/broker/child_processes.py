"""Processes started beside this one end with it, whatever ends it."""

from __future__ import annotations

import ctypes
import signal
import sys
import threading
from collections.abc import Callable

_PR_SET_PDEATHSIG = 1
"""prctl(2): the signal that the kernel sends a process when its parent dies."""


def parent_death_hook() -> Callable[[], None] | None:
    """What `subprocess.Popen` takes as `preexec_fn`: SIGTERM for the child when its parent dies,
    be it by SIGKILL. For Linux; elsewhere None, and a killed parent leaves its children.

    To the kernel the parent is the thread that started the child: from any but the main thread
    None too, or the child would end with the thread.
    """
    if sys.platform != "linux" or threading.current_thread() is not threading.main_thread():
        return None
    prctl = ctypes.CDLL(None).prctl  # found here: between fork and exec little may be done
    return lambda: prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
