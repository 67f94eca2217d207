"""The compiled loop that values chosen pools."""

from __future__ import annotations

from numba import njit, types

from detectors.arrays.types import F1, I1
from monitor.core.bands.kernels.arrays import MARK, MARKET_TABLE, POSITIONS, rules_column
from monitor.core.bands.kernels.roots import maintenance_of


@njit(types.void(I1, POSITIONS, MARKET_TABLE, F1, F1), cache=True, nogil=True, error_model="numpy")
def value_pools(pools, positions, markets, equity, need):  # type: ignore[no-untyped-def]
    """Fill in the equity and the maintenance of each of `pools`; NaN where a mark is not known."""
    for k in range(len(pools)):
        pool = pools[k]
        equity[k], need[k] = positions.cash[pool], 0.0
        first = positions.start[pool]
        for i in range(first, first + positions.length[pool]):
            m, q = positions.market[i], positions.quantity[i]
            own = rules_column(i, positions, markets)
            equity[k] += q * markets.rows[MARK, m]
            need[k] += maintenance_of(own, q, positions.entry[i], markets.rows, markets.tiers)
