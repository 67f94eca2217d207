"""The compiled loops of the pools: rows of the ledger that changed, brought into their pools.

The positions of a pool lie in one span of slots, in the order of their markets' names. Spans come
in fixed sizes; a pool that has filled its own moves to the next size, and the span that it leaves
is used again. So a change costs the pool's own positions, never the venue's.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import from_dtype, njit, types

from detectors.arrays.types import I1, I2, INT, RI1, U1, Int64, UInt64
from monitor.core.accounts import ledger_kernels as columns
from monitor.core.accounts.ledger_kernels import account_of, symbol_of
from monitor.core.bands.kernels.arrays import inner_njit, tuple_type
from monitor.core.contract.fixed_point import MONEY_SCALE, SCALE
from monitor.core.decode.stepped_kernels import limbs_to_e8

SPAN_SIZES = np.array([1, 2] + [n << c for c in range(24) for n in (3, 4)], np.int64)
"""Slots of a span, by class: an account has a market once, and there are at most 2^24."""
POOLS, SLOTS, ASSUMED, FREE_POOL = range(4)
"""Counts: pools and slots ever used, positions of an assumed margin; the first unused pool."""


class PoolColumns(NamedTuple):
    """By pool: its first slot, the class of its span (−1: none), how many open positions it has,
    whose it is (of an unused pool: the next unused one), the hash of the account's name, and its
    cash: collateral less the entry value of its positions, quote currency.
    """

    start: Any
    size: Any
    length: Any
    account: Any
    key: Any
    isolated: Any
    cash: Any


class SlotColumns(NamedTuple):
    """By slot. `row`: of the ledger; in the first slot of an unused span: the next such span.
    `quantity`: signed; 0: unused. `entry`: the entry price. `rules`: see `PositionArrays`.
    """

    row: Any
    market: Any
    quantity: Any
    entry: Any
    rules: Any


class RowColumns(NamedTuple):
    """By row of the ledger: what it adds to the cash of its account's cross pool (1e-6), its pool
    (−1: none), and whether its margin is taken from its leverage.
    """

    share: Any
    pool: Any
    assumed: Any


class AccountColumns(NamedTuple):
    """By account: the sum of the shares of its rows, 1e-6, and its cross pool; −1: none yet."""

    rest: Any
    cross: Any


NEW_POOL = PoolColumns(
    np.int64(0), np.int32(-1), np.int32(0), np.int64(0), np.uint64(0), np.bool_(0), np.float64(0)
)
NEW_SLOT = SlotColumns(np.int32(0), np.int32(0), np.float64(0), np.float64(0), np.int32(0))
NEW_ROW = RowColumns(np.int64(0), np.int32(-1), np.uint8(0))
NEW_ACCOUNT = AccountColumns(np.int64(0), np.int32(-1))
"""What a new entry holds, of the type of its column."""


class LedgerRows(NamedTuple):
    """What the ledger holds: rows (rows, `POSITION_COLUMNS`), by row the key of its account and
    symbol (`pack_key`), and by account the hash of its name. `own_rules` (rows, 1) and
    `isolated_only` (symbols, 1): see `AccountLedger`.
    """

    data: Int64
    keys: Int64
    hashes: UInt64
    own_rules: Int64
    isolated_only: Int64


class MarketColumns(NamedTuple):
    """By symbol its market (−1: none); by market its place in the order of names."""

    market_of: Int64
    name_rank: Int64
    open_positions: Int64


def _columns(new: Any) -> Any:
    return tuple_type(type(new), *(from_dtype(value.dtype)[::1] for value in new))


_POOLS, _SLOTS, _ROWS, _ACCOUNTS = map(_columns, (NEW_POOL, NEW_SLOT, NEW_ROW, NEW_ACCOUNT))
_LEDGER = tuple_type(LedgerRows, I2, I1, U1, I2, I2)
_MARKETS = tuple_type(MarketColumns, I1, I1, I1)


@njit(inline="always")
def _move_slot(slots, old, new):  # type: ignore[no-untyped-def]
    slots.row[new], slots.market[new] = slots.row[old], slots.market[old]
    slots.quantity[new], slots.entry[new] = slots.quantity[old], slots.entry[old]
    slots.rules[new] = slots.rules[old]


@inner_njit(types.void(INT, _POOLS, _SLOTS, I1))
def free_span(pool, pools, slots, free):  # type: ignore[no-untyped-def]
    """Let others use a pool's span. `free[c]`: the first unused span of class c; −1: none."""
    c, first = pools.size[pool], pools.start[pool]
    if c >= 0:
        for i in range(first, first + SPAN_SIZES[c]):
            slots.quantity[i] = 0.0
        slots.row[first] = free[c]
        free[c] = first
    pools.size[pool], pools.length[pool] = -1, 0


@inner_njit(types.void(INT, _POOLS, _SLOTS, I1, I1))
def widen_span(pool, pools, slots, free, counts):  # type: ignore[no-untyped-def]
    """Move a pool to a span of the next size."""
    c, count = pools.size[pool] + 1, pools.length[pool]
    new = free[c]
    if new >= 0:
        free[c] = slots.row[new]
    else:
        new = counts[SLOTS]
        counts[SLOTS] += SPAN_SIZES[c]
    for j in range(count):
        _move_slot(slots, pools.start[pool] + j, new + j)
    free_span(pool, pools, slots, free)
    pools.start[pool], pools.size[pool], pools.length[pool] = new, c, count
    for i in range(new + count, new + SPAN_SIZES[c]):
        slots.quantity[i] = 0.0


@njit(inline="always")
def _remove_slot(r, pool, pools, slots):  # type: ignore[no-untyped-def]
    i, last = pools.start[pool], pools.start[pool] + pools.length[pool] - 1
    while slots.row[i] != r:
        i += 1
    while i < last:
        _move_slot(slots, i + 1, i)
        i += 1
    slots.quantity[last] = 0.0
    pools.length[pool] -= 1


@njit(inline="always")
def _new_pool(a, isolated, pools, counts, hashes):  # type: ignore[no-untyped-def]
    pool = counts[FREE_POOL]
    if pool >= 0:
        counts[FREE_POOL] = pools.account[pool]
    else:
        pool = counts[POOLS]
        counts[POOLS] += 1
    pools.account[pool], pools.isolated[pool] = a, isolated
    pools.cash[pool], pools.key[pool] = 0.0, hashes[a]
    return pool


@njit(INT(RI1, _LEDGER, _MARKETS, _ACCOUNTS, _ROWS, _POOLS, _SLOTS, I1, I1), cache=True, nogil=True)
def update_pools(touched, ledger, markets, accounts, rows, pools, slots, free, counts):  # type: ignore[no-untyped-def]
    """Bring the place, quantity, entry price and money of every touched row up to date.

    Returns how many rows are done: it stops, between two rows, where there is no room for the next.
    """
    # Arrays are taken out of their tuples once: each time costs two counts of references.
    data, keys, hashes, own_rules, isolated_only = ledger
    market_of, rank, open_positions = markets
    rest, cross_of = accounts
    share_of, pool_of, assumed_of = rows
    start, length, size = pools.start, pools.length, pools.size
    isolated_of, cash = pools.isolated, pools.cash
    slot_row, slot_market, quantity, entry, rules = slots
    for n in range(touched.size):
        r = touched[n]
        a, symbol = account_of(keys[r]), symbol_of(keys[r])
        opens, isolated = columns.is_open(data[r]), data[r, columns.ROW_MODE] == columns.ISOLATED
        isolated |= isolated_only[symbol, 0] != 0
        pool = pool_of[r]
        if opens:
            # Room for one more pool and for the widest span that this row may ask for.
            cross = cross_of[a]
            need = 1 if isolated or cross < 0 else SPAN_SIZES[size[cross] + 1]
            if counts[POOLS] == start.size or counts[SLOTS] + need > slot_row.size:
                return n
        own = data[r, columns.ROW_TRADE] + data[r, columns.ROW_FUNDING] - data[r, columns.ROW_FEES]
        margin = data[r, columns.ROW_ISOLATED]
        assumed = opens and isolated and margin <= 0 and data[r, columns.ROW_LEVERAGE] > 0
        if assumed:
            value, leverage = data[r, columns.ROW_ENTRY], data[r, columns.ROW_LEVERAGE]
            margin = np.int64(np.rint(float(value) / float(leverage) * SCALE))
        counts[ASSUMED] += np.int64(assumed) - np.int64(assumed_of[r])
        assumed_of[r] = np.uint8(assumed)
        share = -margin if isolated else own
        rest[a] += share - share_of[r]
        share_of[r] = share
        if pool >= 0 and (not opens or isolated_of[pool] != isolated):
            open_positions[market_of[symbol]] -= 1
            if isolated_of[pool]:
                free_span(pool, pools, slots, free)
                isolated_of[pool], cash[pool] = False, 0.0
                pools.account[pool] = counts[FREE_POOL]
                counts[FREE_POOL] = pool
            else:
                _remove_slot(r, pool, pools, slots)
            pool = np.int32(-1)
        if not opens:
            pool_of[r] = -1
            continue
        if pool < 0:
            pool = np.int32(-1) if isolated else cross_of[a]
            if pool < 0:
                pool = np.int32(_new_pool(a, isolated, pools, counts, hashes))
                if not isolated:
                    cross_of[a] = pool
            if size[pool] < 0 or length[pool] == SPAN_SIZES[size[pool]]:
                widen_span(pool, pools, slots, free, counts)
            m = market_of[symbol]
            i = start[pool] + length[pool]
            while i > start[pool] and rank[slot_market[i - 1]] > rank[m]:
                _move_slot(slots, i - 1, i)
                i -= 1
            slot_row[i], slot_market[i] = r, m
            length[pool] += 1
            open_positions[m] += 1
            pool_of[r] = pool
        else:
            i = start[pool]
            while slot_row[i] != r:
                i += 1
        quantity[i] = limbs_to_e8(data[r, columns.ROW_QUANTITY], data[r, columns.ROW_REST]) / SCALE
        number = own_rules[r, 0]
        rules[i] = -number if number > 0 else slot_market[i]
        entry[i] = data[r, columns.ROW_ENTRY] / MONEY_SCALE / abs(quantity[i])
        if isolated:
            cash[pool] = (own + margin) / MONEY_SCALE if margin > 0 else np.nan
    return touched.size


@njit(types.void(RI1, I2, I2, _ACCOUNTS, _POOLS), cache=True, nogil=True)
def update_cross_cash(touched, data, outside, accounts, pools):  # type: ignore[no-untyped-def]
    """The cash of the touched accounts' cross pools: integers until the last division.

    `data`: (accounts, `ACCOUNT_COLUMNS`). `outside` (accounts, 1): collateral outside.
    """
    for n in range(touched.size):
        a = touched[n]
        pool = accounts.cross[a]
        if pool >= 0:
            money = (
                data[a, columns.ACCOUNT_TRADE]
                - data[a, columns.ACCOUNT_FEES]
                + data[a, columns.ACCOUNT_FUNDING]
            )
            money += data[a, columns.ACCOUNT_TRANSFERS] + accounts.rest[a] + outside[a, 0]
            pools.cash[pool] = money / MONEY_SCALE if pools.length[pool] > 0 else 0.0
