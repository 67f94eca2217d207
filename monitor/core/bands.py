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
from monitor.core import zonekernels
from monitor.core.bandkernels import (
    BIN_WIDTH,
    BINS,
    CODE_BITS,
    EXPONENTS,
    GROUPS,
    LEVERAGE_TIERS,
    OUT,
)
from monitor.core.margin import Regime
from monitor.core.tiers import Tiers
from monitor.core.zonekernels import STAGES, STRESSED, TOP

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Run = Callable[[Callable[[int], None], Iterable[int]], Iterable[None]]
"""`map`, or an executor's: how the parts of a refresh are run. The result does not depend on it."""

WARN, LIQUIDATION, BACKSTOP, BANKRUPTCY = range(4)
STRESS = 4
"""Rows of `Bands.prices`: the four, and the four again with `STRESS` added."""
LONG, SHORT = 0, 1
CHUNKS = 8


@dataclass(frozen=True, slots=True)
class Rules:
    """What the reference data say of each market, as arrays; markets are numbered from 0.

    `tier_start[m] : tier_start[m + 1]` are market m's rows of `bound`, `rate`, `deduction`.
    `fee`: closing fee that the venue counts; `close_fee`: further fee a forced close would pay.
    `beta`: move of the market for a move of the common factor by 1. `first_share`: what of a forced
    position is sent at once where its notional is `partial_above` or more (the regime's path).
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
    first_share: Floats
    partial_above: Floats

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
            first_share=np.array([float(regime.path.first_share) for regime, _ in markets]),
            partial_above=np.array([float(r.path.partial_above or 0) for r, _ in markets]),
        )

    def table(self, mark: Floats) -> Floats:
        """All that a position's price takes from its market, (markets, `COLUMNS`)."""
        out = np.zeros((len(mark), kernels.COLUMNS))
        first, last = self.tier_start[:-1], self.tier_start[1:]
        more = first + 1 < last
        out[:, kernels.MARK], out[:, kernels.INVERSE] = mark, 1.0 / mark
        out[:, kernels.RATE], out[:, kernels.DEDUCTION] = self.rate[first], self.deduction[first]
        out[:, kernels.NEXT_BOUND] = np.inf
        out[more, kernels.NEXT_BOUND] = self.bound[first[more] + 1]
        out[:, kernels.FEE], out[:, kernels.CLOSE_FEE] = self.fee, self.close_fee
        out[:, kernels.BACKSTOP], out[:, kernels.SIZE_RATE] = self.backstop, self.size_rate
        out[:, kernels.AT_ENTRY], out[:, kernels.BETA] = self.at_entry, self.beta
        out[:, kernels.FIRST_TIER], out[:, kernels.LAST_TIER] = first, last
        return out


@dataclass(frozen=True, slots=True)
class Positions:
    """Every position: those of pool p are `start[p]` … `start[p] + count[p] − 1`, by market."""

    start: Ints
    count: NDArray[np.int32]
    key: NDArray[np.uint64]
    """By pool: which of two equal holders comes first."""
    cash: Floats
    isolated: NDArray[np.bool_]
    row: NDArray[np.int32]
    """The place of each position in what they were made from."""
    market: NDArray[np.int32]
    quantity: Floats
    entry: Floats

    @property
    def pool(self) -> Ints:
        """The pool of every position, −1 for a place that nobody uses."""
        out = np.full(len(self.quantity), -1, np.int64)
        pools = np.repeat(np.arange(len(self.count)), self.count)
        first = np.cumsum(self.count) - self.count
        out[self.start[pools] + np.arange(len(pools)) - first[pools]] = pools
        return out


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
    count = np.bincount(pool, minlength=len(cash))
    return Positions(
        start=(np.cumsum(count) - count).astype(np.int64),
        count=count.astype(np.int32),
        key=np.arange(len(cash), dtype=np.uint64),
        cash=cash.astype(np.float64),
        isolated=isolated.astype(np.bool_),
        row=order.astype(np.int32),
        market=market[order].astype(np.int32),
        quantity=quantity[order].astype(np.float64),
        entry=entry[order].astype(np.float64),
    )


@dataclass(frozen=True, slots=True)
class Books:
    """What today's books would do to a forced close.

    `slip`: average slippage (fraction of the mark) for a notional of 2^(10 + e), (2, markets, e).
    `depth`: resting notional (quote currency) within each zone's far bound, (2, markets, zones).
    Row 0 serves longs (they close into bids), row 1 shorts. NaN where there is no book.
    """

    slip: NDArray[np.float32]
    depth: Floats

    @classmethod
    def of(cls, mark: Floats, price: Floats, size: Floats) -> Books:
        """From ladders, best first: `price`, `size` of shape (2, markets, levels); size 0: none."""
        slip = np.empty((2, len(mark), EXPONENTS), np.float32)
        depth = np.empty((2, len(mark), BINS))
        zonekernels.read_books(mark, price, size, slip, depth)
        return cls(slip, depth)

    @classmethod
    def unknown(cls, markets: int) -> Books:
        slip = np.full((2, markets, EXPONENTS), np.nan, np.float32)
        return cls(slip, np.full((2, markets, BINS), np.nan))


@dataclass(frozen=True, slots=True)
class Bands:
    """The result of a refresh; arrays are by position as in `Positions`, or by pool.

    `prices`: (8, positions), or (8, 0) where they are not kept. `gross`: notional by pool.
    `factor`: (2, pools), the factor's fall and rise.
    `code`: each position's zones (`bandkernels`). `table`: (markets, …), marks among them.
    `zones`: (side, market, zone, group) in 1e-6 quote currency, the last zone for what is out of
    reach; a group is mode (0: cross) ×
    leverage tier. `stages`: (side, market, zone, stage), the stages of `zonekernels`. `filled`:
    (2, side, market), how many cells of either hold something. `by_factor`: (fall and rise, zone),
    gross notional of the cross pools that a common factor's move would make due.
    `top`, `top_pool`: (side, market, TOP): the largest holders within the reach asked for, −1 none.
    `unknown`: pools without a mark for every position.
    """

    prices: Floats
    code: Ints
    equity: Floats
    maintenance: Floats
    gross: Floats
    factor: Floats
    table: Floats
    zones: Ints
    stages: Ints
    filled: Ints
    by_factor: Ints
    top: Ints
    top_pool: Ints
    unknown: int

    @classmethod
    def empty(cls, positions: int, pools: int, markets: int, keep: bool = True) -> Bands:
        """Room for a refresh; reuse it, since touching fresh memory costs more than the sums.

        `keep`: whether every position's eight prices stay, 64 bytes each, once its zones are known.
        """
        return cls(
            prices=np.empty((8, positions if keep else 0)),
            code=np.empty(positions, dtype=np.int64),
            equity=np.empty(pools),
            maintenance=np.empty(pools),
            gross=np.empty(pools),
            factor=np.empty((2, pools)),
            table=np.empty((markets, kernels.COLUMNS)),
            zones=np.empty((2, markets, BINS + 1, GROUPS), dtype=np.int64),
            stages=np.empty((2, markets, BINS + 1, STAGES), dtype=np.int64),
            filled=np.empty((2, 2, markets), dtype=np.int64),
            by_factor=np.empty((2, BINS), dtype=np.int64),
            top=np.empty((2, markets, TOP), dtype=np.int64),
            top_pool=np.empty((2, markets, TOP), dtype=np.int64),
            unknown=0,
        )

    def fits(self, positions: int, pools: int, markets: int) -> bool:
        """Whether this room serves for so many."""
        held = len(self.code), len(self.equity), self.zones.shape[1]
        return held == (positions, pools, markets)

    def forced(self, side: int, market: int) -> Ints:
        """Notional (1e-6) of one side by zone, all modes and leverage tiers together."""
        total: Ints = self.zones[side, market, :BINS].sum(axis=1)
        return total

    def by_mode(self, side: int, market: int) -> Ints:
        """(zone, mode, leverage tier) of one side, 1e-6."""
        found: Ints = self.zones[side, market, :BINS].reshape(BINS, 2, LEVERAGE_TIERS)
        return found

    def stressed(self, side: int, market: int) -> Ints:
        """Notional (1e-6) of one side by the zone of its stressed liquidation price."""
        found: Ints = self.stages[side, market, :BINS, STRESSED]
        return found

    def zone(self, part: int = 0) -> Ints:
        """Every position's zone at liquidation (0), under stress (1), at the backstop's price (2),
        at bankruptcy (3); `OUT` where it is not reached or not known.
        """
        found: Ints = (self.code >> (4 + part * CODE_BITS)) & ((1 << CODE_BITS) - 1)
        found[self.code < 0] = OUT
        return found

    def holders(
        self, positions: Positions, side: int, market: int, low: int, high: int, top: int = 10
    ) -> tuple[list[tuple[int, float]], int]:
        """The `top` pools with most notional in zones low … high − 1 as (pool, share), and the sum.

        A scan of every position: for a zone somebody asks about, not for every refresh.
        """
        zone, pool = self.zone(), positions.pool
        mine = (positions.market == market) & ((positions.quantity > 0) == (side == LONG))
        inside = np.flatnonzero(mine & (pool >= 0) & (zone >= low) & (zone < high))
        notional = np.abs(positions.quantity[inside]) * self.table[market, kernels.MARK]
        units = np.rint(np.minimum(notional * 1e6, zonekernels.UNITS_MAX)).astype(np.int64)
        total = int(units.sum())
        best = np.lexsort((positions.key[pool[inside]], -units))[:top]
        return [(int(pool[inside[i]]), int(units[i]) / total) for i in best if total], total


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
    room.table[:] = r.table(mark)

    def price(chunk: int) -> None:
        kernels.price_pools(
            edges[chunk], edges[chunk + 1], p.start, p.count, p.market, p.quantity, p.entry,
            p.cash, p.isolated, room.table, r.bound, r.rate, r.deduction, slip,
            room.prices, room.equity, room.maintenance, room.gross, room.factor, room.code,
        )  # fmt: skip

    def zone(side: int) -> None:
        room.zones[side] = 0
        room.stages[side] = 0
        room.filled[:, side] = 0
        room.by_factor[side] = 0
        room.top[side] = 0
        room.top_pool[side] = -1
        zonekernels.add_zones(
            side, round(reach / BIN_WIDTH), p.start, p.count, p.market, p.quantity, room.code,
            room.table, r.first_share, r.partial_above, p.key,
            room.zones, room.stages, room.filled, room.top, room.top_pool,
        )  # fmt: skip
        zonekernels.add_factor(side, p.count, room.gross, p.isolated, room.factor, room.by_factor)

    for _ in run(price, range(CHUNKS)):
        pass
    for _ in run(zone, (LONG, SHORT)):
        pass
    return _with_unknown(room)


def _with_unknown(room: Bands) -> Bands:
    fields = {name: getattr(room, name) for name in Bands.__slots__ if name != "unknown"}
    return Bands(**fields, unknown=int(np.isnan(room.equity).sum()))
