"""The end of a second at the simulated venue: marks, the clearing house, forced orders."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from detectors.arrays.types import UNCALLED
from monitor.core.contract.units import MILLISECOND_NS
from monitor.core.decode.batch import ABSENT
from replay.simulation.clearing import columns as c
from replay.simulation.clearing.accounts import (
    apply_fills,
    change_leverage,
    deposit,
    find_position,
    place_position,
)
from replay.simulation.clearing.margin import check_margin, withdraw
from replay.simulation.clearing.settlement import settle_unfilled
from replay.simulation.trading.book import (
    ROWS_KEPT,
    cancel_order,
    has_room,
    middle_of,
    take_row,
    tick_clock,
)
from replay.simulation.trading.state import (
    ASK,
    BASIS,
    BASIS_SCALE,
    BID,
    BY_VENUE,
    CANCELS,
    DEPTH_LOTS,
    FILLS,
    INDEX,
    INDEX_ERROR,
    IS_LIQUIDATED,
    LAST_PRICE,
    LEVERAGES,
    LIQUIDATED,
    LIQUIDATION,
    MOVES,
    NEXT_TRADE,
    NO_ASK,
    PREMIUM,
    RESTING,
    SEEN_BASIS,
    SEEN_INDEX,
    SEEN_LAST,
    SEEN_MARK,
    TAKEN,
    TRADE,
    TREND_MEAN,
    WISHES,
)
from replay.simulation.trading.takers import COLLAR, end_at_once, submit

BASIS_S, TREND_S = 150.0, 60.0
"""Time constants of the mean premium in the mark, and of the mean price of trend followers."""
PREMIUM_S, PREMIUM_DEPTHS, PREMIUM_MAX = 600.0, 5e-4, 0.02
"""Takers move the market makers' fair value: by so much (a fraction of the price) for a usual depth
within 25 bps, which is forgotten with this time constant; at most."""
INDEX_PARTS = 10
"""The index is published in so many parts of a tick."""
LIQUIDATION_NS = MILLISECOND_NS
"""How soon after a second's marks forced orders reach the book."""


@njit(nogil=True, **UNCALLED)
def median_of(x: Any, y: Any, z: Any) -> Any:
    """The one in the middle."""
    return max(min(x, y), min(max(x, y), z))


@njit(nogil=True, **UNCALLED)
def mark_market(v: Any, world: Any, seen: Any, marks: Any, market: Any) -> None:
    """A market's mark at the end of a second: the median of the index, of the index with the mean
    premium of the book's middle over it, and of the median of best bid, best ask and last price.

    Where the published index is wrong, so is the mark.
    """
    state = v.state[market]
    index, middle = state[INDEX], middle_of(v, market)
    state[BASIS] += (middle / index - 1 - state[BASIS]) / BASIS_S
    state[TREND_MEAN] += (middle - state[TREND_MEAN]) / TREND_S
    state[PREMIUM] *= 1 - 1 / PREMIUM_S
    moved = state[TAKEN] / v.state[market, DEPTH_LOTS] * PREMIUM_DEPTHS
    state[PREMIUM] = min(max(state[PREMIUM] + moved, -PREMIUM_MAX), PREMIUM_MAX)
    state[TAKEN] = 0.0
    last = float(v.market[market, LAST_PRICE])
    bid, ask = v.market[market, BID], v.market[market, ASK]
    traded = median_of(float(bid), float(ask), last) if bid > 0 and ask < NO_ASK else last
    wrong = 1 + world[INDEX_ERROR]
    mark = median_of(index, index * (1 + state[BASIS]), traded) * wrong
    marks[market] = max(1, int(mark + 0.5))
    seen[SEEN_MARK] = marks[market]
    seen[SEEN_INDEX] = int(index * wrong * INDEX_PARTS + 0.5)
    seen[SEEN_LAST] = v.market[market, LAST_PRICE]
    seen[SEEN_BASIS] = int(state[BASIS] * BASIS_SCALE)


@njit(nogil=True, **UNCALLED)
def clear_fills(v: Any, ledger: Any, first: Any) -> None:
    """Hand the fills of the tape from `first` on to the clearing house, and note what they cost."""
    count = v.counts[FILLS] - first
    if count == 0:
        return
    fills = np.empty((count, len(c.FILL_COLUMNS)), np.int64)
    moves = np.empty((2 * count, len(c.MOVE_COLUMNS)), np.int64)
    for n in range(count):
        record = v.fills[first + n]
        fills[n, c.FILL_MARKET], fills[n, c.FILL_MAKER] = record.symbol, record.maker
        fills[n, c.FILL_TAKER], fills[n, c.FILL_LOTS] = record.taker, record.quantity * record.side
        fills[n, c.FILL_PRICE], fills[n, c.FILL_CAUSE] = record.tick, record.cause
    moved = apply_fills(ledger, fills, moves)
    for n in range(count):
        record = v.fills[first + n]
        record.maker_fee, record.taker_fee = fills[n, c.FILL_MAKER_FEE], fills[n, c.FILL_TAKER_FEE]
    for n in range(moved):
        write_move(v, moves[n], v.fills[first + moves[n, c.MOVE_FILL]].ts)


@njit(nogil=True, **UNCALLED)
def write_move(v: Any, move: Any, ts: Any) -> None:
    """Write a move of collateral to the tape."""
    record = v.moves[v.counts[MOVES]]
    v.counts[MOVES] += 1
    record.ts, record.account, record.symbol = ts, move[c.MOVE_ACCOUNT], move[c.MOVE_MARKET]
    record.amount, record.cause = move[c.MOVE_AMOUNT], move[c.MOVE_CAUSE]


@njit(nogil=True, **UNCALLED)
def apply_wishes(v: Any, ledger: Any, marks: Any, wishes: Any, until: Any) -> None:
    """Carry out the transfers and leverage changes of a second that ends at `until`."""
    while v.counts[WISHES] < len(wishes) and wishes[v.counts[WISHES]].ts < until:
        wish = wishes[v.counts[WISHES]]
        v.counts[WISHES] += 1
        account, market = np.int64(wish.account), np.int64(wish.symbol)
        if market < 0:
            paid = wish.amount
            if paid > 0:
                deposit(ledger, account, paid)
            else:
                paid = -withdraw(ledger, account, -paid, marks)
            if paid != 0:
                record = v.moves[v.counts[MOVES]]
                v.counts[MOVES] += 1
                record.ts, record.account, record.symbol = wish.ts, account, -1
                record.amount, record.cause = paid, c.DEPOSIT if paid > 0 else c.WITHDRAWAL
            continue
        row = find_position(ledger, account, market)
        record = v.leverages[v.counts[LEVERAGES]]
        v.counts[LEVERAGES] += 1
        record.previous = ledger.positions[row, c.LEVERAGE] if row >= 0 else ABSENT
        mode = ledger.positions[row, c.MODE] if row >= 0 else c.CROSS
        mode = 1 - mode if wish.switches else mode
        leverage, mode = change_leverage(ledger, account, market, wish.amount, mode)
        record.ts, record.symbol, record.account = wish.ts, market, account
        record.leverage, record.margin_mode = leverage, mode


@njit(nogil=True, **UNCALLED)
def liquidate(v: Any, ledger: Any, marks: Any, ts: Any) -> None:
    """Check all margins at the marks; send the forced orders to the books; settle the rest."""
    orders = check_margin(ledger, marks, ts)
    if len(orders) == 0 and ledger.totals[c.DUE] == 0:
        return
    first = v.counts[FILLS]
    cancel_of_liquidated(v, orders, ts)
    for n in range(len(orders)):
        if not has_room(v):
            break
        lots, market = orders[n, c.ORDER_LOTS], orders[n, c.ORDER_MARKET]
        if lots == 0:  # it says that a liquidation begins
            continue
        side = 1 if lots > 0 else -1
        row = take_row(v, market, orders[n, c.ORDER_ACCOUNT], side)
        order = v.pool[row]
        order.placed = tick_clock(v, market, ts + LIQUIDATION_NS)
        order.size = order.left = abs(lots)
        limit = orders[n, c.ORDER_LIMIT]
        touch = v.market[market, ASK if side > 0 else BID]
        if limit == 0:
            limit = max(1, touch + side * int(touch * COLLAR))
        order.tick = limit
        cause = TRADE if orders[n, c.ORDER_KIND] == c.UNWIND else LIQUIDATION
        submit(v, row, limit, cause)
        end_at_once(v, row, BY_VENUE)
    clear_fills(v, ledger, first)
    fills, moves = settle_unfilled(ledger, marks)
    for n in range(len(fills)):
        market = fills[n, c.FILL_MARKET]
        record = v.fills[v.counts[FILLS]]
        v.counts[FILLS] += 1
        record.ts, record.trade = tick_clock(v, market, ts), v.counts[NEXT_TRADE]
        v.counts[NEXT_TRADE] += 1
        record.maker_id = record.taker_id = -1
        record.symbol, record.maker = market, fills[n, c.FILL_MAKER]
        record.taker, record.quantity = fills[n, c.FILL_TAKER], abs(fills[n, c.FILL_LOTS])
        record.side = 1 if fills[n, c.FILL_LOTS] > 0 else -1
        record.tick, record.cause = fills[n, c.FILL_PRICE], fills[n, c.FILL_CAUSE]
        record.maker_fee, record.taker_fee = fills[n, c.FILL_MAKER_FEE], fills[n, c.FILL_TAKER_FEE]
    for n in range(len(moves)):
        fill = moves[n, c.MOVE_FILL]
        at = ts + LIQUIDATION_NS
        if fill >= 0:
            at = v.fills[v.counts[FILLS] - len(fills) + fill].ts
        write_move(v, moves[n], at)


@njit(nogil=True, **UNCALLED)
def cancel_of_liquidated(v: Any, orders: Any, ts: Any) -> None:
    """Cancel the resting orders of the accounts whose liquidation begins."""
    begins = False
    for n in range(len(orders)):
        if orders[n, c.ORDER_KIND] == c.FIRST:
            v.accounts[orders[n, c.ORDER_ACCOUNT], IS_LIQUIDATED] = begins = True
    if not begins:
        return
    for row in range(1, len(v.pool)):
        order = v.pool[row]
        fits = len(v.cancels) - v.counts[CANCELS] > ROWS_KEPT
        if order.state == RESTING and v.accounts[order.account, IS_LIQUIDATED] and fits:
            cancel_order(v, row, ts, LIQUIDATED)
    v.accounts[:, IS_LIQUIDATED] = False


@njit(cache=True, nogil=True)
def open_accounts(ledger: Any, deposits: Any, places: Any) -> None:
    """Pay in what each account has at the opening (1e-6), and place its positions
    (`clearing.columns.PLACE_COLUMNS`)."""
    for account in range(len(deposits)):
        deposit(ledger, account, deposits[account])
    for n in range(len(places)):
        place_position(ledger, places[n])
