"""What a desk sees of a market over some seconds: price, trades, depth and spread, each against the
market's own usual.

Of price and trades the usual is half that of the last ten minutes and half that of the last hours
(the geometric mean of the two). By the first alone a market that has just become lively would hide
what comes next; by the second alone all that happens in lively hours would stand out. Of trades it
is never less than that of the hours: what would be ordinary at any other time is no rush because
the last minutes were quiet. Of depth and spread it is the level of the last ten minutes, of which a
single wall or gap moves little.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from detectors.arrays.columns import column_numbers
from detectors.arrays.growable import grow_rows
from detectors.arrays.state import Stateful
from detectors.arrays.types import F1, F2, FLOAT, I1, INT, Float64, Int64
from monitor.core.contract.units import SECOND_NS

MOVES_S = 1, 10, 60
"""The price is compared with itself so long ago, s; at least one window."""
RECENT_S = 10
"""Trades are counted, and depth and spread taken together, over so long, s; at least one window."""
SHORT_S, LONG_S = 600.0, 21_600.0
"""Memories of what is usual, s."""
READY_S = 600.0
"""A market that was seen for less has no usual yet, s."""
MOVE_LEARNT, CAPPED_FROM = 5.0, 60
"""From so many windows on, a move is learnt as one of at most so many deviations: a jump is no
volatility."""
RUSH_LEARNT = 10.0
"""A window's trades are learnt as at most so many times the usual and one more."""
VARIANCE_MIN = 1e-14
"""Of the logarithm of the price in a window: a thousandth of a basis point, for prices that stand
still."""
SCATTER_MIN = 0.01
"""Of `scatter_10`: where prices only bounce, moves of a minute are no smaller than a tenth of what
those of a window say."""

STEP_DEVIATIONS, STEPS_READY, STEPS_KEPT = 3.0, 5.0, 1_000.0
"""Where a price stands still and steps now and then, one usual step counts as three deviations:
most of its variance is in a few windows. Before so many steps there is no usual one; it is the mean
of about as many as are kept."""

LEVEL_LEARNT = 0.5
"""Depth and spread are learnt as at most so far off their usual, as a logarithm."""
DEPTH_MIN, SPREAD_BPS_MIN = 1.0, 0.01
"""Less depth (quote currency) and less spread count as so much."""
SPREAD_WIDE = 3.0
"""A spread is wide from so many times its usual on."""

INPUT_COLUMNS = "mid", "trade_price", "trades", "trade_notional", "depth", "spread"
"""Of one window; NaN where there is none. `depth`: of both sides together."""
OUTPUT_COLUMNS = (
    *(f"price_move_{seconds}s" for seconds in MOVES_S),
    *(f"price_move_{seconds}s_sd" for seconds in MOVES_S),
    f"trades_{RECENT_S}s", f"trade_notional_{RECENT_S}s",
    f"trades_{RECENT_S}s_ratio", f"trade_notional_{RECENT_S}s_ratio",
    f"depth_lack_{RECENT_S}s", f"spread_{RECENT_S}s", f"spread_{RECENT_S}s_above",
)  # fmt: skip
STATE_COLUMNS = (
    "windows", "books", "quoted", "moves", "short_variance", "long_variance", "scatter_1",
    "scatter_10", "scatter_60", "steps", "step", "traded", "short_trades", "short_notional",
    "long_trades", "long_notional", "log_depth", "log_spread",
)  # fmt: skip
"""`windows`: all; `books`: those with a book; `quoted`: those with a price, since there was none;
`moves`: those learnt. `short_variance`: of the logarithm of the price in a window. `scatter_10`:
the variance of moves over ten seconds, over what it would be if those of windows were independent.
`steps`: windows in which the price was another than in the one before; `step`: how far it went.
`traded`: windows since the first trade. `short_trades`: trades a window. `log_depth`: the usual."""
RINGS = 4
"""So many numbers of each of the last windows are kept."""
IN, OUT, MARKET = map(column_numbers, (INPUT_COLUMNS, OUTPUT_COLUMNS, STATE_COLUMNS))


@njit(FLOAT(FLOAT, FLOAT), cache=True, nogil=True)
def _usual_trades(short, long):  # type: ignore[no-untyped-def]
    """Of what was usual over the short memory and over the long one."""
    return np.sqrt(max(short, long) * long)


@njit((F1, F1, F1, INT, FLOAT, FLOAT, F1), cache=True, nogil=True)
def _step_rush(x, s, recent, ready, short, long, o):  # type: ignore[no-untyped-def]
    """The trades of a market; `recent`: see `_step`."""
    trades, notional = x[IN.trades], x[IN.trade_notional]
    if s[MARKET.traded] == 0.0 and not trades > 0.0:
        return
    s[MARKET.traded] += 1.0
    length = recent.size // RINGS
    place = np.int64(s[MARKET.windows]) % length
    recent[place], recent[length + place] = trades, notional
    o[OUT.trades_10s] = recent[:length].sum()
    o[OUT.trade_notional_10s] = recent[length : 2 * length].sum()
    usual = _usual_trades(s[MARKET.short_trades], s[MARKET.long_trades])
    usual_notional = _usual_trades(s[MARKET.short_notional], s[MARKET.long_notional])
    if s[MARKET.traded] > ready and usual_notional > 0.0:
        # One ordinary trade more on both sides: where trades are rare, one is no rush.
        each = usual_notional / usual
        o[OUT.trades_10s_ratio] = (o[OUT.trades_10s] + 1.0) / (length * usual + 1.0)
        above = o[OUT.trade_notional_10s] + each
        o[OUT.trade_notional_10s_ratio] = above / (length * usual_notional + each)
        trades = min(trades, RUSH_LEARNT * usual + 1.0)
        notional = min(notional, RUSH_LEARNT * usual_notional + each)
    weights = max(short, 1.0 / s[MARKET.traded]), max(long, 1.0 / s[MARKET.traded])
    s[MARKET.short_trades] += weights[0] * (trades - s[MARKET.short_trades])
    s[MARKET.short_notional] += weights[0] * (notional - s[MARKET.short_notional])
    s[MARKET.long_trades] += weights[1] * (trades - s[MARKET.long_trades])
    s[MARKET.long_notional] += weights[1] * (notional - s[MARKET.long_notional])


@njit((F1, F1, FLOAT, I1, INT, FLOAT, FLOAT, F1), cache=True, nogil=True)
def _step_price(s, prices, price, back, ready, short, long, o):  # type: ignore[no-untyped-def]
    """The price of a market; `prices`: logarithms of those of the last windows."""
    now, window = np.log(price), np.int64(s[MARKET.windows])
    prices[window % prices.size] = now
    s[MARKET.quoted] += 1.0
    if s[MARKET.quoted] == 1.0:
        return
    variance = np.sqrt(s[MARKET.short_variance] * s[MARKET.long_variance])
    variance = max(variance, VARIANCE_MIN)
    s[MARKET.moves] += 1.0
    lasting = max(long, 1.0 / s[MARKET.moves])
    for k in range(back.size):
        if s[MARKET.quoted] <= back[k]:
            continue
        move = now - prices[(window - back[k]) % prices.size]
        scatter = max(s[MARKET.scatter_1 + k], SCATTER_MIN)
        squares = move * move / (back[k] * variance)
        if s[MARKET.moves] > ready and s[MARKET.steps] >= STEPS_READY:
            o[OUT.price_move_1s + k] = 1e4 * abs(np.expm1(move))
            in_steps = STEP_DEVIATIONS * abs(move) / s[MARKET.step]
            o[OUT.price_move_1s_sd + k] = min(np.sqrt(squares / scatter), in_steps)
        if s[MARKET.moves] > CAPPED_FROM:
            squares = min(squares, MOVE_LEARNT**2)
            s[MARKET.scatter_1 + k] += lasting * (squares - s[MARKET.scatter_1 + k])
        elif s[MARKET.moves] == CAPPED_FROM:
            s[MARKET.scatter_1 + k] = 1.0
    move = now - prices[(window - 1) % prices.size]
    if move != 0.0:
        s[MARKET.steps] += 1.0
        weight = 1.0 / min(s[MARKET.steps], STEPS_KEPT)
        s[MARKET.step] += weight * (abs(move) - s[MARKET.step])
    squares = move * move
    if s[MARKET.moves] > CAPPED_FROM:
        squares = min(squares, MOVE_LEARNT**2 * variance)
    weight = max(short, 1.0 / s[MARKET.moves])
    s[MARKET.short_variance] += weight * (squares - s[MARKET.short_variance])
    s[MARKET.long_variance] += lasting * (squares - s[MARKET.long_variance])


@njit((F1, F1, F1, INT, FLOAT, F1), cache=True, nogil=True)
def _step_book(x, s, recent, ready, short, o):  # type: ignore[no-untyped-def]
    """Depth and spread of a market; `recent`: see `_step`."""
    length, books = recent.size // RINGS, s[MARKET.books]
    log_depth = np.log(max(x[IN.depth], DEPTH_MIN))
    log_spread = np.log(max(x[IN.spread], SPREAD_BPS_MIN))
    place = np.int64(books) % length
    recent[2 * length + place], recent[3 * length + place] = log_depth, x[IN.spread]
    s[MARKET.books] += 1.0
    if books == 0.0:
        s[MARKET.log_depth], s[MARKET.log_spread] = log_depth, log_spread
    if books > ready:
        lack = s[MARKET.log_depth] - recent[2 * length : 3 * length].mean()
        o[OUT.depth_lack_10s] = np.exp(max(lack, 0.0))
        # Half of the windows had at least this: a gap that is filled at once is no wide spread.
        spread, usual = np.median(recent[3 * length :]), np.exp(s[MARKET.log_spread])
        o[OUT.spread_10s] = spread
        o[OUT.spread_10s_above] = spread - usual if spread >= SPREAD_WIDE * usual else 0.0
    weight = max(short, 1.0 / s[MARKET.books])
    off = min(max(log_depth - s[MARKET.log_depth], -LEVEL_LEARNT), LEVEL_LEARNT)
    s[MARKET.log_depth] += weight * off
    off = min(max(log_spread - s[MARKET.log_spread], -LEVEL_LEARNT), LEVEL_LEARNT)
    s[MARKET.log_spread] += weight * off


@njit((F2, F2, F2, F2, I1, I1, INT, FLOAT, F2), cache=True, nogil=True)
def _step(inputs, state, prices, recent, symbol, back, ready, window_s, out):  # type: ignore[no-untyped-def]
    """Rows in the order of windows; `back`: `MOVES_S` in windows; `recent`: of the last windows the
    numbers of trades, then notionals, then of those with a book logarithms of depth, and spreads.
    """
    short, long = -np.expm1(-window_s / SHORT_S), -np.expm1(-window_s / LONG_S)
    for i in range(inputs.shape[0]):
        x, s, past = inputs[i], state[symbol[i]], prices[symbol[i]]
        _step_rush(x, s, recent[symbol[i]], ready, short, long, out[i])
        price = x[IN.mid]
        if x[IN.depth] == x[IN.depth] and x[IN.spread] == x[IN.spread]:
            _step_book(x, s, recent[symbol[i]], ready, short, out[i])
        elif (
            price != price and s[MARKET.books] == 0.0
        ):  # A feed without books: the price of trades, until the next.
            price = x[IN.trade_price]
            if price != price and s[MARKET.quoted] > 0.0:
                price = np.exp(past[np.int64(s[MARKET.windows] - 1.0) % past.size])
        if price == price:
            _step_price(s, past, price, back, ready, short, long, out[i])
        else:  # What comes after a lack of prices is no move.
            s[MARKET.quoted] = 0.0
        s[MARKET.windows] += 1.0


class Moments(Stateful):
    """What every market remembers of its price and its trades, by symbol number."""

    STATE = "_markets", "_prices", "_recent"

    def __init__(self, window_ns: int) -> None:
        self._window_s = window_ns / SECOND_NS
        self._back = np.array([max(1, round(s / self._window_s)) for s in MOVES_S])
        self._ready = max(CAPPED_FROM, round(READY_S / self._window_s))
        self._markets: Float64 = np.zeros((0, len(STATE_COLUMNS)))
        self._prices: Float64 = np.zeros((0, int(self._back.max()) + 1))
        self._recent: Float64 = np.zeros((0, RINGS * max(1, round(RECENT_S / self._window_s))))

    def step(self, inputs: Float64, symbol: Int64) -> Float64:
        """`OUTPUT_COLUMNS` of each row of `inputs` (`INPUT_COLUMNS`), rows in the order of windows,
        one for each window of a market; NaN where the market is too young, or lacks what is needed.
        """
        known = int(symbol.max(initial=-1)) + 1
        self._markets = grow_rows(self._markets, known)
        self._prices, self._recent = grow_rows(self._prices, known), grow_rows(self._recent, known)
        out = np.full((len(inputs), len(OUTPUT_COLUMNS)), np.nan)
        state = self._markets, self._prices, self._recent
        _step(inputs, *state, symbol, self._back, self._ready, self._window_s, out)
        return out
