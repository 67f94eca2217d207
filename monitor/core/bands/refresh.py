"""The zones of a whole venue: what is forced how far from the mark.

A refresh takes plain arrays and gives plain arrays; nothing but the workspace is kept between two
of them. A pool is one isolated position or one cross account; its equity is `cash` (collateral less
the entry value of its positions) plus quantity × mark. A pool with a market whose mark is not known
(NaN) has no prices and is counted in `unknown`.

Zones: notional at today's mark whose liquidation price lies in each 5 bp step from the mark, out to
50 %; what is due already stands in the first. One-market prices mislead a hedged account, so cross
pools carry the two roots along a common factor beside them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise, repeat
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detectors.arrays.types import Float64, Int64
from monitor.core.bands.coin_markets import CoinMarkets
from monitor.core.bands.inputs import BookImpact, RuleArrays
from monitor.core.bands.kernels import arrays
from monitor.core.bands.kernels.arrays import (
    CellArrays,
    ForcedRecords,
    Int32,
    MarketSums,
    SortedRecords,
)
from monitor.core.bands.kernels.coin_prices import price_coin_pools
from monitor.core.bands.kernels.prices import (
    OPEN_POOLS,
    POOL_COUNTS,
    RECORD_COUNT,
    UNKNOWN_POOLS,
    price_pools,
)
from monitor.core.bands.kernels.zones import place_buckets, sort_records, sum_zones
from monitor.core.bands.layout import BIN_WIDTH, EDGE_ZONES, GROUPS, PEAK_ZONES, STAGES, TOP_HOLDERS
from monitor.core.contract.units import ZONE_BINS

ParallelMap = Callable[..., Iterable[Any]]
"""`map`, or an executor's: how the parts of a refresh are run. The result does not depend on it."""

LONG, SHORT = 0, 1
ZONE_CELLS, STAGE_CELLS = 0, 1
"""Kinds of cells: notional by zone and group, and by zone and stage."""
PARALLEL_PARTS = 16
"""Parts of a refresh that can run side by side; the result does not depend on it. Without an
executor there is one: each call of a loop costs as much as some hundred positions."""


@dataclass(frozen=True, slots=True)
class ZoneCells:
    """Notional, 1e-6 of the quote currency, where there is any: `place` is zone · parts + part.

    `parts`: `GROUPS` (margin mode × leverage tier) or `STAGES`.
    """

    place: NDArray[np.uint16]
    units: Int64
    parts: int = GROUPS

    @property
    def zone(self) -> NDArray[np.uint16]:
        return self.place // self.parts

    @property
    def part(self) -> NDArray[np.uint16]:
        return self.place % self.parts


class Workspace:
    """Arrays that a refresh works in, to be reused: touching fresh memory costs more than sums."""

    def __init__(self, positions: int, markets: int) -> None:
        # A quarter more, so that it is seldom too small while a venue grows.
        self._positions, self._markets = positions + positions // 4, markets
        positions = self._positions
        code, units, sorted_code, sorted_units = (np.empty(positions, np.int64) for _ in range(4))
        pool, bucket, sorted_pool = (np.empty(positions, np.int32) for _ in range(3))
        self.records = ForcedRecords(code, units, pool, bucket)
        first = np.empty(2 * markets + 1, np.int64)
        self.sorted_records = SortedRecords(first, sorted_code, sorted_units, sorted_pool)
        zone_cells = min(positions, 2 * markets * ZONE_BINS * GROUPS)
        stage_cells = min(4 * positions, 2 * markets * ZONE_BINS * STAGES)
        self.cells = [
            (np.empty(n, np.uint16), np.empty(n, np.int64)) for n in (zone_cells, stage_cells)
        ]

    def records_of_parts(self, lengths: Int32, pool_edges: Int64) -> list[ForcedRecords]:
        """The records in parts: each has room for all positions of its pools, which lie between two
        edges. `lengths`: positions by pool.
        """
        edges = np.zeros(len(lengths) + 1, np.int64)
        np.cumsum(lengths, out=edges[1:])
        parts = map(slice, edges[pool_edges[:-1]], edges[pool_edges[1:]])
        code, units, pool, bucket = self.records
        return [ForcedRecords(code[p], units[p], pool[p], bucket[p]) for p in parts]

    def is_for(self, positions: int, markets: int) -> bool:
        """Whether a refresh of so many positions and markets has room in it."""
        return positions <= self._positions and markets == self._markets


@dataclass(frozen=True, slots=True)
class BandArrays:
    """The result of a refresh, by market as in `order`.

    `place` and `units`: of the cells that hold something, by kind; `cells` finds those of a market.
    `begin` (kind, side · markets + k): the first of a market's cells. `by_factor` (fall and rise,
    zone): gross notional of the cross pools that a move of the common factor makes due, 1e-6.
    `unknown`: pools without a mark for every position; `pools`: all that have one.
    """

    order: Int64
    place: tuple[NDArray[np.uint16], ...]
    units: tuple[Int64, ...]
    begin: Int64
    sums: MarketSums
    by_factor: Int64
    unknown: int
    pools: int

    def cells(self, kind: int, side: int, k: int) -> ZoneCells:
        """One side of the market order[k]; `kind`: `ZONE_CELLS` or `STAGE_CELLS`."""
        at = side * len(self.order) + k
        span = slice(int(self.begin[kind, at]), int(self.begin[kind, at + 1]))
        parts = GROUPS if kind == ZONE_CELLS else STAGES
        return ZoneCells(self.place[kind][span], self.units[kind][span], parts)


def refresh_bands(
    positions: arrays.PositionArrays,
    rules: RuleArrays,
    mark: Float64,
    books: BookImpact,
    reach: float,
    run: ParallelMap,
    workspace: Workspace,
    order: Int64,
    coin: CoinMarkets | None = None,
) -> BandArrays:
    """The zones at today's marks (NaN: not known).

    `reach`: distance within which the largest holders and the heaviest zones are kept, a fraction
    of the mark. `run`: an executor's `map` spreads the work (the loops release the lock).
    `workspace`: overwritten. `order`: the markets whose zones are summed, in that order. `coin`:
    which markets settle in coin; None: none.
    """
    numbers, first_coin = None, len(positions.cash)
    if coin is not None:
        positions, numbers, first_coin = coin.sort_pools(positions)
    markets, coin_pools = len(mark), len(positions.cash) - first_coin
    pieces = 1 if run is map else PARALLEL_PARTS
    coin_pieces = pieces if coin_pools else 0
    per_bucket = np.zeros((pieces + coin_pieces, 2 * markets), np.int64)
    by_factor = np.zeros((pieces + coin_pieces, 2, ZONE_BINS + 1), np.int64)
    counts = np.zeros((pieces + coin_pieces, len(POOL_COUNTS)), np.int64)
    table, slip = rules.at_marks(mark), books.slip.reshape(-1)
    cursor, by_bucket = np.empty_like(per_bucket), workspace.sorted_records
    if len(counts) == 1:
        records = [workspace.records]
        price_pools(
            0, first_coin, positions, table, slip, by_factor[0], records[0], per_bucket[0],
            counts[0],
        )  # fmt: skip
    else:
        pool_edges = np.linspace(0, first_coin, pieces + 1).astype(np.int64)
        coin_edges = np.linspace(first_coin, len(positions.cash), coin_pieces + 1).astype(np.int64)
        edges = np.concatenate((pool_edges, coin_edges[1:]))
        records = workspace.records_of_parts(positions.length, edges)
        list(run(
            price_pools, edges[:pieces], edges[1 : pieces + 1], repeat(positions), repeat(table),
            repeat(slip), by_factor, records, per_bucket, counts,
        ))  # fmt: skip
        if coin is not None and coin_pools:
            list(run(
                price_coin_pools, edges[pieces:-1], edges[pieces + 1 :], repeat(positions),
                *map(repeat, coin.tables(rules, mark)), repeat(slip), by_factor[pieces:],
                records[pieces:], per_bucket[pieces:], counts[pieces:],
            ))  # fmt: skip
    place_buckets(per_bucket, by_bucket.first, cursor)
    list(run(sort_records, counts[:, RECORD_COUNT], records, cursor, repeat(by_bucket)))
    place, units, begin, sums = _sum_zones(
        workspace, rules, positions.key, order, reach, pieces, run
    )
    if numbers is not None:
        sums.top_pool[:] = np.where(sums.top_pool < 0, -1, numbers[sums.top_pool])
    totals = counts.sum(axis=0).tolist()
    return BandArrays(
        order, place, units, begin, sums, by_factor.sum(axis=0)[:, :ZONE_BINS],
        totals[UNKNOWN_POOLS], totals[OPEN_POOLS],
    )  # fmt: skip


def _sum_zones(
    workspace: Workspace,
    rules: RuleArrays,
    key: NDArray[np.uint64],
    order: Int64,
    reach: float,
    pieces: int,
    run: ParallelMap,
) -> tuple[Any, ...]:
    """`place`, `units`, `begin` and `sums` of `BandArrays`."""
    records, sides = workspace.sorted_records, 2 * len(order)
    begin, stop = np.zeros((2, sides), np.int64), np.zeros((2, sides), np.int64)
    cells = CellArrays(*workspace.cells[ZONE_CELLS], *workspace.cells[STAGE_CELLS], begin, stop)
    shape = 2, len(order)
    sums = MarketSums(
        within=np.empty((*shape, len(EDGE_ZONES)), np.int64),
        peaks=np.empty((*shape, 2 * PEAK_ZONES), np.int64),
        top=np.empty((*shape, TOP_HOLDERS), np.int64),
        top_pool=np.empty((*shape, TOP_HOLDERS), np.int64),
    )
    spans = [(0, sides)] if sides else []
    if pieces > 1:
        sizes = np.diff(records.first).reshape(2, -1)[:, order].reshape(-1)
        limits = np.array([[ZONE_BINS * GROUPS], [ZONE_BINS * STAGES]])
        most = np.minimum([sizes, 4 * sizes], limits)
        begin[:] = np.cumsum(most, axis=1) - most
        cuts = np.linspace(0, sides, pieces + 1).astype(np.int64).tolist()
        spans = [(low, high) for low, high in pairwise(cuts) if low < high]
    reach_zones = round(reach / BIN_WIDTH)
    given: tuple[Any, ...] = order, records, rules.partial, key, reach_zones, cells, sums
    list(run(lambda span: sum_zones(*span, *given), spans))
    # The cells that were written, without the room between the spans.
    ends = np.zeros((2, sides + 1), np.int64)
    np.cumsum(stop - begin, axis=1, out=ends[:, 1:])
    place, units = (
        tuple(
            np.concatenate([cells[:0], *(cells[a[low] : b[high - 1]] for low, high in spans)])
            for cells, a, b in zip(columns, begin, stop, strict=True)
        )
        for columns in zip(*workspace.cells, strict=True)
    )
    return place, units, ends, sums
