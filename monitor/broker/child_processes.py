"""Child processes that end with this one, whatever ends it."""

from __future__ import annotations

import ctypes
import signal
import sys
import threading
from collections.abc import Callable

_PR_SET_PDEATHSIG = 1
"""prctl(2): the signal that the kernel sends a process when its parent dies."""


def parent_death_hook() -> Callable[[], None] | None:
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
