"""The compiled loop that gives each position its own prices, for whom zones are too coarse."""

from __future__ import annotations

import numpy as np
from numba import njit, types

from detectors.arrays.types import F2, FLOAT32_1
from monitor.core.bands.kernels import arrays, blocks
from monitor.core.bands.kernels.arrays import MARKET_TABLE, POSITIONS
from monitor.core.bands.kernels.prices import price_block
from monitor.core.contract.units import ZONE_BINS


@njit(
    types.void(POSITIONS, MARKET_TABLE, FLOAT32_1, F2), cache=True, nogil=True,
    error_model="numpy",
)  # fmt: skip
def price_positions(positions, markets, slip, prices):  # type: ignore[no-untyped-def]
    """Fill `prices` (`STRESS`, slots) with the warn, liquidation, backstop and bankruptcy price of
    every position; not positive, NaN or ∞: there is none, or its pool is unknown. The liquidation
    price of one that is due already is the mark. `slip`: see `price_pools`.
    """
    length, pools = positions.length, len(positions.cash)
    room = arrays.BLOCK_POSITIONS
    for pool in range(pools):
        room = max(room, length[pool])
    block, by_factor = blocks.new_block(room), np.zeros((2, ZONE_BINS + 1), np.int64)
    prices[:] = np.nan
    low = 0
    while low < pools:
        high, size = low, 0
        while high < pools and size + length[high] <= room:
            size += length[high]
            high += 1
        n, _ = price_block(low, high, positions, markets, slip, block, by_factor)
        for t in range(n):
            if block.group[t] >= 0:
                for row in range(arrays.STRESS):
                    prices[row, block.slot[t]] = block.prices[row, t]
                if block.group[t] & arrays.DUE_FLAG != 0:
                    mark = markets.rows[arrays.MARK, block.market[t]]
                    prices[arrays.PRICE_LIQUIDATION, block.slot[t]] = mark
        low = high
