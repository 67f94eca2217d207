"""Positions sorted into pools, and what the kernels make of single ones: for tests and benches."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from detectors.arrays.types import Bool, Float64, Int64
from monitor.core.bands.coin_markets import CoinMarkets
from monitor.core.bands.inputs import BookImpact, RuleArrays
from monitor.core.bands.kernels.arrays import EXPONENTS, PositionArrays
from monitor.core.bands.kernels.blocks import new_block
from monitor.core.bands.kernels.prices import price_block
from monitor.core.bands.kernels.roots import factor_moves
from monitor.core.bands.layout import EDGE_ZONES, GROUPS, LEVERAGE_TIERS, STAGES
from monitor.core.bands.market_bands import MarketBands
from monitor.core.bands.refresh import (
    STAGE_CELLS,
    ZONE_CELLS,
    BandArrays,
    ParallelMap,
    Workspace,
    ZoneCells,
    refresh_bands,
)
from monitor.core.contract.units import ZONE_BINS
from monitor.core.decode.batch import ABSENT


def sort_positions(
    pool: Int64, market: Int64, quantity: Float64, entry: Float64, cash: Float64, isolated: Int64
) -> PositionArrays:
    """Sort positions given in any order; `cash` and `isolated` are by pool.

    Raises ValueError when a pool holds a market twice: net the two first.
    """
    key = pool.astype(np.int64) * (int(market.max(initial=0)) + 1) + market
    order = np.argsort(key, kind="stable")
    if (np.diff(key[order]) == 0).any():
        raise ValueError("a pool holds one market twice: give the net position")
    length = np.bincount(pool, minlength=len(cash))
    return PositionArrays(
        start=(np.cumsum(length) - length).astype(np.int64),
        length=length.astype(np.int32),
        key=np.arange(len(cash), dtype=np.uint64),
        cash=cash.astype(np.float64),
        isolated=isolated.astype(np.bool_),
        row=order.astype(np.int32),
        market=market[order].astype(np.int32),
        quantity=quantity[order].astype(np.float64),
        entry=entry[order].astype(np.float64),
        rules=market[order].astype(np.int32),
    )


def pools_of(p: PositionArrays) -> Int64:
    """The pool of every position, −1 for a slot that no pool uses."""
    out = np.full(len(p.quantity), -1, np.int64)
    pools = np.repeat(np.arange(len(p.length)), p.length)
    first = np.cumsum(p.length) - p.length
    out[p.start[pools] + np.arange(len(pools)) - first[pools]] = pools
    return out


class PositionPrices(NamedTuple):
    """What a refresh knows of single positions and pools before it makes zones of them."""

    prices: Float64
    """(8, positions): rows of `PositionBlock.prices`; NaN: none."""
    equity: Float64
    """By pool, as are those below."""
    maintenance: Float64
    factor: Float64
    """(2, pools): the fall and the rise of the common factor that make a cross pool due."""

    @property
    def due(self) -> Bool:
        """By pool: whether it is due at the mark."""
        return self.equity < self.maintenance


@njit
def _price(positions, markets, slip, by_factor, prices, sums, factor):  # type: ignore[no-untyped-def]
    """All pools as one block, by the kernels of a refresh."""
    pools = positions.length.size
    block = new_block(positions.quantity.size)
    n, _ = price_block(0, pools, positions, markets, slip, block, by_factor)
    for t in range(n):
        prices[:, block.slot[t]] = block.prices[:, t]
    end = 0
    for pool in range(pools):
        begin, end = end, end + positions.length[pool]
        equity, total, drift, bent = positions.cash[pool], 0.0, 0.0, 0.0
        for t in range(begin, end):
            equity += block.quantity[t] * markets.rows[0, block.market[t]]
            total += block.requirement[t]
            drift += block.drift[t]
            bent += block.bent[t]
        sums[0, pool], sums[1, pool] = equity, total
        if not positions.isolated[pool] and begin < end:
            sums_of_pool = equity, total, drift, bent
            moves = factor_moves(
                (begin, end), sums_of_pool, block.requirement, block.drift, block.bent,
                block.market, block.quantity, markets.rows, markets.tiers,
            )  # fmt: skip
            factor[0, pool], factor[1, pool] = moves


def without_books(markets: int) -> BookImpact:
    """The impact where no market has a book."""
    slip = np.full((2, markets, EXPONENTS), np.nan, np.float32)
    depth = np.full((2, markets, len(EDGE_ZONES)), np.nan)
    return BookImpact(slip, depth, np.full(markets, ABSENT))


def refresh(
    p: PositionArrays,
    rules: RuleArrays,
    mark: Float64,
    books: BookImpact | None = None,
    *,
    reach: float = 0.05,
    run: ParallelMap = map,
    workspace: Workspace | None = None,
    order: Int64 | None = None,
    coin: CoinMarkets | None = None,
) -> BandArrays:
    """`refresh_bands` of all markets in a fresh workspace, where nothing else is asked for."""
    books = books or without_books(len(mark))
    workspace = workspace or Workspace(len(p.quantity), len(mark))
    order = np.arange(len(mark)) if order is None else order
    return refresh_bands(p, rules, mark, books, reach, run, workspace, order, coin)


def price_positions(
    p: PositionArrays, rules: RuleArrays, mark: Float64, books: BookImpact | None = None
) -> PositionPrices:
    """The prices of every position at these marks (NaN: not known)."""
    slip = np.ravel((books or without_books(len(mark))).slip)
    prices, factor = np.full((8, len(p.quantity)), np.nan), np.full((2, len(p.cash)), np.nan)
    sums, by_factor = np.empty((2, len(p.cash))), np.zeros((2, ZONE_BINS + 1), np.int64)
    _price(p, rules.at_marks(mark), slip, by_factor, prices, sums, factor)
    prices[~((prices > 0) & (prices < np.inf))] = np.nan
    return PositionPrices(prices, sums[0], sums[1], factor)


def by_group(bands: BandArrays, side: int, k: int) -> Int64:
    """(zone, margin mode, leverage tier): notional of one side of order[k], 1e-6."""
    cells = _dense(bands.cells(ZONE_CELLS, side, k), GROUPS)
    return cells.reshape(ZONE_BINS, 2, LEVERAGE_TIERS)


def by_stage(bands: BandArrays, side: int, k: int) -> Int64:
    """(zone, stage): notional of one side of order[k], 1e-6."""
    return _dense(bands.cells(STAGE_CELLS, side, k), STAGES)


def by_zone(bands: BandArrays, side: int, k: int) -> Int64:
    """Notional of one side of order[k] by zone, 1e-6."""
    total: Int64 = by_group(bands, side, k).sum(axis=(1, 2))
    return total


def _dense(cells: ZoneCells, parts: int) -> Int64:
    out = np.zeros(ZONE_BINS * parts, np.int64)
    out[cells.place] = cells.units
    return out.reshape(ZONE_BINS, parts)


def forced_zones(market: MarketBands) -> tuple[dict[int, int], dict[int, int]]:
    """Notional of longs and of shorts by zone, 1e-6, where there is any."""
    sides: tuple[dict[int, int], dict[int, int]] = {}, {}
    for out, cells in zip(sides, market.zones, strict=True):
        for zone, units in zip(cells.zone.tolist(), cells.units.tolist(), strict=True):
            out[zone] = out.get(zone, 0) + units
    return sides
