"""Synchronous rounds of one direction: force who is due, move the marks by what that sells, again.

In each round every pool that is due at the marks of the round before is forced, and stays forced. A
fall counts what longs sell and no relief by shorts that buy back, and a rise the other way round,
so that no mark turns back. What is sold is summed in integers: no result depends on the order in
which pools are looked at.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from detectors.arrays.types import Bool, Float64, Int64
from monitor.core.bands.kernels.arrays import MARK, Int32
from monitor.core.cascade.graph.system_kernels import (
    ABSENT_POOL,
    PAGES,
    Calendar,
    force_pools,
    push_books,
)

if TYPE_CHECKING:
    from monitor.core.cascade.graph.system import SystemSide

CLOCK_MAX = 1e6
"""Where the clock stops: a market without a book moves without end."""


class SystemState(NamedTuple):
    """Where rounds have come to. `moved`: by market, the log distance of its mark from today's, in
    the direction of the shock; `forced`: by pool; `sold`: by market, sent to the books on the side
    that loses, in units of `SideBooks.unit`."""

    moved: Float64
    forced: Bool
    sold: Int64


class Rounds:
    """One direction, from `state` on.

    `pace`: by market, how fast it is expected to move beside the others, above 0; it decides how
    much is looked at, and no result. `reach`: of pools, for the pace 1 of all markets (see
    `measure_reach`), and `order`: the pools by it. `early`: pools that are looked at in the first
    round; `slow`: the pace that no market of the others exceeds.
    """

    def __init__(
        self, side: SystemSide, state: SystemState, pace: Float64, slow: float, order: Int32,
        reach: Float64, early: Int32,
    ) -> None:  # fmt: skip
        self._side, self._pace, self._slow = side, pace, slow
        self.moved, self.forced = state.moved.copy(), state.forced.copy()
        self.sold = state.sold.copy()
        self.forced_count = 0
        """How many pools these rounds have forced."""
        self._clock = 0.0
        self._table = side.table(self.moved)
        following = np.full(len(reach), ABSENT_POOL, np.int32)
        first = np.full(PAGES, -1, np.int32)
        early = early[~self.forced[early]]
        if len(early):
            following[early] = np.append(early[1:], np.int32(-1))
            first[0] = early[0]
        place, ahead = np.zeros(2, np.int64), np.zeros(1)
        self._calendar = Calendar(first, following, order, reach, place, ahead)
        self._levels = side.books.first[:-1].copy()
        self._pushed_for = np.zeros_like(self.sold)
        self._pushed = np.zeros(len(self.moved))

    def settle(self, shock: Float64) -> None:
        """Rounds until nobody more is forced. `shock`: by market, log distance, not negative, and
        not below the one before."""
        self.advance_marks(shock)
        while self.force():
            self.advance_marks(shock)

    def force(self) -> int:
        """Force whoever is due at the marks of now; how many pools they are."""
        side = self._side
        count = int(force_pools(
            self._clock, self._clock * self._slow, self._calendar, side.positions, self._table,
            self._pace, side.falls, side.sent, self.forced, self.sold,
        ))  # fmt: skip
        self.forced_count += count
        return count

    def advance_marks(self, shock: Float64) -> None:
        """Move the marks by the shock and by what has been sold, and none of them back."""
        side = self._side
        given = side.books, side.survives, self._levels, self._pushed
        push_books(self.sold, self._pushed_for, *given)
        self.move(shock + side.carry(self._pushed))

    def move(self, moved: Float64) -> None:
        """Move the marks to `moved`, where that is further than they are."""
        moved = np.maximum(moved, self.moved)
        changed = moved != self.moved
        if changed.any():
            moved[~changed] = self.moved[~changed]
            with np.errstate(invalid="ignore"):
                step = float(((moved - self.moved)[changed] / self._pace[changed]).max())
            self._clock = min(self._clock + step, CLOCK_MAX)
            self.moved = moved
            self._table.rows[MARK] = self._side.marks(moved)

    @property
    def state(self) -> SystemState:
        """Where they stand; not a copy."""
        return SystemState(self.moved, self.forced, self.sold)
