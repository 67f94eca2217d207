"""The compiled loops that make zones of priced positions, and tell what a book would absorb.

Sums are integers of 1e-6, so that the order of positions shows nowhere.
"""

from __future__ import annotations

import numpy as np
from numba import njit, types

from monitor.core.bandkernels import (
    B1,
    BIN_WIDTH,
    BINS,
    CODE_BITS,
    EXPONENT_LOW,
    EXPONENTS,
    F1,
    F2,
    GROUPS,
    I4,
    I8,
    INT,
    MARK,
    OUT,
)

TOP = 5
"""Largest holders kept for each market and side."""
PEAKS = 3
"""Heaviest zones near the mark told in an alert."""
STAGES = 4
STRESSED, HELD_BACK, BACKSTOP_STAGE, BANKRUPT = range(STAGES)
"""Notional by the stressed liquidation price; what of the forced waits for a pause of the path; by
the backstop's price; by the bankruptcy price, from where the insurance fund pays or others are
deleveraged."""
IMPACT_EXPONENT = 0.86
"""Displacement against notional beyond the visible depth: a power law with this exponent."""
_GROWN = (np.arange(1, BINS + 1) * BIN_WIDTH) ** (1.0 / IMPACT_EXPONENT)
SLIPPAGE_MAX = 0.5
UNITS_MAX = 1e15
"""A position counts in zones with at most 1e9 quote units (as 1e-6): sums stay in 64 bits."""
EDGES = np.array([2, 5, 10, 20, 40, 100, 200, 400, BINS])
"""Zones within 0.1, 0.25, 0.5, 1, 2, 5, 10, 20 and 50 % of the mark: where sums are told."""
_MASK = (1 << CODE_BITS) - 1

F3 = types.float64[:, :, ::1]
I8_2 = types.int64[:, ::1]
_CELLS = types.int64[:, :, :, ::1]
_PLACES = types.int64[:, ::1]
_SUMS = types.int64[:, :, ::1]
U8 = types.uint64[::1]


@njit(inline="always", error_model="numpy")
def _units(notional):  # type: ignore[no-untyped-def]
    return np.int64(np.rint(min(notional * 1e6, UNITS_MAX)))


@njit(inline="always")
def _add(cells, part, units, zone):  # type: ignore[no-untyped-def]
    """Add, and say whether the cell was empty before and lies within reach."""
    before = cells[part]
    cells[part] = before + units
    return np.int64((before == 0) & (units != 0) & (zone < OUT))


@njit(types.void(INT, INT, U8, I8, I8), cache=True, nogil=True)
def _rank(units, pool, key, top, top_pool):  # type: ignore[no-untyped-def]
    """Put a pool among the largest."""
    j = TOP
    while j > 0 and (
        units > top[j - 1]
        or (units == top[j - 1] and (top_pool[j - 1] < 0 or key[pool] < key[top_pool[j - 1]]))
    ):
        j -= 1
        if j + 1 < TOP:
            top[j + 1], top_pool[j + 1] = top[j], top_pool[j]
    if j < TOP:
        top[j], top_pool[j] = units, pool


@njit(
    types.void(
        INT, INT, I8, I4, I4, types.float64[::1], I8, F2, F1, F1, U8,
        _CELLS, _CELLS, _SUMS, _SUMS, _SUMS,
    ),
    cache=True,
    nogil=True,
    error_model="numpy",
)  # fmt: skip
def add_zones(  # type: ignore[no-untyped-def]
    side, reach, start, count, market, quantity, code, table, first_share, partial_above, key,
    zones, stages, filled, top, top_pool,
):  # fmt: skip
    """Sum one side's notional into its zones, and keep its largest holders within `reach` zones.

    `filled`: (2, side, markets), how many cells of `zones` and of `stages` hold something. Of two
    pools that hold as much, the one with the lower key is larger.
    """
    for pool in range(start.shape[0]):
        for i in range(start[pool], start[pool] + count[pool]):
            word = code[i]
            if word < 0 or (quantity[i] > 0.0) != (side == 0):
                continue
            m = market[i]
            notional = abs(quantity[i]) * table[m, MARK]
            units = _units(notional)
            near, far = (word >> 4) & _MASK, (word >> (4 + CODE_BITS)) & _MASK
            back, broke = word >> (4 + 2 * CODE_BITS) & _MASK, word >> (4 + 3 * CODE_BITS)
            # What is out of reach goes to a zone of its own, so that there is nothing to branch on.
            new = _add(stages[side, m, far], STRESSED, units, far)
            new += _add(stages[side, m, back], BACKSTOP_STAGE, units, back)
            new += _add(stages[side, m, broke], BANKRUPT, units, broke)
            filled[0, side, m] += _add(zones[side, m, near], word & 15, units, near)
            if first_share[m] < 1.0 and notional >= partial_above[m]:
                later = units - np.int64(np.rint(units * first_share[m]))
                new += _add(stages[side, m, near], HELD_BACK, later, near)
            filled[1, side, m] += new
            if near < reach and units > 0 and units >= top[side, m, TOP - 1]:
                _rank(units, pool, key, top[side, m], top_pool[side, m])


@njit(inline="always")
def _heap(zone, units, peak):  # type: ignore[no-untyped-def]
    """Put a zone among the heaviest; of equals the nearer one stays first."""
    j = PEAKS
    while j > 0 and units > peak[PEAKS + j - 1]:
        j -= 1
        if j + 1 < PEAKS:
            peak[j + 1], peak[PEAKS + j + 1] = peak[j], peak[PEAKS + j]
    if j < PEAKS:
        peak[j], peak[PEAKS + j] = zone, units


@njit(
    types.void(
        INT, INT, INT, I8, _CELLS, _CELLS, _PLACES, _PLACES, I4, I8, I4, I8, _SUMS, INT, _SUMS
    ),
    cache=True,
    nogil=True,
)
def gather(  # type: ignore[no-untyped-def]
    side, low, high, order, zones, stages, begin, begin_stages, place, units, place_stages,
    units_stages, within, reach, peaks,
):  # fmt: skip
    """One side's cells that hold something, of markets `order[low]` … `order[high − 1]`.

    `place` is zone · parts + part; those of market order[k] begin at `begin[side, k]`. `within`:
    (side, k, edge), the sum of zones below each of `EDGES`. `peaks`: (side, k, 2 · `PEAKS`), the
    heaviest zones below `reach` and their notional, heaviest first; −1: none.
    """
    for k in range(low, high):
        m, n, s = order[k], begin[side, k], begin_stages[side, k]
        total, edge = np.int64(0), 0
        peak = peaks[side, k]
        peak[:PEAKS], peak[PEAKS:] = -1, 0
        for zone in range(BINS):
            before = total
            for group in range(GROUPS):
                found = zones[side, m, zone, group]
                if found != 0:
                    place[n], units[n] = zone * GROUPS + group, found
                    total += found
                    n += 1
            for stage in range(STAGES):
                found = stages[side, m, zone, stage]
                if found != 0:
                    place_stages[s], units_stages[s] = zone * STAGES + stage, found
                    s += 1
            if zone < reach and total > before:
                _heap(zone, total - before, peak)
            if zone + 1 == EDGES[edge]:
                within[side, k, edge] = total
                edge += 1


@njit(types.void(INT, I4, F1, B1, F2, I8_2), cache=True, nogil=True, error_model="numpy")
def add_factor(side, count, gross, isolated, factor, out):  # type: ignore[no-untyped-def]
    """Gross notional of cross pools that a fall (side 0) or a rise of the factor makes due."""
    for pool in range(count.shape[0]):
        f = factor[side, pool]
        if count[pool] == 0 or isolated[pool] or not abs(f) < BINS * BIN_WIDTH:
            continue
        out[side, int(abs(f) * (1.0 / BIN_WIDTH))] += _units(gross[pool])


@njit(
    types.void(F1, F3, F3, types.float32[:, :, ::1], F3),
    cache=True,
    nogil=True,
    error_model="numpy",
)
def read_books(mark, price, size, slip, depth):  # type: ignore[no-untyped-def]
    """Average slippage by notional, and resting notional by distance, from each market's ladder.

    `price`, `size`: (2, markets, levels), bids in row 0 as a long closes into them; size 0: no
    level. `slip`: (2, markets, EXPONENTS); `depth`: (2, markets, BINS), cumulative, quote currency.
    """
    power = 1.0 + IMPACT_EXPONENT
    for side in range(2):
        sign = 1.0 if side == 0 else -1.0
        for m in range(mark.shape[0]):
            levels = price.shape[2]
            seen, cost, far = 0.0, 0.0, 1e-4
            e, b = 0, 0
            for j in range(levels):
                if not size[side, m, j] > 0.0 or not mark[m] > 0.0:
                    break
                y = max(sign * (1.0 - price[side, m, j] / mark[m]), 0.0)
                notional = size[side, m, j] * mark[m]
                while e < EXPONENTS and 2.0 ** (e + EXPONENT_LOW) <= seen + notional:
                    n = 2.0 ** (e + EXPONENT_LOW)
                    slip[side, m, e] = min((cost + (n - seen) * y) / n, SLIPPAGE_MAX)
                    e += 1
                while b < BINS and (b + 1) * BIN_WIDTH < y:
                    depth[side, m, b] = seen
                    b += 1
                seen += notional
                cost += notional * y
                far = max(y, far)
            for rest in range(e, EXPONENTS):
                n = 2.0 ** (rest + EXPONENT_LOW)
                if seen > 0.0:
                    tail = far * seen / power * ((n / seen) ** power - 1.0)
                    slip[side, m, rest] = min((cost + tail) / n, SLIPPAGE_MAX)
                else:
                    slip[side, m, rest] = np.nan
            unit = far ** (-1.0 / IMPACT_EXPONENT)
            for rest in range(b, BINS):
                grown = max(_GROWN[rest] * unit, 1.0)
                depth[side, m, rest] = seen * grown if seen > 0.0 else np.nan
