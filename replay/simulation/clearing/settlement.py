"""What the book did not take: the backstop vault, the insurance fund, then deleveraging.

All at one set of marks, pool by pool as they fell below maintenance. Whoever takes a position over
does so at its bankruptcy price, rounded to a tick in favour of the account: less than a tick of
each lot stays with it, and the promise that nobody ends in debt does not hang on rounding.
"""

from __future__ import annotations

import numpy as np
from numba import njit, types

from detectors.arrays.types import I2, RI1, UNCALLED
from monitor.core.contract.fixed_point import MONEY_SCALE
from replay.simulation.clearing import columns as c
from replay.simulation.clearing.accounts import (
    apply_fills,
    pool_of,
    times_share,
    write_move,
)
from replay.simulation.clearing.columns import LEDGER
from replay.simulation.clearing.margin import (
    bankruptcy_price,
    judge_pool,
    maintenance,
    next_position,
    part_of_equity,
    value_of,
)
from replay.simulation.clearing.regimes import AdlOrder, TakenOver

STILL_DUE, BELOW_ZERO = int(TakenOver.STILL_DUE), int(TakenOver.BELOW_ZERO)
PRICE_AND_LEVERAGE = int(AdlOrder.PRICE_AND_LEVERAGE)
PROFIT_AND_MARGIN_RATIO = int(AdlOrder.PROFIT_AND_MARGIN_RATIO)
_RESULT = types.UniTuple(I2, 2)  # type: ignore[no-untyped-call]
NO_ONE, VAULT, FUND = range(3)
"""Who takes a position over before the other side is deleveraged."""


@njit(nogil=True, **UNCALLED)
def _close(ledger, row, other, size, price, cause, fills, n):  # type: ignore[no-untyped-def]
    """Close `size` lots of a position against another account; returns the next row of `fills`."""
    fill, position = fills[n], ledger.positions[row]
    fill[c.FILL_MARKET], fill[c.FILL_TAKER] = position[c.MARKET], position[c.HOLDER]
    fill[c.FILL_MAKER], fill[c.FILL_PRICE], fill[c.FILL_CAUSE] = other, price, cause
    fill[c.FILL_LOTS] = -size if position[c.LOTS] > 0 else size
    # Positions are only closed here, and the vault's and the fund's are cross: no margin moves.
    apply_fills(ledger, fills[n : n + 1], fills[:0])
    return n + 1


@njit(nogil=True, **UNCALLED)
def _taker_over(ledger, pool, equity, need):  # type: ignore[no-untyped-def]
    """Whether a pool that is still due is closed now without the book, and who takes it first."""
    rules = ledger.rules
    if rules[c.BACKSTOP_SHARE]:
        if equity < 0:
            return True, NO_ONE
        return equity < times_share(need, rules[c.BACKSTOP_SHARE]), VAULT
    sent = ledger.pools[pool, c.FLAGS] & c.SENT != 0
    closes = rules[c.TAKEOVER] == STILL_DUE
    closes |= rules[c.TAKEOVER] == BELOW_ZERO and (equity < 0 or not sent)
    return closes, FUND if rules[c.HAS_FUND] else NO_ONE


@njit(nogil=True, **UNCALLED)
def _fund_takes(ledger, row, price, marks):  # type: ignore[no-untyped-def]
    """How many lots of a position the fund can take at a price: it bears the loss at the mark."""
    position = ledger.positions[row]
    market, lots = position[c.MARKET], position[c.LOTS]
    worse = (price - marks[market]) * (1 if lots > 0 else -1)
    if worse <= 0:
        return abs(lots)
    equity, _, _ = judge_pool(ledger, ledger.rules[c.ACCOUNTS] + 1, marks)
    return min(max(equity, 0) // (worse * ledger.markets[market, c.TICK_VALUE]), abs(lots))


@njit(nogil=True, **UNCALLED)
def _score(ledger, row, marks):  # type: ignore[no-untyped-def]
    """How early a counterparty is deleveraged; 0 is the lowest of a profitable ranking, −inf: not
    at all, for its pool has no equity."""
    ranking, value = ledger.rules[c.RANKING], abs(value_of(ledger, row, marks))
    equity, need, _ = judge_pool(ledger, pool_of(ledger.positions, ledger.first.size, row), marks)
    if equity <= 0 or value == 0:
        return -np.inf
    entry = float(max(ledger.positions[row, c.ENTRY], 1))
    is_long = ledger.positions[row, c.LOTS] > 0
    profit = value - entry if is_long else entry - value
    leverage = value / equity
    if ranking == PRICE_AND_LEVERAGE:
        return (value / entry if is_long else entry / value) * leverage
    if ranking == PROFIT_AND_MARGIN_RATIO:
        return max(profit, 0.0) / max(equity - profit, float(MONEY_SCALE)) * (need / equity)
    return profit / entry * leverage if profit > 0 else profit / entry / leverage


@njit(nogil=True, **UNCALLED)
def _ranked(ledger, side, marks):  # type: ignore[no-untyped-def]
    """The positions of one side of a market (2·market + 0 long, 1 short), first to be deleveraged
    first; of equal ones that which was traded first."""
    rows = np.empty(ledger.totals[c.ROWS], np.int64)
    score = np.empty(rows.size)
    n = 0
    for row in range(rows.size):
        if ledger.sides[row] == side and ledger.positions[row, c.LOTS] != 0:
            value = _score(ledger, row, marks)
            if value != -np.inf:
                rows[n], score[n] = row, -value
                n += 1
    return rows[:n][np.argsort(score[:n], kind="mergesort")]


@njit(nogil=True, **UNCALLED)
def _pay_debt(ledger, pool, moves, n):  # type: ignore[no-untyped-def]
    """The fund pays what a pool without positions owes, as far as it has money."""
    fund = ledger.rules[c.ACCOUNTS] + 1
    paid = min(-ledger.pools[pool, c.CASH], max(ledger.pools[fund, c.CASH], 0))
    if not ledger.rules[c.HAS_FUND] or paid <= 0 or pool >= ledger.first.size:
        return n
    ledger.pools[pool, c.CASH] += paid
    ledger.pools[fund, c.CASH] -= paid
    n = write_move(moves, n, pool, -1, paid, c.ADJUSTMENT, -1)
    return write_move(moves, n, fund, -1, -paid, c.ADJUSTMENT, -1)


@njit(nogil=True, **UNCALLED)
def _had_equity(ledger, pool):  # type: ignore[no-untyped-def]
    """Whether a pool owes nothing at the marks of the last settlement."""
    if not ledger.rules[c.AT_LAST_MARK] or ledger.last_marks.min() <= 0:
        return False
    equity, _, _ = judge_pool(ledger, pool, ledger.last_marks)
    return equity >= 0


@njit(nogil=True, **UNCALLED)
def _hand_over(ledger, pool, marks, fills, n, demands, waiting):  # type: ignore[no-untyped-def]
    """Hand the positions of a pool to the vault or the fund, where it is time for that.

    What nobody takes is written to `demands`: row, price, and the side that is deleveraged. Returns
    the next rows of `fills` and of `demands`.
    """
    equity, need, _ = judge_pool(ledger, pool, marks)
    closes, by = _taker_over(ledger, pool, equity, need)
    if equity >= need or not closes:
        return n, waiting
    at_last_mark = by == NO_ONE and _had_equity(ledger, pool)
    left = equity
    row = next_position(ledger, pool, -1)
    while row >= 0:
        following = next_position(ledger, pool, row)
        market, size = ledger.positions[row, c.MARKET], abs(ledger.positions[row, c.LOTS])
        own = maintenance(ledger, market, abs(value_of(ledger, row, marks)))
        part = part_of_equity(equity, own, need, left, following < 0)
        left -= part
        price = bankruptcy_price(ledger, row, part, marks[market])
        if at_last_mark:
            price = ledger.last_marks[market]
        taken = size if by == VAULT else np.int64(0)
        if by == FUND:
            taken = _fund_takes(ledger, row, price, marks)
        if taken < size:
            demands[waiting, 0], demands[waiting, 1] = row, price
            demands[waiting, 2] = ledger.sides[row] ^ 1
            waiting += 1
        if taken:
            other = ledger.rules[c.ACCOUNTS] + (0 if by == VAULT else 1)
            n = _close(ledger, row, other, taken, price, c.BACKSTOP, fills, n)
        row = following
    return n, waiting


@njit(nogil=True, **UNCALLED)
def _deleverage(ledger, demands, marks, fills, n):  # type: ignore[no-untyped-def]
    """Close what nobody took against the other side, in its order; returns the next row of
    `fills`. The other side of a market is ranked once for all of `demands`."""
    for side in range(2 * marks.size):
        if not (demands[:, 2] == side).any():
            continue
        ranked, place = _ranked(ledger, side, marks), 0
        for number in range(demands.shape[0]):
            row, price = demands[number, 0], demands[number, 1]
            if demands[number, 2] != side:
                continue
            while ledger.positions[row, c.LOTS] != 0 and place < ranked.size:
                other = ledger.positions[ranked[place]]
                size = min(abs(ledger.positions[row, c.LOTS]), abs(other[c.LOTS]))
                n = _close(ledger, row, other[c.HOLDER], size, price, c.ADL, fills, n)
                if other[c.LOTS] == 0:
                    place += 1
    return n


@njit(_RESULT(LEDGER, RI1), cache=True, nogil=True)
def settle_unfilled(ledger, marks):  # type: ignore[no-untyped-def]
    """Finish what the orders of the last `check_margin` left, at the same marks.

    Returns further fills (n, `FILL_COLUMNS`) and moves (n, `MOVE_COLUMNS`), already applied.
    """
    due = ledger.totals[c.DUE]
    most = 0
    for place in range(due):
        row = next_position(ledger, ledger.due[place], -1)
        while row >= 0:
            most += 1
            row = next_position(ledger, ledger.due[place], row)
    demands = np.empty((most, 3), np.int64)
    # Each fill ends a position that is due or one of a counterparty.
    room = 2 * most + ledger.totals[c.ROWS] if most else 0
    fills = np.empty((room, len(c.FILL_COLUMNS)), np.int64)
    moves = np.empty((2 * due, len(c.MOVE_COLUMNS)), np.int64)
    n = waiting = paid = 0
    for place in range(due):
        pool = ledger.due[place]
        n, waiting = _hand_over(ledger, pool, marks, fills, n, demands, waiting)
    n = _deleverage(ledger, demands[:waiting], marks, fills, n)
    for place in range(due):
        pool = ledger.due[place]
        if next_position(ledger, pool, -1) < 0:
            paid = _pay_debt(ledger, pool, moves, paid)
    ledger.last_marks[:] = marks
    return fills[:n].copy(), moves[:paid].copy()
