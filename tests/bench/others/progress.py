"""How far a process has read, and what it took so far, a line of JSON each.

The standard library only: Quix has an environment of its own and runs this file too. The Java
programs print the same lines (`java/Progress.java`).
"""

from __future__ import annotations

import json
import time

STEPS = 100


class Progress:
    """Prints a line at the first record, at the last, and a hundred times in between."""

    def __init__(self, wanted: int) -> None:
        self._wanted, self._step = wanted, max(1, wanted // STEPS)
        self._read = self._next = 0

    @property
    def is_complete(self) -> bool:
        """Whether all records were read."""
        return self._read >= self._wanted

    def add(self, records: int) -> None:
        """Count records that were read just now."""
        self._read += records
        if records and (self._read >= self._next or self.is_complete):
            self._next = self._read - self._read % self._step + self._step
            times = {"wall_s": time.monotonic(), "cpu_s": time.process_time()}
            print(json.dumps({"read": self._read, **times}), flush=True)
