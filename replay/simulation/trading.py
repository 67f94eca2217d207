"""The seconds of the simulated venue: whose turn it is, in the order of time.

Arrivals excite further arrivals, at a fast and at a slow rate (a Hawkes process with exponential
kernels, drawn as a branching process). What is yet to come (arrivals, ends of orders' lives) stands
in an agenda: a list for each of the coming seconds of a market, and a heap for the present one.
Markets take their turns second by second, each with random numbers of its own; what one does
reaches another through the clearing house alone.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numba.extending import register_jitable
from numpy.typing import NDArray

from detectors.arrays.types import Float64, Int64
from monitor.core.contract.units import MILLISECOND_NS, SECOND_NS
from replay.simulation import agents as a
from replay.simulation.book import (
    DONE,
    EXPIRED,
    FREE_ROWS,
    MESSAGE_NS,
    NO_ASK,
    RESTING,
    SLOTS,
    USER,
    cancel_order,
    give_row,
    read_levels,
    take_out,
    take_row,
    tick_clock,
)
from replay.simulation.draws import (
    DISTANCE,
    EXPONENTIAL,
    LIFETIME,
    draw_below,
    draw_from,
    draw_uniform,
)

AHEAD_S = 1024
"""Seconds of an agenda; what comes later is looked at again then."""
ROWS_KEPT = 6_000
"""Free rows of pool and tape below which arrivals wait for the next second, as at a gateway that
is full."""
LATENCY_NS = (5 * MILLISECOND_NS, 100 * MILLISECOND_NS)
"""How soon after a second's index market makers and arbitrageurs act: from and to."""
PREMIUM_S, PREMIUM_DEPTHS, PREMIUM_MAX = 600.0, 5e-5, 0.02
"""Takers move the makers' fair value: by so much (a fraction of the price) for a usual depth within
25 bps, which is forgotten with this time constant; at most."""
TREND_S, SWING_S, SWING_WITHDRAWS = 60.0, 20.0, 2.0
"""Time constants of the mean price and of its swing; swing (of the usual) from which makers keep
less depth."""
CROWD_ORDERS = 8
"""Orders in which the takers of an incident come in a second."""
BRANCHING_MOST = len(a.BRANCHING_SHARES)


class Agenda(NamedTuple):
    """lists (markets × `AHEAD_S`): first row of what is due in a second, 0: nothing; due, row: the
    heap of the present second, of `size` entries; planted: an incident's orders, by time
    (`PLANTED`), of which `next_planted` are begun."""

    lists: NDArray[np.int32]
    due: Int64
    row: NDArray[np.int32]
    size: Int64
    planted: NDArray[np.void]
    next_planted: Int64


PLANTED = np.dtype(
    [("ts", "i8"), ("life", "i8"), ("lots", "i8"), ("symbol", "i4"), ("account", "i4"),
     ("distance", "i4"), ("side", "i1"), ("takes", "i1")], align=True,
)  # fmt: skip
"""An incident's order: when it comes, how long it rests, how many steps behind the touch; or
whether it takes."""


class World(NamedTuple):
    """Of some seconds and markets, what comes from outside: the index (ticks); arrivals a second
    that nothing excites; the share of their depth that makers keep; a premium beyond the market's
    own; lots that an incident's takers buy."""

    index: Float64
    arrivals: Float64
    kept: Float64
    premium: Float64
    crowd: Float64


class Snapshots(NamedTuple):
    """Books of some seconds and markets: time (ns), levels of bids and asks, their ticks and lots;
    last price and premium of the makers' fair value at the end of the second."""

    ts: Int64
    levels: Int64
    ticks: Int64
    lots: Int64
    middle: Float64
    last: Int64


def open_agenda(markets: int, rows: int, planted: NDArray[np.void]) -> Agenda:
    """An empty agenda."""
    return Agenda(
        np.zeros((markets, AHEAD_S), np.int32), np.zeros(rows, np.int64), np.zeros(rows, np.int32),
        np.zeros(1, np.int64), planted, np.zeros(1, np.int64),
    )  # fmt: skip


def open_snapshots(seconds: int, markets: int, levels: int) -> Snapshots:
    """Room for the books of so many seconds."""
    shape = seconds, markets
    sides = *shape, 2
    return Snapshots(
        np.zeros(shape, np.int64), np.zeros(sides, np.int64), np.zeros((*sides, levels), np.int64),
        np.zeros((*sides, levels), np.int64), np.zeros(shape), np.zeros(shape, np.int64),
    )  # fmt: skip


@register_jitable
def push_heap(agenda: Any, due: Any, row: Any) -> None:
    """Add to the present second."""
    at = agenda.size[0]
    agenda.size[0] += 1
    while at > 0:
        above = (at - 1) // 2
        if agenda.due[above] <= due:
            break
        agenda.due[at], agenda.row[at] = agenda.due[above], agenda.row[above]
        at = above
    agenda.due[at], agenda.row[at] = due, row


@register_jitable
def pop_heap(agenda: Any) -> Any:
    """The row that is due first, taken out."""
    row = agenda.row[0]
    agenda.size[0] -= 1
    size = agenda.size[0]
    due, last = agenda.due[size], agenda.row[size]
    at = 0
    while 2 * at + 1 < size:
        below = 2 * at + 1
        if below + 1 < size and agenda.due[below + 1] < agenda.due[below]:
            below += 1
        if due <= agenda.due[below]:
            break
        agenda.due[at], agenda.row[at] = agenda.due[below], agenda.row[below]
        at = below
    agenda.due[at], agenda.row[at] = due, last
    return row


@register_jitable
def enter(books: Any, agenda: Any, row: Any, until: Any) -> None:
    """Put what is due at `due` of its row into the agenda; `until`: the present second's end."""
    order = books.pool[row]
    if order.due < until:
        order.queued = 0
        push_heap(agenda, order.due, row)
        return
    ahead = min((order.due - until) // SECOND_NS, AHEAD_S - 2)
    slot = (until // SECOND_NS + ahead) % AHEAD_S
    order.queued = agenda.lists[order.market, slot]
    agenda.lists[order.market, slot] = row


@register_jitable
def arrive(
    books: Any, agents: Any, agenda: Any, market: Any, agent: Any, due: Any, until: Any
) -> Any:
    """Enter an arrival of somebody at random; its row."""
    if agent == a.MAKER:
        account = draw_below(agents.streams, market, agents.makers[market])
    elif agent == a.ARBITRAGE:
        account = agents.arbitrageur[market]
    else:
        account = a.draw_account(agents, market)
    side = 1 - 2 * draw_below(agents.streams, market, 2)
    row = take_row(books, market, account, side)
    books.pool[row].agent, books.pool[row].due = agent, due
    enter(books, agenda, row, until)
    return row


@register_jitable
def draw_agent(agents: Any, market: Any) -> Any:
    """What kind of arrival comes."""
    draw = draw_uniform(agents.streams, market)
    agent = a.MAKER
    for share in a.MIX:
        if draw < share:
            break
        agent += 1
    return agent


@register_jitable
def excite(books: Any, agents: Any, agenda: Any, row: Any, until: Any) -> None:
    """Enter the arrivals that an arrival excites."""
    order = books.pool[row]
    market, due = order.market, order.due
    draw = draw_uniform(agents.streams, market)
    for share in a.BRANCHING_SHARES:
        if draw < share:
            break
        mean_s = a.EXCITE_S[draw_below(agents.streams, market, 2)]
        wait_s = mean_s * draw_from(agents.tables, EXPONENTIAL, agents.streams, market)
        at = due + MILLISECOND_NS + int(wait_s * SECOND_NS)
        agent = order.agent
        if draw_uniform(agents.streams, market) >= a.SAME_KIND:
            agent = draw_agent(agents, market)
        child = books.pool[arrive(books, agents, agenda, market, agent, at, until)]
        if agent == order.agent and agent != a.MAKER:
            if draw_uniform(agents.streams, market) < a.SAME_ACCOUNT:
                child.account = order.account
        if draw_uniform(agents.streams, market) < a.SAME_SIDE:
            child.side = order.side


@register_jitable
def act(
    books: Any, tape: Any, agents: Any, agenda: Any, ledger: Any, marks: Any, row: Any, until: Any
) -> None:
    """Whoever arrives has its turn."""
    order = books.pool[row]
    market, agent, ts = order.market, order.agent, order.due
    order.queued = -1
    if agent <= a.TREND:
        excite(books, agents, agenda, row, until)
    streams, state = agents.streams, agents.state[market]
    if agent == a.MAKER:
        maker, forced = order.account, order.life
        give_row(books, row)
        if a.requote(books, tape, agents, market, maker, ts, a.REQUOTE_MOST) == 0 and not forced:
            a.flicker(books, tape, agents, market, maker, ts)
        return
    order.placed = tick_clock(books, market, ts)
    if agent == a.LIMIT or agent == a.PLANTED:
        if agent == a.LIMIT:
            lots = a.draw_lots(agents, market, order.account, a.LIMIT_WEALTH)
            lots = min(lots, a.lots_allowed(agents, ledger, row))
            steps = draw_from(agents.tables, DISTANCE, streams, market)
            distance = int(steps * agents.step[market])
            if draw_uniform(streams, market) < a.IMPROVING_SHARE:
                distance = -1
            order.life = int(draw_from(agents.tables, LIFETIME, streams, market) * SECOND_NS)
        else:
            lots, distance = order.size, order.left * agents.step[market]
            if order.id == 1:
                a.take(books, tape, agents, row, lots, 0)
                return
        if lots <= 0:
            give_row(books, row)
            return
        if a.place_limit(books, tape, agents, row, lots, distance, -1):
            order.due = order.placed + order.life
            enter(books, agenda, row, until)
        return
    if agent == a.ARBITRAGE:
        wrong = state[a.FAIR] * a.ARBITRAGE_RATE + agents.step[market]
        reach = (state[a.FAIR] - books.touch[market, 1 if order.side > 0 else 0]) * order.side
        if reach < wrong:
            give_row(books, row)
            return
        lots = int(a.ARBITRAGE_LEVELS * agents.level_lots[market])
        a.take(books, tape, agents, row, max(1, lots), int(reach - wrong / 2))
        return
    if agent == a.TREND:
        trend = a.middle_of(books, market) - state[a.TREND_MEAN]
        if abs(trend) > a.TREND_STEPS * agents.step[market]:
            order.side = 1 if trend > 0 else -1
    lots = a.draw_lots(agents, market, order.account, a.TAKE_WEALTH)
    lots = min(lots, a.lots_allowed(agents, ledger, row))
    reach = -1
    if draw_uniform(streams, market) >= a.MARKET_SHARE:
        reach = draw_below(streams, market, 3) * agents.step[market]
    a.take(books, tape, agents, row, lots, reach)


@register_jitable
def end_life(
    books: Any, tape: Any, agents: Any, agenda: Any, row: Any, until: Any
) -> None:
    """An order's life is over: it is cancelled, or another one replaces it."""
    order = books.pool[row]
    market, ts = order.market, order.due
    order.queued = -1
    if order.agent != a.LIMIT or draw_uniform(agents.streams, market) >= a.REPLACED_SHARE:
        expires = draw_uniform(agents.streams, market) < a.EXPIRED_SHARE
        cancel_order(books, tape, row, ts, EXPIRED if expires else USER)
        return
    new = take_row(books, market, order.account, order.side)
    replaced, lots = order.id, order.left
    take_out(books, row)
    order = books.pool[new]
    order.agent, order.placed = a.LIMIT, tick_clock(books, market, ts)
    steps = draw_from(agents.tables, DISTANCE, agents.streams, market)
    if a.place_limit(books, tape, agents, new, lots, int(steps * agents.step[market]), replaced):
        life_s = draw_from(agents.tables, LIFETIME, agents.streams, market)
        order.due = order.placed + int(life_s * SECOND_NS)
        enter(books, agenda, new, until)


@register_jitable
def has_room(books: Any, tape: Any) -> Any:
    """Whether pool and tape take what one arrival may bring."""
    rows = min(len(tape.orders) - tape.count[0], len(tape.cancels) - tape.count[1])
    rows = min(rows, len(tape.fills) - tape.count[2])
    return min(rows, books.counters[FREE_ROWS]) > ROWS_KEPT


@register_jitable
def begin_second(
    books: Any, agents: Any, agenda: Any, world: Any, market: Any, second: Any, ts: Any
) -> None:
    """Take over the second's index, and enter what comes in it."""
    until, state, streams = ts + SECOND_NS, agents.state[market], agents.streams
    slot = (ts // SECOND_NS) % AHEAD_S
    row = agenda.lists[market, slot]
    agenda.lists[market, slot] = 0
    while row:
        following = books.pool[row].queued
        enter(books, agenda, row, until)
        row = following
    change = world.index[second, market] - state[a.INDEX]
    usual = agents.sigma[market] * 0.8
    state[a.SWING] += (abs(change) / usual - state[a.SWING]) / SWING_S
    state[a.INDEX] += change
    before, kept = state[a.FAIR], state[a.KEPT]
    premium = state[a.PREMIUM] + world.premium[second, market]
    state[a.FAIR] = state[a.INDEX] * (1 + premium)
    withdrawn = min(1.0, max(0.1, SWING_WITHDRAWS / max(state[a.SWING], 0.1)))
    state[a.KEPT] = min(withdrawn, 1.0) * world.kept[second, market]
    state[a.HALF] = agents.step[market] * (0.3 + 0.2 * state[a.SWING])
    low, high = LATENCY_NS
    if abs(state[a.FAIR] - before) > 0.5 * agents.step[market] or state[a.KEPT] < kept:
        for maker in range(agents.makers[market]):
            row = take_row(books, market, maker, 1)
            books.pool[row].agent, books.pool[row].life = a.MAKER, 1
            books.pool[row].due = ts + low + draw_below(streams, market, high - low)
            enter(books, agenda, row, until)
    for side in (1, -1):
        touch = books.touch[market, 1 if side > 0 else 0]
        wrong = (state[a.FAIR] - touch) * side
        if 0 < touch < NO_ASK and wrong > state[a.FAIR] * a.ARBITRAGE_RATE + agents.step[market]:
            due = ts + low + draw_below(streams, market, 2 * high)
            row = arrive(books, agents, agenda, market, a.ARBITRAGE, due, until)
            books.pool[row].side = side
    mean_ns = SECOND_NS / max(world.arrivals[second, market], 1e-9)
    at = ts
    while has_rows(books):
        at += int(draw_from(agents.tables, EXPONENTIAL, streams, market) * mean_ns) + 1
        if at >= until:
            break
        arrive(books, agents, agenda, market, draw_agent(agents, market), at, until)
