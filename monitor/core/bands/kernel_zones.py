"""The compiled loops that make zones of priced positions, and tell what a book would absorb.

Sums are integers of 1e-6, so that the order of positions shows nowhere.
"""

from __future__ import annotations

import numpy as np
from numba import njit, types

from monitor.core.bands.layout import (
    BIN_WIDTH,
    BINS,
    CODE_BITS,
    EXPONENT_LOW,
    EXPONENTS,
    F1,
    GROUPS,
    I4,
    I8,
    INT,
)

TOP_HOLDERS = 5
"""Largest holders kept for each market and side."""
PEAK_ZONES = 3
"""Heaviest zones near the mark told in an alert."""
STAGES = 4
STRESSED, AWAITING_PAUSE, BACKSTOP_STAGE, BANKRUPT = range(STAGES)
"""Notional by the stressed liquidation price; what of the forced waits for a pause of the path; by
the backstop's price; by the bankruptcy price, from where the insurance fund pays or others are
deleveraged."""
IMPACT_EXPONENT = 0.86
"""Displacement against notional beyond the visible depth: a power law with this exponent."""
_DEPTH_GROWTH = (np.arange(1, BINS + 1) * BIN_WIDTH) ** (1.0 / IMPACT_EXPONENT)
SLIPPAGE_MAX = 0.5
EDGE_ZONES = np.array([2, 5, 10, 20, 40, 100, 200, 400, BINS])
"""Zones within 0.1, 0.25, 0.5, 1, 2, 5, 10, 20 and 50 % of the mark: where sums are told."""
_MASK = (1 << CODE_BITS) - 1

F3 = types.float64[:, :, ::1]
U8 = types.uint64[::1]
U2 = types.uint16[::1]
_SUMS = types.int64[:, :, ::1]


@njit(types.void(INT, INT, U8, I8, I8), cache=True, nogil=True)
def _insert_holder(units, pool, key, top, top_pool):  # type: ignore[no-untyped-def]
    """Put a pool among the largest."""
    j = TOP_HOLDERS
    while j > 0 and (
        units > top[j - 1]
        or (units == top[j - 1] and (top_pool[j - 1] < 0 or key[pool] < key[top_pool[j - 1]]))
    ):
        j -= 1
        if j + 1 < TOP_HOLDERS:
            top[j + 1], top_pool[j + 1] = top[j], top_pool[j]
    if j < TOP_HOLDERS:
        top[j], top_pool[j] = units, pool


@njit(types.void(INT, I8, I8, I4, I4, I8, I8, I8, I4), cache=True, nogil=True)
def sort_records(count, code, units, owner, bucket, cursor, to_code, to_units, to_owner):  # type: ignore[no-untyped-def]
    """Put records to those of their bucket; `cursor`: by bucket, where the next one goes."""
    for i in range(count):
        at = cursor[bucket[i]]
        cursor[bucket[i]] = at + 1
        to_code[at], to_units[at], to_owner[at] = code[i], units[i], owner[i]


@njit(inline="always")
def _insert_peak(zone, units, peak):  # type: ignore[no-untyped-def]
    """Put a zone among the heaviest; of equals the nearer one stays first."""
    j = PEAK_ZONES
    while j > 0 and units > peak[PEAK_ZONES + j - 1]:
        j -= 1
        if j + 1 < PEAK_ZONES:
            peak[j + 1], peak[PEAK_ZONES + j + 1] = peak[j], peak[PEAK_ZONES + j]
    if j < PEAK_ZONES:
        peak[j], peak[PEAK_ZONES + j] = zone, units


@njit(
    types.void(
        INT, INT, INT, I8, INT, I8, I8, I8, I4, F1, I8, U8, INT, U2, I8, U2, I8,
        types.int64[:, :, ::1], types.int64[:, :, ::1], _SUMS, _SUMS, _SUMS, _SUMS,
    ),
    cache=True,
    nogil=True,
    error_model="numpy",
)  # fmt: skip
def sum_zones(  # type: ignore[no-untyped-def]
    side, low, high, order, markets, first, code, units, owner, first_share, partial, key, reach,
    place, amount, place_stages, amount_stages, begin, stop, within, peaks, top, top_pool,
):  # fmt: skip
    """Sum one side's notional into zones and stages, of markets `order[low]` … `order[high − 1]`.

    `first`: by bucket, its first record. The cells that hold something are written one behind the
    other, from `begin[0, side, low]` (zones) and `begin[1, side, low]` (stages) on; those of
    order[k] end at `stop[…, side, k]`. `place` is zone · parts + part. `within`: (side, k,
    edge), the sum of zones below each of `EDGE_ZONES`. `peaks`: (side, k, 2 · `PEAK_ZONES`), the heaviest
    zones below `reach` and their notional, heaviest first; −1: none. `top`: the largest holders
    there; of two pools that hold as much, the one with the lower key is larger.
    """
    zones = np.zeros((BINS + 1, GROUPS), np.int64)
    stages = np.zeros((BINS + 1, STAGES), np.int64)
    n, s = begin[0, side, low], begin[1, side, low]
    for k in range(low, high):
        m = order[k]
        bucket = side * markets + m
        a, b = first[bucket], first[bucket + 1]
        begin[0, side, k], begin[1, side, k] = n, s
        best, best_pool = top[side, k], top_pool[side, k]
        best[:], best_pool[:] = 0, -1
        for i in range(a, b):
            near, held = code[i] >> 4 & _MASK, units[i]
            zones[near, code[i] & 15] += held
            stages[code[i] >> (4 + CODE_BITS) & _MASK, STRESSED] += held
            stages[code[i] >> (4 + 2 * CODE_BITS) & _MASK, BACKSTOP_STAGE] += held
            stages[code[i] >> (4 + 3 * CODE_BITS) & _MASK, BANKRUPT] += held
            if held >= partial[m]:
                stages[near, AWAITING_PAUSE] += held - np.int64(np.rint(held * first_share[m]))
            if near < reach and held > 0 and held >= best[TOP_HOLDERS - 1]:
                _insert_holder(held, owner[i], key, best, best_pool)
        total, edge = np.int64(0), 0
        peak = peaks[side, k]
        peak[:PEAK_ZONES], peak[PEAK_ZONES:] = -1, 0
        for zone in range(BINS):
            before = total
            for group in range(GROUPS):
                found = zones[zone, group]
                if found != 0:
                    place[n], amount[n] = zone * GROUPS + group, found
                    total += found
                    n += 1
                    zones[zone, group] = 0
            for stage in range(STAGES):
                found = stages[zone, stage]
                if found != 0:
                    place_stages[s], amount_stages[s] = zone * STAGES + stage, found
                    s += 1
                    stages[zone, stage] = 0
            if zone < reach and total > before:
                _insert_peak(zone, total - before, peak)
            if zone + 1 == EDGE_ZONES[edge]:
                within[side, k, edge] = total
                edge += 1
        zones[BINS], stages[BINS] = 0, 0
        stop[0, side, k], stop[1, side, k] = n, s


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
                grown = max(_DEPTH_GROWTH[rest] * unit, 1.0)
                depth[side, m, rest] = seen * grown if seen > 0.0 else np.nan
