"""What the compiled loops of bands read and write: a tuple of arrays for each noun.

The numba type of a tuple stands below it, under its name in capitals.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit, types
from numpy.typing import NDArray

from detectors.arrays.types import (
    B1,
    F1,
    F2,
    FLOAT,
    I1,
    I2,
    I3,
    INT,
    INT32_1,
    U1,
    UINT16_1,
    Bool,
    Float64,
    Int64,
    UInt64,
)
from monitor.core.contract.units import WARN_RATIO

Int32 = NDArray[np.int32]
Float32 = NDArray[np.float32]
INT32_2 = types.int32[:, ::1]
FLOAT_PAIR = types.UniTuple(FLOAT, 2)  # type: ignore[no-untyped-call]
INT_PAIR = types.UniTuple(INT, 2)  # type: ignore[no-untyped-call]


def inner_njit(signature: Any) -> Any:
    """`njit` for what only compiled loops call: without an entry for Python it compiles faster."""
    options = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True, "error_model": "numpy"}
    return njit(signature, cache=True, nogil=True, **options)  # type: ignore[call-overload]


def tuple_type(name: type, *columns: Any) -> Any:
    """The numba type of a `NamedTuple` whose fields have the given types."""
    return types.BaseTuple.from_types(columns, name)  # type: ignore[no-untyped-call]


(
    MARK, INVERSE_MARK, RATE, DEDUCTION, NEXT_BOUND, FEE, CLOSE_FEE, BACKSTOP, SIZE_RATE, AT_ENTRY,
    FIRST_TIER, LAST_TIER, BETA, LOWEST_TIER_TOP, FACTOR_GROWTH, WHOLE, MARKET,
) = range(17)  # fmt: skip
"""Rows of `MarketTable.rows`. `RATE` and `DEDUCTION` are those of the lowest tier, where nearly
every position is. `WHOLE`: the rate of the tier at the mark applies to the whole position and
stays. `MARKET`: the number of the market that the column is of. `LOWEST_TIER_TOP`: a notional below
it stays in the lowest tier at any price; ∞ where the requirement is that of the entry value, or its
tier stays. `NEXT_BOUND`: the bound for the notional at the mark, but −1 where the requirement is
that of the entry value, so that no notional is below it. `FACTOR_GROWTH`: the largest factor by
which a move of the common factor within reach multiplies a notional; ∞ where the gap between equity
and requirement is no straight line."""
OF_ENTRY, OF_TODAYS_MARK = 1.0, 2.0
"""Values of `AT_ENTRY`: the requirement is that of the entry value, or today's, at every price; 0:
it moves with the price."""
TABLE_ROWS = 17
TIER_BOUND, TIER_RATE, TIER_DEDUCTION = range(3)
"""Rows of `MarketTable.tiers`: a tier's lowest notional, its rate and its deduction."""
TIER_ROWS = 3

PRICE_WARN, PRICE_LIQUIDATION, PRICE_BACKSTOP, PRICE_BANKRUPTCY = range(4)
STRESS = 4
"""Rows of `PositionBlock.prices`: the four, and from row `STRESS` on the same four when the close
also pays its slippage in today's book."""
PRICES = 8
WARN_K = float(WARN_RATIO)
"""`PRICE_WARN` is where equity is this multiple of the requirement."""
FACTOR_REACH = 0.5
"""Furthest move of the common factor that is looked at."""

ZONE_LIQUIDATION, ZONE_STRESSED, ZONE_BACKSTOP, ZONE_BANKRUPTCY = range(4)
"""Rows of `PositionBlock.zones`, and the parts of a record's code from the lowest bits on."""
ZONE_PRICES = (PRICE_LIQUIDATION, STRESS + PRICE_LIQUIDATION, PRICE_BACKSTOP, PRICE_BANKRUPTCY)
"""The row of prices that each row of zones is read from."""
CODE_BITS = 10
"""Bits of a zone in a record's code; its group has `GROUP_BITS` below them."""
ZONE_MASK = (1 << CODE_BITS) - 1
GROUP_BITS = 4
DUE_FLAG = 1 << GROUP_BITS
"""Added to the group of a position whose pool is due at the mark already."""

EXPONENT_LOW, EXPONENTS = 10, 28
"""The slippage table has a column for each notional 2^10 … 2^37; less costs what 2^10 does."""
NOTIONAL_MIN, NOTIONAL_MAX = 2.0**EXPONENT_LOW, 2.0 ** (EXPONENT_LOW + EXPONENTS - 1) * (1 - 1e-15)
UNITS_MAX = 1e15
"""A position counts in zones with at most 1e9 quote units (1e15 in 1e-6): sums stay in 64 bits."""
BLOCK_POSITIONS = 512
"""Positions of a block at least (a pool is never split): its 200 bytes each stay in a core's
cache."""


class PositionArrays(NamedTuple):
    """Every position. Those of pool p are `start[p]` to `start[p] + length[p] − 1`, by market.

    By pool: `key` (of two equal holders the one with the lower key comes first), `cash` (collateral
    less the entry value of its positions, quote currency) and `isolated`. By position: its `row` in
    the ledger, signed `quantity` (0 in a slot that no pool uses), `entry` price, and the column of
    the `MarketTable` that has its `rules`: its market's, or −k, the k-th from the end, for rules of
    its own.
    """

    start: Int64
    length: Int32
    key: UInt64
    cash: Float64
    isolated: Bool
    row: Int32
    market: Int32
    quantity: Float64
    entry: Float64
    rules: Int32


POSITIONS = tuple_type(PositionArrays, I1, INT32_1, U1, F1, B1, INT32_1, INT32_1, F1, F1, INT32_1)


class MarketTable(NamedTuple):
    """Rules at given marks: (`TABLE_ROWS`, columns) and (`TIER_ROWS`, all tiers). The columns are
    the markets, and behind them rules that positions have of their own."""

    rows: Float64
    tiers: Float64


MARKET_TABLE = tuple_type(MarketTable, F2, F2)


@inner_njit(INT(INT, POSITIONS, MARKET_TABLE))
def rules_column(i, positions, markets):  # type: ignore[no-untyped-def]
    """The column of the table that has the rules of position i."""
    column = positions.rules[i]
    return np.int64(column if column >= 0 else column + markets.rows.shape[1])


class PositionBlock(NamedTuple):
    """Scratch for the positions of some pools, one after the other: one entry a position.

    `market`: the column of its rules. `slot`: its place in `PositionArrays`. `value`: signed
    notional; once its pool is summed, less the pool's equity. `rate`: of maintenance in the lowest
    tier, at this size. `requirement`: maintenance at the mark. `others`: rate × notional; once its
    pool is summed, the pool's requirement less that. `drift`: what a move of the common factor by 1
    adds to value less requirement. `bent`: 1.0 where `drift` may not hold over the whole reach,
    else 0.0. `fee`: what a close pays as the venue counts it, a fraction of notional.
    `stress_cost`: the same with the further fee and the slippage of today's book; NaN: no book.
    `backstop`: multiple of the requirement at which the backstop takes over; NaN: there is none.
    `group`: mode and leverage tier (+ `DUE_FLAG`) of its pool; −1: not known, or not forced in
    reach. `chosen`: its first entries are the positions that are forced within reach. `zones` (4,
    positions): rows `ZONE_LIQUIDATION` to `ZONE_BANKRUPTCY`. `prices` (`PRICES`, positions); not
    positive, NaN or ∞: there is none.
    """

    quantity: Float64
    market: Int32
    slot: Int32
    pool: Int32
    notional: Float64
    value: Float64
    rate: Float64
    requirement: Float64
    others: Float64
    inverse_mark: Float64
    drift: Float64
    bent: Float64
    fee: Float64
    stress_cost: Float64
    backstop: Float64
    group: Int32
    chosen: Int32
    zones: Int32
    prices: Float64


BLOCK = tuple_type(PositionBlock, F1, *[INT32_1] * 3, *[F1] * 11, INT32_1, INT32_1, INT32_2, F2)


class ForcedRecords(NamedTuple):
    """What zones are summed from: one entry for each position that is forced within reach.

    `code`: its four zones in `CODE_BITS` each, above its group. `units`: notional, 1e-6 of the
    quote currency. `bucket`: side · markets + market.
    """

    code: Int64
    units: Int64
    pool: Int32
    bucket: Int32


RECORDS = tuple_type(ForcedRecords, I1, I1, INT32_1, INT32_1)


class SortedRecords(NamedTuple):
    """The same by bucket: those of bucket b are `first[b]` to `first[b + 1] − 1`."""

    first: Int64
    code: Int64
    units: Int64
    pool: Int32


SORTED_RECORDS = tuple_type(SortedRecords, I1, I1, I1, INT32_1)


class PartialClose(NamedTuple):
    """By market: of a position of `from_units` (1e-6) or more, `first_share` is closed at once."""

    first_share: Float64
    from_units: Int64


PARTIAL_CLOSE = tuple_type(PartialClose, F1, I1)


class CellArrays(NamedTuple):
    """Cells that hold something, by zone and group and by zone and stage.

    A cell's number is zone · parts + part. Those of one side of the market order[k], of number
    a = side · markets + k, begin at `begin[kind, a]` and end before `stop[kind, a]`.
    """

    zone_cell: NDArray[np.uint16]
    zone_units: Int64
    stage_cell: NDArray[np.uint16]
    stage_units: Int64
    begin: Int64
    stop: Int64


CELLS = tuple_type(CellArrays, UINT16_1, I1, UINT16_1, I1, I2, I2)


class MarketSums(NamedTuple):
    """What zones come to, by side and market; notional in 1e-6.

    `within` (side, k, edge): forced within each of `EDGE_ZONES`. `peaks` (side, k,
    2 · `PEAK_ZONES`): the heaviest zones within reach, heaviest first, then their notional; −1:
    none. `top` (side, k, `TOP_HOLDERS`): notional of the largest holders within reach; `top_pool`:
    their pools; −1: none.
    """

    within: Int64
    peaks: Int64
    top: Int64
    top_pool: Int64


MARKET_SUMS = tuple_type(MarketSums, I3, I3, I3, I3)
