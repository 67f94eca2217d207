"""Changes planted in a recorded day's books: makers who leave on both sides or on one, and a spread
that opens. All other rows stay as they are.

Places lie in the part of the day that is tested, one in each of as many equal parts, at random
(fixed seeds), and only where the recording has books all the time. Withdrawn is the same share of
every level; a side alone is the bids' and the asks' in turn; a spread opens by half on each side,
prices rounded outwards to the decimals that the recording uses.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from monitor.core.contract.stepped import FINE, PLAIN
from monitor.core.contract.units import SECOND_NS
from monitor.core.decode.batch import Batch, Ladder
from monitor.core.decode.stepped_kernels import from_floats, to_floats
from tests.bench.detect.days.series import MarketSeries

AROUND_S = 60
"""Places lie so far from each other, beside what the change and its discovery take."""
TRIES = 200


class Change(NamedTuple):
    """What is planted."""

    name: str
    lasts_s: int
    within_s: int
    """It is found when an alert is fired or updated so soon after it begins."""
    keeps: float = 1.0
    """What is left of every size."""
    one_side: bool = False
    opens_bps: float = 0.0
    """By how much the spread opens."""


CHANGES = (
    Change("both sides x .2, 20 s", 20, 15, keeps=0.2),
    Change("one side x .2, 20 s", 20, 15, keeps=0.2, one_side=True),
    Change("both sides x .5, 120 s", 120, 60, keeps=0.5),
    Change("spread + 3 bps, 10 s", 10, 15, opens_bps=3.0),
)


class Planting(NamedTuple):
    """Where a change is planted: in which market, and its beginnings, s since 1970, in order."""

    change: Change
    symbol: str
    starts: NDArray[np.int64]

    def is_near(self, seconds: NDArray[np.float64], after_s: float = 90.0) -> NDArray[np.bool_]:
        """Whether times lie in a planted change or up to `after_s` after its end."""
        return self._numbers_at(seconds, after_s) >= 0

    def _numbers_at(self, seconds: NDArray[np.float64], after_s: float = 0.0) -> NDArray[np.int64]:
        """Of times the number of the planted change that they lie in; -1: in none."""
        number = np.searchsorted(self.starts, seconds, side="right") - 1
        began = self.starts[np.maximum(number, 0)]
        inside = (number >= 0) & (seconds < began + self.change.lasts_s + after_s)
        return np.where(inside, number, -1)

    def apply(self, batch: Batch) -> Batch:
        """The batch with what is planted in its rows; other rows, and other kinds, as they are."""
        if batch.kind != "book" or not len(batch):
            return batch
        numbers = self._numbers_at(batch.numbers["ts"] / SECOND_NS)
        symbols = np.array(batch.texts["symbol"].to_strings(), object)
        numbers[symbols != self.symbol] = -1
        if not (numbers >= 0).any():
            return batch
        changed = batch.select_rows(slice(None))
        changed.refused, changed.left_out = batch.refused, batch.left_out
        changed.ladders = {
            name: self._change_side(batch.ladders[name], numbers, side)
            for side, name in enumerate(("bids", "asks"))
        }
        return changed

    def _change_side(self, ladder: Ladder, numbers: NDArray[np.int64], side: int) -> Ladder:
        of_level = np.repeat(numbers, np.diff(ladder.offset))
        hit = of_level >= 0
        if self.change.one_side:
            hit &= of_level % 2 == side
        price, quantity = ladder.price.copy(), ladder.quantity.copy()
        quantity[hit] = from_floats(to_floats(quantity[hit]) * self.change.keeps, PLAIN)
        if self.change.opens_bps:
            further = 1 + (1 if side else -1) * self.change.opens_bps / 2e4
            grid = 10.0 ** decimals_of(ladder.price)
            outwards: Callable[..., NDArray[np.float64]] = np.ceil if side else np.floor
            moved = outwards(to_floats(price[hit]) * further * grid) / grid
            price[hit] = from_floats(moved, FINE)
        return Ladder(ladder.offset, price, quantity)


def decimals_of(codes: NDArray[np.int64]) -> int:
    """The decimal places in which prices are given, at most 8 above 1."""
    values = to_floats(codes[:1000])
    for places in range(8):
        if np.allclose(np.rint(values * 10**places) / 10**places, values, rtol=1e-12, atol=0):
            return places
    return 8


def choose_places(
    market: MarketSeries, change: Change, begin_s: float, end_s: float, number: int, seed: int
) -> NDArray[np.int64]:
    """Beginnings between two times (s since 1970), at most `number`, fewer where the time is short
    or books are missing."""
    needs = change.lasts_s + change.within_s + AROUND_S
    number = min(number, int((end_s - begin_s) // needs))
    if number < 1:
        return np.zeros(0, np.int64)
    rng = np.random.default_rng(seed)
    part = (end_s - begin_s) / number
    known = ~np.isnan(market.scores["depth"])
    starts = []
    for low in begin_s + part * np.arange(number):
        for _ in range(TRIES):
            start = int(low + rng.uniform(0, part - needs + 1))
            at = start - market.start
            if known[at : at + needs].all():
                starts.append(start)
                break
    return np.array(starts, np.int64)
