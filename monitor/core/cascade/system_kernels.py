"""The compiled loops over a venue's pools when several markets move at once."""

from __future__ import annotations

import math

import numpy as np
from numba import njit, types

from detectors.arrays.types import B1, BOOL, F1, F2, FLOAT, I2, INT
from monitor.core.bands.kernels.arrays import FEE, MARK, MARKET_TABLE, POSITIONS, inner_njit
from monitor.core.bands.kernels.roots import maintenance_of

_PAIR = types.UniTuple(FLOAT, 2)  # type: ignore[no-untyped-call]


@inner_njit(_PAIR(INT, POSITIONS, MARKET_TABLE))
def _equity_and_need(pool, positions, markets):  # type: ignore[no-untyped-def]
    """A pool's equity and what it must not fall to; NaN where a mark is not known."""
    equity, need = positions.cash[pool], 0.0
    first = positions.start[pool]
    for i in range(first, first + positions.length[pool]):
        m, q = positions.market[i], positions.quantity[i]
        notional = abs(q) * markets.rows[MARK, m]
        equity += q * markets.rows[MARK, m]
        need += maintenance_of(m, q, positions.entry[i], markets.rows, markets.tiers)
        need += markets.rows[FEE, m] * notional
    return equity, need


@njit(INT(POSITIONS, MARKET_TABLE, F1, B1, F2), cache=True, nogil=True, error_model="numpy")
def force_pools(positions, markets, sent, forced, sold):  # type: ignore[no-untyped-def]
    """Force every pool that is due at these marks and was not before; how many they are.

    `sent`: by slot, the part of a position that goes to the book at once, a quantity. `forced`: by
    pool. `sold` (longs and shorts, markets): quantities sent so far, added to.
    """
    count = np.int64(0)
    for pool in range(len(forced)):
        if forced[pool] or positions.length[pool] == 0:
            continue
        equity, need = _equity_and_need(pool, positions, markets)
        if equity <= need and need > 0.0:
            forced[pool] = True
            count += 1
            first = positions.start[pool]
            for i in range(first, first + positions.length[pool]):
                side = 0 if positions.quantity[i] > 0.0 else 1
                sold[side, positions.market[i]] += sent[i]
    return count


@njit(
    types.void(POSITIONS, MARKET_TABLE, F1, B1, FLOAT, BOOL, F2, I2), cache=True, nogil=True,
    error_model="numpy",
)  # fmt: skip
def spread_moves(positions, markets, sent, forced, move, falls, flow, accounts):  # type: ignore[no-untyped-def]
    """What each market's own small move forces in every market.

    `move`: the log distance of the move; `falls`: its direction. `flow[n, m]`: quantity sent in
    market m when market n alone moves, on the side that such moves force; `accounts[n, m]`: of
    how many pools. Both are added to. Pools in `forced` count no more.
    """
    growth = math.exp(-move if falls else move)
    rows, tiers = markets.rows, markets.tiers
    for pool in range(len(forced)):
        if forced[pool] or positions.length[pool] == 0:
            continue
        equity, need = _equity_and_need(pool, positions, markets)
        first = positions.start[pool]
        last = first + positions.length[pool]
        for j in range(first, last):
            n, q = positions.market[j], positions.quantity[j]
            if (q > 0.0) != falls:
                continue
            mark = rows[MARK, n]
            before = maintenance_of(n, q, positions.entry[j], rows, tiers)
            before += rows[FEE, n] * abs(q) * mark
            rows[MARK, n] = mark * growth
            after = maintenance_of(n, q, positions.entry[j], rows, tiers)
            after += rows[FEE, n] * abs(q) * rows[MARK, n]
            rows[MARK, n] = mark
            if equity + q * mark * (growth - 1.0) <= need + after - before:
                for i in range(first, last):
                    if (positions.quantity[i] > 0.0) == falls:
                        m = positions.market[i]
                        flow[n, m] += sent[i]
                        accounts[n, m] += 1
