"""What each market remembers of itself, window by window, and the features that rest on it.

Unlike the accumulators these are doubles: they are touched once for each closed window, in the
order of windows, so they are the same however the records came.
"""

from __future__ import annotations

import numpy as np
from numba import njit, types
from numpy.typing import NDArray

from monitor.core.decode.batch import Int64
from monitor.core.features import crowding

Float64 = NDArray[np.float64]
F64_2 = types.float64[:, ::1]

DEPTH_S, DEPTH_READY_WINDOWS = 600.0, 60
"""Memory of the usual depth, s; windows with a book before anything is said against it."""
DEPTH_CEILING = 4.0
"""A window's depth is remembered as at most so many times the usual."""
RECENT_S = 10.0
"""How far back cancels, fills and the price count for layering."""
LAYERING_CANCELS_TO_FILLS = 10.0
"""Cancelled notional counts as layering beyond so many times what was filled on its side: on
recorded venues a side cancels five to twenty times of what it fills."""
LAYERING_MIN_MOVE = 1e-4
"""So far through the cancelled side must the mid have moved, against its mean of `RECENT_S`."""
SWEEP_BPS, SWEEP_LEFT_SHARE, SWEEP_REFILLED_SHARE = 2.0, 0.5, 0.8
"""A sweep: takers of one side paid prices so far apart, and so much or less of the depth that they
met was left. It is refilled at this share of the depth before."""
VOLATILITY_S, VOLATILITY_READY_WINDOWS = 600.0, 60
YEAR_S = 365.25 * 86_400.0

INPUT = (
    "depth_bid", "depth_ask", "mid", "cancelled_buy", "cancelled_sell", "filled_buy",
    "filled_sell", "swept_buy_bps", "swept_sell_bps", "funding_apr", "premium",
)  # fmt: skip
"""Of one window; NaN where there is none. `filled_buy`: resting bids that were hit. `swept_buy`:
what buying takers swept, so of the asks."""
OUTPUT = ("depth_withdrawn_25bps", "refill_s", "volatility", "layering", "crowding")
STATE = (
    "usual_bid", "usual_ask", "books", "before_bid", "before_ask", "cancelled_buy",
    "cancelled_sell", "filled_buy", "filled_sell", "recent_mid", "mid", "variance", "moves",
    "swept_bid_s", "swept_ask_s", "wanted_bid", "wanted_ask",
)  # fmt: skip
"""`swept_*_s`: how long ago a side was swept that is not refilled yet, plus one window; 0: none."""
WIDTH = len(STATE) + crowding.WIDTH
_CROWDING = len(STATE)


@njit(types.void(F64_2, F64_2, types.int64[::1], types.float64, F64_2), cache=True, nogil=True)
def _step(given, state, symbol, window_s, out):  # type: ignore[no-untyped-def]
    slow = -np.expm1(-window_s / DEPTH_S)
    recent = -np.expm1(-window_s / RECENT_S)
    wide = -np.expm1(-window_s / VOLATILITY_S)
    for i in range(given.shape[0]):
        x = given[i]
        s = state[symbol[i]]
        o = out[i]
        for side in range(2):
            s[5 + side] += x[3 + side] - recent * s[5 + side]
            s[7 + side] += x[5 + side] - recent * s[7 + side]
        mid = x[2]
        if mid != mid:  # no book yet
            continue
        if s[9] == 0.0:
            s[9] = s[10] = mid
        s[9] += recent * (mid - s[9])
        move = np.log(mid / s[10])
        s[10] = mid
        s[12] += 1.0
        s[11] += max(wide, 1.0 / s[12]) * (move * move - s[11])
        s[2] += 1.0
        gone = 0.0
        for side in range(2):
            depth = x[side]
            usual = s[side]
            if s[2] > DEPTH_READY_WINDOWS:
                gone = max(gone, 1.0 - depth / usual if usual > 0.0 else 0.0)
                depth = min(depth, DEPTH_CEILING * usual)
            s[side] += max(slow, 1.0 / s[2]) * (depth - usual)
            # Selling takers sweep the bids, buying ones the asks.
            before = s[3 + side]
            if x[8 - side] >= SWEEP_BPS and x[side] <= SWEEP_LEFT_SHARE * before:
                s[13 + side] = window_s
                s[15 + side] = SWEEP_REFILLED_SHARE * before
            elif s[13 + side] > 0.0:
                s[13 + side] = s[13 + side] + window_s if x[side] < s[15 + side] else 0.0
            s[3 + side] = x[side]
        o[1] = max(s[13], s[14])
        if s[2] > DEPTH_READY_WINDOWS:
            o[0] = gone
            layered = 0.0
            for side in range(2):
                excess = s[5 + side] - LAYERING_CANCELS_TO_FILLS * s[7 + side]
                through = (s[9] / mid - 1.0) * (1.0 if side == 0 else -1.0)
                if excess > 0.0 and through > LAYERING_MIN_MOVE and s[side] > 0.0:
                    layered = max(layered, excess / s[side])
            o[3] = layered
        if s[12] > VOLATILITY_READY_WINDOWS:
            o[2] = np.sqrt(s[11] / window_s * YEAR_S)
            if x[9] == x[9] and x[10] == x[10] and o[2] > 0.0:
                o[4] = crowding.step(s[_CROWDING:], window_s, x[9], x[10], o[2])


class RollingMarketState:
    """The state of every market, by symbol number."""

    def __init__(self, window_ns: int) -> None:
        self._window_s = window_ns / 1e9
        self.state: Float64 = np.zeros((0, WIDTH))

    def step(self, given: Float64, symbol: Int64) -> Float64:
        """`OUTPUT` of each row of `given` (`INPUT`), rows in the order of windows; NaN where
        nothing can be said yet.
        """
        rows = int(symbol.max(initial=-1)) + 1
        if rows > len(self.state):
            more = max(rows, 2 * len(self.state)) - len(self.state)
            self.state = np.concatenate((self.state, np.zeros((more, WIDTH))))
        out = np.full((len(given), len(OUTPUT)), np.nan)
        _step(given, self.state, symbol, self._window_s, out)
        return out
