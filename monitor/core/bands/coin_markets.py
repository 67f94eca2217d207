"""Markets that settle in coin: their contracts as arrays, and which pools are theirs.

The accounts give such a position in its coordinate (`monitor/core/accounts/coin_entries.py`): an
inverse contract as minus its quote currency in 1/price, a quanto contract as what it gains for each
unit of price. Both count in `SETTLEMENT_UNITS` of the coin.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from detectors.arrays.types import Bool, Float64, Int64
from monitor.core.bands.inputs import RuleArrays
from monitor.core.bands.kernels import arrays
from monitor.core.bands.kernels.arrays import MarketTable, PositionArrays
from monitor.core.bands.kernels.coin_prices import CoinTable
from monitor.core.margin.contract_types import INVERSE, SETTLEMENT_UNITS, Contract


class SortedPools(NamedTuple):
    """Pools that count in quote currency, then from `first_coin` on those that settle in coin.
    `numbers`: of each of them before it was sorted."""

    positions: PositionArrays
    numbers: Int64
    first_coin: int


@dataclass(frozen=True, slots=True)
class CoinMarkets:
    """By market: whether it settles in coin, whether its contract is inverse, and else the base
    units of one unit of quantity."""

    is_coin: Bool
    is_inverse: Bool
    base_units: Float64

    @classmethod
    def from_contracts(cls, contracts: Sequence[Contract | None]) -> CoinMarkets | None:
        """None for a market in quote currency. Returns None where there are no others."""
        if not any(contracts):
            return None
        return cls(
            np.array([c is not None for c in contracts], np.bool_),
            np.array([c is not None and c.type == INVERSE for c in contracts], np.bool_),
            np.array([1.0 if c is None else float(c.size / c.units) for c in contracts])
            / SETTLEMENT_UNITS,
        )

    def tables(self, rules: RuleArrays, mark: Float64) -> tuple[MarketTable, CoinTable]:
        """The rules in coordinates at these marks (NaN: not known)."""
        markets = rules.at_marks(np.where(self.is_inverse, SETTLEMENT_UNITS / mark, mark))
        growth = markets.rows[arrays.FACTOR_GROWTH]
        # A fall by the factor's whole reach multiplies 1/price by this.
        steep = self.is_inverse & (growth > 1.0)
        growth[steep] = 1.0 / np.maximum(1.0 - arrays.FACTOR_REACH * rules.beta[steep], 1e-12)
        value = np.where(self.is_inverse, 1.0, mark * self.base_units)
        return markets, CoinTable(self.is_inverse, mark, value)

    def sort_pools(self, positions: PositionArrays) -> SortedPools:
        """A pool's positions all settle in one currency, so its first says which."""
        used = positions.length > 0
        is_coin = np.zeros(len(used), np.bool_)
        is_coin[used] = self.is_coin[positions.market[positions.start[used]]]
        numbers = np.concatenate((np.flatnonzero(~is_coin), np.flatnonzero(is_coin)))
        by_pool = "start", "length", "key", "cash", "isolated"
        columns = {name: getattr(positions, name)[numbers] for name in by_pool}
        return SortedPools(positions._replace(**columns), numbers, int(np.sum(~is_coin)))
