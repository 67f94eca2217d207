"""What other markets showed of a stream's scores: what a calibrator borrows while it is young.

The first blocks of a stream say next to nothing of a score that comes once a week. Recordings of
other venues say how high the blocks of such a stream go. So a new one begins with `READY_BLOCKS`
blocks of theirs, and each block of its own takes the place of one of them: after six hours of 1 s
windows it speaks for itself alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

READY_BLOCKS = 72
"""Blocks from which a tail can be read: six hours of 1 s windows."""
TOP = 9
"""The highest eighth of so many blocks: the tail that calibration reads, kept one by one."""
MIDDLE_SHARES = 0.1, 0.25, 0.5, 0.75
_PLACES = (np.arange(READY_BLOCKS) + 0.5) / READY_BLOCKS
_SHARES = np.array([*MIDDLE_SHARES, *_PLACES[-TOP:]])
"""The shares of blocks that lie below the fitted heights."""
_ORDER = (np.arange(READY_BLOCKS) * (5.0**0.5 - 1.0) / 2.0 % 1.0).argsort().argsort()
"""In steps of the golden section: however many of the borrowed blocks stay, they are spread evenly
over all heights."""


class TailPrior(NamedTuple):
    """How high the blocks of such streams go.

    `middle`: the scores below which `MIDDLE_SHARES` of the blocks lie. `top`: the `TOP` highest of
    `READY_BLOCKS`, the lowest first.
    """

    middle: tuple[float, ...]
    top: tuple[float, ...]

    @classmethod
    def fit(cls, recordings: Sequence[Sequence[float]]) -> TailPrior:
        """Of the highest scores of the blocks of each recording, to three digits.

        A recording counts as its blocks, but as `READY_BLOCKS` at most: a long one shows one venue.

        >>> TailPrior.fit([[1.0] * 50 + [2.0] * 22]).top
        (2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0, 2.0)
        """
        scores = np.concatenate([np.asarray(one, float) for one in recordings])
        weights = [np.full(len(one), min(1.0, READY_BLOCKS / len(one))) for one in recordings]
        order = np.argsort(scores, kind="stable")
        weight = np.concatenate(weights)[order]
        share = (np.cumsum(weight) - weight / 2) / weight.sum()
        heights = [float(f"{x:.3g}") for x in np.interp(_SHARES, share, scores[order])]
        return cls(tuple(heights[:-TOP]), tuple(heights[-TOP:]))

    def blocks(self) -> list[float]:
        """The borrowed blocks, in the order in which they stay: the first `n` of them stand in for
        the last `n` that a stream has yet to see."""
        heights = np.interp(_PLACES, _SHARES, [*self.middle, *self.top])
        blocks: list[float] = heights[_ORDER].tolist()
        return blocks
