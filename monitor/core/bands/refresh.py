"""Liquidation bands of a whole venue: four prices for every position, and the zones they make.

A refresh takes plain arrays and gives plain arrays; nothing but room is kept between two of them.
A pool is one isolated position or one cross account; its equity is `cash` (collateral less the
entry value of its positions) plus quantity × mark. Where a mark is not known (NaN), its pools'
prices are NaN and they are counted in `unknown`, never guessed.

Zones: notional at today's mark whose liquidation price lies in each 5 bp step from the mark, out to
50 %; what is due already stands in the first. One-market prices mislead a hedged account, so cross
pools carry the two roots along a common factor beside them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.core.bands import kernel_zones
from monitor.core.bands.inputs import BookImpact, Floats, Ints, PositionArrays, RuleArrays
from monitor.core.bands.kernel_prices import price_pools
from monitor.core.bands.kernel_zones import EDGE_ZONES, PEAK_ZONES, STAGES, TOP_HOLDERS
from monitor.core.bands.layout import BIN_WIDTH, BINS, GROUPS, LEVERAGE_TIERS, UNITS_MAX

ParallelMap = Callable[[Callable[[int], None], Iterable[int]], Iterable[None]]
"""`map`, or an executor's: how the parts of a refresh are run. The result does not depend on it."""

WARN, LIQUIDATION, BACKSTOP, BANKRUPTCY = range(4)
STRESS = 4
"""Rows of `BandArrays.prices`: the four, and the four again with `STRESS` added."""
LONG, SHORT = 0, 1
ZONE_CELLS, STAGE_CELLS = 0, 1
"""Kinds of cells: notional by zone and group, and by zone and stage."""
PARALLEL_PARTS = 16
"""Parts of a refresh that can run side by side; the result does not depend on it."""


@dataclass(frozen=True, slots=True)
class ZoneCells:
    """Notional, 1e-6 of the quote currency, where there is any: `place` is zone · parts + part."""

    place: NDArray[np.uint16]
    units: Ints


class Workspace:
    """Where a refresh is made; reuse it, since touching fresh memory costs more than the sums.

    `keep`: whether what belongs to single positions and pools stays, 64 and 40 bytes each, once
    their zones are known.
    """

    def __init__(self, positions: int, pools: int, markets: int, keep: bool = True) -> None:
        self.shape = positions, pools, markets
        kept = pools if keep else 0
        self.prices = np.empty((8, positions if keep else 0))
        self.equity, self.maintenance, self.gross = (np.empty(kept) for _ in range(3))
        self.factor = np.empty((2, kept))
        self.codes = np.empty((2, positions), np.int64)
        self.units = np.empty((2, positions), np.int64)
        self.owners = np.empty((2, positions), np.int32)
        self.buckets = np.empty(positions, np.int32)
        most = min(positions, 2 * markets * BINS * GROUPS)
        most_stages = min(4 * positions, 2 * markets * BINS * STAGES)
        self.cells = tuple(
            (np.empty(n, np.uint16), np.empty(n, np.int64)) for n in (most, most_stages)
        )


@dataclass(frozen=True, slots=True)
class BandArrays:
    """The result of a refresh.

    By position as in `Positions`, or by pool (empty where they are not kept; overwritten when the
    room is used again): `prices`, (8, positions); `equity`, `maintenance`, `gross` (notional);
    `factor`, (2, pools), the factor's fall and rise.

    `table`: (`layout.ROWS`, markets), marks among them. By market as in `order`: the cells that
    hold something (`cells`); `within`: (side, k, edge), notional forced within each of
    `kernel_zones.EDGE_ZONES`, 1e-6; `peaks`: (side, k, 2 · `PEAKS`), the heaviest zones within the reach
    asked for and their notional, −1: none; `top`, `top_pool`: (side, k, `TOP`), the largest holders
    there, −1: none. `by_factor`: (fall and rise, zone), gross notional of the cross pools that a
    common factor's move would make due. `unknown`: pools without a mark for every position.
    """

    prices: Floats
    equity: Floats
    maintenance: Floats
    gross: Floats
    factor: Floats
    table: Floats
    order: Ints
    place: tuple[NDArray[np.uint16], ...]
    units: tuple[Ints, ...]
    begin: Ints
    within: Ints
    peaks: Ints
    top: Ints
    top_pool: Ints
    by_factor: Ints
    unknown: int

    def cells(self, kind: int, side: int, k: int) -> ZoneCells:
        """One side of the market order[k]: by `GROUPS` (mode, 0: cross, × leverage tier), or by
        stage as in `zonekernels`.
        """
        at = side * len(self.order) + k
        span = slice(int(self.begin[kind, at]), int(self.begin[kind, at + 1]))
        return ZoneCells(self.place[kind][span], self.units[kind][span])

    def notional_by_mode(self, side: int, k: int) -> Ints:
        """(zone, mode, leverage tier) of one side, 1e-6."""
        return self._dense(ZONE_CELLS, side, k, GROUPS).reshape(BINS, 2, LEVERAGE_TIERS)

    def notional_by_stage(self, side: int, k: int) -> Ints:
        """(zone, stage) of one side, 1e-6."""
        return self._dense(STAGE_CELLS, side, k, STAGES)

    def notional_by_zone(self, side: int, k: int) -> Ints:
        """Notional (1e-6) of one side by zone, all modes and leverage tiers together."""
        total: Ints = self._dense(ZONE_CELLS, side, k, GROUPS).sum(axis=1)
        return total

    def _dense(self, kind: int, side: int, k: int, parts: int) -> Ints:
        cells = self.cells(kind, side, k)
        out = np.zeros(BINS * parts, np.int64)
        out[cells.place] = cells.units
        return out.reshape(BINS, parts)


def refresh_bands(
    positions: PositionArrays,
    rules: RuleArrays,
    mark: Floats,
    books: BookImpact | None = None,
    reach: float = 0.05,
    run: ParallelMap = map,
    room: Workspace | None = None,
    order: Ints | None = None,
) -> BandArrays:
    """All prices and zones at today's marks (NaN: not known).

    `reach`: distance within which the largest holders are kept. `run`: an executor's `map` spreads
    the work (the loops hold no lock). `room`: overwritten. `order`: the markets whose zones are
    told, in that order; all by default.
    """
    pools, markets = len(positions.cash), len(mark)
    room = room or Workspace(len(positions.quantity), pools, markets)
    slip = np.ravel((books or BookImpact.without_books(markets)).slip)
    edges = np.linspace(0, pools, PARALLEL_PARTS + 1).astype(np.int64)
    held = np.concatenate(([0], np.cumsum(positions.count, dtype=np.int64)))[edges]
    told = np.zeros((PARALLEL_PARTS, 2 * markets), np.int64)
    by_factor = np.zeros((PARALLEL_PARTS, 2, BINS + 1), np.int64)
    made = np.zeros((PARALLEL_PARTS, 2), np.int64)
    p, r, table = positions, rules, rules.table(mark)

    def price(chunk: int) -> None:
        mine = slice(held[chunk], held[chunk + 1])
        price_pools(
            edges[chunk], edges[chunk + 1], p.start, p.count, p.market, p.quantity, p.entry,
            p.cash, p.isolated, table, r.bound, r.rate, r.deduction, slip,
            room.prices, room.equity, room.maintenance, room.gross, room.factor,
            by_factor[chunk], room.codes[0, mine], room.units[0, mine], room.owners[0, mine],
            room.buckets[mine], told[chunk], made[chunk],
        )  # fmt: skip

    for _ in run(price, range(PARALLEL_PARTS)):
        pass
    order = np.arange(markets) if order is None else order
    return BandArrays(
        room.prices, room.equity, room.maintenance, room.gross, room.factor, table, order,
        **_sum_zones(room, p, r, order, held, told, made[:, 0], round(reach / BIN_WIDTH), run),
        by_factor=by_factor.sum(axis=0)[:, :BINS],
        unknown=int(made[:, 1].sum()),
    )  # fmt: skip


def _sum_zones(
    room: Workspace, p: PositionArrays, rules: RuleArrays, order: Ints, held: Ints, told: Ints, made: Ints,
    reach: int, run: ParallelMap,
) -> dict[str, Any]:  # fmt: skip
    """The records of all parts by market and side, and summed."""
    markets = told.shape[1] // 2
    first = np.concatenate(([0], np.cumsum(told.T, axis=None)))
    cursor = np.ascontiguousarray(first[:-1].reshape(told.T.shape).T)
    first = np.ascontiguousarray(first[::PARALLEL_PARTS])

    def sort(chunk: int) -> None:
        mine = slice(held[chunk], held[chunk + 1])
        kernel_zones.sort_records(
            made[chunk], room.codes[0, mine], room.units[0, mine], room.owners[0, mine],
            room.buckets[mine], cursor[chunk], room.codes[1], room.units[1], room.owners[1],
        )  # fmt: skip

    for _ in run(sort, range(PARALLEL_PARTS)):
        pass
    count = len(order)
    records = np.diff(first).reshape(2, markets)[:, order]
    most = np.stack([np.minimum(records, BINS * GROUPS), np.minimum(4 * records, BINS * STAGES)])
    begin = np.cumsum(most.reshape(2, -1), axis=1).reshape(most.shape) - most
    stop = np.empty_like(begin)
    within = np.zeros((2, count, len(EDGE_ZONES)), np.int64)
    peaks = np.empty((2, count, 2 * PEAK_ZONES), np.int64)
    top, top_pool = (
        np.empty((2, count, TOP_HOLDERS), np.int64),
        np.empty((2, count, TOP_HOLDERS), np.int64),
    )
    partial = np.rint(np.minimum(rules.partial_above * 1e6, UNITS_MAX)).astype(np.int64)
    cuts = np.linspace(0, count, PARALLEL_PARTS // 2 + 1).astype(np.int64)
    spans = [(side, *cuts[i : i + 2]) for side in (LONG, SHORT) for i in range(PARALLEL_PARTS // 2)]
    spans = [span for span in spans if span[1] < span[2]]
    (place, amount), (place_stages, amount_stages) = room.cells

    def total(span: int) -> None:
        side, low, high = spans[span]
        kernel_zones.sum_zones(
            side, low, high, order, markets, first, room.codes[1], room.units[1], room.owners[1],
            rules.first_share, partial, p.key, reach, place, amount, place_stages, amount_stages,
            begin, stop, within, peaks, top, top_pool,
        )  # fmt: skip

    for _ in run(total, range(len(spans))):
        pass
    sizes = (stop - begin).reshape(2, -1)
    ends = np.concatenate((np.zeros((2, 1), np.int64), np.cumsum(sizes, axis=1)), axis=1)
    parts: list[list[NDArray[Any]]] = [[], []]
    for column in range(2):
        for kind in range(2):
            at = [slice(begin[kind, s, a], stop[kind, s, b - 1]) for s, a, b in spans]
            held_there = room.cells[kind][column]
            parts[column].append(np.concatenate([held_there[:0], *(held_there[i] for i in at)]))
    return {
        "place": tuple(parts[0]), "units": tuple(parts[1]), "begin": ends, "within": within,
        "peaks": peaks, "top": top, "top_pool": top_pool,
    }  # fmt: skip
