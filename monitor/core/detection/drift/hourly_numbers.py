"""One value an hour of the numbers that may drift, for each market.

An hour has twelve pieces of five minutes. A piece's value is a mean over its windows (of a ratio:
its sums, one by the other), the hour's the median of its pieces: a burst of minutes moves it
little, and where fewer than half of the pieces have a value the hour has none.

Depth, spread and cancels an order are compared by their ratio, so their values are logarithms. Of
the spread it is that of 1 bps more: below that it costs next to nothing. Concentration is the
chance that two cancels of one second are of the same account, (N·H − 1) / (N − 1) with the
Herfindahl index H of N cancels, which does not depend on how many there are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import exp, expm1, log, log1p

import numpy as np
from numba import njit

from detectors.arrays.growable import grow_rows
from detectors.arrays.state import Stateful
from detectors.arrays.types import F2, F3, I1, Float64, Int64
from monitor.core.contract.feature_catalogue import DRIFT_FEATURES
from monitor.core.features.compute import FEATURE_COLUMN

PIECES = 12
"""Of an hour: five minutes each."""
PIECES_MIN = 6


@dataclass(frozen=True, slots=True)
class HourlyNumber:
    """How one of `DRIFT_FEATURES` is compared with its usual."""

    least: float
    """The smallest change worth telling: a fifth, or five points."""
    side: int
    """1: a rise does harm, −1: a fall, 0: both."""
    count_min: float
    """Of the windows, orders or changes of a piece: fewer say nothing of it."""
    to_unit: Callable[[float], float] = float
    """From a value to the feature's unit."""


NUMBERS: dict[str, HourlyNumber] = {
    "depth_drift": HourlyNumber(log(1.25), -1, 1, exp),
    "spread_drift": HourlyNumber(log(1.2), 1, 1, expm1),
    "cancels_to_orders_drift": HourlyNumber(log(1.2), 1, 20, exp),
    "funding_drift": HourlyNumber(0.05, 0, 1),
    "leverage_drift": HourlyNumber(0.05, 1, 5),
    "concentration_drift": HourlyNumber(0.05, 1, 5),
}
assert list(NUMBERS) == list(DRIFT_FEATURES)
_COUNT_MIN = np.array([number.count_min for number in NUMBERS.values()])
_IS_RATIO = np.array([name == "cancels_to_orders_drift" for name in NUMBERS])
_DEPTH, _SPREAD, _RATIO, _FUNDING, _LEVERAGE, _CONCENTRATION = range(len(NUMBERS))
_AT_DEPTH, _AT_SPREAD, _AT_CANCELS, _AT_ORDERS, _AT_FUNDING, _AT_RAISES, _AT_CHANGES, _AT_H = (
    FEATURE_COLUMN[name]
    for name in (
        "depth_25bps", "spread_bps", "cancels", "orders", "funding_apr", "leverage_raises",
        "leverage_changes", "cancels_herfindahl",
    )
)  # fmt: skip


@njit((F2, I1, F3), cache=True, nogil=True)
def add_windows(values, symbol, sums):  # type: ignore[no-untyped-def]
    """Add rows of features, one by one in their order, to `sums` (markets, `NUMBERS`, 2): what is
    divided, and by what.
    """
    for i in range(len(symbol)):
        row, into = values[i], sums[symbol[i]]
        depth, spread, funding = row[_AT_DEPTH], row[_AT_SPREAD], row[_AT_FUNDING]
        if depth > 0.0:
            into[_DEPTH, 0] += log(depth)
            into[_DEPTH, 1] += 1.0
        if spread >= 0.0:
            into[_SPREAD, 0] += log1p(spread)
            into[_SPREAD, 1] += 1.0
        if funding == funding:
            into[_FUNDING, 0] += funding
            into[_FUNDING, 1] += 1.0
        cancels, orders = row[_AT_CANCELS], row[_AT_ORDERS]
        if cancels == cancels and orders == orders:
            into[_RATIO, 0] += cancels
            into[_RATIO, 1] += orders
        raises, changes = row[_AT_RAISES], row[_AT_CHANGES]
        if raises == raises and changes == changes:
            into[_LEVERAGE, 0] += raises
            into[_LEVERAGE, 1] += changes
        herfindahl = row[_AT_H]
        if herfindahl == herfindahl and cancels >= 2.0:
            into[_CONCENTRATION, 0] += (cancels * herfindahl - 1.0) / (cancels - 1.0)
            into[_CONCENTRATION, 1] += 1.0


class HourlyNumbers(Stateful):
    """The hour that runs: sums of its last piece, and values of those before it."""

    STATE = "_sums", "_pieces"

    def __init__(self) -> None:
        self._sums: Float64 = np.zeros((0, len(NUMBERS), 2))
        self._pieces: Float64 = np.zeros((0, len(NUMBERS), PIECES))

    def grow(self, markets: int) -> None:
        """Have rows for `markets`."""
        if markets > len(self._sums):
            self._sums = grow_rows(self._sums, markets)
            self._pieces = grow_rows(self._pieces, markets, np.nan)

    def add(self, values: Float64, symbol: Int64) -> None:
        """Add windows of the piece that runs: rows of features, and the market of each."""
        add_windows(values, symbol, self._sums)

    def end_piece(self, piece: int) -> None:
        """The piece with this number in its hour is over."""
        top, count = self._sums[..., 0], self._sums[..., 1]
        with np.errstate(divide="ignore", invalid="ignore"):
            # Half an event more on either side keeps the logarithm finite.
            value = np.where(_IS_RATIO, np.log((top + 0.5) / (count + 0.5)), top / count)
        self._pieces[..., piece] = np.where(count >= _COUNT_MIN, value, np.nan)
        self._sums[:] = 0.0

    def end_hour(self) -> Float64:
        """(markets, `NUMBERS`): the hour's values, NaN where it has none; the next hour begins."""
        came = np.isfinite(self._pieces).sum(axis=-1) >= PIECES_MIN
        values = np.full(came.shape, np.nan)
        values[came] = np.nanmedian(self._pieces[came], axis=-1)
        self._pieces[:] = np.nan
        return values
