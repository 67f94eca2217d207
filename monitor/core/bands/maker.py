"""From the accounts, marks, books and rules of a venue to its bands.

Markets come in the order of their names, so that nothing depends on arrival. Nothing is guessed: a
market without a mark or a tier table makes its holders' pools unknown.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from detectors.arrays.types import Float64, Int64, UInt64
from monitor.core.accounts.coin_entries import owner_name
from monitor.core.accounts.ledger import AccountLedger
from monitor.core.bands import open_interest_estimate, refresh
from monitor.core.bands.cascades import CascadeColumns, CascadeInputs, CascadePass
from monitor.core.bands.coin_markets import CoinMarkets
from monitor.core.bands.inputs import BookImpact, MarketInputs, MarketRules, mark_prices
from monitor.core.bands.kernels.arrays import GROUP_BITS, ZONE_MASK
from monitor.core.bands.layout import EDGE_ZONES, PEAK_ZONES, STAGES
from monitor.core.bands.market_bands import (
    NEAR_FRACTION,
    MarketBands,
    Markets,
    VenueBands,
    name_rules,
)
from monitor.core.bands.pools import Pools
from monitor.core.bands.refresh import BandArrays, ParallelMap, Workspace, ZoneCells
from monitor.core.decode.batch import TextColumn
from monitor.core.decode.stepped_kernels import to_float
from monitor.core.margin.contract_types import INVERSE
from monitor.core.margin.paths.path import LiquidationPath
from monitor.core.marks.market_rows import MARK, OPEN_INTEREST, VALUES

SERIAL_POSITIONS = 20_000
"""Positions below which a refresh takes about as long as handing its parts to threads."""
_NO_STAGES = ZoneCells(np.empty(0, np.uint16), np.empty(0, np.int64), STAGES)


class _Listing(NamedTuple):
    """The markets of a refresh: places in the pools' order, and by market its symbol's number, its
    name, the name of its regime, its path, and `CascadeInputs.kappa`. `rules`: those that it was
    made with.
    """

    order: Int64
    rules: MarketRules
    numbers: Int64
    symbols: list[str]
    regimes: list[str]
    paths: list[LiquidationPath]
    kappa: Float64
    digest: bytes
    """Of the symbols, the regimes, and the paths that are not their regime's own."""


class _Holders(NamedTuple):
    """The largest holders of markets: accounts (numbers, which `names` takes) and notional (1e-6),
    first of all longs, then of all shorts. Market k has `counts[0, k]` of the longs. `hashes`: of
    the accounts' names.
    """

    accounts: Int64
    hashes: UInt64
    units: Int64
    counts: Int64
    names: Callable[[Int64], list[str]]

    def top_of(self, k: int) -> tuple[Any, Any]:
        """`MarketBands.top` of one market."""
        edges = np.cumsum(self.counts) - self.counts.ravel()
        spans = [slice(low, low + n) for low, n in zip(edges, self.counts.ravel(), strict=True)]
        longs, shorts = (
            list(zip(self.names(self.accounts[s]), self.units[s].tolist(), strict=True))
            for s in (spans[k], spans[len(spans) // 2 + k])
        )
        return longs, shorts


class _Columns(NamedTuple):
    """The markets of a refresh: a column for each field of `MarketBands`, by name. NaN: None."""

    listing: _Listing
    mark: Float64
    sigma: Float64
    grain_s: Float64
    within: Int64
    depth: Float64
    holders: _Holders
    peaks: Int64
    age_s: Float64
    price: Float64
    doubts: dict[str, list[str]]
    at_market: dict[str, MarketBands]
    result: BandArrays
    cascades: CascadeColumns

    def markets(self) -> Markets:
        """The same as objects, put together when they are asked for."""
        columns = self.listing.symbols, self.within, self.depth
        return Markets(*columns, self._digest_parts, self._market, self.at_market)

    def _digest_parts(self) -> list[Any]:
        """Everything that no array of the refresh shows, as bytes, without a market being put
        together. Accounts stand there by the hashes of their names.
        """
        symbols, holders = self.listing.symbols, self.holders
        doubts = [(name, self.doubts[name]) for name in symbols if name in self.doubts]
        numbers = np.array([self.mark, self.sigma, self.grain_s, self.age_s, self.price])
        at_market = [m.within.tobytes() for _, m in sorted(self.at_market.items())]
        return [
            self.listing.digest, numbers, holders.hashes, holders.units, holders.counts,
            repr((doubts, sorted(self.at_market))).encode(), *at_market,
            self.cascades.near, self.cascades.shown,
        ]  # fmt: skip

    def _market(self, k: int) -> MarketBands:
        cells, name = self.result.cells, self.listing.symbols[k]
        zones, stages = (
            (cells(kind, 0, k), cells(kind, 1, k))
            for kind in (refresh.ZONE_CELLS, refresh.STAGE_CELLS)
        )
        sigma, age_s, price = _or_none(np.array([self.sigma[k], self.age_s[k], self.price[k]]))
        return MarketBands(
            name, float(self.mark[k]), self.listing.regimes[k], self.listing.paths[k], sigma,
            float(self.grain_s[k]), zones, stages, self.within[k], self.depth[k],
            self.holders.top_of(k), self.peaks[k], None, age_s, price,
            tuple(self.doubts.get(name, ())), self.at_market.get(name), self.cascades.of_market(k),
        )  # fmt: skip


def _or_none(values: Float64) -> list[float | None]:
    return [None if value != value else value for value in values.tolist()]


class BandMaker:
    """Makes the bands of a venue from its accounts and what is known of its markets.

    It keeps pools, rules as arrays and a workspace from one time to the next. All of them follow
    from the inputs: they are no state, and a snapshot has no need of them.
    """

    def __init__(self, ledger: AccountLedger, pass_zones: CascadePass) -> None:
        self._ledger = ledger
        self._pass_zones = pass_zones
        self.pools = Pools(ledger)
        self.parallel_map: ParallelMap = map
        """How the parts of a refresh are run; no result depends on it."""
        self._workspace: Workspace | None = None
        self._rules: MarketRules | None = None
        self._coin: CoinMarkets | None = None
        """Which of the markets settle in coin; None: none does."""
        self._listing: _Listing | None = None
        self.order: Int64 = np.empty(0, np.int64)
        """The markets of the last bands, by name, as the pools number them."""
        self._without_positions: tuple[Int64, int, Int64] | None = None
        """The markets with positions, how many symbols there are, and those without."""

    def compute(self, ts: int, inputs: MarketInputs) -> VenueBands | None:
        """The bands as of now (`ts`, ns); None: nobody has a position, nothing can be estimated.

        A market whose mark is in doubt has them from its book or last price too.
        """
        doubted = [name for name in inputs.doubts if inputs.doubts_mark(name)]
        if not doubted:
            return self._compute(ts, inputs, {})
        marks, priced = inputs.marks.copy(), set()
        symbols = self._ledger.symbols.intern(TextColumn.from_strings(doubted)).tolist()
        for name, symbol in zip(doubted, symbols, strict=True):
            price = inputs.market_price(symbol)
            if price is not None:
                marks[symbol, MARK - VALUES] = price
                priced.add(name)
        others = self._compute(ts, inputs._replace(marks=marks), {})
        markets = others.markets if others else Markets.from_list([])
        of_doubted = (i for i, name in enumerate(markets.symbols) if name in priced)
        return self._compute(ts, inputs, {markets.symbols[i]: markets[i] for i in of_doubted})

    def _compute(
        self, ts: int, inputs: MarketInputs, at_market: dict[str, MarketBands]
    ) -> VenueBands | None:
        positions = self.pools.update()
        order = self.pools.markets_by_name
        estimates = self._estimates(ts, inputs, at_market)
        if not len(order) and not estimates:
            return None
        rules = self._read_rules(inputs)
        mark = rules.marks(inputs.marks)
        books = BookImpact.from_books(mark, rules.symbols, inputs.books)
        sizes = len(positions.quantity), len(mark)
        if self._workspace is None or not self._workspace.is_for(*sizes):
            self._workspace = None  # Before the new one is created: there is not room for both.
            self._workspace = Workspace(*sizes)
        is_priced = ~np.isnan(mark[order])
        order = order if is_priced.all() else order[is_priced]
        run = self.parallel_map if len(positions.quantity) > SERIAL_POSITIONS else map
        result = refresh.refresh_bands(
            positions, rules.arrays, mark, books, NEAR_FRACTION, run, self._workspace, order,
            self._coin,
        )  # fmt: skip
        self.order = order
        columns = self._columns(ts, inputs, mark, books, result, at_market)
        markets = columns.markets()
        if estimates:
            every = sorted([*markets, *estimates], key=lambda market: market.symbol)
            markets = Markets.from_list(every)
        arrays: tuple[NDArray[Any], ...] = (
            *result.place, *result.units, columns.within, columns.depth,
        )  # fmt: skip
        left_out = tuple(sorted(inputs.left_out.items()))
        counts = result.pools, result.unknown, self.pools.assumed
        outside = self._ledger.collateral_outside
        with_some = int(np.count_nonzero(outside)), int(outside.sum())
        return VenueBands(
            ts, markets, result.by_factor, *counts, left_out, arrays, columns.cascades, with_some
        )

    def forced_pools(self, k: int, side: int, zones: int) -> tuple[Int64, Int64]:
        """Of the last bands, who is forced within `zones` zones of a side of the market at place k:
        the pools (longs are side 0), and their notional there, 1e-6. By the number of the pool.
        """
        assert self._workspace is not None
        first, code, units, pool = self._workspace.sorted_records
        bucket = side * (len(first) // 2) + int(self.order[k])
        span = slice(int(first[bucket]), int(first[bucket + 1]))
        near = (code[span] >> GROUP_BITS & ZONE_MASK) < zones
        pools, place = np.unique(pool[span][near], return_inverse=True)
        notional = np.zeros(len(pools), np.int64)
        np.add.at(notional, place, units[span][near])
        return pools.astype(np.int64), notional

    def account_names(self, pools: Int64) -> list[str]:
        """The account of each pool."""
        return [*map(owner_name, self._ledger.names.names(self.pools.accounts(pools)))]

    def _read_rules(self, inputs: MarketInputs) -> MarketRules:
        """The rules of the pools' markets, which change seldom."""
        names, version = self.pools.market_names, (inputs.rules_version, len(inputs.own_rules))
        if self._rules is None or self._rules.names is not names or self._rules.version != version:
            self._rules = MarketRules.read(names, self.pools.market_symbols, inputs)
            self._coin = CoinMarkets.from_contracts(self._rules.contracts)
        return self._rules

    def _columns(
        self, ts: int, inputs: MarketInputs, mark: Float64, books: BookImpact, result: BandArrays,
        at_market: dict[str, MarketBands],
    ) -> _Columns:  # fmt: skip
        """What a refresh says of its markets."""
        order, volatility = result.order, inputs.volatility
        listing = self._list_markets(order, self._read_rules(inputs))
        symbols, marks = listing.numbers, mark[order]
        cascades = CascadeInputs(
            symbols, listing.kappa, marks, volatility.sigma, inputs.shown_depth
        )
        return _Columns(
            listing=listing,
            mark=marks,
            sigma=volatility.sigma[symbols],
            grain_s=volatility.grain_s[symbols],
            within=np.ascontiguousarray(result.sums.within.transpose(1, 0, 2)),
            depth=books.depth_at_edges(order),
            holders=self._largest_holders(result),
            peaks=result.sums.peaks.transpose(1, 0, 2),
            age_s=inputs.mark_ages_s(symbols, ts),
            price=inputs.market_prices(symbols, books.middles[order]),
            doubts=dict(inputs.doubts),
            at_market=at_market,
            result=result,
            cascades=self._pass_zones(listing.symbols, cascades, inputs.books, result),
        )

    def _list_markets(self, order: Int64, rules: MarketRules) -> _Listing:
        """The names of markets, which change seldom."""
        last = self._listing
        if last is None or last.rules is not rules or not np.array_equal(last.order, order):
            places, names = order.tolist(), self.pools.market_names
            symbols, regimes = [names[m] for m in places], [rules.regimes[m] for m in places]
            paths = [rules.paths[m] for m in places]
            rule_names = list(map(name_rules, regimes, paths))
            digest = hashlib.sha256(repr((symbols, rule_names)).encode()).digest()
            numbers = self.pools.market_symbols[order]
            columns = numbers, symbols, regimes, paths, rules.kappa[order], digest
            self._listing = last = _Listing(order, rules, *columns)
        return last

    def _largest_holders(self, result: BandArrays) -> _Holders:
        pools = result.sums.top_pool
        there = pools >= 0
        accounts, names = self.pools.accounts(pools[there]), self._ledger.names
        wallets = names.names_as_of_now
        return _Holders(
            accounts, names.hashes[accounts], result.sums.top[there], there.sum(axis=2),
            lambda numbers: [owner_name(name) for name in wallets(numbers)],
        )  # fmt: skip

    def _estimates(
        self, ts: int, inputs: MarketInputs, at_market: dict[str, MarketBands]
    ) -> list[MarketBands]:
        """Markets with open interest in which no account is known to have a position."""
        symbols = self._symbols_without_positions(len(inputs.marks))
        open_interest = inputs.marks[symbols, OPEN_INTEREST - VALUES]
        symbols = symbols[open_interest > 0]
        if not len(symbols):
            return []
        mark = mark_prices(inputs.marks)
        symbols = symbols[~np.isnan(mark[symbols])]
        open_interest = inputs.marks[:, OPEN_INTEREST - VALUES]
        names = self._ledger.symbols.names(symbols)
        has_rules = [name in inputs.rules or name in inputs.coin_rules for name in names]
        symbols = symbols[np.array(has_rules, np.bool_)]
        books = BookImpact.from_books(mark[symbols], symbols, inputs.books)
        depth = books.depth_at_edges(np.arange(len(symbols)))
        markets = []
        ages_s = _or_none(inputs.mark_ages_s(symbols, ts))
        second_prices = _or_none(inputs.market_prices(symbols, books.middles))
        sigmas = _or_none(inputs.volatility.sigma[symbols])
        grains_s = inputs.volatility.grain_s[symbols].tolist()
        for k, name in enumerate(self._ledger.symbols.names(symbols)):
            coin = inputs.coin_rules.get(name)
            regime, tiers = inputs.rules[name] if coin is None else coin[:2]
            price, amount = float(mark[symbols[k]]), to_float(int(open_interest[symbols[k]]))
            zones = open_interest_estimate.estimate_cells(
                tiers, price, amount, coin is not None and coin.contract.type == INVERSE
            )
            within = [[side.units[side.zone < e].sum() for e in EDGE_ZONES] for side in zones]
            markets.append(MarketBands(
                name, price, regime.name, regime.path, sigmas[k], grains_s[k], zones,
                (_NO_STAGES, _NO_STAGES), np.array(within, np.int64), depth[k], ([], []),
                np.full((2, 2 * PEAK_ZONES), -1, np.int64),
                open_interest_estimate.assumptions(tiers, amount),
                mark_age_s=ages_s[k], market_price=second_prices[k],
                doubts=tuple(inputs.doubts.get(name, ())), at_market=at_market.get(name),
            ))  # fmt: skip
        return markets

    def _symbols_without_positions(self, count: int) -> Int64:
        """Of `count` symbols, those in whose markets nobody has a position."""
        with_positions, last = self.pools.markets_by_name, self._without_positions
        if last is None or last[0] is not with_positions or last[1] != count:
            is_without = np.ones(count, np.bool_)
            is_without[self.pools.market_symbols[with_positions]] = False
            last = self._without_positions = with_positions, count, np.flatnonzero(is_without)
        return last[2]
