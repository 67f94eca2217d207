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
    """The answers for the markets of a refresh. `books` (symbols, `BOOK_WIDTH`): codes.

    What an hour's move may set off is worked out at once; all other shocks when they are asked for,
    from a copy of the books.
    """
    (zone_cell, stage_cell), (zone_units, stage_units) = bands.place, bands.units
    zones = _ZoneArrays(zone_cell, zone_units, stage_cell, stage_units, bands.begin)
    markets, here = len(inputs.symbol), books.take(inputs.symbol, axis=0)
    near = np.full((2, markets, NEAR_ZONES + 1), math.nan)
    shown, hour = inputs.shown[inputs.symbol], inputs.sigma[inputs.symbol] * HOUR_OF_YEAR
    inside = _find_near(inputs, here, zones, shown, hour, near)

    def answer_all() -> Float64:
        answers = np.full((2, markets, SHARES, FORCED + 1), math.nan)
        _pass_markets(inputs, here, zones, shown, answers)
        return answers

    return CascadeColumns(symbols, near, shown, hour, inputs.kappa, inside, answer_all)


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


@inner_njit(types.void(_STEPS, INT, _BOOK_SIDE, INT, FLOAT, FLOAT, F1))
def _pass_side(steps, count, levels, last, kappa, survives, answer):  # type: ignore[no-untyped-def]
    """The answers for one share of the book, of `last` levels.

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
    level, most, begin, first, at_rate, longest = 0, -np.inf, 0.0, 0.0, 0.0, 0.0
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
        if edge > 0.0 and length >= JUMP_MIN and length > longest:
            longest = length
            answer[SHOCK], answer[JUMP], answer[FORCED] = shock, length, steps.forced[k]
        most, begin = edge, y[k + 1] if k + 1 < count else 0.0
    answer[RATE] = (at_rate - first) / RATE_SPAN


@njit(types.void(CASCADE_INPUTS, I2, _ZONES, F1, F4), cache=True, nogil=True, error_model="numpy")
def _pass_markets(inputs, books, zones, shown, answers):  # type: ignore[no-untyped-def]
    """Fill in `answers`, which are NaN. `books`: by market."""
    markets = inputs.symbol.size
    n = np.empty((6, ZONE_BINS + 1))
    steps = _Steps(np.empty(ZONE_BINS + 1, np.int64), n[0], n[1], n[2], n[3])
    levels = _BookSide(n[4], n[5])
    for side in range(2):
        sign, best, edges = (1.0, BEST_BID, _FALL) if side == 0 else (-1.0, BEST_ASK, _RISE)
        for m in range(markets):
            answer, kappa = answers[side, m], inputs.kappa[m]
            if kappa == 0.0:
                answer[:, RATE] = 0.0
                continue
            least = min(shown[m], SURVIVES_MIN) if shown[m] == shown[m] else SURVIVES_MIN
            count = _read_steps(steps, zones, side * markets + m, edges)
            enough = steps.sent[count - 1] / least
            last = _read_book(levels, books[m], best, sign, inputs.mark[m], enough)
            if last == 0:
                continue
            for k in range(count):
                if steps.sent[k] > levels.total[last - 1] * least:
                    steps.tail[k] = steps.sent[k] ** IMPACT_EXPONENT
            for share in range(SHARES):
                survives = shown[m] if share == SHARES - 1 else _SURVIVES[share]
                if survives == survives:
                    _pass_side(steps, count, levels, last, kappa, survives, answer[share])


@inner_njit(types.void(_ZONES, INT, RF1, I1, FLOAT, FLOAT, FLOAT, FLOAT, FLOAT, F1))
def _near_side(zones, at, edges, ladder, sign, mark, kappa, survives, reach, near):  # type: ignore[no-untyped-def]
    """`near` of one side: the steps that `_pass_side` takes, no further than `reach` needs. Zones
    and levels of the `ladder` are read on the way."""
    cell, units, stage_cell, stage_units, begins = zones
    i, stop = begins[0, at], begins[0, at + 1]
    stage, last_stage = begins[1, at], begins[1, at + 1]
    zone, forced, waits = np.int64(0), np.int64(0), np.int64(0)
    level, total, ratio, distance, beyond = 0, 0.0, 1.0, 0.0, 0.0
    most, begin, longest, reach = -np.inf, 0.0, 0.0, min(reach, REACH)
    while most <= reach:
        while i < stop and np.int64(cell[i]) // GROUPS == zone:
            forced += units[i]
            i += 1
        pause = zone * STAGES + AWAITING_PAUSE
        while stage < last_stage and stage_cell[stage] <= pause:
            if stage_cell[stage] % STAGES == AWAITING_PAUSE:
                waits += stage_units[stage]
            stage += 1
        sent, moved = (forced - waits) / float(MONEY_SCALE), 0.0
        if sent > 0.0:
            before = ratio
            while beyond == 0.0 and (level == 0 or total * survives < sent):
                size = ladder[LEVELS + level] if level < LEVELS else np.int64(0)
                if size <= 0:
                    # All that is seen is sold: the power law goes on from there.
                    if level == 0:
                        return
                    far = max(kappa * math.log(ratio), kappa * FAR_MIN)
                    beyond = far * (total * survives) ** -IMPACT_EXPONENT
                    break
                price = to_float(ladder[level])
                ratio = max(ratio, mark / price if sign > 0.0 else price / mark)
                total += to_float(size) * mark
                level += 1
            if beyond > 0.0:
                moved = beyond * sent**IMPACT_EXPONENT
            else:
                distance = math.log(ratio) if ratio != before else distance
                moved = kappa * distance
        y = edges[zone]
        ahead = np.int64(cell[i]) // GROUPS if i < stop else np.int64(-1)
        edge = edges[ahead] - moved if ahead >= 0 else np.inf
        if edge > most:
            shock = max(most, 0.0)
            length = max(y, shock + moved) - (begin if most > 0.0 else 0.0)
            if edge > 0.0 and length >= JUMP_MIN and length > longest and 0.0 < shock <= reach:
                longest = length
                near[NEAR_SHOCK], near[NEAR_JUMP] = shock, length
                near[NEAR_FORCED], near[NEAR_ZONES] = forced / float(MONEY_SCALE), zone + 1
            most, begin = edge, edges[ahead] if ahead >= 0 else 0.0
        zone = ahead
        if ahead < 0:
            return


@njit(INT(CASCADE_INPUTS, I2, _ZONES, F1, F1, F3), cache=True, nogil=True, error_model="numpy")
def _find_near(inputs, books, zones, shown, hour, every_near):  # type: ignore[no-untyped-def]
    """Fill in `every_near`, which is NaN; gives `CascadeColumns.inside`. `books`: by market."""
    markets, inside = inputs.symbol.size, np.int64(0)
    n = np.empty((2, LEVELS))
    levels = _BookSide(n[0], n[1])
    for side in range(2):
        sign, best, edges = (1.0, BEST_BID, _FALL) if side == 0 else (-1.0, BEST_ASK, _RISE)
        for m in range(markets):
            near, kappa, mark = every_near[side, m], inputs.kappa[m], inputs.mark[m]
            if kappa == 0.0 or hour[m] != hour[m]:
                continue
            survives = shown[m] if shown[m] == shown[m] else 1.0
            at, reach = side * markets + m, HOUR_MOVES * hour[m]
            ladder = books[m, best:]
            _near_side(zones, at, edges, ladder, sign, mark, kappa, survives, reach, near)
            if near[NEAR_JUMP] == near[NEAR_JUMP]:
                last = _read_book(levels, books[m], best, sign, mark, np.inf)
                near[NEAR_BOOK] = survives * _taken(near[NEAR_SHOCK], levels, last)
                inside += near[NEAR_JUMP] >= hour[m]
    return inside
