"""What the compiled loops of bands share: the table of markets, and the shape of zones."""

from __future__ import annotations

from numba import types

(
    MARK, INVERSE_MARK, RATE, DEDUCTION, NEXT_BOUND, FEE, CLOSE_FEE, BACKSTOP, SIZE_RATE, AT_ENTRY,
    FIRST_TIER, LAST_TIER, BETA, LOWEST_TIER_TOP, FACTOR_GROWTH,
) = range(15)  # fmt: skip
"""Rows of the table of markets, (`TABLE_ROWS`, markets). `RATE`, `DEDUCTION` and `NEXT_BOUND` are the
lowest tier's: nearly every position stands in it. `LOWEST_TIER_TOP`: the notional up to which that holds
whatever the price: ∞ where the requirement is that of the entry value, and there `NEXT_BOUND` is
−1, so that none is below it. `FACTOR_GROWTH`: how much larger a notional may become along the common
factor; ∞ where a straight line does not tell."""
TABLE_ROWS = 15
WARN_K = 1.25

F1 = types.float64[::1]
F2 = types.float64[:, ::1]
I4 = types.int32[::1]
I8 = types.int64[::1]
B1 = types.boolean[::1]
INT = types.int64
F = types.float64

BINS = 1000
"""Zones a side: 5 bp each, out to 50 % from the mark."""
BIN_WIDTH = 0.0005
LEVERAGE_EDGES = (5.0, 10.0, 25.0, 50.0)
"""Bounds of the leverage tiers: a pool's gross notional over its equity."""
LEVERAGE_TIERS = len(LEVERAGE_EDGES) + 1
GROUPS = 2 * LEVERAGE_TIERS
"""(cross, isolated) × leverage tier."""
EXPONENT_LOW, EXPONENTS = 10, 28
"""The slippage table has a column for each notional 2^10 … 2^37; less costs what 2^10 does."""
NOTIONAL_MIN, NOTIONAL_MAX = 2.0**EXPONENT_LOW, 2.0 ** (EXPONENT_LOW + EXPONENTS - 1) * (1 - 1e-15)
FACTOR_REACH = 0.5
UNITS_MAX = 1e15
"""A position counts in zones with at most 1e9 quote units (as 1e-6): sums stay in 64 bits."""
BLOCK_POSITIONS = 512
"""Positions worked on together at least (a pool is never split): their scratch of 200 bytes each
stays in a core's cache."""
OUT_OF_REACH = BINS
"""The zone of what is not forced within reach."""
CODE_BITS = 10
"""A record's code: its zone at bankruptcy, at the backstop, under stress and at liquidation, in so
many bits each, then its group in four."""
DUE_FLAG = 16
"""Added to the group of what is due already."""
