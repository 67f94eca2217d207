"""Fills, deposits, withdrawals, leverage and funding: what changes positions and money.

Money only moves between pools and what the venue collected, so their sum is what was paid in.
Fees are rounded half up, funding is rounded down for whoever gets it and up for whoever pays, and
the difference is the venue's.
"""

from __future__ import annotations

import numpy as np
from numba import njit, types, uint64

from detectors.arrays.hash_table import mix
from detectors.arrays.types import I2, INT, RI1, UNCALLED
from monitor.core.contract.fixed_point import SCALE
from replay.simulation.clearing import columns as c
from replay.simulation.clearing.columns import LEDGER

INT_PAIR = types.UniTuple(INT, 2)  # type: ignore[no-untyped-call]


@njit(nogil=True, **UNCALLED)
def times_share(amount, share):  # type: ignore[no-untyped-def]
    """amount · share / 1e8, rounded down; both may be negative. |share| is at most 1e10."""
    return amount // SCALE * share + amount % SCALE * share // SCALE


@njit(nogil=True, **UNCALLED)
def _slot_of(ledger, account, market):  # type: ignore[no-untyped-def]
    """The slot of a position, or the empty one where it belongs."""
    slots, positions = ledger.slots, ledger.positions
    mask = slots.size - 1
    slot = np.int64(mix(uint64(account * ledger.markets.shape[0] + market)) & uint64(mask))
    while slots[slot]:
        row = slots[slot] - 1
        if positions[row, c.HOLDER] == account and positions[row, c.MARKET] == market:
            break
        slot = (slot + 1) & mask
    return slot


@njit(types.void(LEDGER), cache=True, nogil=True)
def rehash(ledger):  # type: ignore[no-untyped-def]
    """Enter all positions into an empty hash table."""
    for row in range(ledger.totals[c.ROWS]):
        position = ledger.positions[row]
        ledger.slots[_slot_of(ledger, position[c.HOLDER], position[c.MARKET])] = row + 1


@njit(INT(LEDGER, INT, INT), cache=True, nogil=True)
def find_position(ledger, account, market):  # type: ignore[no-untyped-def]
    """The row of an account's position in a market; −1: it never had one there."""
    return np.int64(ledger.slots[_slot_of(ledger, account, market)]) - 1


@njit(nogil=True, **UNCALLED)
def _find_or_add(ledger, account, market):  # type: ignore[no-untyped-def]
    slot = _slot_of(ledger, account, market)
    if ledger.slots[slot]:
        return np.int64(ledger.slots[slot]) - 1
    row = ledger.totals[c.ROWS]
    if row == ledger.positions.shape[0]:
        raise ValueError("no room for another position: call add_room before the fills")
    ledger.totals[c.ROWS] += 1
    ledger.slots[slot] = row + 1
    position = ledger.positions[row]
    position[c.HOLDER], position[c.MARKET] = account, market
    position[c.NEXT], ledger.first[account] = ledger.first[account], row + 1
    position[c.LEVERAGE] = ledger.markets[market, c.LEVERAGE_MAX]
    return row


@njit(nogil=True, **UNCALLED)
def pool_of(ledger, row):  # type: ignore[no-untyped-def]
    """The pool of a position."""
    position = ledger.positions[row]
    if position[c.MODE] == c.ISOLATED:
        return ledger.first.size + row
    return position[c.HOLDER]


@njit(nogil=True, **UNCALLED)
def enqueue(ledger, pool):  # type: ignore[no-untyped-def]
    """Have a pool judged at the next check."""
    if not ledger.pools[pool, c.FLAGS] & c.QUEUED:
        ledger.pools[pool, c.FLAGS] |= c.QUEUED
        ledger.queue[ledger.totals[c.IN_QUEUE]] = pool
        ledger.totals[c.IN_QUEUE] += 1


@njit(nogil=True, **UNCALLED)
def _add_cash(ledger, pool, amount):  # type: ignore[no-untyped-def]
    ledger.pools[pool, c.CASH] += amount
    enqueue(ledger, pool)


@njit(nogil=True, **UNCALLED)
def _change_position(ledger, row, lots, price):  # type: ignore[no-untyped-def]
    """Add signed lots at a price; returns the value of what they opened."""
    position = ledger.positions[row]
    market, before = position[c.MARKET], position[c.LOTS]
    each = price * ledger.markets[market, c.TICK_VALUE]
    after = before + lots
    _add_cash(ledger, pool_of(ledger, row), -lots * each)
    opened = np.int64(0)
    if before == 0 or (before > 0) == (lots > 0):
        opened = abs(lots)
        position[c.ENTRY] += opened * each
    elif after == 0 or (after > 0) == (before > 0):
        entry, size = position[c.ENTRY], abs(before)
        position[c.ENTRY] -= entry // size * abs(lots) + entry % size * abs(lots) // size
    else:
        opened = abs(after)
        position[c.ENTRY] = opened * each
    position[c.LOTS] = after
    ledger.sides[row] = 2 * market + (after < 0)
    ledger.triggers[row] = c.NEVER
    return opened * each


@njit(nogil=True, **UNCALLED)
def _settle_isolated(ledger, row, opened):  # type: ignore[no-untyped-def]
    """Bring an isolated position the initial margin of what was opened, or, where it is flat, its
    money back to its account; returns the margin."""
    position = ledger.positions[row]
    account, pool = position[c.HOLDER], ledger.first.size + row
    if position[c.LOTS] == 0:
        _add_cash(ledger, account, ledger.pools[pool, c.CASH])
        ledger.pools[pool, c.CASH] = 0
        return np.int64(0)
    leverage = position[c.LEVERAGE]
    margin = opened // leverage * SCALE + opened % leverage * SCALE // leverage
    if margin:
        _add_cash(ledger, account, -margin)
        _add_cash(ledger, pool, margin)
    return margin


@njit(nogil=True, **UNCALLED)
def write_move(moves, n, account, market, amount, cause, fill):  # type: ignore[no-untyped-def]
    """Write a move of collateral into row `n`; returns the next row."""
    move = moves[n]
    move[c.MOVE_ACCOUNT], move[c.MOVE_MARKET], move[c.MOVE_AMOUNT] = account, market, amount
    move[c.MOVE_CAUSE], move[c.MOVE_FILL] = cause, fill
    return n + 1


@njit(nogil=True, **UNCALLED)
def _fill_side(ledger, fill, is_taker, moves, n, number):  # type: ignore[no-untyped-def]
    """One side of a fill; returns the next row of `moves`."""
    account = fill[c.FILL_TAKER] if is_taker else fill[c.FILL_MAKER]
    lots = fill[c.FILL_LOTS] if is_taker else -fill[c.FILL_LOTS]
    market, price, cause = fill[c.FILL_MARKET], fill[c.FILL_PRICE], fill[c.FILL_CAUSE]
    row = _find_or_add(ledger, account, market)
    pool = pool_of(ledger, row)
    opened = _change_position(ledger, row, lots, price)
    # Who is liquidated pays no fee: its bankruptcy price is where nothing is left for one.
    pays = cause == c.TRADE or (cause == c.LIQUIDATION and not is_taker)
    rate = ledger.fee_rates[ledger.fee_class[account], c.TAKER_RATE if is_taker else c.MAKER_RATE]
    value = abs(lots) * price * ledger.markets[market, c.TICK_VALUE]
    fee = (times_share(2 * value, rate) + 1) // 2 if pays else np.int64(0)
    ledger.pools[pool, c.CASH] -= fee
    ledger.totals[c.COLLECTED] += fee
    fill[c.FILL_TAKER_FEE if is_taker else c.FILL_MAKER_FEE] = fee
    if ledger.positions[row, c.MODE] == c.ISOLATED:
        margin = _settle_isolated(ledger, row, opened)
        if margin:
            n = write_move(moves, n, account, market, margin, c.ISOLATED_IN, number)
    return n


@njit(nogil=True, **UNCALLED)
def apply_fill(ledger, fill, moves, n, number):  # type: ignore[no-untyped-def]
    """Both sides of a fill, the taker's first; returns the next row of `moves`."""
    n = _fill_side(ledger, fill, True, moves, n, number)
    return _fill_side(ledger, fill, False, moves, n, number)


@njit(INT(LEDGER, I2, I2), cache=True, nogil=True)
def apply_fills(ledger, fills, moves):  # type: ignore[no-untyped-def]
    """Change positions and money by fills (n, `FILL_COLUMNS`), in their order, and write what each
    side pays. Isolated margin that they bring is written to `moves`, which has room for two rows a
    fill; returns how many there are.
    """
    n = 0
    for number in range(fills.shape[0]):
        n = apply_fill(ledger, fills[number], moves, n, number)
    return n


@njit(types.void(LEDGER, RI1), cache=True, nogil=True)
def place_position(ledger, place):  # type: ignore[no-untyped-def]
    """Add a position of the opening (`PLACE_COLUMNS`) where its account has none. All of a market
    must add up to 0."""
    row = _find_or_add(ledger, place[c.PLACE_ACCOUNT], place[c.PLACE_MARKET])
    position = ledger.positions[row]
    position[c.LEVERAGE], position[c.MODE] = place[c.PLACE_LEVERAGE], place[c.PLACE_MODE]
    _change_position(ledger, row, place[c.PLACE_LOTS], place[c.PLACE_ENTRY])
    if position[c.MODE] == c.ISOLATED:
        _add_cash(ledger, pool_of(ledger, row), place[c.PLACE_MARGIN])
        ledger.totals[c.PAID_IN] += place[c.PLACE_MARGIN]


@njit(types.void(LEDGER, INT, INT), cache=True, nogil=True)
def deposit(ledger, account, amount):  # type: ignore[no-untyped-def]
    """Pay money into an account; below 0: out of it, whatever it has open."""
    _add_cash(ledger, account, amount)
    ledger.totals[c.PAID_IN] += amount


@njit(INT_PAIR(LEDGER, INT, INT, INT, INT), cache=True, nogil=True)
def change_leverage(ledger, account, market, leverage, mode):  # type: ignore[no-untyped-def]
    """Set an account's leverage (1e-8, at most the market's) and margin mode in a market; returns
    those that now hold. Under an open position the mode stays, and so does its margin."""
    position = ledger.positions[_find_or_add(ledger, account, market)]
    highest = ledger.markets[market, c.LEVERAGE_MAX]
    position[c.LEVERAGE] = min(max(leverage, SCALE), highest)
    if position[c.LOTS] == 0:
        position[c.MODE] = mode
    return position[c.LEVERAGE], position[c.MODE]


@njit(I2(LEDGER, RI1, RI1), cache=True, nogil=True)
def pay_funding(ledger, rates, marks):  # type: ignore[no-untyped-def]
    """Pay the funding of one interval: longs pay notional · rate (by market, 1e-8), shorts get it.

    Returns the payments, (n, `MOVE_COLUMNS`).
    """
    rows = ledger.totals[c.ROWS]
    moves = np.empty((rows, len(c.MOVE_COLUMNS)), np.int64)
    n = 0
    for row in range(rows):
        position = ledger.positions[row]
        if position[c.LOTS] == 0:
            continue
        market = position[c.MARKET]
        value = position[c.LOTS] * marks[market] * ledger.markets[market, c.TICK_VALUE]
        amount = times_share(-value, rates[market])
        if amount:
            _add_cash(ledger, pool_of(ledger, row), amount)
            ledger.totals[c.COLLECTED] -= amount
            n = write_move(moves, n, position[c.HOLDER], market, amount, c.FUNDING, -1)
    return moves[:n].copy()
