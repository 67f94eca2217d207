"""The inputs of bands as plain arrays: the rules of the markets and their books."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from detectors.arrays.types import Bool, Float64, Int64
from monitor.core.bands.kernels import arrays
from monitor.core.bands.kernels.arrays import Float32, Int32, MarketTable, PartialClose
from monitor.core.bands.kernels.books import read_books
from monitor.core.bands.layout import EDGES
from monitor.core.contract.fixed_point import MONEY_SCALE
from monitor.core.contract.units import SECOND_NS
from monitor.core.decode.batch import ABSENT
from monitor.core.decode.stepped_kernels import middle, to_floats
from monitor.core.margin.contract_types import Contract
from monitor.core.margin.liquidation_price import Regime
from monitor.core.margin.mark_response import kappa_of
from monitor.core.margin.paths.path import LiquidationPath
from monitor.core.margin.regimes import REGIMES
from monitor.core.margin.tiers import Tiers
from monitor.core.marks.market_rows import (
    BEST_ASK,
    BEST_BID,
    INDEX,
    LAST,
    MARK,
    VALUES,
)
from monitor.core.marks.volatility import VolatilityBank

NO_RULES = REGIMES["generic"], Tiers.flat(Fraction(1))
"""Stands for the rules of a market that has none; its mark counts as not known."""
MARK_DOUBTS = {"stale_mark", "stale_index", "mark_off_market"}
"""Conditions in which a market's mark may be wrong."""


class CoinRules(NamedTuple):
    """What holds for a market that settles in coin; the table is in the units of its accounts."""

    regime: Regime
    tiers: Tiers
    contract: Contract


class MarketInputs(NamedTuple):
    """What is known of the markets beside the accounts; rows stand by the number of the symbol.

    `rules`: regime and tier table by market; `rules_version` rises whenever they change. `marks`
    (symbols, `MARK_VALUES`): the last trusted ones, codes; `ABSENT`: none. `mark_times` (symbols,
    mark and index): their event time, ns. `books` (symbols, `BOOK_WIDTH`): the last that were not
    crossed, codes; zeros where a book is in doubt. `volatility`: realised, of the marks.
    `left_out`: markets whose positions cannot be counted, and why. `doubts`: by market, what is
    wrong with its data (`feature_catalogue.QUALITY_FEATURES`). `mark_rules`: by market with rules,
    the name of its mark's; None: nobody has said. `shown_depth`: the share of its last book that
    each has shown, NaN: not known. `own_rules`: market and rules by the numbers, from 1, that
    single positions have (`AccountLedger.own_rules`). `coin_rules`: of markets that settle in coin;
    `rules` has the others.
    """

    rules: Mapping[str, tuple[Regime, Tiers]]
    rules_version: int
    marks: Int64
    mark_times: Int64
    books: Int64
    volatility: VolatilityBank
    left_out: Mapping[str, str]
    doubts: Mapping[str, list[str]]
    mark_rules: Mapping[str, str | None]
    shown_depth: Float64
    own_rules: Sequence[tuple[str, tuple[Regime, Tiers] | None]]
    coin_rules: Mapping[str, CoinRules]

    def mark_ages_s(self, symbols: Int64, ts: int) -> Float64:
        """How old the marks are at `ts` (ns), the index where there is no mark; NaN: neither."""
        mark, index = self.mark_times[symbols].T
        time = np.where(mark == ABSENT, index, mark)
        ages_s: Float64 = np.where(time == ABSENT, np.nan, (ts - time) / SECOND_NS)
        return ages_s

    def market_prices(self, symbols: Int64, middles: Int64) -> Float64:
        """`market_price` of each symbol, NaN: none; `middles`: of their books, codes."""
        last = self.marks[symbols, LAST - VALUES]
        return to_floats(np.where(middles == ABSENT, last, middles))

    def market_price(self, symbol: int) -> int | None:
        """A second price beside the mark, as a code: the middle of the book, else the last price
        that the venue gave; None: neither.
        """
        bid, ask = self.books[symbol, [BEST_BID, BEST_ASK]].tolist()
        if bid > 0 and ask > 0:
            return int(middle(bid, ask))
        last = int(self.marks[symbol, LAST - VALUES])
        return None if last == ABSENT else last

    def doubts_mark(self, name: str) -> bool:
        """Whether a market's mark is old, or far from its book and trades."""
        return not MARK_DOUBTS.isdisjoint(self.doubts.get(name, ()))


def mark_prices(marks: Int64) -> Float64:
    """The mark of each row of `MarketInputs.marks`: the index where there is none, else NaN."""
    mark, index = marks[:, MARK - VALUES], marks[:, INDEX - VALUES]
    price = np.where(mark != ABSENT, mark, index)
    return to_floats(price)


@dataclass(frozen=True, slots=True)
class RuleArrays:
    """What the reference data say of each market, as arrays; markets are numbered from 0.

    `tier_start[m] : tier_start[m + 1]` are market m's columns of `tiers` (`TIER_ROWS`, tiers of all
    markets). `at_entry`: whether the requirement is that of the entry value; `at_todays_mark`:
    whether it is today's at every price. `backstop`: multiple of the requirement at which the
    backstop takes over; NaN: there is none. `size_rate`: rise of the maintenance rate with each
    unit of quantity. `fee`: closing fee that the venue counts, a fraction of notional; `close_fee`:
    what a forced close would pay beside it. `beta`: move of the market for a move of the common
    factor by 1. `whole`: whether the rate of the tier at the mark applies to the whole position;
    `by_size`: whether that tier goes by quantity, which its bounds then are. `first_share`: share
    of a forced position that is closed at once, where its notional is `partial_above` (quote
    currency) or more. `market`: the number of the market that the rules are of; rules of single
    positions stand behind those of the markets.
    """

    tier_start: Int32
    tiers: Float64
    at_entry: Bool
    at_todays_mark: Bool
    backstop: Float64
    size_rate: Float64
    fee: Float64
    close_fee: Float64
    beta: Float64
    first_share: Float64
    partial_above: Float64
    whole: Bool
    by_size: Bool
    market: Int64
    table: Float64 = field(init=False)
    """`MarketTable.rows`, without what depends on the mark."""
    partial: PartialClose = field(init=False)

    @classmethod
    def from_markets(
        cls, markets: Sequence[tuple[Regime, Tiers]], of_market: Sequence[int] = ()
    ) -> RuleArrays:
        """From each market's regime and tier table, with the fee that the regime counts and a beta
        of 1. `of_market`: the markets that the last of them are of, where these are rules of single
        positions."""
        rows = [tier for _, tiers in markets for tier in tiers.rows]
        table = [(float(t.lower_bound), float(t.rate), float(t.deduction)) for t in rows]
        regimes = [regime for regime, _ in markets]
        none = np.zeros(len(markets))
        ks = [np.nan if r.backstop_k is None else float(r.backstop_k) for r in regimes]
        starts = np.cumsum([0] + [len(tiers.rows) for _, tiers in markets])
        return cls(
            tier_start=starts.astype(np.int32),
            tiers=np.array(table, np.float64).reshape(-1, arrays.TIER_ROWS).T.copy(),
            at_entry=np.array([r.at_entry for r in regimes], dtype=np.bool_),
            at_todays_mark=np.array([r.at_todays_mark for r in regimes], dtype=np.bool_),
            backstop=np.array(ks, dtype=np.float64),
            size_rate=none,
            fee=np.array([float(r.closing_fee or 0) for r in regimes]),
            close_fee=none,
            beta=np.ones(len(markets)),
            first_share=np.array([float(r.path.first_share) for r in regimes]),
            partial_above=np.array([float(r.path.partial_above or 0) for r in regimes]),
            whole=np.array([t.whole or t.by_contracts for _, t in markets], dtype=np.bool_),
            by_size=np.array([tiers.by_contracts for _, tiers in markets], dtype=np.bool_),
            market=np.array([*range(len(markets) - len(of_market)), *of_market], np.int64),
        )

    def __post_init__(self) -> None:
        object.__setattr__(self, "table", self._table())
        units = np.rint(np.minimum(self.partial_above * MONEY_SCALE, arrays.UNITS_MAX))
        partial = arrays.PartialClose(self.first_share, units.astype(np.int64))
        object.__setattr__(self, "partial", partial)

    def _table(self) -> Float64:
        out = np.zeros((arrays.TABLE_ROWS, len(self.fee)))
        first, last = self.tier_start[:-1], self.tier_start[1:]
        more = first + 1 < last
        out[arrays.RATE] = self.tiers[arrays.TIER_RATE, first]
        out[arrays.DEDUCTION] = self.tiers[arrays.TIER_DEDUCTION, first]
        out[arrays.LOWEST_TIER_TOP] = np.inf
        out[arrays.LOWEST_TIER_TOP, more] = self.tiers[arrays.TIER_BOUND, first[more] + 1]
        out[arrays.NEXT_BOUND] = out[arrays.LOWEST_TIER_TOP]
        stays = self.at_entry | self.at_todays_mark
        out[arrays.NEXT_BOUND, stays] = -1.0
        out[arrays.LOWEST_TIER_TOP, stays | self.whole] = np.inf
        reach = arrays.FACTOR_REACH * self.beta
        out[arrays.FACTOR_GROWTH] = np.where((reach >= 0.0) & (reach < 1.0), 1.0 + reach, np.inf)
        out[arrays.FACTOR_GROWTH, self.whole] = 1.0
        out[arrays.FEE], out[arrays.CLOSE_FEE] = self.fee, self.close_fee
        out[arrays.BACKSTOP], out[arrays.SIZE_RATE] = self.backstop, self.size_rate
        out[arrays.AT_ENTRY, self.at_entry] = arrays.OF_ENTRY
        out[arrays.AT_ENTRY, self.at_todays_mark] = arrays.OF_TODAYS_MARK
        out[arrays.BETA] = self.beta
        out[arrays.WHOLE], out[arrays.MARKET] = self.whole, self.market
        out[arrays.FIRST_TIER], out[arrays.LAST_TIER] = first, last
        return out

    def at_marks(self, mark: Float64) -> MarketTable:
        """All that a position's prices take from its market, at these marks (NaN: not known)."""
        out, tiers = self.table.copy(), self.tiers
        out[arrays.MARK], out[arrays.INVERSE_MARK] = mark, 1.0 / mark
        if self.by_size.any():
            price = np.where(self.by_size, mark, 1.0)
            out[arrays.NEXT_BOUND] *= price
            tiers = tiers.copy()
            tiers[arrays.TIER_BOUND] *= np.repeat(price, np.diff(self.tier_start))
        return MarketTable(out, tiers)


class MarketRules(NamedTuple):
    """The rules of the pools' markets, and behind them those of single positions, the last number
    first: −k counts from the end. `version`: what they were read from. `symbols`: by column, the
    number of its symbol. `there`: whether there are any. `regimes`: their names; `paths`: what they
    do under water. `kappa`, by market: see `CascadeInputs`. `contracts`: of those that settle
    in coin.
    """

    names: list[str]
    version: tuple[int, int]
    symbols: Int64
    arrays: RuleArrays
    there: Bool
    regimes: list[str]
    paths: list[LiquidationPath]
    kappa: Float64
    contracts: list[Contract | None]

    @classmethod
    def read(cls, names: list[str], symbols: Int64, inputs: MarketInputs) -> MarketRules:
        """`names`, `symbols`: of the pools' markets."""
        places = {name: k for k, name in enumerate(names)}
        # A market in which nobody has a position is the first: nobody has the rules either.
        own = [(places.get(name, 0), one) for name, one in reversed(inputs.own_rules) if names]
        in_coin = [inputs.coin_rules.get(name) for name in names]
        rules = [
            inputs.rules.get(name) if coin is None else (coin.regime, coin.tiers)
            for name, coin in zip(names, in_coin, strict=True)
        ]
        rules += [one for _, one in own]
        of_market = [k for k, _ in own]
        contracts = [None if coin is None else coin.contract for coin in in_coin]
        filled = [NO_RULES if one is None else one for one in rules]
        return cls(
            names,
            (inputs.rules_version, len(inputs.own_rules)),
            np.concatenate((symbols, symbols[of_market])) if own else symbols,
            RuleArrays.from_markets(filled, of_market),
            np.array([one is not None for one in rules], np.bool_),
            [regime.name for regime, _ in filled],
            [regime.path for regime, _ in filled],
            np.array([kappa_of(inputs.mark_rules.get(name)) for name in names]),
            contracts + [contracts[k] for k in of_market],
        )

    def marks(self, marks: Int64) -> Float64:
        """The mark of each column, NaN: there are no rules or no mark. `marks`: see
        `MarketInputs`."""
        return np.where(self.there, mark_prices(marks[self.symbols]), np.nan)


@dataclass(frozen=True, slots=True)
class BookImpact:
    """What today's books would do to a forced close. Row 0 serves longs, which close into bids, row
    1 shorts; NaN where there is no book.

    `slip` (2, markets, e): average slippage, a fraction of the mark, for a notional of 2^(10 + e).
    `depth` (2, markets, `EDGE_ZONES`): resting notional within each edge, quote currency.
    `middles`: the middle of each market's book, codes; `ABSENT` where there is none.
    """

    slip: Float32
    depth: Float64
    middles: Int64

    @classmethod
    def from_books(cls, mark: Float64, symbols: Int64, books: Int64) -> BookImpact:
        """From the rows `symbols` of book rows (`BOOK_WIDTH`), one a market."""
        slip = np.empty((2, len(mark), arrays.EXPONENTS), np.float32)
        depth, middles = np.empty((2, len(mark), EDGES)), np.empty(len(mark), np.int64)
        read_books(mark, symbols, books, slip, depth, middles)
        return cls(slip, depth, middles)

    def slippage(self, market: int, is_long: bool, notional: float) -> float:
        """Average slippage of closing so much (quote currency) of a position, a fraction of the
        mark, as the bands count it; NaN where there is no book."""
        within = min(max(notional, arrays.NOTIONAL_MIN), arrays.NOTIONAL_MAX)
        mantissa, exponent = math.frexp(within)
        column = exponent - 1 - arrays.EXPONENT_LOW
        row = self.slip[0 if is_long else 1, market].astype(np.float64)
        return float(row[column] + (row[column + 1] - row[column]) * (2.0 * mantissa - 1.0))

    def depth_at_edges(self, markets: Int64) -> Float64:
        """Of these markets, within each of `EDGE_ZONES`: (markets, side, edge)."""
        return np.ascontiguousarray(self.depth[:, markets].transpose(1, 0, 2))
