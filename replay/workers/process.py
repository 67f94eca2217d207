"""A process that runs a task: its start, its end, and what passes between it and this one."""

from __future__ import annotations

import contextlib
import os
import pickle
import queue
import signal
import subprocess
import sys
import threading
import traceback
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import Any

from monitor.errors import BrinkwatchError
from replay.workers.shard_task import ShardsEnd, ShardStep, ShardTask, run_task

ATTEMPTS = 2
"""How often a task is begun whose process dies."""
STEPS_AHEAD = 8
"""Steps of a task that may wait in its process for the venue stage; then the process waits."""
_MAIN = "import sys; from replay.workers.process import serve; serve(int(sys.argv[1]))"


class WorkerProcess:
    """A process of its own that runs one task; close it, whatever happens.

    It is begun as a program and not forked, so that it inherits no threads and needs nothing of the
    main module. Where it dies, the task is begun again from its start.
    """

    def __init__(self, task: ShardTask) -> None:
        self.task = task
        self.records = 0
        """Records that it has read so far."""
        self.end: ShardsEnd | None = None
        """None until the task has ended."""
        self._attempts = 0
        self._begin()

    @property
    def process_id(self) -> int:
        """Of the process that runs the task now."""
        return self._process.pid

    def _begin(self) -> None:
        self._attempts += 1
        self._pipe, theirs = Pipe()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _MAIN, str(theirs.fileno())],
                env={**os.environ, "PYTHONPATH": os.pathsep.join(p or "." for p in sys.path)},
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                # Its own session: an interrupt from the terminal reaches only us, who end it.
                start_new_session=True,
            )
        with contextlib.suppress(OSError):  # it has died at once: `receive` will see that
            self._pipe.send(self.task)

    def receive(self) -> list[bytes]:
        """The reports of the next step; none at the task's end. Waits for it.

        Raises what the task raised, and `BrinkwatchError` where the process died again.
        """
        while True:
            try:
                item = self._pipe.recv()
            except (EOFError, OSError):
                self._begin_again()
                continue
            if isinstance(item, BaseException):
                raise item
            if isinstance(item, ShardsEnd):
                self.end = item
                return []
            # A task that was begun again has not yet come as far as before.
            self.records = max(self.records, item.records)
            return list(item.reports)

    def _begin_again(self) -> None:
        code = self._process.wait()
        self._pipe.close()
        if self._attempts == ATTEMPTS:
            how = f"exit status {code}"
            if code < 0:
                how = signal.strsignal(-code) or f"signal {-code}"
            raise BrinkwatchError(
                f"a worker process died {ATTEMPTS} times ({how}): replay with --workers 1, which "
                "needs less memory"
            )
        self._begin()

    def close(self) -> None:
        """End the process."""
        self._pipe.close()
        self._process.kill()
        self._process.wait()


def serve(handle: int) -> None:
    """What the process does: receive a task by the pipe of this file descriptor, and send its
    steps, or the exception that ended it."""
    with Connection(handle) as pipe:
        task = pipe.recv()
        waiting: queue.Queue[Any] = queue.Queue(STEPS_AHEAD)
        sender = threading.Thread(target=_send, args=(pipe, waiting))
        sender.start()
        try:
            for item in run_task(task):
                waiting.put(item)
        except BaseException as error:
            waiting.put(_portable(error))
        waiting.put(None)
        sender.join()


def _send(pipe: Connection, waiting: queue.Queue[ShardStep | ShardsEnd | None]) -> None:
    while (item := waiting.get()) is not None:
        try:
            pipe.send(item)
        except OSError:  # nobody listens any more
            os._exit(1)


def _portable(error: BaseException) -> BaseException:
    """The same exception where it can be pickled, with the place where it was raised."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        error = RuntimeError(repr(error))
    if not isinstance(error, BrinkwatchError):
        error.add_note(f"In a worker process:\n{traceback.format_exc()}")
    return error
