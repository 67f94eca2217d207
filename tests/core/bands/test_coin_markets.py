"""Bands of pools that settle in coin are those of the exact solver, beside pools that do not."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from numba import njit

from detectors.arrays.types import Float64
from monitor.core.bands.coin_markets import CoinMarkets
from monitor.core.bands.inputs import BookImpact, RuleArrays
from monitor.core.bands.kernels.arrays import (
    EXPONENT_LOW,
    PRICE_LIQUIDATION,
    STRESS,
    PositionArrays,
)
from monitor.core.bands.kernels.blocks import new_block
from monitor.core.bands.kernels.coin_prices import price_coin_block
from monitor.core.bands.layout import BIN_WIDTH
from monitor.core.bands.refresh import LONG, SHORT, BandArrays
from monitor.core.contract.units import ZONE_BINS
from monitor.core.decode.stepped_kernels import from_e8
from monitor.core.margin.contract_types import INVERSE, QUANTO, SETTLEMENT_UNITS, Contract
from monitor.core.margin.liquidation_price import Position, prices, requirement
from monitor.core.margin.regimes import REGIMES
from monitor.core.margin.tiers import Tiers
from monitor.core.marks.market_rows import BEST_ASK, BEST_BID, BOOK_WIDTH, LEVELS
from tests.core.bands.position_arrays import by_zone, pools_of, refresh, sort_positions
from tests.core.bands.test_refresh import same

F = Fraction
UNITS = F(SETTLEMENT_UNITS)
CONTRACTS = [
    Contract(INVERSE, F(100), None, "BTC"),
    Contract(INVERSE, F(1), None, "BTC"),
    Contract(INVERSE, F(100), None, "BTC"),
    Contract(QUANTO, F(1), F("0.000001"), "BTC"),
    None,
]
MARK = np.array([50_000.0, 49_500.0, 50_250.0, 3_000.0, 150.0])
REGIME = [REGIMES[name] for name in ("binance", "bybit", "okx", "binance", "hyperliquid")]
IN_COIN = Tiers.from_rows(
    [(F(bound), F(rate), None) for bound, rate in ((0, "0.004"), (1, "0.01"), (20, "0.05"))]
)
WHOLE = replace(IN_COIN, whole=True, rows=tuple(replace(r, deduction=F(0)) for r in IN_COIN.rows))
TIERS = [IN_COIN, IN_COIN, WHOLE, IN_COIN, Tiers.flat(F("0.02"))]
COIN = CoinMarkets.from_contracts(CONTRACTS)
RULES = RuleArrays.from_markets(
    [(r, t.times(UNITS) if c else t) for r, t, c in zip(REGIME, TIERS, CONTRACTS, strict=True)]
)


def is_inverse(m: int) -> bool:
    contract = CONTRACTS[m]
    return contract is not None and contract.type == INVERSE


def venue(pools: int, seed: int, *, coin_only: bool = False) -> PositionArrays:
    """Every third pool is isolated; a fourth of them count in quote currency."""
    rng = np.random.default_rng(seed)
    isolated = np.arange(pools) % 3 == 0
    in_coin = np.ones(pools, bool) if coin_only else np.arange(pools) % 4 > 0
    markets = [
        rng.permutation(4)[: 1 if alone else rng.integers(1, 5)] if coin else np.array([4])
        for alone, coin in zip(isolated, in_coin, strict=True)
    ]
    pool, market = np.repeat(np.arange(pools), [len(m) for m in markets]), np.concatenate(markets)
    y = np.array([coordinate(m, MARK[m]) for m in range(5)])[market]
    notional = np.exp(rng.uniform(-5, 5, len(pool))) * float(UNITS)
    quantity = notional / y * rng.choice([-1, 1], len(pool))
    cash = np.bincount(pool, notional, pools) * np.exp(rng.uniform(-5, 0.3, pools))
    cash -= np.bincount(pool, quantity * y, pools)
    entry = y * rng.uniform(0.8, 1.2, len(pool))
    return sort_positions(pool, market, quantity, entry, cash, isolated.astype(np.int64))


def coordinate(m: int, x: float) -> float:
    return SETTLEMENT_UNITS / x if is_inverse(m) else x


def books() -> BookImpact:
    rows = np.zeros((len(MARK), BOOK_WIDTH), np.int64)
    for best, sign in ((BEST_BID, -1), (BEST_ASK, 1)):
        ladder = MARK[:, None] * (1 + sign * np.arange(1, 21) * 0.0003)
        rows[:, best : best + 20] = from_e8(np.rint(ladder * 1e8).astype(int))
        sizes = from_e8(np.rint(2e12 / MARK).astype(int))
        rows[:, best + LEVELS : best + LEVELS + 20] = sizes[:, None]
    return BookImpact.from_books(MARK, np.arange(len(MARK)), rows)


@njit
def _price(positions, markets, coin, slip, by_factor, prices):  # type: ignore[no-untyped-def]
    block = new_block(positions.quantity.size)
    n, _ = price_coin_block(
        0, positions.length.size, positions, markets, coin, slip, block, by_factor
    )
    for t in range(n):
        prices[:, block.slot[t]] = block.prices[:, t]


def position_prices(p: PositionArrays, today: BookImpact) -> Float64:
    out, by_factor = np.full((8, len(p.quantity)), np.nan), np.zeros((2, ZONE_BINS + 1), np.int64)
    assert COIN is not None
    _price(p, *COIN.tables(RULES, MARK), np.ravel(today.slip), by_factor, out)
    out[~((out > 0) & (out < np.inf))] = np.nan
    return out


def exact_position(p: PositionArrays, i: int, extra: float = 0.0) -> Position:
    """A position as the margin calculator has it, in the whole coin."""
    m = int(p.market[i])
    q, entry, inverse = F(p.quantity[i]), F(p.entry[i]), is_inverse(m)
    fee = (REGIME[m].closing_fee or F(0)) + F(extra)
    if inverse:
        return Position("X", -q, F(MARK[m]), TIERS[m], UNITS / entry, fee, inverse=True)
    return Position("X", q / UNITS, F(MARK[m]), TIERS[m], entry, fee)


def exact_equity(p: PositionArrays, pool: int) -> tuple[range, Fraction]:
    span = range(p.start[pool], p.start[pool] + p.length[pool])
    worth = (F(p.quantity[i]) * _exact_coordinate(int(p.market[i])) for i in span)
    return span, (F(p.cash[pool]) + sum(worth, F(0))) / UNITS


def _exact_coordinate(m: int) -> Fraction:
    return UNITS / F(MARK[m]) if is_inverse(m) else F(MARK[m])


def exact(p: PositionArrays, pool: int, i: int, extra: float) -> list[float]:
    span, equity = exact_equity(p, pool)
    other = sum(
        (requirement(REGIME[p.market[j]], exact_position(p, j)) for j in span if j != i), F(0)
    )
    roots = prices(REGIME[p.market[i]], exact_position(p, i, extra), equity, other)
    four = (roots.warn, roots.liquidation, roots.backstop, roots.bankruptcy)
    return [np.nan if c is None or c.price is None else float(c.price) for c in four]


def test_every_price_is_that_of_the_exact_solver() -> None:
    p, today = venue(200, 1, coin_only=True), books()
    priced = position_prices(p, today)
    met = 0
    for i, pool in enumerate(pools_of(p)):
        m = p.market[i]
        is_long = (p.quantity[i] > 0) != is_inverse(m)
        assert COIN is not None
        quote = abs(p.quantity[i]) * (1 if is_inverse(m) else MARK[m] * COIN.base_units[m])
        low = max(int(np.floor(np.log2(quote))), EXPONENT_LOW)
        row = today.slip[0 if is_long else 1, m].astype(np.float64)
        share = max(quote / 2.0**low - 1, 0.0)
        column = low - EXPONENT_LOW
        slip = row[column] + (row[column + 1] - row[column]) * share
        for first, extra in ((0, 0.0), (STRESS, slip)):
            expected = exact(p, pool, i, extra)
            # An infinitely far price is none, on one side of rounding or the other.
            near = np.array([x if x < 1e6 * MARK[m] else np.nan for x in expected])
            got = priced[first : first + 4, i]
            got[got > 1e6 * MARK[m]] = np.nan
            np.testing.assert_allclose(got, near, rtol=1e-9)
            met += int(np.isfinite(near).sum())
    assert met > 1_500


def test_zones_hold_quote_currency_by_the_distance_of_the_price() -> None:
    p = venue(300, 2)
    bands = refresh(p, RULES, MARK, books(), coin=COIN)
    of_coin = p.market < 4
    priced = position_prices(p, books())[PRICE_LIQUIDATION]
    for m in range(4):
        for side in (LONG, SHORT):
            mine = of_coin & (p.market == m) & (((p.quantity > 0) != is_inverse(m)) == (side == 0))
            expected = np.zeros(ZONE_BINS, np.int64)
            for i in np.flatnonzero(mine):
                span, equity = exact_equity(p, int(pools_of(p)[i]))
                need = sum(requirement(REGIME[p.market[j]], exact_position(p, j)) for j in span)
                x = priced[i] / MARK[m]
                away = 0.0 if equity < need else 1 - x if side == LONG else x - 1
                if away < ZONE_BINS * BIN_WIDTH:
                    z = abs(exact_position(p, i).quantity)
                    # Of a quanto contract a base unit is one contract.
                    quote = z if is_inverse(m) else z / F("0.000001") * F(MARK[m])
                    expected[int(max(away, 0.0) / BIN_WIDTH)] += round(float(quote) * 1e6)
            np.testing.assert_allclose(by_zone(bands, side, m), expected, atol=1)
            assert expected.any()
    # What counts in quote currency is as it is alone.
    alone = refresh(_only(p, ~of_coin), RULES, MARK, books())
    for side in (LONG, SHORT):
        assert (by_zone(bands, side, 4) == by_zone(alone, side, 4)).all()
    assert bands.unknown == 0
    assert bands.pools == 300


def _only(p: PositionArrays, chosen: np.ndarray) -> PositionArrays:
    pool = pools_of(p)[chosen]
    return sort_positions(
        np.unique(pool, return_inverse=True)[1], p.market[chosen], p.quantity[chosen],
        p.entry[chosen], p.cash[np.unique(pool)], p.isolated[np.unique(pool)].astype(np.int64),
    )  # fmt: skip


def test_a_pool_is_due_at_its_zone_of_the_common_factor_and_not_one_before() -> None:
    p = venue(240, 3, coin_only=True)
    met = 0
    for pool in np.flatnonzero(~p.isolated):
        one = _only(p, pools_of(p) == pool)
        bands: BandArrays = refresh(one, RULES, MARK, coin=COIN)
        for side, sign in enumerate((-1, 1)):
            due = [_gap(one, F(sign * zone) * F(BIN_WIDTH)) < 0 for zone in range(0, ZONE_BINS, 20)]
            (zones,) = np.nonzero(bands.by_factor[side])
            if not len(zones):
                assert not any(due[1:])
                continue
            zone = int(zones[0])
            if zone > 0:
                assert _gap(one, F(sign * zone) * F(BIN_WIDTH)) >= 0
                assert _gap(one, F(sign * (zone + 1)) * F(BIN_WIDTH)) < 0
            assert not any(due[1 : zone // 20 + 1]) or due[0]
            met += 1
    assert met > 60


def _gap(p: PositionArrays, f: Fraction) -> Fraction:
    """Equity less requirement of the only pool after a move f of all prices."""
    span, gap = exact_equity(p, 0)
    for i in span:
        m, position = int(p.market[i]), exact_position(p, i)
        gap += position.profit(F(MARK[m]), F(MARK[m]) * (1 + f))
        if position.tiers.whole:  # its tier stays where it is today
            row = position.tiers.rows[position.tiers.index_at(position.notional)]
            gap -= row.rate * position.value(F(MARK[m]) * (1 + f))
        else:
            gap -= requirement(REGIME[m], position, F(MARK[m]) * (1 + f))
    return gap


def test_holders_threads_and_unknown_marks_are_as_in_quote_currency() -> None:
    p = venue(400, 4)
    alone = refresh(p, RULES, MARK, books(), coin=COIN)
    with ThreadPoolExecutor(2) as executor:
        same(alone, refresh(p, RULES, MARK, books(), run=executor.map, coin=COIN))
    for side in (LONG, SHORT):
        for m in range(5):
            for pool in alone.sums.top_pool[side, m]:
                assert pool < 0 or m in p.market[pools_of(p) == pool]
    mark = MARK.copy()
    mark[0] = np.nan
    assert refresh(p, RULES, mark, coin=COIN).unknown == len(np.unique(pools_of(p)[p.market == 0]))


def test_an_inverse_long_is_due_where_its_coin_no_longer_covers_it() -> None:
    # 25,000 USD long at 50,000 are half a coin; with 0.05 coin of margin, 0.4 % of maintenance:
    # 0.05 + 25,000 (1/50,000 − 1/x) = 0.004 · 25,000/x, so x = 50,000 · 1.004 / 1.1.
    q, y = -25_000.0, SETTLEMENT_UNITS / MARK[0]
    p = sort_positions(
        np.array([0]), np.array([0]), np.array([q]), np.array([y]),
        np.array([0.05 * SETTLEMENT_UNITS - q * y]), np.array([0]),
    )  # fmt: skip
    assert position_prices(p, books())[PRICE_LIQUIDATION, 0] == pytest.approx(50_000 * 1.004 / 1.1)
