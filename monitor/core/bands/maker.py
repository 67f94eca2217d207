"""From the accounts, marks, books and rules of a venue to its bands.

Markets come in the order of their names, so that nothing depends on arrival. Nothing is guessed: a
market without a mark or a tier table makes its holders' pools unknown.
"""

from __future__ import annotations

import dataclasses
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detectors.arrays.types import Float64
from monitor.core.accounts.ledger import AccountLedger
from monitor.core.bands import open_interest_estimate, refresh
from monitor.core.bands.inputs import BookImpact, MarketInputs, RuleArrays, mark_prices
from monitor.core.bands.layout import EDGE_ZONES, PEAK_ZONES, STAGES
from monitor.core.bands.market_bands import NEAR_FRACTION, MarketBands, VenueBands
from monitor.core.bands.pools import Pools
from monitor.core.bands.refresh import BandArrays, ParallelMap, Workspace, ZoneCells
from monitor.core.decode.batch import ABSENT, TextColumn
from monitor.core.decode.stepped_kernels import to_float
from monitor.core.margin.regimes import REGIMES
from monitor.core.margin.tiers import Tiers
from monitor.core.marks.market_rows import MARK, OPEN_INTEREST, VALUES

SERIAL_POSITIONS = 20_000
"""Positions below which a refresh takes about as long as handing its parts to threads."""
_NO_RULES = REGIMES["generic"], Tiers.flat(Fraction(1))
"""Stands for the rules of a market that has none; its mark counts as not known."""
_NO_STAGES = ZoneCells(np.empty(0, np.uint16), np.empty(0, np.int64), STAGES)


class BandMaker:
    """Makes the bands of a venue from its accounts and what is known of its markets.

    It keeps pools, rules as arrays and a workspace from one time to the next. All of them follow
    from the inputs: they are no state, and a snapshot has no need of them.
    """

    def __init__(self, ledger: AccountLedger) -> None:
        self._ledger = ledger
        self.pools = Pools(ledger)
        self.parallel_map: ParallelMap = map
        """How the parts of a refresh are run; no result depends on it."""
        self._workspace: Workspace | None = None
        self._rules: tuple[list[str], int, RuleArrays] | None = None
        """Names and version that the arrays are for, and the arrays."""

    def compute(self, ts: int, inputs: MarketInputs) -> VenueBands | None:
        """The bands as of now (`ts`, ns); None: nobody has a position, nothing can be estimated.

        A market whose mark is in doubt has them from its book or last price too.
        """
        bands = self._compute(ts, inputs)
        doubted = [name for name in inputs.doubts if inputs.doubts_mark(name)]
        if bands is None or not doubted:
            return bands
        marks = inputs.marks.copy()
        for symbol in self._ledger.symbols.intern(TextColumn.from_strings(doubted)).tolist():
            price = inputs.market_price(symbol)
            if price is not None:
                marks[symbol, MARK - VALUES] = price
        others = self._compute(ts, inputs._replace(marks=marks))
        by_name = {market.symbol: market for market in others.markets} if others else {}
        markets = [
            dataclasses.replace(market, at_market=by_name.get(market.symbol))
            if market.symbol in doubted and market.market_price is not None
            else market
            for market in bands.markets
        ]
        return dataclasses.replace(bands, markets=markets)

    def _compute(self, ts: int, inputs: MarketInputs) -> VenueBands | None:
        positions = self.pools.update()
        order = self.pools.markets_by_name
        estimates = self._estimates(ts, inputs)
        if not len(order) and not estimates:
            return None
        symbols = self.pools.market_symbols
        has_rules = np.array([name in inputs.rules for name in self.pools.market_names], np.bool_)
        mark = np.where(has_rules, mark_prices(inputs.marks[symbols]), np.nan)
        books = BookImpact.from_rows(mark, inputs.books[symbols])
        sizes = len(positions.quantity), len(positions.cash), len(mark)
        if self._workspace is None or self._workspace.shape != sizes:
            self._workspace = None  # Before the new one is created: there is not room for both.
            self._workspace = Workspace(*sizes)
        order = order[~np.isnan(mark[order])]
        run = self.parallel_map if len(positions.quantity) > SERIAL_POSITIONS else map
        rules = self._rule_arrays(inputs)
        result = refresh.refresh_bands(
            positions, rules, mark, books, NEAR_FRACTION, run, self._workspace, order
        )
        markets, arrays = self._markets(ts, inputs, mark, books, result)
        every = sorted([*markets, *estimates], key=lambda market: market.symbol)
        pools, assumed = int(np.count_nonzero(positions.length)), self.pools.assumed
        left_out = tuple(sorted(inputs.left_out.items()))
        factor, unknown = result.by_factor, result.unknown
        return VenueBands(ts, every, factor, pools, unknown, assumed, left_out, arrays)

    def _rule_arrays(self, inputs: MarketInputs) -> RuleArrays:
        names, version = self.pools.market_names, inputs.rules_version
        if self._rules is None or self._rules[0] is not names or self._rules[1] != version:
            rules = [inputs.rules.get(name, _NO_RULES) for name in names]
            self._rules = names, version, RuleArrays.from_markets(rules)
        return self._rules[2]

    def _markets(
        self, ts: int, inputs: MarketInputs, mark: Float64, books: BookImpact, result: BandArrays
    ) -> tuple[list[MarketBands], tuple[NDArray[Any], ...]]:
        """What a refresh says of its markets, and the arrays of which they show parts."""
        depth = books.depth_at_edges(result.order)
        within = np.ascontiguousarray(result.sums.within.transpose(1, 0, 2))
        peaks = result.sums.peaks.transpose(1, 0, 2)
        longs, shorts = self._largest_holders(result)
        kinds = refresh.ZONE_CELLS, refresh.STAGE_CELLS
        markets = []
        for k, m in enumerate(result.order.tolist()):
            name, symbol = self.pools.market_names[m], int(self.pools.market_symbols[m])
            zones, stages = ((result.cells(i, 0, k), result.cells(i, 1, k)) for i in kinds)
            markets.append(MarketBands(
                name, float(mark[m]), inputs.rules[name][0].name,
                *inputs.volatility_of(symbol), zones, stages,
                within[k], depth[k], (longs[k], shorts[k]), peaks[k],
                **_second_price(ts, inputs, symbol, name),
            ))  # fmt: skip
        return markets, (*result.place, *result.units, within, depth)

    def _largest_holders(self, result: BandArrays) -> list[list[list[tuple[str, int]]]]:
        """By side and market: account and notional, 1e-6."""
        pools, units = result.sums.top_pool, result.sums.top.tolist()
        names = iter(self.pools.owners(pools[pools >= 0]))
        return [
            [
                [(next(names), n) for pool, n in zip(row, amounts, strict=True) if pool >= 0]
                for row, amounts in zip(*of_side, strict=True)
            ]
            for of_side in zip(pools.tolist(), units, strict=True)
        ]

    def _estimates(self, ts: int, inputs: MarketInputs) -> list[MarketBands]:
        """Markets with open interest in which no account is known to have a position."""
        open_interest, mark = inputs.marks[:, OPEN_INTEREST - VALUES], mark_prices(inputs.marks)
        is_open = (open_interest != ABSENT) & (open_interest > 0) & ~np.isnan(mark)
        is_open[self.pools.market_symbols[self.pools.markets_by_name]] = False
        symbols = np.flatnonzero(is_open)
        names = self._ledger.symbols.names(symbols)
        symbols = symbols[np.array([name in inputs.rules for name in names], np.bool_)]
        books = BookImpact.from_rows(mark[symbols], inputs.books[symbols])
        depth = books.depth_at_edges(np.arange(len(symbols)))
        markets = []
        for k, name in enumerate(self._ledger.symbols.names(symbols)):
            regime, tiers = inputs.rules[name]
            price, contracts = float(mark[symbols[k]]), to_float(int(open_interest[symbols[k]]))
            zones = open_interest_estimate.estimate_cells(tiers, price, contracts)
            within = [[side.units[side.zone < e].sum() for e in EDGE_ZONES] for side in zones]
            markets.append(MarketBands(
                name, price, regime.name, *inputs.volatility_of(int(symbols[k])), zones,
                (_NO_STAGES, _NO_STAGES), np.array(within, np.int64), depth[k], ([], []),
                np.full((2, 2 * PEAK_ZONES), -1, np.int64),
                open_interest_estimate.assumptions(tiers, contracts),
                **_second_price(ts, inputs, int(symbols[k]), name),
            ))  # fmt: skip
        return markets


def _second_price(ts: int, inputs: MarketInputs, symbol: int, name: str) -> dict[str, Any]:
    """`mark_age_s`, `market_price` and `doubts` of `MarketBands`."""
    price = inputs.market_price(symbol)
    return {
        "mark_age_s": inputs.mark_age_s(symbol, ts),
        "market_price": None if price is None else to_float(price),
        "doubts": tuple(inputs.doubts.get(name, ())),
    }
