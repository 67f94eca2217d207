"""What each market remembers of itself, window by window, and the features that rest on it.

Unlike the accumulators these are doubles: they are touched once for each closed window, in the
order of windows, so they are the same however the records came.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from detectors.arrays.columns import column_numbers
from detectors.arrays.growable import grow_rows
from detectors.arrays.state import Stateful
from detectors.arrays.types import F1, F2, FLOAT, I1, INT, Float64, Int64
from monitor.core.contract.units import SECOND_NS, YEAR_S

DEPTH_S, DEPTH_READY_WINDOWS = 600.0, 60
"""Memory of the usual depth, s; windows with a book before a lack of depth is measured."""
DEPTH_LEAST = 1.0
"""Less depth counts as so much, quote currency."""
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
"""A sweep: takers of one side paid prices so far apart, and at most this share of the depth on the
other side was left. The side is refilled at this share of the depth before, or of its usual
depth where that is less: nobody puts a wall back that was there for a moment."""
VOLATILITY_S, VOLATILITY_READY_WINDOWS = 600.0, 60
BOTH_SIDES_S, BOTH_SIDES_REACH = 3.0, 0.5
"""Over how long the depth of both sides is averaged, s; and how far off its usual, as a logarithm,
it is learnt at most: walls come and go."""
STEP_BACK_WINDOWS = 3
"""Quotes have stepped back once they stay there for so many windows: a sweep takes one side, and
for a moment."""
SPREAD_WINDOWS, SPREAD_LEAST_BPS, SPREAD_LEAST_TICKS = 5, 1.0, 2.0
"""A spread lasts for so many windows: the lowest of them counts, and no less than so many bps or
ticks. A maker that is taken out quotes again within seconds, and no desk acts on 0.3 bps instead of
0.1, or on two ticks instead of one."""
TICK_S = 86_400.0
"""The least spread of so long (s) is taken for a tick: in a market of wide ticks it is one."""
REACH_STEP = 1.0 / 600.0
"""By this share of itself each book moves the median of how far books go."""

INPUT_COLUMNS = (
    "depth_bid", "depth_ask", "mid", "cancelled_buy", "cancelled_sell", "filled_buy",
    "filled_sell", "swept_buy_bps", "swept_sell_bps", "bid", "ask",
    "reach_bid", "reach_ask",
)  # fmt: skip
"""Of one window; NaN where there is none. `filled_buy`: resting bids that were hit.
`swept_buy_bps`: how far buying takers swept, so through the asks. `bid`, `ask`: the best prices.
`reach_bid`, `reach_ask`: how far the book goes, bps of the mid."""
OUTPUT_COLUMNS = (
    "depth_withdrawn_25bps", "refill_s", "volatility", "layering", "depth_missing",
    "step_back_bps", "spread_lasting_bps", "reach_bid_bps", "reach_ask_bps",
)  # fmt: skip
STATE_COLUMNS = (
    "usual_bid", "usual_ask", "books", "before_bid", "before_ask", "cancelled_buy",
    "cancelled_sell", "filled_buy", "filled_sell", "recent_mid", "mid", "variance", "moves",
    "swept_bid_s", "swept_ask_s", "wanted_bid", "wanted_ask", "log_bid", "log_ask",
    "usual_log_bid", "usual_log_ask", "reach_bid", "reach_ask", "least_spread",
)  # fmt: skip
"""`swept_bid_s`: how long ago the bids were swept that are not refilled yet, plus one window; 0:
they are refilled. `wanted_bid`: the depth at which they are. `log_bid`, `usual_log_bid`: means of
the logarithm of the depth, over `BOTH_SIDES_S` and over `DEPTH_S`. `reach_bid`: the median of how
far the book goes, bps. `least_spread`: bps. Further state lies behind these
columns: the best prices of the last windows from `_BEST` on, from `_SPREADS` on the spreads."""
IN, OUT, MARKET = map(column_numbers, (INPUT_COLUMNS, OUTPUT_COLUMNS, STATE_COLUMNS))
_BEST = len(STATE_COLUMNS)
_SPREADS = _BEST + 2 * (STEP_BACK_WINDOWS + 1)
_WIDTH = _SPREADS + SPREAD_WINDOWS


@njit(FLOAT(F1, INT, FLOAT, FLOAT), cache=True, nogil=True)
def _step_back(state, windows, bid, ask):  # type: ignore[no-untyped-def]
    """How far both best prices have stepped back and stayed, bps; `windows`: with books, this one
    included."""
    kept = STEP_BACK_WINDOWS + 1
    at = _BEST + 2 * (windows % kept)
    state[at], state[at + 1] = bid, ask
    if windows < kept:
        return 0.0
    first = _BEST + 2 * ((windows + 1) % kept)
    highest_bid, lowest_ask = bid, ask
    for k in range(2, kept):
        at = _BEST + 2 * ((windows + k) % kept)
        highest_bid, lowest_ask = max(highest_bid, state[at]), min(lowest_ask, state[at + 1])
    back = min(1.0 - highest_bid / state[first], lowest_ask / state[first + 1] - 1.0)
    return 1e4 * max(back, 0.0)


@njit(FLOAT(F1, INT, FLOAT, FLOAT), cache=True, nogil=True)
def _spread_lasting(state, windows, spread, window_s):  # type: ignore[no-untyped-def]
    """The lowest spread of the last windows, or what no spread counts as less than, bps."""
    state[_SPREADS + windows % SPREAD_WINDOWS] = spread
    tick = state[MARKET.least_spread] * (1.0 + window_s / TICK_S)
    if spread > 0.0 and (spread < tick or tick == 0.0):
        tick = spread
    state[MARKET.least_spread] = tick
    lowest = spread
    for k in range(SPREAD_WINDOWS):
        lowest = min(lowest, state[_SPREADS + k])
    return max(lowest, SPREAD_LEAST_BPS, SPREAD_LEAST_TICKS * tick)


@njit(FLOAT(FLOAT, FLOAT, FLOAT), cache=True, nogil=True)
def _median(median, books, value):  # type: ignore[no-untyped-def]
    """A median after one more value; `books`: how many there are with it."""
    if books == 1.0 or median == 0.0:
        return value
    step = max(REACH_STEP, 1.0 / books)
    return median * (1.0 + step if value > median else 1.0 - step if value < median else 1.0)


@njit((F2, F2, I1, FLOAT, F2), cache=True, nogil=True)
def _step(inputs, state, symbol, window_s, out):  # type: ignore[no-untyped-def]
    """Rows in the order of windows. Of each pair of columns the bid or buy side is the first, so
    `+ side` takes one of them: 0 for bids and buying, 1 for asks and selling.
    """
    slow = -np.expm1(-window_s / DEPTH_S)
    recent = -np.expm1(-window_s / RECENT_S)
    wide = -np.expm1(-window_s / VOLATILITY_S)
    shortly = -np.expm1(-window_s / BOTH_SIDES_S)
    for i in range(inputs.shape[0]):
        x = inputs[i]
        s = state[symbol[i]]
        o = out[i]
        for side in range(2):
            cancelled, filled = MARKET.cancelled_buy + side, MARKET.filled_buy + side
            s[cancelled] += x[IN.cancelled_buy + side] - recent * s[cancelled]
            s[filled] += x[IN.filled_buy + side] - recent * s[filled]
        mid = x[IN.mid]
        if mid != mid:  # No book, or none to measure: what comes after it is no move.
            s[MARKET.mid] = s[MARKET.before_bid] = s[MARKET.before_ask] = 0.0
            s[MARKET.swept_bid_s] = s[MARKET.swept_ask_s] = 0.0
            continue
        if s[MARKET.mid] == 0.0:
            s[MARKET.recent_mid] = s[MARKET.mid] = mid
        s[MARKET.recent_mid] += recent * (mid - s[MARKET.recent_mid])
        move = np.log(mid / s[MARKET.mid])
        s[MARKET.mid] = mid
        s[MARKET.moves] += 1.0
        weight = max(wide, 1.0 / s[MARKET.moves])
        s[MARKET.variance] += weight * (move * move - s[MARKET.variance])
        s[MARKET.books] += 1.0
        gone, missing = 0.0, np.inf
        step_back = _step_back(s, np.int64(s[MARKET.books]), x[IN.bid], x[IN.ask])
        spread = 1e4 * (x[IN.ask] - x[IN.bid]) / mid
        if spread == spread:
            lasting = _spread_lasting(s, np.int64(s[MARKET.books]), spread, window_s)
            if s[MARKET.books] >= SPREAD_WINDOWS:
                o[OUT.spread_lasting_bps] = lasting
        weight = max(slow, 1.0 / s[MARKET.books])
        for side in range(2):
            depth_now = depth = x[IN.depth_bid + side]
            reach = MARKET.reach_bid + side
            s[reach] = _median(s[reach], s[MARKET.books], x[IN.reach_bid + side])
            o[OUT.reach_bid_bps + side] = s[reach]
            recent_log, usual_log = MARKET.log_bid + side, MARKET.usual_log_bid + side
            log_depth = np.log(max(depth, DEPTH_LEAST))
            if s[MARKET.books] == 1.0:
                s[recent_log] = s[usual_log] = log_depth
            s[recent_log] += shortly * (log_depth - s[recent_log])
            missing = min(missing, s[usual_log] - s[recent_log])
            off = min(max(log_depth - s[usual_log], -BOTH_SIDES_REACH), BOTH_SIDES_REACH)
            s[usual_log] += weight * off
            usual = s[MARKET.usual_bid + side]
            if s[MARKET.books] > DEPTH_READY_WINDOWS:
                gone = max(gone, 1.0 - depth / usual if usual > 0.0 else 0.0)
                depth = min(depth, DEPTH_CEILING * usual)
            s[MARKET.usual_bid + side] += weight * (depth - usual)
            before = s[MARKET.before_bid + side]
            swept_s, wanted = MARKET.swept_bid_s + side, MARKET.wanted_bid + side
            # Selling takers sweep the bids, buying ones the asks.
            swept_bps = x[IN.swept_sell_bps - side]
            if swept_bps >= SWEEP_BPS and depth_now <= SWEEP_LEFT_SHARE * before:
                s[swept_s] = window_s
                s[wanted] = SWEEP_REFILLED_SHARE * min(before, usual)
            elif s[swept_s] > 0.0:
                s[swept_s] = s[swept_s] + window_s if depth_now < s[wanted] else 0.0
            s[MARKET.before_bid + side] = depth_now
        o[OUT.refill_s] = max(s[MARKET.swept_bid_s], s[MARKET.swept_ask_s])
        if s[MARKET.books] > DEPTH_READY_WINDOWS:
            o[OUT.depth_withdrawn_25bps] = gone
            o[OUT.depth_missing] = np.exp(max(missing, 0.0))
            o[OUT.step_back_bps] = step_back
            layered = 0.0
            for side in range(2):
                filled = s[MARKET.filled_buy + side]
                excess = s[MARKET.cancelled_buy + side] - LAYERING_CANCELS_TO_FILLS * filled
                through = (s[MARKET.recent_mid] / mid - 1.0) * (1.0 if side == 0 else -1.0)
                usual = s[MARKET.usual_bid + side]
                if excess > 0.0 and through > LAYERING_MIN_MOVE and usual > 0.0:
                    layered = max(layered, excess / usual)
            o[OUT.layering] = layered
        if s[MARKET.moves] > VOLATILITY_READY_WINDOWS:
            o[OUT.volatility] = np.sqrt(s[MARKET.variance] / window_s * YEAR_S)


class RollingMarketState(Stateful):
    """The state of every market, by symbol number."""

    STATE = ("_markets",)

    def __init__(self, window_ns: int) -> None:
        self._window_s = window_ns / SECOND_NS
        self._markets: Float64 = np.zeros((0, _WIDTH))

    @property
    def reach_bps(self) -> Float64:
        """(symbols,): how far the usual book goes on its shorter side, bps of the mid; NaN where
        there was none."""
        sides = self._markets[:, [MARKET.reach_bid, MARKET.reach_ask]].min(axis=1)
        return np.where(self._markets[:, MARKET.books] > 0.0, sides, np.nan)

    def step(self, inputs: Float64, symbol: Int64) -> Float64:
        """`OUTPUT_COLUMNS` of each row of `inputs` (`INPUT_COLUMNS`), rows in the order of windows;
        NaN where the market's past is too short.
        """
        self._markets = grow_rows(self._markets, int(symbol.max(initial=-1)) + 1)
        out = np.full((len(inputs), len(OUTPUT_COLUMNS)), np.nan)
        _step(inputs, self._markets, symbol, self._window_s, out)
        return out
