"""Liquidation bands over a day: what would be forced at which price, the reproduction number and
critical shocks, and who stands with how much leverage, one column for each stretch of time."""

from __future__ import annotations

from typing import Any

import numpy as np

from detectors.arrays.types import Float64
from monitor.core.bands.cascades import RATE, SHARES
from monitor.core.bands.layout import BIN_WIDTH, LEVERAGE_TIERS
from monitor.core.bands.market_bands import MarketBands, VenueBands
from monitor.core.bands.records import LEVERAGE_NAMES
from monitor.core.contract.fixed_point import MONEY_SCALE
from monitor.core.contract.units import MILLISECOND_NS
from replay.report.market_series import pack

COLUMNS_MAX = 240
"""Columns of time: about four pixels each on a wide screen."""
ROWS = 96
"""Rows of price."""
REACH = 0.05
"""Zones are kept up to so far from the mark: an hour's move of a volatile market. What lies
further, the record of the bands has (`--bands`)."""
_ZONES = round(REACH / BIN_WIDTH)
_LINES = ("r_down", "r_up", "shock_down", "shock_up", "forced_long", "forced_short")


class BandHistory:
    """The first bands of each column of time, of the markets `symbols`.

    `from_ns`, `to_ns`: the time that the report is of. `interval_ns`: between two bands.
    """

    def __init__(self, symbols: list[str], from_ns: int, to_ns: int, interval_ns: int) -> None:
        self._from_ns = from_ns // interval_ns * interval_ns
        intervals = (to_ns - self._from_ns) // interval_ns + 1
        self._column_ns = interval_ns * -(-intervals // COLUMNS_MAX)
        columns = -(-(to_ns - self._from_ns) // self._column_ns) + 1
        self._markets = {symbol: _MarketHistory(columns) for symbol in symbols}
        self._last = -1

    def take(self, bands: VenueBands) -> None:
        """Take the bands of a moment; those of one column after the first are left out."""
        column = (bands.ts - self._from_ns) // self._column_ns
        if column <= self._last or bands.ts < self._from_ns:
            return
        self._last = column
        for symbol, history in self._markets.items():
            market = bands.markets.find(symbol)
            if market is not None and column < len(history.lines):
                history.take(column, market)

    def packed(self, symbol: str, extent: tuple[float, float] | None) -> dict[str, Any] | None:
        """The history of a market as the page reads it; `extent`: its lowest and highest price.
        None: it never had bands."""
        history = self._markets[symbol]
        if not history.cells or extent is None:
            return None
        return {
            "from": self._from_ns / MILLISECOND_NS,
            "step": self._column_ns / MILLISECOND_NS,
            "columns": len(history.lines),
            **history.packed(extent),
        }


class _MarketHistory:
    def __init__(self, columns: int) -> None:
        self.lines: Float64 = np.full((columns, len(_LINES)), np.nan)
        self._leverage: Float64 = np.full((columns, LEVERAGE_TIERS), np.nan)
        self.cells: list[tuple[int, Float64, Float64]] = []
        """Column, prices and notional of the zones that force anybody."""

    def take(self, column: int, market: MarketBands) -> None:
        prices, amounts = [], []
        leverage = np.zeros(LEVERAGE_TIERS)
        for sign, zones in zip((-1, 1), market.zones, strict=True):
            notional = zones.units / MONEY_SCALE
            leverage += np.bincount(zones.part % LEVERAGE_TIERS, notional, LEVERAGE_TIERS)
            by_zone = np.bincount(np.minimum(zones.zone, _ZONES), notional, _ZONES + 1)[:_ZONES]
            some = np.flatnonzero(by_zone)
            prices.append(market.mark * (1 + sign * (some + 0.5) * BIN_WIDTH))
            amounts.append(by_zone[some])
        self.cells.append((column, np.concatenate(prices), np.concatenate(amounts)))
        self._leverage[column] = leverage
        self.lines[column, 4:] = market.forced_near
        if market.cascade is None:
            return
        share = SHARES - 1 if market.cascade.shown is not None else 0
        for side in (0, 1):
            self.lines[column, side] = market.cascade.sides[side].answers[share, RATE]
            shock = market.cascade.critical_shock(side)
            self.lines[column, 2 + side] = np.nan if shock is None else shock.shock

    def packed(self, extent: tuple[float, float]) -> dict[str, Any]:
        low, high = extent[0] * (1 - REACH), extent[1] * (1 + REACH)
        grid = np.zeros((len(self.lines), ROWS))
        for column, prices, amounts in self.cells:
            row = np.floor((prices - low) / (high - low) * ROWS).astype(np.int64)
            inside = (row >= 0) & (row < ROWS)
            np.add.at(grid[column], row[inside], amounts[inside])
        columns, rows = np.nonzero(grid)
        return {
            "low": low, "high": high, "rows": ROWS, "column": pack(columns), "row": pack(rows),
            "amount": pack(grid[columns, rows]),
            "lines": {name: pack(self.lines[:, k]) for k, name in enumerate(_LINES)},
            "leverage": {
                name: pack(self._leverage[:, k]) for k, name in enumerate(LEVERAGE_NAMES)
            },
        }  # fmt: skip
