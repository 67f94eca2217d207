"""All shocks of all markets at once: how far each comes to rest, and where the rest jumps.

Distances are logarithms: a mark m that falls by y stands at m·e^(−y). A *bucket* is one side of one
market: longs are forced as the mark falls and sell into the bids, shorts as it rises.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from detectors.arrays.types import Float64, Int64
from monitor.core.cascade.shock_kernels import pass_shocks


class ForcedSteps(NamedTuple):
    """What is forced how far away. The steps of bucket b are `first[b]` to `first[b + 1] − 1`.

    `distance`: of the liquidation price from the mark, ascending from 0 on; the first step of each
    bucket has distance 0 and stands for what is due already, which may be nothing. `total`: base
    quantity forced up to there, cumulative. `sent`: the part of it that goes to the book at once.
    """

    first: Int64
    distance: Float64
    total: Float64
    sent: Float64


class BookLevels(NamedTuple):
    """The book that each bucket's forced flow meets, from the best level on.

    The levels of bucket b are `first[b]` to `first[b + 1] − 1`. `distance`: from the mark, not
    negative, ascending. `total`: base quantity up to there, cumulative.
    """

    first: Int64
    distance: Float64
    total: Float64


class Jump(NamedTuple):
    """A critical shock: at the log distance `shock`, and not before it, the mark comes to rest
    `length` further away. `steps`: the liquidation prices that are passed in the jump."""

    shock: float
    length: float
    steps: int


@dataclass(frozen=True, slots=True)
class ShockAnswers:
    """The answers to every shock, with `survives` of the book's quantities still there.

    `moved` and `edge`: see `pass_shocks`.
    """

    steps: ForcedSteps
    levels: BookLevels
    kappa: Float64
    survives: float
    moved: Float64
    edge: Float64

    @classmethod
    def find(
        cls, steps: ForcedSteps, levels: BookLevels, kappa: Float64, survives: float
    ) -> ShockAnswers:
        """`kappa`: by bucket, the part of the book's move that passes into the mark, 0 to 1."""
        moved, edge = np.empty(len(steps.distance)), np.empty(len(steps.distance))
        places = steps.first, steps.distance, steps.sent
        pass_shocks(*places, *levels, kappa, survives, moved, edge)
        return cls(steps, levels, kappa, survives, moved, edge)

    def rest(self, bucket: int, shock: float) -> tuple[int, float]:
        """Where a shock (log distance, not negative) comes to rest: the last step that is forced,
        and the distance y*; ∞ where something is forced and there is no book to sell it to.
        """
        low, high = self._span(bucket)
        k = low + int(np.searchsorted(self.edge[low:high], shock, side="right"))
        return k, max(float(self.steps.distance[k]), shock + float(self.moved[k]))

    def moved_at(self, bucket: int, y: float) -> float:
        """How far the book moves the mark when all within y is forced."""
        low, high = self._span(bucket)
        k = low + int(np.searchsorted(self.steps.distance[low:high], y, side="right")) - 1
        return float(self.moved[k])

    def jumps(self, bucket: int, reach: float) -> list[Jump]:
        """The critical shocks up to the distance `reach`, the nearest first.

        Every position that is forced moves the mark, so each is a jump of some length.
        """
        low, high = self._span(bucket)
        edge, y, moved = self.edge[low:high], self.steps.distance[low:high], self.moved[low:high]
        jumps = []
        _, now = self.rest(bucket, 0.0)
        if now > 0.0:
            jumps.append(Jump(0.0, now, int(np.searchsorted(edge, 0.0, side="right"))))
        starts = np.flatnonzero(np.concatenate(([True], edge[1:] > edge[:-1]))).tolist()
        for before, after in pairwise(starts):
            # A smaller shock rests before step `before` + 1; this one rests behind step `after`.
            shock = float(edge[before])
            if shock > reach:
                break
            if shock > 0.0:
                end = max(float(y[after]), shock + float(moved[after]))
                jumps.append(Jump(shock, end - float(y[before + 1]), after - before))
        return jumps

    def _span(self, bucket: int) -> tuple[int, int]:
        return int(self.steps.first[bucket]), int(self.steps.first[bucket + 1])
