"""What bands are made of, as plain arrays: the markets' rules, all positions by pool, the books."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitor.core.bands import kernel_zones
from monitor.core.bands import layout as rows
from monitor.core.bands.layout import BINS, EXPONENTS, FACTOR_REACH
from monitor.core.margin.formulas import Regime
from monitor.core.margin.tiers import Tiers

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class RuleArrays:
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
    def from_markets(
        cls,
        markets: Sequence[tuple[Regime, Tiers]],
        fee: Floats | None = None,
        close_fee: Floats | None = None,
        size_rate: Floats | None = None,
        beta: Floats | None = None,
    ) -> RuleArrays:
        """From each market's regime and tier table; rates left out are 0, betas 1."""
        every = [row for _, tiers in markets for row in tiers.rows]
        count = len(markets)
        starts = np.cumsum([0] + [len(tiers.rows) for _, tiers in markets])
        ks = [np.nan if r.backstop_k is None else float(r.backstop_k) for r, _ in markets]
        return cls(
            tier_start=starts.astype(np.int32),
            bound=np.array([float(row.lower_bound) for row in every]),
            rate=np.array([float(row.rate) for row in every]),
            deduction=np.array([float(row.deduction) for row in every]),
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
        """All that a position's price takes from its market, (`layout.ROWS`, markets)."""
        out = np.zeros((rows.TABLE_ROWS, len(mark)))
        first, last = self.tier_start[:-1], self.tier_start[1:]
        more = first + 1 < last
        out[rows.MARK], out[rows.INVERSE_MARK] = mark, 1.0 / mark
        out[rows.RATE], out[rows.DEDUCTION] = self.rate[first], self.deduction[first]
        out[rows.LOWEST_TIER_TOP] = np.inf
        out[rows.LOWEST_TIER_TOP, more] = self.bound[first[more] + 1]
        out[rows.NEXT_BOUND] = out[rows.LOWEST_TIER_TOP]
        out[rows.NEXT_BOUND, self.at_entry] = -1.0
        out[rows.LOWEST_TIER_TOP, self.at_entry] = np.inf
        reach = FACTOR_REACH * self.beta
        out[rows.FACTOR_GROWTH] = np.where((reach >= 0.0) & (reach < 1.0), 1.0 + reach, np.inf)
        out[rows.FEE], out[rows.CLOSE_FEE] = self.fee, self.close_fee
        out[rows.BACKSTOP], out[rows.SIZE_RATE] = self.backstop, self.size_rate
        out[rows.AT_ENTRY], out[rows.BETA] = self.at_entry, self.beta
        out[rows.FIRST_TIER], out[rows.LAST_TIER] = first, last
        return out


@dataclass(frozen=True, slots=True)
class PositionArrays:
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
    def pool_of_position(self) -> Ints:
        """The pool of every position, −1 for a place that nobody uses."""
        out = np.full(len(self.quantity), -1, np.int64)
        pools = np.repeat(np.arange(len(self.count)), self.count)
        first = np.cumsum(self.count) - self.count
        out[self.start[pools] + np.arange(len(pools)) - first[pools]] = pools
        return out


def sort_positions(
    pool: Ints, market: Ints, quantity: Floats, entry: Floats, cash: Floats, isolated: Ints
) -> PositionArrays:
    """Sort positions given in any order; `cash` and `isolated` are by pool.

    The one order makes every sum the same however the positions came. Raises ValueError when a pool
    holds a market twice: net the two first.
    """
    key = pool.astype(np.int64) * (int(market.max(initial=0)) + 1) + market
    order = np.argsort(key, kind="stable")
    if (np.diff(key[order]) == 0).any():
        raise ValueError("a pool holds one market twice: give the net position")
    count = np.bincount(pool, minlength=len(cash))
    return PositionArrays(
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
class BookImpact:
    """What today's books would do to a forced close.

    `slip`: average slippage (fraction of the mark) for a notional of 2^(10 + e), (2, markets, e).
    `depth`: resting notional (quote currency) within each zone's far bound, (2, markets, zones).
    Row 0 serves longs (they close into bids), row 1 shorts. NaN where there is no book.
    """

    slip: NDArray[np.float32]
    depth: Floats

    @classmethod
    def from_ladders(cls, mark: Floats, price: Floats, size: Floats) -> BookImpact:
        """From ladders, best first: `price`, `size` of shape (2, markets, levels); size 0: none."""
        slip = np.empty((2, len(mark), EXPONENTS), np.float32)
        depth = np.empty((2, len(mark), BINS))
        kernel_zones.read_books(mark, price, size, slip, depth)
        return cls(slip, depth)

    @classmethod
    def without_books(cls, markets: int) -> BookImpact:
        slip = np.full((2, markets, EXPONENTS), np.nan, np.float32)
        return cls(slip, np.full((2, markets, BINS), np.nan))
