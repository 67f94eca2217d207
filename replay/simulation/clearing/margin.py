"""Margin checks: which pools are below maintenance, and what is sent to the book for them.

A pool is judged again only when something can have changed: after each change of its money or
positions, every second while it is under liquidation, and when a mark has passed the trigger of one
of its positions. If no mark has moved against it by more than the share

    s = (equity − maintenance) / (notional of longs + notional of shorts · (1 + top rate + fee))

since it was judged, it is still above maintenance: a mark that falls by s takes s · notional from a
long and lowers its maintenance, one that rises takes s · notional from a short and adds at most
that times the top rate to maintenance. Triggers lie at s. They are computed in doubles and one tick
early; what happens to an account is decided in integers.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from detectors.arrays.types import I2, INT, RI1, UNCALLED
from monitor.core.contract.fixed_point import SCALE
from replay.simulation.clearing import columns as c
from replay.simulation.clearing.accounts import (
    add_cash,
    deposit,
    find_position,
    pool_of,
    times_share,
)
from replay.simulation.clearing.columns import LEDGER

MOVE_MAX = 1e3
"""No mark rises to so many times what it was."""
UNWIND_PART = 100
"""The vault and the fund send a hundredth of what they took over each second: half of it is gone
after 69 s, which is slower than the waves of a cascade, some 3 s apart (`docs/decisions`, 0067)."""


@njit(inline="always")
def need_of_tiers(tiers, market, notional, rate, deduction):  # type: ignore[no-untyped-def]
    """Largest rate · notional − deduction over a market's tiers, rounded up."""
    most = np.int64(0)
    for tier in range(tiers.shape[1]):
        if notional < tiers[market, tier, c.BOUND]:
            break
        need = -times_share(-notional, tiers[market, tier, rate]) - tiers[market, tier, deduction]
        most = max(most, need)
    return most


@njit(nogil=True, **UNCALLED)
def maintenance(ledger, market, notional):  # type: ignore[no-untyped-def]
    """What a position needs: maintenance by its tiers, and the fee of closing where that counts."""
    need = need_of_tiers(ledger.tiers, market, notional, c.RATE, c.DEDUCTION)
    return need - times_share(-notional, ledger.rules[c.CLOSING_FEE])


@njit(inline="always")
def _next_open(positions, first, pool, row):  # type: ignore[no-untyped-def]
    if pool >= first.size:
        own = pool - first.size
        return own if row < 0 and positions[own, c.LOTS] != 0 else np.int64(-1)
    row = (first[pool] if row < 0 else positions[row, c.NEXT]) - 1
    while row >= 0 and (positions[row, c.MODE] == c.ISOLATED or positions[row, c.LOTS] == 0):
        row = positions[row, c.NEXT] - 1
    return row


@njit(nogil=True, **UNCALLED)
def next_position(ledger, pool, row):  # type: ignore[no-untyped-def]
    """The open position of a pool that follows `row` (−1: the first); −1: there is no further."""
    return _next_open(ledger.positions, ledger.first, pool, row)


@njit(nogil=True, **UNCALLED)
def value_of(ledger, row, marks):  # type: ignore[no-untyped-def]
    """A position's signed notional at the marks."""
    position = ledger.positions[row]
    market = position[c.MARKET]
    return position[c.LOTS] * marks[market] * ledger.markets[market, c.TICK_VALUE]


@njit(nogil=True, **UNCALLED)
def judge_pool(ledger, pool, marks):  # type: ignore[no-untyped-def]
    """Equity and maintenance of a pool at the marks, and the denominator of s (above)."""
    positions, first, markets, tiers = ledger.positions, ledger.first, ledger.markets, ledger.tiers
    fee = ledger.rules[c.CLOSING_FEE]
    equity, need, exposure = ledger.pools[pool, c.CASH], np.int64(0), 0.0
    row = _next_open(positions, first, pool, -1)
    while row >= 0:
        market = positions[row, c.MARKET]
        value = positions[row, c.LOTS] * marks[market] * markets[market, c.TICK_VALUE]
        equity += value
        need += need_of_tiers(tiers, market, abs(value), c.RATE, c.DEDUCTION)
        need -= times_share(-abs(value), fee)
        rate = markets[market, c.TOP_RATE] + fee
        exposure += value if value > 0 else -value * (1 + rate / SCALE)
        row = _next_open(positions, first, pool, row)
    return equity, need, exposure


@njit(nogil=True, **UNCALLED)
def _set_triggers(ledger, pool, share, marks):  # type: ignore[no-untyped-def]
    positions, first, triggers = ledger.positions, ledger.first, ledger.triggers
    row = _next_open(positions, first, pool, -1)
    while row >= 0:
        mark = float(marks[positions[row, c.MARKET]])
        if positions[row, c.LOTS] > 0:
            triggers[row] = np.int64(np.ceil(mark * (1 - share))) + 1
        else:
            triggers[row] = -(np.int64(np.floor(mark * (1 + min(share, MOVE_MAX)))) - 1)
        row = _next_open(positions, first, pool, row)


@njit(nogil=True, **UNCALLED)
def bankruptcy_price(ledger, row, part, mark):  # type: ignore[no-untyped-def]
    """The price at which a position uses up `part` of its pool's equity, rounded in favour of the
    account."""
    position = ledger.positions[row]
    lots = position[c.LOTS]
    each = abs(lots) * ledger.markets[position[c.MARKET], c.TICK_VALUE]
    away = part // each
    return max(mark - away if lots > 0 else mark + away, 1)


@njit(nogil=True, **UNCALLED)
def part_of_equity(equity, own_need, need, left, is_last):  # type: ignore[no-untyped-def]
    """A position's part of its pool's equity, by maintenance; the last one has what is left."""
    if is_last or need == 0:
        return left
    return np.int64(float(equity) * (own_need / need))


@njit(nogil=True, **UNCALLED)
def _lots_of_order(ledger, row, mark, orders):  # type: ignore[no-untyped-def]
    """How many lots the next order for a position closes, and whether that is a first part."""
    rules, position = ledger.rules, ledger.positions[row]
    size, market = abs(position[c.LOTS]), position[c.MARKET]
    each = mark * ledger.markets[market, c.TICK_VALUE]
    if rules[c.TIERS_DOWN]:
        tiers = ledger.tiers[market]
        tier = np.int64(0)
        while tier + 1 < tiers.shape[0] and size * each >= tiers[tier + 1, c.BOUND]:
            tier += 1
        if tier < rules[c.TIERS_DOWN]:
            return np.int64(0), False
        # A notional on the bound belongs to the higher tier.
        return size - (tiers[tier - rules[c.TIERS_DOWN] + 1, c.BOUND] - 1) // each, False
    if orders == 0 and rules[c.FIRST_SHARE] < SCALE and size * each >= rules[c.PARTIAL_FROM]:
        return -times_share(-size, rules[c.FIRST_SHARE]), True
    return size, False


@njit(nogil=True, **UNCALLED)
def _write_order(orders, n, position, lots, limit, kind):  # type: ignore[no-untyped-def]
    order = orders[n]
    order[c.ORDER_ACCOUNT], order[c.ORDER_MARKET] = position[c.HOLDER], position[c.MARKET]
    order[c.ORDER_LOTS] = -lots if position[c.LOTS] > 0 else lots
    order[c.ORDER_LIMIT], order[c.ORDER_KIND] = limit, kind
    return n + 1


@njit(nogil=True, **UNCALLED)
def _write_orders(ledger, pool, marks, now, orders, n):  # type: ignore[no-untyped-def]
    """The orders of a pool below maintenance, if it may send any by now.

    Where its liquidation begins without one, an order without lots says so.
    """
    rules, state = ledger.rules, ledger.pools[pool]
    equity, need, _ = judge_pool(ledger, pool, marks)
    kind = c.FURTHER if state[c.FLAGS] & c.BEGUN else c.FIRST
    state[c.FLAGS] = state[c.FLAGS] & ~c.SENT | c.BEGUN
    vault_takes = rules[c.BACKSTOP_SHARE] and equity < times_share(need, rules[c.BACKSTOP_SHARE])
    may_send = not vault_takes and now >= state[c.WAITS_UNTIL]
    left, waits, before = equity, False, n
    row = next_position(ledger, pool, -1)
    begins = row >= 0 and kind == c.FIRST
    if begins:
        _write_order(orders, n, ledger.positions[row], 0, 0, kind)
    while row >= 0 and may_send:
        following = next_position(ledger, pool, row)
        mark = marks[ledger.positions[row, c.MARKET]]
        own = maintenance(
            ledger, ledger.positions[row, c.MARKET], abs(value_of(ledger, row, marks))
        )
        part = part_of_equity(equity, own, need, left, following < 0)
        left -= part
        lots, is_part = _lots_of_order(ledger, row, mark, state[c.ORDERS])
        if lots:
            limit = bankruptcy_price(ledger, row, part, mark)
            n = _write_order(orders, n, ledger.positions[row], lots, limit, kind)
            waits |= is_part
        row = following
    if n > before:
        state[c.FLAGS] |= c.SENT
        state[c.ORDERS] += 1
        state[c.WAITS_UNTIL] = now + rules[c.WAIT_NS] if waits else 0
    elif begins:
        n += 1
    return n


@njit(nogil=True, **UNCALLED)
def _pass_triggers(ledger, marks):  # type: ignore[no-untyped-def]
    """Queue the pools of the positions whose trigger a mark has passed."""
    signed = np.empty(2 * marks.size, np.int64)
    signed[::2], signed[1::2] = marks, -marks
    sides, triggers, positions = ledger.sides, ledger.triggers, ledger.positions
    pools, queue, totals, accounts = ledger.pools, ledger.queue, ledger.totals, ledger.first.size
    for row in range(totals[c.ROWS]):
        if signed[sides[row]] <= triggers[row]:
            add_cash(pools, queue, totals, pool_of(positions, accounts, row), 0)


@njit(nogil=True, **UNCALLED)
def _judge_queue(ledger, marks):  # type: ignore[no-untyped-def]
    """Judge the queued pools; those below maintenance are `due`, and stay in the queue.

    Returns how many open positions those have.
    """
    pools, queue = ledger.pools, ledger.queue
    queued, due, accounts = ledger.totals[c.IN_QUEUE], np.int64(0), ledger.rules[c.ACCOUNTS]
    open_positions = np.int64(0)
    for place in range(queued):
        pool = queue[place]
        equity, need, exposure = judge_pool(ledger, pool, marks)
        is_venues = accounts <= pool < ledger.first.size
        # A debt without positions waits for the fund, where there is one.
        is_over = exposure == 0.0 and not ledger.rules[c.HAS_FUND]
        if equity >= need or is_venues or is_over:
            pools[pool, c.FLAGS] = pools[pool, c.ORDERS] = pools[pool, c.WAITS_UNTIL] = 0
            share = MOVE_MAX if is_venues or exposure == 0.0 else (equity - need) / exposure
            _set_triggers(ledger, pool, share, marks)
            continue
        ledger.due[due] = queue[due] = pool
        due += 1
        row = next_position(ledger, pool, -1)
        while row >= 0:
            open_positions += 1
            ledger.triggers[row] = c.NEVER
            row = next_position(ledger, pool, row)
    ledger.totals[c.IN_QUEUE] = ledger.totals[c.DUE] = due
    return open_positions


@njit(I2(LEDGER, RI1, INT), cache=True, nogil=True)
def check_margin(ledger, marks, now):  # type: ignore[no-untyped-def]
    """Find the pools below maintenance at the marks (by market, ticks) at event time `now` (ns).

    Returns the orders that are sent to the book for them, and those with which the vault and the
    fund close what they took over: (n, `ORDER_COLUMNS`).
    """
    _pass_triggers(ledger, marks)
    most = _judge_queue(ledger, marks)
    accounts, everybody = ledger.rules[c.ACCOUNTS], ledger.first.size
    for pool in range(accounts, everybody):
        row = next_position(ledger, pool, -1)
        while row >= 0:
            most += 1
            row = next_position(ledger, pool, row)
    orders = np.empty((most, len(c.ORDER_COLUMNS)), np.int64)
    n = 0
    for place in range(ledger.totals[c.DUE]):
        n = _write_orders(ledger, ledger.due[place], marks, now, orders, n)
    for pool in range(accounts, everybody):
        row = next_position(ledger, pool, -1)
        while row >= 0:
            position = ledger.positions[row]
            lots = -(-abs(position[c.LOTS]) // UNWIND_PART)
            n = _write_order(orders, n, position, lots, 0, c.UNWIND)
            row = next_position(ledger, pool, row)
    return orders[:n].copy()


@njit(nogil=True, **UNCALLED)
def _initial_need(ledger, row, marks):  # type: ignore[no-untyped-def]
    """What it takes to open a position: notional over its leverage, at least its tiers' rate."""
    position = ledger.positions[row]
    value, leverage = abs(value_of(ledger, row, marks)), position[c.LEVERAGE]
    market, rate, deduction = position[c.MARKET], c.INITIAL_RATE, c.INITIAL_DEDUCTION
    by_tiers = need_of_tiers(ledger.tiers, market, value, rate, deduction)
    return max(value // leverage * SCALE + value % leverage * SCALE // leverage, by_tiers)


@njit(INT(LEDGER, INT, RI1), cache=True, nogil=True)
def free_margin(ledger, account, marks):  # type: ignore[no-untyped-def]
    """Equity of an account's cross pool beyond the initial margin of its positions; may be below
    0."""
    free = ledger.pools[account, c.CASH]
    row = next_position(ledger, account, -1)
    while row >= 0:
        free += value_of(ledger, row, marks) - _initial_need(ledger, row, marks)
        row = next_position(ledger, account, row)
    return free


@njit(INT(LEDGER, INT, INT, RI1), cache=True, nogil=True)
def withdraw(ledger, account, amount, marks):  # type: ignore[no-untyped-def]
    """Pay out `amount` of an account, as far as its free margin goes; returns what was paid."""
    paid = max(min(amount, free_margin(ledger, account, marks)), 0)
    deposit(ledger, account, -paid)
    return paid


@njit(INT(LEDGER, INT, INT, INT, RI1), cache=True, nogil=True)
def largest_order(ledger, account, market, side, marks):  # type: ignore[no-untyped-def]
    """How many lots an account may buy (`side` 1) or sell (−1) at the mark: what closes its
    position, and what its free margin opens."""
    row = find_position(ledger, account, market)
    lots = ledger.positions[row, c.LOTS] if row >= 0 else np.int64(0)
    leverage = ledger.positions[row, c.LEVERAGE] if row >= 0 else np.int64(0)
    leverage = leverage if leverage else ledger.markets[market, c.LEVERAGE_MAX]
    each = marks[market] * ledger.markets[market, c.TICK_VALUE]
    closing = abs(lots) if lots * side < 0 else np.int64(0)
    free = max(free_margin(ledger, account, marks), 0)
    if closing and ledger.positions[row, c.MODE] != c.ISOLATED:
        free += _initial_need(ledger, row, marks)
    rate = SCALE * SCALE // leverage
    opened = np.int64(float(free) * SCALE / max(rate, 1))
    same_side = abs(lots * each) if lots * side > 0 else np.int64(0)
    tiers = ledger.tiers[market]
    for tier in range(tiers.shape[0]):
        if same_side + opened >= tiers[tier, c.BOUND]:
            rate = max(rate, tiers[tier, c.INITIAL_RATE])
    return closing + np.int64(float(free) * SCALE / max(rate, 1)) // each
