"""The compiled loops that sum records of priced positions by zone.

Sums are integers of 1e-6, so that the order of positions shows nowhere.
"""

from __future__ import annotations

import numpy as np
from numba import njit, types

from detectors.arrays.types import I1, I2, INT, U1
from monitor.core.bands.kernels.arrays import (
    CELLS,
    CODE_BITS,
    DUE_FLAG,
    GROUP_BITS,
    MARKET_SUMS,
    PARTIAL_CLOSE,
    RECORDS,
    SORTED_RECORDS,
    ZONE_BACKSTOP,
    ZONE_BANKRUPTCY,
    ZONE_MASK,
    ZONE_STRESSED,
    inner_njit,
)
from monitor.core.bands.layout import (
    AWAITING_PAUSE,
    BACKSTOP_STAGE,
    BANKRUPT,
    EDGE_ZONES,
    GROUPS,
    PEAK_ZONES,
    STAGES,
    STRESSED,
    TOP_HOLDERS,
)
from monitor.core.contract.units import ZONE_BINS

_STRESSED_SHIFT = GROUP_BITS + ZONE_STRESSED * CODE_BITS
_BACKSTOP_SHIFT = GROUP_BITS + ZONE_BACKSTOP * CODE_BITS
_BANKRUPTCY_SHIFT = GROUP_BITS + ZONE_BANKRUPTCY * CODE_BITS


@njit(types.void(I2, I1, I2), cache=True, nogil=True)
def place_buckets(per_bucket, first, cursor):  # type: ignore[no-untyped-def]
    """Where records lie once they are sorted. `per_bucket` (parts, buckets): how many there are.

    Written: `first` (buckets + 1), of `SortedRecords`; `cursor`, where those of each part begin.
    """
    place = 0
    for bucket in range(per_bucket.shape[1]):
        first[bucket] = place
        for part in range(per_bucket.shape[0]):
            cursor[part, bucket] = place
            place += per_bucket[part, bucket]
    first[per_bucket.shape[1]] = place


@njit(types.void(INT, RECORDS, I1, SORTED_RECORDS), cache=True, nogil=True)
def sort_records(count, records, cursor, out):  # type: ignore[no-untyped-def]
    """Put `count` records to those of their bucket. `cursor`: by bucket, where the next goes."""
    bucket, code, units, pool = records.bucket, records.code, records.units, records.pool
    out_code, out_units, out_pool = out.code, out.units, out.pool
    for i in range(count):
        at = cursor[bucket[i]]
        cursor[bucket[i]] = at + 1
        out_code[at], out_units[at], out_pool[at] = code[i], units[i], pool[i]


@inner_njit(types.void(INT, INT, U1, I1, I1))
def _insert_holder(units, pool, key, top, top_pool):  # type: ignore[no-untyped-def]
    """Put a pool among the largest; of two equal ones that with the lower key comes first."""
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
    types.void(INT, INT, I1, SORTED_RECORDS, PARTIAL_CLOSE, U1, INT, CELLS, MARKET_SUMS),
    cache=True, nogil=True, error_model="numpy",
)  # fmt: skip
def sum_zones(low, high, order, records, partial, key, reach, cells, sums):  # type: ignore[no-untyped-def]
    """Sum notional into zones and stages, of the sides of markets `low` to `high − 1`.

    They are numbered side · `order.size` + k, of the market order[k]. Cells are written one behind
    the other, from `cells.begin[kind, low]` on. `key`: of `PositionArrays`. Holders and peaks are
    those in zones below `reach`.
    """
    zones = np.zeros((ZONE_BINS + 1, GROUPS), np.int64)
    stages = np.zeros((ZONE_BINS + 1, STAGES), np.int64)
    # Most zones are empty: they are looked through eight at a time.
    holds = np.zeros(ZONE_BINS + 8 - ZONE_BINS % 8, np.uint8)
    eights = holds.view(np.uint64)
    first, code, units, pool = records.first, records.code, records.units, records.pool
    zone_cell, zone_units = cells.zone_cell, cells.zone_units
    stage_cell, stage_units = cells.stage_cell, cells.stage_units
    begin, stop = cells.begin, cells.stop
    count, markets = order.size, (first.size - 1) // 2
    n, s = begin[0, low], begin[1, low]
    for at in range(low, high):
        side, k = at // count, at % count
        m = order[k]
        bucket = side * markets + m
        begin[0, at], begin[1, at] = n, s
        top, top_pool = sums.top[side, k], sums.top_pool[side, k]
        top[:], top_pool[:] = 0, -1
        share, partial_from = partial.first_share[m], partial.from_units[m]
        for i in range(first[bucket], first[bucket + 1]):
            near, forced = code[i] >> GROUP_BITS & ZONE_MASK, units[i]
            far = code[i] >> _STRESSED_SHIFT & ZONE_MASK
            back = code[i] >> _BACKSTOP_SHIFT & ZONE_MASK
            broke = code[i] >> _BANKRUPTCY_SHIFT & ZONE_MASK
            holds[near] = holds[far] = holds[back] = holds[broke] = 1
            zones[near, code[i] & (DUE_FLAG - 1)] += forced
            stages[far, STRESSED] += forced
            stages[back, BACKSTOP_STAGE] += forced
            stages[broke, BANKRUPT] += forced
            if forced >= partial_from:
                stages[near, AWAITING_PAUSE] += forced - np.int64(np.rint(forced * share))
            if near < reach and forced > 0 and forced >= top[TOP_HOLDERS - 1]:
                _insert_holder(forced, pool[i], key, top, top_pool)
        # What is out of reach is in no zone.
        holds[ZONE_BINS], zones[ZONE_BINS], stages[ZONE_BINS] = 0, 0, 0
        total, edge = np.int64(0), 0
        within, peak = sums.within[side, k], sums.peaks[side, k]
        peak[:PEAK_ZONES], peak[PEAK_ZONES:] = -1, 0
        for eight in range(eights.size):
            if eights[eight] == 0:
                continue
            for zone in range(8 * eight, 8 * eight + 8):
                if holds[zone] == 0:
                    continue
                while zone >= EDGE_ZONES[edge]:
                    within[edge] = total
                    edge += 1
                holds[zone], before = 0, total
                for group in range(GROUPS):
                    forced = zones[zone, group]
                    if forced != 0:
                        zone_cell[n], zone_units[n] = zone * GROUPS + group, forced
                        total += forced
                        n += 1
                        zones[zone, group] = 0
                for stage in range(STAGES):
                    forced = stages[zone, stage]
                    if forced != 0:
                        stage_cell[s], stage_units[s] = zone * STAGES + stage, forced
                        s += 1
                        stages[zone, stage] = 0
                if zone < reach and total > before:
                    _insert_peak(zone, total - before, peak)
        within[edge:] = total
        stop[0, at], stop[1, at] = n, s
