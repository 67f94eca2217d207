"""What a path leaves behind when the mark has come to rest: who pays for what the book does not.

The positions of one side are closed one after the other, the nearest liquidation price first. Each
sends its order to the book; what it keeps open is valued at the mark where that comes to rest.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from detectors.arrays.types import Float64
from monitor.core.margin.paths.path import LiquidationPath


class ForcedCloses(NamedTuple):
    """Forced positions, the nearest first: `sent` to the book at the average `price`, and `kept`
    (base units). `bankrupt`, `backstop`: prices where equity is used up, and where the backstop
    takes over; NaN: nowhere."""

    sent: Float64
    price: Float64
    kept: Float64
    bankrupt: Float64
    backstop: Float64


class PathLosses(NamedTuple):
    """`shortfall`: what the closes cost beyond the margin of their accounts, `fund_paid`: what the
    insurance fund pays of it (quote currency). `backstop`, `deleveraged`: quantities that the
    backstop takes over, and that are closed against the other side."""

    shortfall: float
    fund_paid: float
    backstop: float
    deleveraged: float


NO_LOSSES = PathLosses(0.0, 0.0, 0.0, 0.0)


def settle_losses(
    path: LiquidationPath, closes: ForcedCloses, side: int, mark: float, fund: float
) -> PathLosses:
    """`side`: of the positions, 1 long, −1 short; `mark`: where it comes to rest; `fund`: what the
    insurance fund holds.

    An account lacks what both parts together bring less than their bankruptcy price. The fund pays
    in the order of the closes until it is empty. What it does not cover is closed against the other
    side, as far as its price is beyond bankruptcy, where the venue does that.
    """
    with np.errstate(invalid="ignore"):
        sold_gain = side * (closes.price - closes.bankrupt)
        kept_gain = side * (mark - closes.bankrupt)
        sold_gain, kept_gain = (
            np.where(quantity > 0.0, np.nan_to_num(gain, nan=0.0), 0.0)
            for quantity, gain in ((closes.sent, sold_gain), (closes.kept, kept_gain))
        )
        in_backstop = (side * (mark - closes.backstop) < 0.0) & (kept_gain >= 0.0)
    lacking = np.maximum(-(sold_gain * closes.sent + kept_gain * closes.kept), 0.0)
    before = np.cumsum(lacking) - lacking
    covered = np.clip(fund - before, 0.0, lacking)
    beyond = np.where(sold_gain < 0.0, closes.sent, 0.0)
    beyond += np.where(kept_gain < 0.0, closes.kept, 0.0)
    with np.errstate(invalid="ignore", divide="ignore"):
        uncovered = np.where(lacking > 0.0, 1.0 - covered / lacking, 0.0)
    deleveraged = float(np.sum(beyond * uncovered)) if path.ranking is not None else 0.0
    backstop = float(np.sum(closes.kept[in_backstop])) if path.backstop_k is not None else 0.0
    return PathLosses(float(lacking.sum()), float(covered.sum()), backstop, deleveraged)
