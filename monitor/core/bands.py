"""Liquidation bands of a whole venue: four prices for every position, and the zones they make.

A refresh takes plain arrays and gives plain arrays; nothing is kept between two of them. A pool is
one isolated position or one cross account; its equity is `cash` (collateral less the entry value of
its positions) plus quantity × mark. Where a mark is not known (NaN), its pools' prices are NaN and
they are counted in `unknown`, never guessed.

Zones: notional at today's mark whose liquidation price lies in each 5 bp step from the mark, out to
50 %; what is due already stands in the first. One-market prices mislead a hedged account, so cross
pools carry the two roots along a common factor beside them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitor.core import bandkernels as kernels
from monitor.core.bandkernels import BIN_WIDTH, BINS, EXPONENTS, GROUPS, LEVERAGE_TIERS, TOP, K
from monitor.core.margin import Regime
from monitor.core.tiers import Tiers

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Run = Callable[[Callable[[int], None], Iterable[int]], Iterable[None]]
"""`map`, or an executor's: how the parts of a refresh are run. The result does not depend on it."""

WARN, LIQUIDATION, BACKSTOP, BANKRUPTCY = range(4)
STRESSED = 4
"""Rows of `Bands.prices`: the four, and the four again with `STRESSED` added."""
LONG, SHORT = 0, 1
CHUNKS = 8


@dataclass(frozen=True, slots=True)
class Rules:
    """What the reference data say of each market, as arrays; markets are numbered from 0.

    `tier_start[m] : tier_start[m + 1]` are market m's rows of `bound`, `rate`, `deduction`.
    `fee`: closing fee that the venue counts; `close_fee`: further fee a forced close would pay.
    `beta`: move of the market for a move of the common factor by 1.
    """

    tier_start: NDArray[np.int32]
    bound: Floats
    rate: Floats
    deduction: Floats
    at_entry: NDArray[np.bool_]
    backstop: Floats
    size_rate: Floats
    fee: Floats
    close_fee: Floats
    beta: Floats

    @classmethod
    def of(
        cls,
        markets: Sequence[tuple[Regime, Tiers]],
        fee: Floats | None = None,
        close_fee: Floats | None = None,
        size_rate: Floats | None = None,
        beta: Floats | None = None,
    ) -> Rules:
        """From each market's regime and tier table; rates left out are 0, betas 1."""
        rows = [row for _, tiers in markets for row in tiers.rows]
        count = len(markets)
        starts = np.cumsum([0] + [len(tiers.rows) for _, tiers in markets])
        ks = [np.nan if r.backstop_k is None else float(r.backstop_k) for r, _ in markets]
        return cls(
            tier_start=starts.astype(np.int32),
            bound=np.array([float(row.lower_bound) for row in rows]),
            rate=np.array([float(row.rate) for row in rows]),
            deduction=np.array([float(row.deduction) for row in rows]),
            at_entry=np.array([regime.at_entry for regime, _ in markets], dtype=np.bool_),
            backstop=np.array(ks, dtype=np.float64),
            size_rate=np.zeros(count) if size_rate is None else size_rate,
            fee=np.zeros(count) if fee is None else fee,
            close_fee=np.zeros(count) if close_fee is None else close_fee,
            beta=np.ones(count) if beta is None else beta,
        )


@dataclass(frozen=True, slots=True)
class Positions:
    """Every position, sorted by pool and market; `start[p] : start[p + 1]` are those of pool p."""

    start: Ints
    pool: Ints
    market: NDArray[np.int32]
    quantity: Floats
    entry: Floats
    cash: Floats
    isolated: NDArray[np.bool_]
    order: Ints
    """`order[i]` is the place in the arrays given to `arrange` of position i here."""


def arrange(
    pool: Ints, market: Ints, quantity: Floats, entry: Floats, cash: Floats, isolated: Ints
) -> Positions:
    """Sort positions given in any order; `cash` and `isolated` are by pool.

    The one order makes every sum the same however the positions came. Raises ValueError when a pool
    holds a market twice: net the two first.
    """
    key = pool.astype(np.int64) * (int(market.max(initial=0)) + 1) + market
    order = np.argsort(key, kind="stable")
    if (np.diff(key[order]) == 0).any():
        raise ValueError("a pool holds one market twice: give the net position")
    sorted_pool = pool[order].astype(np.int64)
    return Positions(
        start=np.searchsorted(sorted_pool, np.arange(len(cash) + 1)).astype(np.int64),
        pool=sorted_pool,
        market=market[order].astype(np.int32),
        quantity=quantity[order].astype(np.float64),
        entry=entry[order].astype(np.float64),
        cash=cash.astype(np.float64),
        isolated=isolated.astype(np.bool_),
        order=order,
    )


@dataclass(frozen=True, slots=True)
class Books:
    """What today's books would do to a forced close.

    `slip`: average slippage (fraction of the mark) for a notional of 2^e, (2, markets, e).
    `depth`: resting notional (quote currency) within each zone's far bound, (2, markets, zones).
    Row 0 serves longs (they close into bids), row 1 shorts. NaN where there is no book.
    """

    slip: Floats
    depth: Floats

    @classmethod
    def of(cls, mark: Floats, price: Floats, size: Floats) -> Books:
        """From ladders, best first: `price`, `size` of shape (2, markets, levels); size 0: none."""
        slip = np.empty((2, len(mark), EXPONENTS))
        depth = np.empty((2, len(mark), BINS))
        kernels.read_books(mark, price, size, slip, depth)
        return cls(slip, depth)

    @classmethod
    def unknown(cls, markets: int) -> Books:
        return cls(np.full((2, markets, EXPONENTS), np.nan), np.full((2, markets, BINS), np.nan))


@dataclass(frozen=True, slots=True)
class Bands:
    """The result of a refresh; arrays are by position as in `Positions`, or by pool.

    `prices`: (8, positions). `factor`: (2, pools), the factor's fall and rise.
    `zones`: (side, market, zone, mode, leverage tier) in 1e-6 quote currency; mode 0 is cross.
    `stressed`: (side, market, zone), by the stressed liquidation price.
    `top`, `top_pool`: (side, market, TOP): the largest holders within the reach asked for, −1 none.
    `unknown`: pools without a mark for every position.
    """

    prices: Floats
    maintenance_of: Floats
    equity: Floats
    maintenance: Floats
    factor: Floats
    cell: NDArray[np.int32]
    cell_stressed: NDArray[np.int32]
    units: Ints
    zones: Ints
    stressed: Ints
    top: Ints
    top_pool: Ints
    unknown: int

    @classmethod
    def empty(cls, positions: int, pools: int, markets: int) -> Bands:
        """Room for a refresh; reuse it, since touching fresh memory costs more than the sums."""
        return cls(
            prices=np.empty((8, positions)),
            maintenance_of=np.empty(positions),
            equity=np.empty(pools),
            maintenance=np.empty(pools),
            factor=np.empty((2, pools)),
            cell=np.empty(positions, dtype=np.int32),
            cell_stressed=np.empty(positions, dtype=np.int32),
            units=np.empty(positions, dtype=np.int64),
            zones=np.empty((2, markets, BINS, 2, LEVERAGE_TIERS), dtype=np.int64),
            stressed=np.empty((2, markets, BINS), dtype=np.int64),
            top=np.empty((2, markets, TOP), dtype=np.int64),
            top_pool=np.empty((2, markets, TOP), dtype=np.int64),
            unknown=0,
        )

    def forced(self, side: int, market: int) -> Ints:
        """Notional (1e-6) of one side by zone, all modes and leverage tiers together."""
        total: Ints = self.zones[side, market].sum(axis=(1, 2))
        return total

    def holders(
        self, positions: Positions, side: int, market: int, low: int, high: int, top: int = 10
    ) -> tuple[list[tuple[int, float]], int]:
        """The `top` pools with most notional in zones low … high − 1 as (pool, share), and the sum.

        A scan of every position: for a zone somebody asks about, not for every refresh.
        """
        markets = self.zones.shape[1]
        first = ((side * markets + market) * BINS + low) * GROUPS
        inside = np.flatnonzero((self.cell >= first) & (self.cell < first + (high - low) * GROUPS))
        total = int(self.units[inside].sum())
        best = np.lexsort((positions.pool[inside], -self.units[inside]))[:top]
        return [
            (int(positions.pool[i]), int(self.units[i]) / total) for i in inside[best] if total
        ], total


def refresh(
    positions: Positions,
    rules: Rules,
    mark: Floats,
    books: Books | None = None,
    reach: float = 0.05,
    run: Run = map,
    out: Bands | None = None,
) -> Bands:
    """All prices and zones at today's marks (NaN: not known).

    `reach`: distance within which the largest holders are kept. `run`: an executor's `map` spreads
    the work (the loops hold no lock). `out`: room from `Bands.empty`, overwritten.
    """
    pools, markets = len(positions.cash), len(mark)
    room = out or Bands.empty(len(positions.quantity), pools, markets)
    slip = (books or Books.unknown(markets)).slip
    edges = np.linspace(0, pools, CHUNKS + 1).astype(np.int64)
    p, r = positions, rules
    table = (r.tier_start, r.bound, r.rate, r.deduction)

    def price(chunk: int) -> None:
        span = (edges[chunk], edges[chunk + 1])
        kernels.price_pools(
            *span, p.start, p.market, p.quantity, p.entry, p.cash, p.isolated, mark, *table,
            r.fee, r.at_entry, r.size_rate, r.close_fee, r.backstop, K, slip,
            room.prices, room.maintenance_of, room.equity, room.maintenance,
            room.cell, room.cell_stressed, room.units,
        )  # fmt: skip
        kernels.factor_roots(
            *span, p.start, p.market, p.quantity, mark, r.beta, room.maintenance_of, room.equity,
            p.isolated, r.at_entry, r.size_rate, *table, room.factor,
        )  # fmt: skip

    def zone(side: int) -> None:
        room.zones[side] = 0
        room.stressed[side] = 0
        room.top[side] = 0
        room.top_pool[side] = -1
        kernels.add_zones(
            side, round(reach / BIN_WIDTH), p.quantity, room.cell, room.cell_stressed, room.units,
            p.pool, room.zones.reshape(-1), room.stressed.reshape(-1),
            room.top.reshape(-1, TOP), room.top_pool.reshape(-1, TOP),
        )  # fmt: skip

    for _ in run(price, range(CHUNKS)):
        pass
    for _ in run(zone, (LONG, SHORT)):
        pass
    return _with_unknown(room)


def _with_unknown(room: Bands) -> Bands:
    fields = {name: getattr(room, name) for name in Bands.__slots__ if name != "unknown"}
    return Bands(**fields, unknown=int(np.isnan(room.equity).sum()))
