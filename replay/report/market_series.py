"""The numbers of each market over a day, for charts: arrays of a size that the day's length and the
number of markets decide before the first record."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from detectors.arrays.types import Float64, Int64
from monitor.core.decode.batch import ABSENT
from monitor.core.decode.stepped_kernels import to_floats
from monitor.core.detection.judge import ClosedSpan
from monitor.core.event_time.clock_state import NEVER
from monitor.core.features.compute import FEATURE_COLUMN
from monitor.core.windows.book_depth import BOOK
from monitor.core.windows.columns import MARK_COLUMNS, MARK_TS, MARK_VALUE, MARK_WIDTH

POINTS_MAX = 1_250_000
"""Numbers in all series of a report together, so that one market has every second of a day: a
browser opens so many in less than 3 s."""
PRICES = ("mark", "mid")
ADDED = (
    "orders", "cancels", "trades", "liquidation_notional", "leverage_changes", "leverage_raises",
    "missing", "late",
)  # fmt: skip
LEAST = ("depth_25bps_bid", "depth_25bps_ask")
MOST = ("spread_bps", "mark_gap_bps")
SERIES = (*PRICES, *ADDED, *LEAST, *MOST)
"""Of a step, where it has several windows: of a price the last, of a feature the sum, the least or
the largest."""
_REDUCED = (
    (tuple(map(SERIES.index, ADDED)), [FEATURE_COLUMN[name] for name in ADDED], np.add),
    (tuple(map(SERIES.index, LEAST)), [FEATURE_COLUMN[name] for name in LEAST], np.fmin),
    (tuple(map(SERIES.index, MOST)), [FEATURE_COLUMN[name] for name in MOST], np.fmax),
)
_MARK = MARK_COLUMNS.index("mark") * MARK_WIDTH
CARRIED_WINDOWS = 60
"""A price is drawn on for so many windows without another one."""

Float32 = NDArray[np.float32]


class WindowRange(NamedTuple):
    """Windows from index `low` to below `until`."""

    low: int
    until: int


class SpanRows(NamedTuple):
    """What a closed span has of the chosen markets: `values` (windows, markets, features) from
    window `low` on; `places`: by market of `values`, its number in the report."""

    low: int
    values: Float64
    places: Int64


def chosen_rows(span: ClosedSpan, numbers: dict[str, int], windows: WindowRange) -> SpanRows:
    """The rows of a span that lie in `windows`, of the markets that `numbers` names."""
    markets = len(span.features.symbol) // (span.until - span.low)
    low, until = max(span.low, windows.low), min(span.until, windows.until)
    rows = slice((low - span.low) * markets, max(low, until) * markets - span.low * markets)
    places = [
        numbers.get(span.names[number], -1) for number in span.features.symbol[:markets].tolist()
    ]
    here = np.array(places, np.int64)
    values = span.features.values[rows].reshape(-1, markets, span.features.values.shape[1])
    return SpanRows(low, values[:, here >= 0], here[here >= 0])


class MarketSeries:
    """The series of markets, with the same steps of time for all of them.

    `numbers`: of each market, from 0 on.
    """

    def __init__(self, numbers: dict[str, int], windows: WindowRange) -> None:
        self._numbers, self._windows = numbers, windows
        count = max(1, windows.until - windows.low)
        room = max(1, POINTS_MAX // (len(SERIES) * max(1, len(numbers))))
        self.step = -(-count // room)
        """Windows of a step."""
        self.steps = -(-count // self.step)
        self._values = np.full((len(SERIES), len(numbers), self.steps), np.nan, np.float32)

    def take(self, span: ClosedSpan, rows: SpanRows) -> None:
        """Take a closed span, and what `chosen_rows` gives of it."""
        if not rows.values.size:
            return
        step = (np.arange(len(rows.values)) + rows.low - self._windows.low) // self.step
        starts = np.flatnonzero(np.diff(step, prepend=-1))
        for series, columns, reduce in _REDUCED:
            part = rows.values[:, :, columns]
            if reduce is np.add:
                sums = np.add.reduceat(np.nan_to_num(part), starts, axis=0)
                came = np.logical_or.reduceat(~np.isnan(part), starts, axis=0)
                new = np.where(came, sums, np.nan)
            else:
                new = reduce.reduceat(part, starts, axis=0)
            at = np.ix_(np.array(series), rows.places, step[starts])
            self._values[at] = _joined(self._values[at], new.transpose(2, 1, 0), reduce)
        self._take_prices(span)

    def _take_prices(self, span: ClosedSpan) -> None:
        closed = span.windows
        place_of = np.full(max(span.names, default=0) + 1, -1, np.int64)
        for number, name in span.names.items():
            place_of[number] = self._numbers.get(name, -1)
        place = place_of[closed.symbol]
        inside = (closed.window >= self._windows.low) & (closed.window < self._windows.until)
        step = (closed.window - self._windows.low) // self.step
        mid = closed.book[:, BOOK.mid]
        for series, times, codes in (
            (0, closed.mark[:, _MARK + MARK_TS], closed.mark[:, _MARK + MARK_VALUE]),
            (1, closed.book[:, BOOK.ts], mid),
        ):
            rows = np.flatnonzero(inside & (place >= 0) & (times != NEVER) & (codes != ABSENT))
            # Rows rise with time, and of several in one step the last one stays.
            self._values[series, place[rows], step[rows]] = to_floats(codes[rows])

    def packed(self, symbol: str) -> dict[str, Any]:
        """The series of a market that have a number, packed as pages read them."""
        own = self._values[:, self._numbers[symbol]].copy()
        carried = max(1, CARRIED_WINDOWS // self.step)
        for k in range(len(PRICES)):
            own[k] = _carry(own[k], carried)
        return {name: pack(own[k]) for k, name in enumerate(SERIES) if not np.isnan(own[k]).all()}

    def extent(self, symbol: str) -> tuple[float, float] | None:
        """The lowest and the highest price of a market; None: no price came."""
        prices = self._values[: len(PRICES), self._numbers[symbol]]
        prices = prices[prices > 0]
        return (float(prices.min()), float(prices.max())) if prices.size else None


def _joined(before: Float32, new: Float64, reduce: np.ufunc) -> Float64:
    if reduce is not np.add:
        joined: Float64 = reduce(before, new)
        return joined
    is_known = ~(np.isnan(before) & np.isnan(new))
    return np.where(is_known, np.nan_to_num(before) + np.nan_to_num(new), np.nan)


def _carry(values: Float32, most: int) -> Float32:
    """Gaps of at most `most` steps take the number before them."""
    places = np.arange(len(values))
    last = np.maximum.accumulate(np.where(np.isnan(values), -1, places))
    near = (last >= 0) & (places - last <= most)
    return np.where(near, values[np.maximum(last, 0)], np.nan).astype(np.float32)


def pack(values: Sequence[float] | NDArray[Any]) -> dict[str, str]:
    """Whole numbers as 32 bits, real ones as singles: little-endian, base64."""
    array = np.asarray(values)
    kind = "u4" if array.dtype.kind in "iu" else "f4"
    return {kind: base64.b64encode(array.astype(f"<{kind}").tobytes()).decode()}
