"""Rows of events that wait until event time has passed them, and leave in its order."""

from __future__ import annotations

from typing import Any

import numpy as np

from detectors.arrays.types import Int64


class RowQueue:
    """Rows that wait until their time has passed. Of the `width` columns the first `keys`, event
    time first, say in which order they are taken. `parts`: the rows, as they came.
    """

    def __init__(self, width: int, keys: int) -> None:
        self.parts: list[Int64] = []
        self._width, self._keys = width, keys

    def add(self, rows: Int64) -> None:
        if len(rows):
            self.parts.append(rows)

    def take_before(self, end_ns: int) -> Int64:
        """Remove the rows before `end_ns`, and return them in their order."""
        rows = self._join()
        is_early = rows[:, 0] < end_ns
        self.parts = [] if is_early.all() else [rows[~is_early]]
        # Rows may be wide: they are copied once, in their order.
        early = np.flatnonzero(is_early)
        return rows[early[np.lexsort(rows[early, : self._keys].T[::-1])]]

    def _join(self) -> Int64:
        if len(self.parts) == 1:
            return self.parts[0]
        return np.concatenate((np.empty((0, self._width), np.int64), *self.parts))

    def snapshot(self) -> dict[str, Any]:
        return {"rows": self._join()}

    def restore(self, state: dict[str, Any]) -> None:
        self.parts = [state["rows"]]
