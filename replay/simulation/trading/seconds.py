"""The seconds of the simulated venue: the one compiled loop over time and markets.

Markets take their turns second by second; what happens in one reaches another through the clearing
house alone. At the end of a second the clearing house has its fills, what accounts wish (transfers,
leverage) is carried out, marks are computed and margins checked. Forced orders are the first
messages of the next second.
"""

from __future__ import annotations

from typing import Any

from numba import njit

from detectors.arrays.types import UNCALLED
from monitor.core.contract.units import MILLISECOND_NS, SECOND_NS
from replay.simulation.clearing import columns as c
from replay.simulation.trading.agenda import enter, pop_heap
from replay.simulation.trading.arrivals import act, begin_second, end_life, enter_planted
from replay.simulation.trading.book import give_row, has_room, read_levels, tick_clock
from replay.simulation.trading.settlement import apply_wishes, clear_fills, liquidate, mark_market
from replay.simulation.trading.state import (
    BID_LEVELS,
    BOOK_TS,
    CANCELS,
    CLOCK,
    DONE,
    FILLS,
    FREE_ROWS,
    HEAP_DUE,
    HEAP_SIZE,
    MOVES,
    ORDERS,
    RESTING,
)


@njit(nogil=True, **UNCALLED)
def trade_market(
    v: Any, ledger: Any, marks: Any, market: Any, until: Any, seen: Any, levels: Any
) -> None:
    """All that happens in a market until the end of its second, and its book at the moment that
    `seen` says; `seen`, `levels`: what is published of this second and market."""
    waits = True
    while v.counts[HEAP_SIZE] > 0:
        if waits and v.heap[0, HEAP_DUE] > seen[BOOK_TS]:
            take_snapshot(v, market, seen, levels)
            waits = False
        row = pop_heap(v)
        order = v.pool[row]
        if order.state == DONE:
            order.queued = -1
            give_row(v, row)
        elif not has_room(v) or v.market[market, CLOCK] > until - MILLISECOND_NS:
            order.due = until
            enter(v, row, until)
        elif order.state == RESTING:
            end_life(v, row, until)
        else:
            act(v, ledger, marks, row, until)
    if waits:
        take_snapshot(v, market, seen, levels)


@njit(nogil=True, **UNCALLED)
def take_snapshot(v: Any, market: Any, seen: Any, levels: Any) -> None:
    """Write the levels of a market's book, as it is after its last message."""
    seen[BOOK_TS] = tick_clock(v, market, seen[BOOK_TS])
    for side in range(2):
        seen[BID_LEVELS + side] = read_levels(v, market, side, levels[side])


@njit(nogil=True, **UNCALLED)
def has_room_for_second(v: Any, ledger: Any, rows: Any) -> Any:
    """Whether pool, tape and clearing house have so many rows left."""
    least = min(len(v.orders) - v.counts[ORDERS], len(v.cancels) - v.counts[CANCELS])
    least = min(least, len(v.fills) - v.counts[FILLS], v.counts[FREE_ROWS])
    least = min(least, (len(v.moves) - v.counts[MOVES]) // 2)
    return min(least, (len(ledger.positions) - ledger.totals[c.ROWS]) // 2) >= rows


@njit(cache=True, nogil=True)
def run_seconds(
    v: Any, ledger: Any, marks: Any, world: Any, wishes: Any, seen: Any, levels: Any, span: Any
) -> Any:
    """Simulate seconds of all markets.

    `marks`: by market, ticks. `world`, `seen`: see `state.py`; `levels`: (seconds, markets, sides,
    levels, 2), ticks and lots of the books. `wishes` (`WISH`) by time. `span`: time of the first
    second (ns), the second to begin with, how many there are, the day's end (ns), and the room
    (rows) that a second needs. Returns the second that was not begun for want of room, or how many
    there are.
    """
    start_ts, begin, seconds, end_ts, rows = span
    for second in range(begin, seconds):
        if not has_room_for_second(v, ledger, rows):
            return second
        ts = start_ts + second * SECOND_NS
        first = v.counts[FILLS]
        enter_planted(v, ts)
        for market in range(len(marks)):
            here = seen[second, market]
            begin_second(v, world[second, market], market, ts)
            trade_market(v, ledger, marks, market, ts + SECOND_NS, here, levels[second, market])
        clear_fills(v, ledger, first)
        apply_wishes(v, ledger, marks, wishes, ts + SECOND_NS)
        for market in range(len(marks)):
            mark_market(v, world[second, market], seen[second, market], marks, market)
        if ts + SECOND_NS < end_ts:
            liquidate(v, ledger, marks, ts + SECOND_NS)
    return seconds
