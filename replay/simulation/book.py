"""The books of the simulated venue: price-time matching of resting orders.

Prices are whole ticks, quantities whole lots. All orders lie in one pool of rows; the orders of one
price are a list in the order of their coming, whose first is matched first. A market has `SLOTS`
price slots, used in turn: tick t has slot t mod `SLOTS`. An order whose slot belongs to another
price (some `SLOTS` ticks away) cannot rest.

What happens is written to a tape: orders, cancels and fills, each with its market's clock, which
never stands still between two messages.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba.extending import register_jitable
from numpy.typing import NDArray

from detectors.arrays.types import Int64

SLOTS = 1 << 14
MESSAGE_NS = 100
"""Between two messages of one market at least."""
NO_ASK = 1 << 30
"""The lowest ask of a book without asks; without bids the highest bid is 0."""
FREE, WAITING, RESTING, DONE = range(4)
"""State of a row of the pool: free; an action that is due; an order in the book; an order that has
left the book while its end still stands in the agenda."""
FREE_ROWS, NEXT_ORDER, NEXT_TRADE, REFUSED_PRICES = range(4)
"""Counters: rows of the pool that are free; the next ids; orders whose price slot was taken."""
TRADE, LIQUIDATION, BACKSTOP, ADL = range(4)
"""Causes of a fill, as in `events.FillCause`."""
USER, EXPIRED, SELF_TRADE, POST_ONLY, LIQUIDATED, BY_VENUE = range(6)
"""Reasons of a cancel, as in `events.CancelReason`."""

ORDER = np.dtype(
    [
        ("id", "i8"),
        ("due", "i8"),  # when its next action is: an arrival, or the end of its life
        ("placed", "i8"),
        ("life", "i8"),  # ns that it will rest, of an arrival
        ("size", "i8"),  # lots
        ("left", "i8"),
        ("tick", "i4"),
        ("market", "i4"),
        ("account", "i4"),
        ("before", "i4"),  # its neighbours at its price; 0: none
        ("after", "i4"),
        ("queued", "i4"),  # the next row of its second in the agenda; -1: not in the agenda
        ("quote", "i4"),  # the market maker's quote that it is, from 1 on; 0: none
        ("side", "i1"),
        ("state", "i1"),
        ("agent", "i1"),  # of an arrival: who acts
    ],
    align=True,
)
ORDER_RECORD = np.dtype(
    [("ts", "i8"), ("id", "i8"), ("replaces", "i8"), ("quantity", "i8"), ("symbol", "i4"),
     ("account", "i4"), ("tick", "i4"), ("side", "i1"), ("reduces", "i1")], align=True,
)  # fmt: skip
CANCEL_RECORD = np.dtype(
    [("ts", "i8"), ("placed", "i8"), ("id", "i8"), ("quantity", "i8"), ("symbol", "i4"),
     ("account", "i4"), ("tick", "i4"), ("side", "i1"), ("reason", "i1")], align=True,
)  # fmt: skip
FILL_RECORD = np.dtype(
    [("ts", "i8"), ("trade", "i8"), ("maker_id", "i8"), ("taker_id", "i8"), ("quantity", "i8"),
     ("symbol", "i4"), ("maker", "i4"), ("taker", "i4"), ("tick", "i4"), ("side", "i1"),
     ("cause", "i1")], align=True,
)  # fmt: skip
"""`side` is the taker's."""


class OrderBooks(NamedTuple):
    """The books of all markets.

    pool: rows of `ORDER`, the first unused; free: a stack of free rows; counters: see above; head,
    tail (markets × `SLOTS`): first and last order of a price, 0: none; touch (markets × 2): best
    bid and ask, ticks; resting (markets × 2): orders; last: price of the last fill, ticks; clock:
    time of the last message, ns; quotes: the row of each market maker's quote, 0: none; inventory:
    lots of each market maker in each market.
    """

    pool: NDArray[np.void]
    free: NDArray[np.int32]
    counters: Int64
    head: NDArray[np.int32]
    tail: NDArray[np.int32]
    touch: Int64
    resting: Int64
    last: Int64
    clock: Int64
    quotes: NDArray[np.int32]
    inventory: Int64


class Tape(NamedTuple):
    """What happened since the tape was emptied; `count`: rows of orders, cancels and fills."""

    orders: NDArray[np.void]
    cancels: NDArray[np.void]
    fills: NDArray[np.void]
    count: Int64


def open_books(last: Int64, rows: int, quotes: int, start_ts: int) -> OrderBooks:
    """Empty books of markets with these last prices; room for `rows` orders.

    `quotes`: of each market maker; `inventory` has a row for as many makers as there are in all.
    """
    markets = len(last)
    touch = np.zeros((markets, 2), np.int64)
    touch[:, 1] = NO_ASK
    counters = np.zeros(4, np.int64)
    counters[[FREE_ROWS, NEXT_ORDER, NEXT_TRADE]] = rows - 1, 1, 1
    slots = [np.zeros((markets, SLOTS), np.int32) for _ in range(2)]
    return OrderBooks(
        np.zeros(rows, ORDER), np.arange(rows - 1, -1, -1, dtype=np.int32), counters, *slots, touch,
        np.zeros((markets, 2), np.int64), last.copy(), np.full(markets, start_ts),
        np.zeros(quotes, np.int32), np.zeros(quotes, np.int64),
    )  # fmt: skip


def open_tape(rows: int) -> Tape:
    """An empty tape of so many rows of each kind."""
    kinds = (ORDER_RECORD, CANCEL_RECORD, FILL_RECORD)
    return Tape(*(np.zeros(rows, kind) for kind in kinds), np.zeros(3, np.int64))


def grow_pool(books: OrderBooks, rows: int) -> OrderBooks:
    """The same books with room for so many orders, more than before."""
    before = len(books.pool)
    pool = np.zeros(rows, ORDER)
    pool[:before] = books.pool
    free = np.zeros(rows, np.int32)
    kept = int(books.counters[FREE_ROWS])
    free[: rows - before] = np.arange(rows - 1, before - 1, -1)
    free[rows - before : rows - before + kept] = books.free[:kept]
    books.counters[FREE_ROWS] = rows - before + kept
    return books._replace(pool=pool, free=free)


@register_jitable
def take_row(books: Any, market: Any, account: Any, side: Any) -> Any:
    """A free row of the pool for an order or an arrival. The caller sees to it that there is one."""
    books.counters[FREE_ROWS] -= 1
    row = books.free[books.counters[FREE_ROWS]]
    order = books.pool[row]
    order.id = order.due = order.placed = order.life = order.size = order.left = 0
    order.tick = order.before = order.after = order.quote = 0
    order.market, order.account, order.side = market, account, side
    order.queued, order.state, order.agent = -1, WAITING, 0
    return row


@register_jitable
def give_row(books: Any, row: Any) -> None:
    """Make a row free again, or leave that to the agenda where it still stands there."""
    if books.pool[row].queued >= 0:
        books.pool[row].state = DONE
        return
    books.pool[row].state = FREE
    books.free[books.counters[FREE_ROWS]] = row
    books.counters[FREE_ROWS] += 1


@register_jitable
def tick_clock(books: Any, market: Any, ts: Any) -> Any:
    """The time of the next message of a market that comes at `ts`."""
    now = max(ts, books.clock[market] + MESSAGE_NS)
    books.clock[market] = now
    return now


@register_jitable
def write_order(books: Any, tape: Any, row: Any, limit: Any, replaces: Any, reduces: Any) -> None:
    """Give an order its id and write it to the tape; `limit`: ticks, 0: a market order."""
    order = books.pool[row]
    order.id = books.counters[NEXT_ORDER]
    books.counters[NEXT_ORDER] += 1
    record = tape.orders[tape.count[0]]
    tape.count[0] += 1
    record.ts, record.id, record.replaces = order.placed, order.id, replaces
    record.quantity, record.symbol, record.account = order.left, order.market, order.account
    record.tick, record.side, record.reduces = limit, order.side, reduces


@register_jitable
def write_cancel(books: Any, tape: Any, row: Any, ts: Any, reason: Any) -> None:
    """Write to the tape that an order leaves with what is left of it."""
    order = books.pool[row]
    record = tape.cancels[tape.count[1]]
    tape.count[1] += 1
    record.ts, record.placed, record.id = ts, order.placed, order.id
    record.quantity, record.symbol, record.account = order.left, order.market, order.account
    record.tick, record.side, record.reason = order.tick, order.side, reason


@register_jitable
def first_at(books: Any, market: Any, tick: Any) -> Any:
    """The row of the first order at a price; 0: none."""
    row = books.head[market, tick & (SLOTS - 1)]
    return row if row and books.pool[row].tick == tick else 0


@register_jitable
def next_level(books: Any, market: Any, side: Any, tick: Any) -> Any:
    """The best price of a side (0 bids, 1 asks) from `tick` on outwards; 0 or `NO_ASK`: none.

    `tick` is at or before the best price of the orders that are left.
    """
    if books.resting[market, side] == 0:
        return NO_ASK if side else 0
    step = 1 if side else -1
    for _ in range(SLOTS):
        if tick <= 0:
            break
        if first_at(books, market, tick):
            return tick
        tick += step
    return NO_ASK if side else 0


@register_jitable
def rest_order(books: Any, row: Any, tick: Any) -> Any:
    """Put an order behind those of its price; false where the price has no slot."""
    order = books.pool[row]
    market, slot = order.market, tick & (SLOTS - 1)
    first = books.head[market, slot]
    side = 0 if order.side > 0 else 1
    if tick <= 0 or (first and books.pool[first].tick != tick):
        books.counters[REFUSED_PRICES] += 1
        return False
    # A book reaches at most half of the slots to each side, so that a walk over them is whole.
    best = books.touch[market, side]
    if books.resting[market, side] and abs(tick - best) >= SLOTS // 2:
        books.counters[REFUSED_PRICES] += 1
        return False
    order.tick, order.state, order.after = tick, RESTING, 0
    last = books.tail[market, slot] if first else 0
    order.before = last
    if last:
        books.pool[last].after = row
    else:
        books.head[market, slot] = row
    books.tail[market, slot] = row
    books.resting[market, side] += 1
    if (side == 0 and tick > best) or (side == 1 and tick < best):
        books.touch[market, side] = tick
    return True


@register_jitable
def take_out(books: Any, row: Any) -> None:
    """Take an order out of its book; its row is free, and so is the market maker's quote."""
    order = books.pool[row]
    market, slot, side = order.market, order.tick & (SLOTS - 1), 0 if order.side > 0 else 1
    if order.before:
        books.pool[order.before].after = order.after
    else:
        books.head[market, slot] = order.after
    if order.after:
        books.pool[order.after].before = order.before
    else:
        books.tail[market, slot] = order.before
    books.resting[market, side] -= 1
    if order.tick == books.touch[market, side] and books.head[market, slot] == 0:
        books.touch[market, side] = next_level(books, market, side, order.tick)
    if order.quote:
        books.quotes[order.quote - 1] = 0
    give_row(books, row)


@register_jitable
def cancel_order(books: Any, tape: Any, row: Any, ts: Any, reason: Any) -> None:
    """Cancel a resting order."""
    write_cancel(books, tape, row, tick_clock(books, books.pool[row].market, ts), reason)
    take_out(books, row)


@register_jitable
def match_order(books: Any, tape: Any, row: Any, limit: Any, cause: Any, quotes: Any) -> Any:
    """Match an order with the other side up to the price `limit` (ticks); the lots filled.

    Whoever came first at the best price is matched first. An order of the same account is cancelled
    instead. `quotes`: of a market maker in one market, for its inventory.
    """
    order = books.pool[row]
    market, side = order.market, order.side
    other = 1 if side > 0 else 0
    before = order.left
    while order.left > 0 and books.resting[market, other] > 0:
        tick = books.touch[market, other]
        if (tick - limit) * side > 0:
            break
        resting = books.head[market, tick & (SLOTS - 1)]
        maker = books.pool[resting]
        if maker.account == order.account:
            write_cancel(books, tape, resting, order.placed, SELF_TRADE)
            take_out(books, resting)
            continue
        lots = min(order.left, maker.left)
        order.left -= lots
        maker.left -= lots
        record = tape.fills[tape.count[2]]
        tape.count[2] += 1
        record.ts, record.trade = order.placed, books.counters[NEXT_TRADE]
        books.counters[NEXT_TRADE] += 1
        record.maker_id, record.taker_id, record.quantity = maker.id, order.id, lots
        record.symbol, record.maker, record.taker = market, maker.account, order.account
        record.tick, record.side, record.cause = tick, side, cause
        books.last[market] = tick
        if maker.quote:
            books.inventory[(maker.quote - 1) // quotes] -= lots * side
        if maker.left == 0:
            take_out(books, resting)
    return before - order.left


@register_jitable
def read_levels(books: Any, market: Any, side: Any, ticks: Any, lots: Any) -> Any:
    """The best levels of a side, best first, as many as `ticks` and `lots` hold; their number."""
    count, seen = 0, 0
    tick = books.touch[market, side]
    step = 1 if side else -1
    while count < len(ticks) and seen < books.resting[market, side] and 0 < tick < NO_ASK:
        row = first_at(books, market, tick)
        if row:
            total = 0
            while row:
                total += books.pool[row].left
                row = books.pool[row].after
                seen += 1
            ticks[count], lots[count] = tick, total
            count += 1
        tick += step
    return count
