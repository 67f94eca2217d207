"""All shocks of all markets every second, from the zones of the bands.

The same pass as in `shock_kernels.py`, over 5 bp zones in place of positions: all that is forced in
a zone counts as forced at its near edge. So a shock comes to rest no nearer than position by
position, and no further than a shock that is larger by a zone's width.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit, types
from numpy.typing import NDArray

from detectors.arrays.types import (
    F1,
    F3,
    FLOAT,
    I1,
    I2,
    INT,
    RF1,
    UINT16_1,
    Float64,
    Int64,
)
from monitor.core.bands.cascades import (
    CASCADE_INPUTS,
    FORCED,
    HOUR_MOVES,
    HOUR_OF_YEAR,
    JUMP,
    NEAR_BOOK,
    NEAR_FORCED,
    NEAR_JUMP,
    NEAR_SHOCK,
    NEAR_ZONES,
    RATE,
    SHARES,
    SHOCK,
    SURVIVES,
    CascadeColumns,
    CascadeInputs,
)
from monitor.core.bands.kernels.arrays import inner_njit, tuple_type
from monitor.core.bands.kernels.books import IMPACT_EXPONENT
from monitor.core.bands.layout import AWAITING_PAUSE, BIN_WIDTH, GROUPS, STAGES
from monitor.core.bands.refresh import BandArrays
from monitor.core.cascade.market_stress import JUMP_MIN, RATE_SPAN, REACH
from monitor.core.cascade.shock_kernels import FAR_MIN
from monitor.core.contract.fixed_point import MONEY_SCALE
from monitor.core.contract.units import ZONE_BINS
from monitor.core.decode.stepped_kernels import to_float
from monitor.core.marks.market_rows import BEST_ASK, BEST_BID, LEVELS

_FALL = np.array([-math.log1p(-zone * BIN_WIDTH) for zone in range(ZONE_BINS)])
_RISE = np.array([math.log1p(zone * BIN_WIDTH) for zone in range(ZONE_BINS)])
"""Log distance of each zone's near edge."""
_RATE_ZONES = round(RATE_SPAN / BIN_WIDTH)
"""R is measured over so many zones behind the first, where what is due already stands."""
_SURVIVES = np.array([*SURVIVES, math.nan])
SURVIVES_MIN = min(SURVIVES)
F4 = types.float64[:, :, :, ::1]


class _Steps(NamedTuple):
    """What is forced on one side of a market: the first zone, and each that holds something.

    `zone`; `y`, log distance of its near edge; `forced`, notional up to there; `sent`, what of that
    goes to the book at once; `tail`, the same to the power of `IMPACT_EXPONENT`. Quote currency.
    """

    zone: Int64
    y: Float64
    forced: Float64
    sent: Float64
    tail: Float64


class _BookSide(NamedTuple):
    """A book's levels: mark over price, or price over mark, whichever is above 1, and notional at
    the mark up to there."""

    ratio: Float64
    total: Float64


class _ZoneArrays(NamedTuple):
    """Of `BandArrays`: cells by zone and group, by zone and stage, and where each side begins."""

    zone_cell: NDArray[np.uint16]
    zone_units: Int64
    stage_cell: NDArray[np.uint16]
    stage_units: Int64
    begin: Int64


_STEPS = tuple_type(_Steps, I1, F1, F1, F1, F1)
_BOOK_SIDE = tuple_type(_BookSide, F1, F1)
_ZONES = tuple_type(_ZoneArrays, UINT16_1, I1, UINT16_1, I1, I2)


def pass_zones(
    symbols: list[str], inputs: CascadeInputs, books: Int64, bands: BandArrays
) -> CascadeColumns:
    """The answers for the markets of a refresh. `books` (symbols, `BOOK_WIDTH`): codes."""
    (zone_cell, stage_cell), (zone_units, stage_units) = bands.place, bands.units
    zones = _ZoneArrays(zone_cell, zone_units, stage_cell, stage_units, bands.begin)
    markets = len(inputs.symbol)
    answers = np.full((2, markets, SHARES, FORCED + 1), math.nan)
    near = np.full((2, markets, NEAR_ZONES + 1), math.nan)
    shown, hour = inputs.shown[inputs.symbol], inputs.sigma[inputs.symbol] * HOUR_OF_YEAR
    inside = _pass_markets(inputs, books, zones, shown, hour, answers, near)
    return CascadeColumns(symbols, answers, near, shown, hour, inputs.kappa, inside)


@inner_njit(INT(_BOOK_SIDE, I1, INT, FLOAT, FLOAT, FLOAT))
def _read_book(levels, book, best, sign, mark, enough):  # type: ignore[no-untyped-def]
    """Fill in the levels up to the one with which a book takes `enough`; how many there are."""
    seen, far = 0.0, 1.0
    for level in range(LEVELS):
        size = book[best + LEVELS + level]
        if size <= 0:
            return level
        price = to_float(book[best + level])
        far = max(far, mark / price if sign > 0.0 else price / mark)
        seen += to_float(size) * mark
        levels.ratio[level], levels.total[level] = far, seen
        if seen >= enough:
            return level + 1
    return LEVELS


@inner_njit(INT(_STEPS, _ZONES, INT, RF1))
def _read_steps(steps, zones, at, edges):  # type: ignore[no-untyped-def]
    """Fill in the steps of a side of a market; how many there are. `edges`: see `_FALL`."""
    cell, units, stage_cell, stage_units, begin = zones
    n, forced, waits = 0, np.int64(0), np.int64(0)
    steps.zone[0], steps.y[0], steps.forced[0], steps.sent[0] = 0, 0.0, 0.0, 0.0
    stage, last_stage = begin[1, at], begin[1, at + 1]
    for i in range(begin[0, at], begin[0, at + 1]):
        zone = np.int64(cell[i]) // GROUPS
        forced += units[i]
        if zone > steps.zone[n]:
            n += 1
            steps.zone[n], steps.y[n] = zone, edges[zone]
        pause = zone * STAGES + AWAITING_PAUSE
        while stage < last_stage and stage_cell[stage] <= pause:
            if stage_cell[stage] % STAGES == AWAITING_PAUSE:
                waits += stage_units[stage]
            stage += 1
        steps.forced[n] = forced / float(MONEY_SCALE)
        steps.sent[n] = (forced - waits) / float(MONEY_SCALE)
    return n + 1


@inner_njit(FLOAT(FLOAT, _BOOK_SIDE, INT))
def _taken(y, levels, count):  # type: ignore[no-untyped-def]
    """The notional that a book takes up to a distance, its best level at least."""
    far = max(math.log(levels.ratio[count - 1]), FAR_MIN)
    if y > far:
        return levels.total[count - 1] * (y / far) ** (1.0 / IMPACT_EXPONENT)
    level = 0
    while level + 1 < count and math.log(levels.ratio[level + 1]) <= y:
        level += 1
    return levels.total[level]


@inner_njit(types.void(_STEPS, INT, _BOOK_SIDE, INT, FLOAT, FLOAT, FLOAT, F1, F1))
def _pass_side(steps, count, levels, last, kappa, survives, reach, answer, near):  # type: ignore[no-untyped-def]
    """The answers for one share of the book, of `last` levels. `reach`: of the shocks that `near`
    is of; NaN: none.

    Edges and jumps are those of `pass_shocks` and `ShockAnswers.jumps`.
    """
    y, sent, total = steps.y, steps.sent, levels.total
    seen, visible = total[last - 1] * survives, kappa * math.log(levels.ratio[last - 1])
    if sent[count - 1] <= seen and visible < JUMP_MIN:
        # No jump is longer than what all sales together move: only R is left.
        while steps.zone[count - 1] > _RATE_ZONES:
            count -= 1
    far = max(visible, kappa * FAR_MIN) * seen**-IMPACT_EXPONENT
    # Logarithms are what this costs: one is taken where the level is another.
    distance, distance_of = 0.0, -1
    level, most, begin, first, at_rate = 0, -np.inf, 0.0, 0.0, 0.0
    longest, nearest = 0.0, 0.0
    for k in range(count):
        if sent[k] <= 0.0:
            moved = 0.0
        elif sent[k] <= seen:
            while total[level] * survives < sent[k] and level + 1 < last:
                level += 1
            if level != distance_of:
                distance, distance_of = math.log(levels.ratio[level]), level
            moved = kappa * distance
        else:
            moved = far * steps.tail[k]
        first = moved if k == 0 else first
        at_rate = moved if steps.zone[k] <= _RATE_ZONES else at_rate
        edge = y[k + 1] - moved if k + 1 < count else np.inf
        if edge <= most or most > REACH:
            continue
        # A shock of `most` rests behind this step; a smaller one rested before `begin`.
        shock = max(most, 0.0)
        length = max(y[k], shock + moved) - (begin if most > 0.0 else 0.0)
        if edge > 0.0 and length >= JUMP_MIN:
            if length > longest:
                longest = length
                answer[SHOCK], answer[JUMP], answer[FORCED] = shock, length, steps.forced[k]
            if length > nearest and 0.0 < shock <= reach:
                nearest = length
                near[NEAR_SHOCK], near[NEAR_JUMP] = shock, length
                near[NEAR_FORCED], near[NEAR_ZONES] = steps.forced[k], steps.zone[k] + 1
        most, begin = edge, y[k + 1] if k + 1 < count else 0.0
    answer[RATE] = (at_rate - first) / RATE_SPAN


@njit(
    INT(CASCADE_INPUTS, I2, _ZONES, F1, F1, F4, F3), cache=True, nogil=True, error_model="numpy"
)  # fmt: skip
def _pass_markets(inputs, books, zones, shown, hour, answers, every_near):  # type: ignore[no-untyped-def]
    """Fill in `answers` and `every_near`, which are NaN; gives `CascadeColumns.inside`."""
    markets, inside = inputs.symbol.size, np.int64(0)
    n = np.empty((6, ZONE_BINS + 1))
    steps = _Steps(np.empty(ZONE_BINS + 1, np.int64), n[0], n[1], n[2], n[3])
    levels = _BookSide(n[4], n[5])
    for side in range(2):
        sign, best, edges = (1.0, BEST_BID, _FALL) if side == 0 else (-1.0, BEST_ASK, _RISE)
        for m in range(markets):
            answer, near, kappa = answers[side, m], every_near[side, m], inputs.kappa[m]
            if kappa == 0.0:
                answer[:, RATE] = 0.0
                continue
            is_shown = shown[m] == shown[m]
            least = min(shown[m], SURVIVES_MIN) if is_shown else SURVIVES_MIN
            count = _read_steps(steps, zones, side * markets + m, edges)
            book, mark = books[inputs.symbol[m]], inputs.mark[m]
            last = _read_book(levels, book, best, sign, mark, steps.sent[count - 1] / least)
            if last == 0:
                continue
            for k in range(count):
                if steps.sent[k] > levels.total[last - 1] * least:
                    steps.tail[k] = steps.sent[k] ** IMPACT_EXPONENT
            for share in range(SHARES):
                survives = shown[m] if share == SHARES - 1 else _SURVIVES[share]
                if survives != survives:
                    continue
                is_of_rule = share == (SHARES - 1 if is_shown else 0)
                reach = HOUR_MOVES * hour[m] if is_of_rule else np.nan
                one = answer[share]
                _pass_side(steps, count, levels, last, kappa, survives, reach, one, near)
            if near[NEAR_JUMP] == near[NEAR_JUMP]:
                last = _read_book(levels, book, best, sign, mark, np.inf)
                survives = shown[m] if is_shown else 1.0
                near[NEAR_BOOK] = survives * _taken(near[NEAR_SHOCK], levels, last)
                inside += near[NEAR_JUMP] >= hour[m]
    return inside
