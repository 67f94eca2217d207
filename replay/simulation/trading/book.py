"""The books of the simulated venue: price-time matching of resting orders.

Prices are whole ticks, quantities whole lots. All orders lie in one pool of rows; the orders of one
price are a list in the order of their coming, whose first is matched first. A market has `SLOTS`
price slots, used in turn: tick t has slot t mod `SLOTS`. An order whose slot belongs to another
price (some `SLOTS` ticks away) cannot rest.

A market's clock never stands still between two messages, so their times give their order.
"""

from __future__ import annotations

from typing import Any

from numba import njit

from detectors.arrays.types import UNCALLED
from replay.simulation.trading.state import (
    ASK,
    BID,
    BIDS,
    CANCELS,
    CLOCK,
    DONE,
    FILLS,
    FIRST,
    FREE,
    FREE_ROWS,
    INVENTORY,
    LAST,
    LAST_PRICE,
    NEXT_ORDER,
    NEXT_TRADE,
    NO_ASK,
    ORDERS,
    QUOTE_ROW,
    QUOTES,
    REFUSED_PRICES,
    RESTING,
    SELF_TRADE,
    SLOTS,
    WAITING,
)

MESSAGE_NS = 100
"""Between two messages of one market at least."""
ROWS_KEPT = 6_000
"""Free rows of pool and tape below which everybody waits for the next second, as at a gateway that
is full: more than one turn uses."""


@njit(nogil=True, **UNCALLED)
def take_row(v: Any, market: Any, account: Any, side: Any) -> Any:
    """A free row of the pool, for an order or an arrival. The caller knows that there is one."""
    v.counts[FREE_ROWS] -= 1
    row = v.free[v.counts[FREE_ROWS]]
    order = v.pool[row]
    order.id = order.due = order.placed = order.life = order.size = order.left = 0
    order.tick = order.before = order.after = order.quote = 0
    order.market, order.account, order.side = market, account, side
    order.queued, order.state, order.agent = -1, WAITING, 0
    return row


@njit(nogil=True, **UNCALLED)
def give_row(v: Any, row: Any) -> None:
    """Make a row free again, or leave that to the agenda where it still stands there."""
    if v.pool[row].queued >= 0:
        v.pool[row].state = DONE
        return
    v.pool[row].state = FREE
    v.free[v.counts[FREE_ROWS]] = row
    v.counts[FREE_ROWS] += 1


@njit(nogil=True, **UNCALLED)
def has_tape(v: Any) -> Any:
    """Whether a fill, and a cancel, can be written."""
    return v.counts[FILLS] < len(v.fills) and v.counts[CANCELS] < len(v.cancels) - 1


@njit(nogil=True, **UNCALLED)
def has_room(v: Any) -> Any:
    """Whether pool and tape take what one turn may bring."""
    rows = min(len(v.orders) - v.counts[ORDERS], len(v.cancels) - v.counts[CANCELS])
    rows = min(rows, len(v.fills) - v.counts[FILLS])
    return min(rows, v.counts[FREE_ROWS]) > ROWS_KEPT


@njit(nogil=True, **UNCALLED)
def tick_clock(v: Any, market: Any, ts: Any) -> Any:
    """The time of the next message of a market that comes at `ts`."""
    now = max(ts, v.market[market, CLOCK] + MESSAGE_NS)
    v.market[market, CLOCK] = now
    return now


@njit(nogil=True, **UNCALLED)
def write_order(v: Any, row: Any, limit: Any, replaces: Any, reduces: Any) -> None:
    """Give an order its id and write it to the tape; `limit`: ticks, 0: a market order."""
    order = v.pool[row]
    order.id = v.counts[NEXT_ORDER]
    v.counts[NEXT_ORDER] += 1
    record = v.orders[v.counts[ORDERS]]
    v.counts[ORDERS] += 1
    record.ts, record.id, record.replaces = order.placed, order.id, replaces
    record.quantity, record.symbol, record.account = order.left, order.market, order.account
    record.tick, record.side, record.reduces = limit, order.side, reduces


@njit(nogil=True, **UNCALLED)
def write_cancel(v: Any, row: Any, ts: Any, reason: Any) -> None:
    """Write to the tape that an order leaves with what is left of it."""
    order = v.pool[row]
    record = v.cancels[v.counts[CANCELS]]
    v.counts[CANCELS] += 1
    record.ts, record.placed, record.id = ts, order.placed, order.id
    record.quantity, record.symbol, record.account = order.left, order.market, order.account
    record.tick, record.side, record.reason = order.tick, order.side, reason


@njit(nogil=True, **UNCALLED)
def first_at(v: Any, market: Any, tick: Any) -> Any:
    """The row of the first order at a price; 0: none."""
    row = v.slots[market, tick & (SLOTS - 1), FIRST]
    return row if row and v.pool[row].tick == tick else 0


@njit(nogil=True, **UNCALLED)
def next_level(v: Any, market: Any, side: Any, tick: Any) -> Any:
    """The best price of a side (0 bids, 1 asks) from `tick` on outwards; 0 or `NO_ASK`: none.

    `tick` is at or before the best price of the orders that are left.
    """
    if v.market[market, BIDS + side] == 0:
        return NO_ASK if side else 0
    step = 1 if side else -1
    for _ in range(SLOTS):
        if tick <= 0:
            break
        if first_at(v, market, tick):
            return tick
        tick += step
    return NO_ASK if side else 0


@njit(nogil=True, **UNCALLED)
def rest_order(v: Any, row: Any, tick: Any) -> Any:
    """Put an order behind those of its price; false where the price has no slot."""
    order = v.pool[row]
    market, slot = order.market, tick & (SLOTS - 1)
    first = v.slots[market, slot, FIRST]
    side = 0 if order.side > 0 else 1
    if tick <= 0 or (first and v.pool[first].tick != tick):
        v.counts[REFUSED_PRICES] += 1
        return False
    # A book reaches at most half of the slots to each side, so that a walk over them is whole.
    best = v.market[market, BID + side]
    if v.market[market, BIDS + side] and abs(tick - best) >= SLOTS // 2:
        v.counts[REFUSED_PRICES] += 1
        return False
    order.tick, order.state, order.after = tick, RESTING, 0
    last = v.slots[market, slot, LAST] if first else 0
    order.before = last
    if last:
        v.pool[last].after = row
    else:
        v.slots[market, slot, FIRST] = row
    v.slots[market, slot, LAST] = row
    v.market[market, BIDS + side] += 1
    if (side == 0 and tick > best) or (side == 1 and tick < best):
        v.market[market, BID + side] = tick
    return True


@njit(nogil=True, **UNCALLED)
def take_out(v: Any, row: Any) -> None:
    """Take an order out of its book; its row is free, and so is the market maker's quote."""
    order = v.pool[row]
    market, slot, side = order.market, order.tick & (SLOTS - 1), 0 if order.side > 0 else 1
    if order.before:
        v.pool[order.before].after = order.after
    else:
        v.slots[market, slot, FIRST] = order.after
    if order.after:
        v.pool[order.after].before = order.before
    else:
        v.slots[market, slot, LAST] = order.before
    v.market[market, BIDS + side] -= 1
    if order.tick == v.market[market, BID + side] and v.slots[market, slot, FIRST] == 0:
        v.market[market, BID + side] = next_level(v, market, side, order.tick)
    if order.quote:
        v.quotes[order.quote - 1, QUOTE_ROW] = 0
    give_row(v, row)


@njit(nogil=True, **UNCALLED)
def cancel_order(v: Any, row: Any, ts: Any, reason: Any) -> None:
    """Cancel a resting order."""
    write_cancel(v, row, tick_clock(v, v.pool[row].market, ts), reason)
    take_out(v, row)


@njit(nogil=True, **UNCALLED)
def match_order(v: Any, row: Any, limit: Any, cause: Any) -> Any:
    """Match an order with the other side up to the price `limit` (ticks); the lots filled.

    Whoever came first at the best price is matched first. An order of the same account is cancelled
    instead.
    """
    order = v.pool[row]
    market, side = order.market, order.side
    other = 1 if side > 0 else 0
    before = order.left
    while order.left > 0 and v.market[market, BIDS + other] > 0 and has_tape(v):
        tick = v.market[market, BID + other]
        if (tick - limit) * side > 0:
            break
        resting = v.slots[market, tick & (SLOTS - 1), FIRST]
        maker = v.pool[resting]
        if maker.account == order.account:
            write_cancel(v, resting, order.placed, SELF_TRADE)
            take_out(v, resting)
            continue
        lots = min(order.left, maker.left)
        order.left -= lots
        maker.left -= lots
        record = v.fills[v.counts[FILLS]]
        v.counts[FILLS] += 1
        record.ts, record.trade = order.placed, v.counts[NEXT_TRADE]
        v.counts[NEXT_TRADE] += 1
        record.maker_id, record.taker_id, record.quantity = maker.id, order.id, lots
        record.symbol, record.maker, record.taker = market, maker.account, order.account
        record.tick, record.side, record.cause = tick, side, cause
        v.market[market, LAST_PRICE] = tick
        if maker.quote:
            v.makers[(maker.quote - 1) // QUOTES, INVENTORY] -= lots * side
        if maker.left == 0:
            take_out(v, resting)
    return before - order.left


@njit(nogil=True, **UNCALLED)
def read_levels(v: Any, market: Any, side: Any, levels: Any) -> Any:
    """Ticks and lots of the best levels of a side, best first, as many as `levels` takes; their
    number."""
    count, orders = 0, 0
    tick = v.market[market, BID + side]
    step = 1 if side else -1
    while count < len(levels) and orders < v.market[market, BIDS + side] and 0 < tick < NO_ASK:
        row = first_at(v, market, tick)
        if row:
            levels[count, 0], levels[count, 1] = tick, 0
            while row:
                levels[count, 1] += v.pool[row].left
                row = v.pool[row].after
                orders += 1
            count += 1
        tick += step
    return count


@njit(nogil=True, **UNCALLED)
def middle_of(v: Any, market: Any) -> Any:
    """The middle of the book, ticks; the last price where a side is empty."""
    bid, ask = v.market[market, BID], v.market[market, ASK]
    return (bid + ask) / 2 if bid > 0 and ask < NO_ASK else float(v.market[market, LAST_PRICE])
