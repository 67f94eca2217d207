"""The compiled loops of `pools.py`: accounts' rows that were touched, put into their pools.

A pool's positions lie in one span of slots, in the order of their markets' names. Spans come in
fixed sizes; a pool that has filled its own moves to the next size, and what it leaves is used
again. So a change costs the pool's own positions, never the venue's.
"""

from __future__ import annotations

import numpy as np
from numba import njit, types

from detectors.arrays.types import I1 as I64
from detectors.arrays.types import I2 as I64_2
from detectors.arrays.types import RI1 as R64
from detectors.arrays.types import U1 as U64
from monitor.core.accounts.ledger_kernels import ACCOUNT_COLUMNS, ISOLATED, POSITION_COLUMNS
from monitor.core.contract.fixed_point import MONEY_SCALE, SCALE

SYMBOL_BITS = 24
"""An account in a market is the key account · 2^24 + symbol."""

SPAN_SIZES = np.array([1, 2] + [n << c for c in range(24) for n in (3, 4)], np.int64)
"""Slots in a span, by class: an account holds a market once, and there are at most 2^24."""
POOLS, SLOTS, ASSUMED, FREE = range(4)
"""Counts: pools and slots ever used, positions of an assumed margin; the first pool left."""

_QUANTITY, _ENTRY, _TRADE = (
    POSITION_COLUMNS.index("quantity"),
    POSITION_COLUMNS.index("entry"),
    POSITION_COLUMNS.index("trade"),
)
_FEES, _FUNDING, _MARGIN = (
    POSITION_COLUMNS.index("fees"),
    POSITION_COLUMNS.index("funding"),
    POSITION_COLUMNS.index("isolated"),
)
_LEVERAGE, _MODE = POSITION_COLUMNS.index("leverage"), POSITION_COLUMNS.index("mode")
_A_TRADE, _A_FEES = ACCOUNT_COLUMNS.index("trade"), ACCOUNT_COLUMNS.index("fees")
_A_FUNDING, _A_TRANSFERS = ACCOUNT_COLUMNS.index("funding"), ACCOUNT_COLUMNS.index("transfers")

I4 = types.int32[::1]
F1 = types.float64[::1]
B1 = types.boolean[::1]
_SLOTS = (I4, I4, F1, F1)
_BY_POOL = (I64, I4, I4, I64, U64, B1, F1)
_RU64 = types.Array(types.uint64, 1, "C", readonly=True)


@njit(inline="always")
def _move_slot(row, market, quantity, entry, old, new):  # type: ignore[no-untyped-def]
    row[new], market[new] = row[old], market[old]
    quantity[new], entry[new] = quantity[old], entry[old]


@njit(types.void(types.int64, I64, I4, I4, *_SLOTS, I64), cache=True, nogil=True)
def free_span(pool, start, size, count, row, market, quantity, entry, left):  # type: ignore[no-untyped-def]
    """A pool's span may be used by others. `left[c]`: the first such span of class c; each names
    the next in its first slot's row.
    """
    c, first = size[pool], start[pool]
    if c >= 0:
        for i in range(first, first + SPAN_SIZES[c]):
            quantity[i] = 0.0
        row[first] = left[c]
        left[c] = first
    size[pool], count[pool] = -1, 0


@njit(types.void(types.int64, I64, I4, I4, *_SLOTS, I64, I64), cache=True, nogil=True)
def widen_span(pool, start, size, count, row, market, quantity, entry, left, counts):  # type: ignore[no-untyped-def]
    """Move a pool to a span of the next size."""
    c, held = size[pool] + 1, count[pool]
    new = left[c]
    if new >= 0:
        left[c] = row[new]
    else:
        new = counts[SLOTS]
        counts[SLOTS] += SPAN_SIZES[c]
    for j in range(held):
        _move_slot(row, market, quantity, entry, start[pool] + j, new + j)
    free_span(pool, start, size, count, row, market, quantity, entry, left)
    start[pool], size[pool], count[pool] = new, c, held
    for i in range(new + held, new + SPAN_SIZES[c]):
        quantity[i] = 0.0


@njit(inline="always")
def _remove_slot(r, pool, start, count, row, market, quantity, entry):  # type: ignore[no-untyped-def]
    i, last = start[pool], start[pool] + count[pool] - 1
    while row[i] != r:
        i += 1
    while i < last:
        _move_slot(row, market, quantity, entry, i + 1, i)
        i += 1
    quantity[last] = 0.0
    count[pool] -= 1


@njit(inline="always")
def _new_pool(a, alone, counts, account, isolated, cash, key, hashes):  # type: ignore[no-untyped-def]
    pool = counts[FREE]
    if pool >= 0:
        counts[FREE] = account[pool]
    else:
        pool = counts[POOLS]
        counts[POOLS] += 1
    account[pool], isolated[pool], cash[pool], key[pool] = a, alone, 0.0, hashes[a]
    return pool


@njit(
    types.int64(
        R64, I64_2, R64, _RU64, I64, I64, I64, I64, I64, I4, I4, types.uint8[::1],
        *_BY_POOL, *_SLOTS, I64, I64,
    ),
    cache=True,
    nogil=True,
)  # fmt: skip
def update_pools(  # type: ignore[no-untyped-def]
    touched, data, keys, hashes, market_of, place, held, rest, share, pool_of, cross, assumed,
    start, size, count, account, key, isolated, cash, row, market, quantity, entry, left, counts,
):  # fmt: skip
    """Bring every touched row's place, quantity, entry price and money up to date.

    Stops where there is no room and returns how many rows are done; none has changed halfway.
    `share` (by row) is what the row adds to its account's cross pool, `rest` (by account) their
    sum. `market_of`: by symbol; `place`: a market's place in the order of names; `held`: its open
    positions.
    """
    for n in range(touched.size):
        r = touched[n]
        a, symbol = keys[r] >> SYMBOL_BITS, keys[r] & ((1 << SYMBOL_BITS) - 1)
        q, alone = data[r, _QUANTITY], data[r, _MODE] == ISOLATED
        pool = pool_of[r]
        if q != 0:
            # Room for one more pool and for the widest span that this row may ask for.
            at = cross[a]
            need = 1 if alone or at < 0 else SPAN_SIZES[size[at] + 1]
            if counts[POOLS] == start.size or counts[SLOTS] + need > row.size:
                return n
        own = data[r, _TRADE] + data[r, _FUNDING] - data[r, _FEES]
        margin = data[r, _MARGIN]
        guess = q != 0 and alone and margin <= 0 and data[r, _LEVERAGE] > 0
        if guess:
            factor = float(data[r, _ENTRY]) / float(data[r, _LEVERAGE]) * SCALE
            margin = np.int64(np.rint(factor))
        counts[ASSUMED] += np.int64(guess) - np.int64(assumed[r])
        assumed[r] = np.uint8(guess)
        now = -margin if alone else own
        rest[a] += now - share[r]
        share[r] = now
        if pool >= 0 and (q == 0 or isolated[pool] != alone):
            held[market_of[symbol]] -= 1
            if isolated[pool]:
                free_span(pool, start, size, count, row, market, quantity, entry, left)
                isolated[pool], cash[pool], account[pool] = False, 0.0, counts[FREE]
                counts[FREE] = pool
            else:
                _remove_slot(r, pool, start, count, row, market, quantity, entry)
            pool = np.int32(-1)
        if q == 0:
            pool_of[r] = -1
            continue
        if pool < 0:
            pool = np.int32(-1) if alone else cross[a]
            if pool < 0:
                pool = np.int32(_new_pool(a, alone, counts, account, isolated, cash, key, hashes))
                if not alone:
                    cross[a] = pool
            if size[pool] < 0 or count[pool] == SPAN_SIZES[size[pool]]:
                widen_span(pool, start, size, count, row, market, quantity, entry, left, counts)
            m = market_of[symbol]
            i = start[pool] + count[pool]
            while i > start[pool] and place[market[i - 1]] > place[m]:
                _move_slot(row, market, quantity, entry, i - 1, i)
                i -= 1
            row[i], market[i] = r, m
            count[pool] += 1
            held[m] += 1
            pool_of[r] = pool
        else:
            i = start[pool]
            while row[i] != r:
                i += 1
        quantity[i] = q / SCALE
        entry[i] = data[r, _ENTRY] / MONEY_SCALE / abs(quantity[i])
        if alone:
            cash[pool] = (own + margin) / MONEY_SCALE if margin > 0 else np.nan
    return touched.size


@njit(types.void(R64, I64_2, R64, I4, I4, F1), cache=True, nogil=True)
def update_cross_cash(touched, accounts, rest, cross, count, cash):  # type: ignore[no-untyped-def]
    """The cash of the touched accounts' cross pools: integers until the last division."""
    for n in range(touched.size):
        a = touched[n]
        pool = cross[a]
        if pool >= 0:
            money = accounts[a, _A_TRADE] - accounts[a, _A_FEES] + accounts[a, _A_FUNDING]
            money += accounts[a, _A_TRANSFERS] + rest[a]
            cash[pool] = money / MONEY_SCALE if count[pool] > 0 else 0.0
