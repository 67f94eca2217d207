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


@njit(inline="always")
def times_share(amount, share):  # type: ignore[no-untyped-def]
    """amount · share / 1e8, rounded down; both may be negative. |share| is at most 1e10."""
    return amount // SCALE * share + amount % SCALE * share // SCALE


@njit(inline="always")
def _slot_of(slots, positions, markets, account, market):  # type: ignore[no-untyped-def]
    """The slot of a position, or the empty one where it belongs."""
    mask = slots.size - 1
    slot = np.int64(mix(uint64(account * markets.shape[0] + market)) & uint64(mask))
    while slots[slot]:
        row = slots[slot] - 1
        if positions[row, c.HOLDER] == account and positions[row, c.MARKET] == market:
            break
        slot = (slot + 1) & mask
    return slot


@njit(types.void(LEDGER), cache=True, nogil=True)
def rehash(ledger):  # type: ignore[no-untyped-def]
    """Enter all positions into an empty hash table."""
    slots, positions, markets = ledger.slots, ledger.positions, ledger.markets
    for row in range(ledger.totals[c.ROWS]):
        account, market = positions[row, c.HOLDER], positions[row, c.MARKET]
        slots[_slot_of(slots, positions, markets, account, market)] = row + 1


@njit(INT(LEDGER, INT, INT), cache=True, nogil=True)
def find_position(ledger, account, market):  # type: ignore[no-untyped-def]
    """The row of an account's position in a market; −1: it never had one there."""
    slots = ledger.slots
    slot = _slot_of(slots, ledger.positions, ledger.markets, account, market)
    return np.int64(slots[slot]) - 1


@njit(nogil=True, **UNCALLED)
def _add_position(ledger, account, market, slot):  # type: ignore[no-untyped-def]
    """A position that is not there yet, flat, at the market's highest leverage; returns its row."""
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


@njit(inline="always")
def _find_or_add(ledger, account, market):  # type: ignore[no-untyped-def]
    slot = _slot_of(ledger.slots, ledger.positions, ledger.markets, account, market)
    if ledger.slots[slot]:
        return np.int64(ledger.slots[slot]) - 1
    return _add_position(ledger, account, market, slot)


@njit(inline="always")
def pool_of(positions, accounts, row):  # type: ignore[no-untyped-def]
    """The pool of a position; `accounts`: how many there are with vault and fund."""
    return accounts + row if positions[row, c.MODE] == c.ISOLATED else positions[row, c.HOLDER]


@njit(inline="always")
def add_cash(pools, queue, totals, pool, amount):  # type: ignore[no-untyped-def]
    """Add money to a pool, which is judged at the next check."""
    pools[pool, c.CASH] += amount
    if not pools[pool, c.FLAGS] & c.QUEUED:
        pools[pool, c.FLAGS] |= c.QUEUED
        queue[totals[c.IN_QUEUE]] = pool
        totals[c.IN_QUEUE] += 1


@njit(inline="always")
def _add_lots(positions, row, lots, each):  # type: ignore[no-untyped-def]
    """Add signed lots, worth `each`, to a position; returns how many they opened."""
    before = positions[row, c.LOTS]
    after = before + lots
    positions[row, c.LOTS] = after
    if before == 0 or (before > 0) == (lots > 0):
        positions[row, c.ENTRY] += abs(lots) * each
        return abs(lots)
    if after == 0 or (after > 0) == (before > 0):
        entry, size = positions[row, c.ENTRY], abs(before)
        positions[row, c.ENTRY] -= entry // size * abs(lots) + entry % size * abs(lots) // size
        return np.int64(0)
    positions[row, c.ENTRY] = abs(after) * each
    return abs(after)


@njit(inline="always")
def write_move(moves, n, account, market, amount, cause, fill):  # type: ignore[no-untyped-def]
    """Write a move of collateral into row `n`; returns the next row."""
    moves[n, c.MOVE_ACCOUNT], moves[n, c.MOVE_MARKET] = account, market
    moves[n, c.MOVE_AMOUNT], moves[n, c.MOVE_CAUSE] = amount, cause
    moves[n, c.MOVE_FILL] = fill
    return n + 1


@njit(INT(LEDGER, I2, I2), cache=True, nogil=True)
def apply_fills(ledger, fills, moves):  # type: ignore[no-untyped-def]
    """Change positions and money by fills (n, `FILL_COLUMNS`), in their order, the taker's side
    first, and write what each side pays.

    An isolated position gets the initial margin of what was opened; when it is flat, what it has
    left goes to its account. Those margins are written to `moves`, which has room for two rows a
    fill; returns how many there are.
    """
    # Arrays are taken out of the ledger once: each time costs two counts of references.
    positions, pools, totals, queue = ledger.positions, ledger.pools, ledger.totals, ledger.queue
    slots, sides, triggers = ledger.slots, ledger.sides, ledger.triggers
    markets, fee_rates, fee_class = ledger.markets, ledger.fee_rates, ledger.fee_class
    accounts, n = ledger.first.size, 0
    for half in range(2 * fills.shape[0]):
        number, is_maker = half // 2, half % 2
        market, cause = fills[number, c.FILL_MARKET], fills[number, c.FILL_CAUSE]
        account = fills[number, c.FILL_MAKER if is_maker else c.FILL_TAKER]
        lots = -fills[number, c.FILL_LOTS] if is_maker else fills[number, c.FILL_LOTS]
        slot = _slot_of(slots, positions, markets, account, market)
        row = np.int64(slots[slot]) - 1
        if row < 0:
            row = _add_position(ledger, account, market, slot)
        each = fills[number, c.FILL_PRICE] * markets[market, c.TICK_VALUE]
        opened = _add_lots(positions, row, lots, each)
        sides[row] = 2 * market + (positions[row, c.LOTS] < 0)
        # Who is liquidated pays no fee: its bankruptcy price is where nothing is left for one.
        fee = np.int64(0)
        if cause == c.TRADE or (cause == c.LIQUIDATION and is_maker):
            rate = fee_rates[fee_class[account], c.MAKER_RATE if is_maker else c.TAKER_RATE]
            fee = (times_share(2 * abs(lots) * each, rate) + 1) // 2
        fills[number, c.FILL_MAKER_FEE if is_maker else c.FILL_TAKER_FEE] = fee
        totals[c.COLLECTED] += fee
        pool = pool_of(positions, accounts, row)
        add_cash(pools, queue, totals, pool, -lots * each - fee)
        if positions[row, c.LOTS] == 0:
            triggers[row] = c.NEVER
        if pool >= accounts:
            margin = -pools[pool, c.CASH]
            if positions[row, c.LOTS]:
                leverage, value = positions[row, c.LEVERAGE], opened * each
                margin = value // leverage * SCALE + value % leverage * SCALE // leverage
                if margin:
                    n = write_move(moves, n, account, market, margin, c.ISOLATED_IN, number)
            add_cash(pools, queue, totals, pool, margin)
            add_cash(pools, queue, totals, account, -margin)
    return n


@njit(types.void(LEDGER, RI1), cache=True, nogil=True)
def place_position(ledger, place):  # type: ignore[no-untyped-def]
    """Add a position of the opening (`PLACE_COLUMNS`) where its account has none. All of a market
    must add up to 0."""
    row = _find_or_add(ledger, place[c.PLACE_ACCOUNT], place[c.PLACE_MARKET])
    position = ledger.positions[row]
    position[c.LEVERAGE], position[c.MODE] = place[c.PLACE_LEVERAGE], place[c.PLACE_MODE]
    each = place[c.PLACE_ENTRY] * ledger.markets[place[c.PLACE_MARKET], c.TICK_VALUE]
    _add_lots(ledger.positions, row, place[c.PLACE_LOTS], each)
    ledger.sides[row] = 2 * place[c.PLACE_MARKET] + (place[c.PLACE_LOTS] < 0)
    margin = place[c.PLACE_MARGIN] if position[c.MODE] == c.ISOLATED else 0
    pool = pool_of(ledger.positions, ledger.first.size, row)
    amount = margin - place[c.PLACE_LOTS] * each
    add_cash(ledger.pools, ledger.queue, ledger.totals, pool, amount)
    ledger.totals[c.PAID_IN] += margin


@njit(types.void(LEDGER, INT, INT), cache=True, nogil=True)
def deposit(ledger, account, amount):  # type: ignore[no-untyped-def]
    """Pay money into an account; below 0: out of it, whatever it has open."""
    add_cash(ledger.pools, ledger.queue, ledger.totals, account, amount)
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
    positions, pools, totals, queue = ledger.positions, ledger.pools, ledger.totals, ledger.queue
    markets, accounts, rows = ledger.markets, ledger.first.size, ledger.totals[c.ROWS]
    moves = np.empty((rows, len(c.MOVE_COLUMNS)), np.int64)
    n = 0
    for row in range(rows):
        lots, market = positions[row, c.LOTS], positions[row, c.MARKET]
        amount = times_share(-lots * marks[market] * markets[market, c.TICK_VALUE], rates[market])
        if amount:
            add_cash(pools, queue, totals, pool_of(positions, accounts, row), amount)
            totals[c.COLLECTED] -= amount
            n = write_move(moves, n, positions[row, c.HOLDER], market, amount, c.FUNDING, -1)
    return moves[:n].copy()
