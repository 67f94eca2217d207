"""The state of the simulated venue's trading, and the rows that it writes: arrays, by the columns
and fields named here.

Prices are whole ticks, quantities whole lots, money 1e-6 of the quote currency, times ns UTC;
distances between prices are multiples of a market's step, the grid of its makers' near quotes.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from detectors.arrays.types import Float64, Int64

SLOTS = 1 << 14
"""Price slots of a market: tick t has slot t mod `SLOTS`."""
AHEAD_S = 1024
"""Seconds of the agenda; what comes later is looked at again then."""
MAKERS_MAX, LADDERS, LEVELS = 5, 3, 8
"""Market makers of a market at most; ladders of each a side; quotes of a ladder."""
QUOTES = 2 * LADDERS * LEVELS
"""Of a market maker in one market."""
NO_ASK = 1 << 30
"""The lowest ask of a book without asks; without bids the highest bid is 0."""

FREE, WAITING, RESTING, DONE = range(4)
"""State of a row of the pool: free; an action that is due; an order in the book; an order that has
left the book while its end still stands in the agenda."""
MAKER, LIMIT, TAKER, TREND, ARBITRAGE, CROWD, PLANTED = range(7)
"""Who arrives: a market maker, a noise trader with a limit order or at once, a trend follower, an
arbitrageur to the index, the takers of an incident, an incident's own orders."""
TRADE, LIQUIDATION = range(2)
"""Causes of a fill by the book, as in `events.FillCause`."""
USER, EXPIRED, SELF_TRADE, POST_ONLY, LIQUIDATED, BY_VENUE = range(6)
"""Reasons of a cancel, as in `events.CancelReason`."""

BID, ASK, BIDS, ASKS, LAST_PRICE, CLOCK, STEP, RATIO, MAKERS, ARBITRAGEUR = range(10)
MARKET_WIDTH = 10
"""Columns of `market`: best prices; resting orders a side; price of the last fill; time of the last
message; step, and how many times as wide a ladder's step is as the last one's; how many market
makers; the arbitrageur's account."""
(
    FAIR, HALF, KEPT, PREMIUM, TREND_MEAN, SWING, INDEX, BASIS, TAKEN, LEVEL_LOTS, LOT_VALUE,
    USUAL_SWING, DEPTH_LOTS,
) = range(13)  # fmt: skip
STATE_WIDTH = 13
"""Columns of `state`, of each market: the makers' fair value and half spread; the share of their
depth that they keep; fair value over index, less one; mean price of the last minute; the price's
swing as a multiple of the usual; index; mean of the book's middle over the index, less one; lots
that takers bought in this second, less those sold. Given: lots of a near quote; value of one lot at
one tick (quote currency); usual change of the index in a second; usual lots of a side within 25
bps."""
FIRST, LAST = range(2)
"""Of `slots`: first and last order of a price; 0: none."""
QUOTE_ROW, QUOTE_LEVEL, QUOTE_KEPT = range(3)
"""Of `quotes`: the order's row, 0: none; its level, the price in steps of its ladder; the share of
the usual depth that its size is of, 1e-6."""
KEPT_SCALE = 1e6
MAKER_ACCOUNT, INVENTORY = range(2)
"""Of `makers`: account; lots."""
WEALTH, ACTIVITY = range(2)
"""Of `traders`: quote currency; running share of activity."""
GUIDE, IS_LIQUIDATED = range(2)
"""Of `accounts`: where the search for a draw begins; whether it is liquidated in this second."""
HEAP_DUE, HEAP_ROW = range(2)
"""Of `heap`: time; row of the pool."""
(
    ORDERS, CANCELS, FILLS, MOVES, LEVERAGES, WISHES, NEXT_ORDER, NEXT_TRADE, FREE_ROWS, HEAP_SIZE,
    BEGUN, REFUSED_PRICES,
) = range(12)  # fmt: skip
COUNTS = 12
"""Of `counts`: rows written of each kind; wishes carried out; the next ids; free rows of the pool;
entries of the heap; incidents' orders that have begun; orders whose price had no slot."""
OUTSIDE_INDEX, ARRIVALS, DEPTH_KEPT, OUTSIDE_PREMIUM, INDEX_ERROR, CROWD_LOTS = range(6)
WORLD_WIDTH = 6
"""What comes from outside, by second and market: index (ticks); arrivals a second that nothing
excites; share of their depth that makers keep; a premium beyond the market's own, a fraction; what
the published index is wrong by, a fraction; lots that an incident's takers buy."""
BOOK_TS, BID_LEVELS, ASK_LEVELS, SEEN_MARK, SEEN_INDEX, SEEN_LAST, SEEN_BASIS = range(7)
SEEN_WIDTH = 7
"""What is published, by second and market: time of the book and its levels a side; mark, index
(parts of a tick) and last price at the second's end; mean premium over the index, 1e-12."""
BASIS_SCALE = 1e12

POOL_ROW = np.dtype(
    [
        ("id", "i8"),
        ("due", "i8"),  # when its next action is: an arrival, or the end of its life
        ("placed", "i8"),
        ("life", "i8"),  # ns that it will rest, of an arrival
        ("size", "i8"),
        ("left", "i8"),
        ("tick", "i8"),
        ("market", "i8"),
        ("account", "i8"),
        ("before", "i4"),  # its neighbours at its price; 0: none
        ("after", "i4"),
        ("queued", "i4"),  # the next row of its second in the agenda; -1: not in the agenda
        ("quote", "i4"),  # the market maker's quote that it is, from 1 on; 0: none
        ("side", "i8"),
        ("state", "i4"),
        ("agent", "i4"),  # of an arrival: who acts
    ],
    align=True,
)
ORDER_ROW = np.dtype(
    [("ts", "i8"), ("id", "i8"), ("replaces", "i8"), ("quantity", "i8"), ("symbol", "i4"),
     ("account", "i4"), ("tick", "i4"), ("side", "i1"), ("reduces", "i1")], align=True,
)  # fmt: skip
"""`tick`: the limit, 0: none; `replaces` below 0: none."""
CANCEL_ROW = np.dtype(
    [("ts", "i8"), ("placed", "i8"), ("id", "i8"), ("quantity", "i8"), ("symbol", "i4"),
     ("account", "i4"), ("tick", "i4"), ("side", "i1"), ("reason", "i1")], align=True,
)  # fmt: skip
FILL_ROW = np.dtype(
    [("ts", "i8"), ("trade", "i8"), ("maker_id", "i8"), ("taker_id", "i8"), ("quantity", "i8"),
     ("maker_fee", "i8"), ("taker_fee", "i8"), ("symbol", "i4"), ("maker", "i4"), ("taker", "i4"),
     ("tick", "i4"), ("side", "i1"), ("cause", "i1")], align=True,
)  # fmt: skip
"""`side` is the taker's; an id below 0: without an order."""
MOVE_ROW = np.dtype(
    [("ts", "i8"), ("amount", "i8"), ("account", "i4"), ("symbol", "i4"), ("cause", "i1")],
    align=True,
)  # fmt: skip
"""`symbol` below 0: none."""
LEVERAGE_ROW = np.dtype(
    [("ts", "i8"), ("leverage", "i8"), ("previous", "i8"), ("symbol", "i4"), ("account", "i4"),
     ("margin_mode", "i1")], align=True,
)  # fmt: skip
WISH = np.dtype(
    [("ts", "i8"), ("amount", "i8"), ("account", "i8"), ("symbol", "i8"), ("switches", "i8")],
    align=True,
)  # fmt: skip
"""What an account wants beside trading: in a market the leverage `amount` (1e-8), and the other
margin mode if it `switches`; with `symbol` below 0 a transfer of `amount`, below 0 out of it."""
PLANTED_ORDER = np.dtype(
    [("ts", "i8"), ("life", "i8"), ("lots", "i8"), ("symbol", "i8"), ("account", "i8"),
     ("distance", "i8"), ("side", "i8")], align=True,
)  # fmt: skip
"""An incident's order: when it comes, how long it rests (ns), how many steps behind the touch."""


class TradingState(NamedTuple):
    """Books, traders, agenda and tape of a venue.

    pool: rows of `POOL_ROW`, the first unused; free: a stack of its free rows; slots (markets ×
    `SLOTS` × 2); market, state (by market), quotes, makers, traders, accounts: by the columns
    above; streams: of random numbers, by market; tables: of quantiles (`draws.py`); lists (markets
    × `AHEAD_S`): first row of what is due in a second, 0: nothing; heap: what is due in the present
    second; planted: incidents' orders, by time; orders to leverages: the tape, what happened since
    it was emptied; counts.
    """

    pool: NDArray[np.void]
    free: NDArray[np.int32]
    slots: NDArray[np.int32]
    market: Int64
    state: Float64
    quotes: Int64
    makers: Int64
    traders: Float64
    accounts: Int64
    streams: NDArray[np.uint64]
    tables: Float64
    lists: NDArray[np.int32]
    heap: Int64
    planted: NDArray[np.void]
    orders: NDArray[np.void]
    cancels: NDArray[np.void]
    fills: NDArray[np.void]
    moves: NDArray[np.void]
    leverages: NDArray[np.void]
    counts: Int64


def grow_pool(v: TradingState, rows: int) -> TradingState:
    """The same state with a pool of so many rows, more than before; between two seconds."""
    before, left = len(v.pool), int(v.counts[FREE_ROWS])
    pool = np.zeros(rows, POOL_ROW)
    pool[:before] = v.pool
    free = np.zeros(rows, np.int32)
    free[: rows - before] = np.arange(rows - 1, before - 1, -1)
    free[rows - before : rows - before + left] = v.free[:left]
    v.counts[FREE_ROWS] = rows - before + left
    return v._replace(pool=pool, free=free, heap=np.zeros((rows, 2), np.int64))


def empty_tape(v: TradingState) -> None:
    """Forget what is on the tape."""
    v.counts[:WISHES] = 0
