"""Theorems about a venue's bands: the exact solver's prices, whatever the order or threads."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, replace
from fractions import Fraction

import numpy as np
import pytest

from monitor.core.bands.inputs import BookImpact, RuleArrays
from monitor.core.bands.kernels.arrays import (
    EXPONENT_LOW,
    PRICE_BACKSTOP,
    PRICE_BANKRUPTCY,
    PRICE_LIQUIDATION,
    STRESS,
    PositionArrays,
)
from monitor.core.bands.layout import (
    AWAITING_PAUSE,
    BACKSTOP_STAGE,
    BANKRUPT,
    BIN_WIDTH,
    STRESSED,
    TOP_HOLDERS,
)
from monitor.core.bands.refresh import (
    LONG,
    SHORT,
    STAGE_CELLS,
    ZONE_CELLS,
    BandArrays,
    Workspace,
)
from monitor.core.contract.units import ZONE_BINS
from monitor.core.decode.stepped_kernels import from_e8
from monitor.core.margin.liquidation_price import Position, prices, requirement
from monitor.core.margin.regimes import REGIMES, regime_at
from monitor.core.margin.tiers import Tiers
from monitor.core.marks.market_rows import BEST_ASK, BEST_BID, BOOK_WIDTH, LEVELS
from tests.core.bands.position_arrays import (
    by_group,
    by_stage,
    by_zone,
    pools_of,
    price_positions,
    refresh,
    sort_positions,
)

F = Fraction
ROWS = [(0, "0.004"), (5_000, "0.005"), (60_000, "0.01"), (300_000, "0.02"), (10**6, "0.1")]
FIVE = Tiers.from_rows([(F(bound), F(rate), None) for bound, rate in ROWS])
NAMES = ["hyperliquid", "bybit", "okx", "deribit", "binance", "generic"]
REGIME = [REGIMES[name] for name in NAMES]
WHOLE = replace(FIVE, whole=True, rows=tuple(replace(row, deduction=F(0)) for row in FIVE.rows))
TIERS = [WHOLE if regime.whole_position else FIVE for regime in REGIME]
MARK = np.array([50_000.0, 3_000.0, 150.0, 2.5, 0.12, 1.0])
FEE = np.array([0.0, 0.0, 0.0006, 0.0, 0.0, 0.0])
CLOSE = np.full(6, 0.0005)
RISE = np.array([0.0, 0.0, 0.0, 1e-9, 0.0, 0.0])
BETA = np.array([1.0, 1.2, 1.5, 0.8, 1.0, 0.5])
RULES = replace(
    RuleArrays.from_markets(list(zip(REGIME, TIERS, strict=True))),
    fee=FEE,
    close_fee=CLOSE,
    size_rate=RISE,
    beta=BETA,
)


def raw(pools: int, seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    isolated = rng.random(pools) < 0.3
    markets = [rng.permutation(6)[: 1 if iso else rng.integers(1, 7)] for iso in isolated]
    pool = np.repeat(np.arange(pools), [len(m) for m in markets])
    market = np.concatenate(markets)
    notional = np.exp(rng.uniform(3, 15, len(pool)))
    quantity = notional / MARK[market] * rng.choice([-1, 1], len(pool))
    equity = np.bincount(pool, notional, pools) * np.exp(rng.uniform(-5, 0.3, pools))
    cash = equity - np.bincount(pool, quantity * MARK[market], pools)
    entry = MARK[market] * rng.uniform(0.8, 1.2, len(pool))
    return {"pool": pool, "market": market, "quantity": quantity, "entry": entry, "cash": cash,
            "isolated": isolated}  # fmt: skip


def without(given: dict[str, np.ndarray], pools: np.ndarray) -> dict[str, np.ndarray]:
    """The same venue less the positions of some pools."""
    keep = ~np.isin(given["pool"], pools)
    by_position = ("pool", "market", "quantity", "entry")
    return {n: a[keep] if n in by_position else a for n, a in given.items()}


def books() -> BookImpact:
    steps = np.arange(1, 21) * 0.0003
    rows = np.zeros((len(MARK), BOOK_WIDTH), np.int64)
    for best, sign in ((BEST_BID, -1), (BEST_ASK, 1)):
        rows[:, best : best + 20] = from_e8(
            np.rint(MARK[:, None] * (1 + sign * steps) * 1e8).astype(int)
        )
        rows[:, best + LEVELS : best + LEVELS + 20] = from_e8(np.rint(2e12 / MARK).astype(int))[
            :, None
        ]
    return BookImpact.from_books(MARK, np.arange(len(MARK)), rows)


def exact(p: PositionArrays, pool: int, i: int, extra: float = 0.0) -> list[float]:
    """The four prices of position i from the exact solver; `extra` is a further fee."""
    span = range(p.start[pool], p.start[pool] + p.length[pool])

    def position(j: int) -> Position:
        m = p.market[j]
        return Position("X", F(p.quantity[j]), F(MARK[m]), TIERS[m], F(p.entry[j]),
                        F(FEE[m]) + F(extra), F(RISE[m]))  # fmt: skip

    equity = F(p.cash[pool]) + sum(F(p.quantity[j]) * F(MARK[p.market[j]]) for j in span)
    other = sum((requirement(REGIME[p.market[j]], position(j)) for j in span if j != i), F(0))
    roots = prices(REGIME[p.market[i]], position(i), equity, other)
    four = (roots.warn, roots.liquidation, roots.backstop, roots.bankruptcy)
    return [np.nan if c is None or c.price is None else float(c.price) for c in four]


def test_every_price_is_that_of_the_exact_solver() -> None:
    p = sort_positions(**raw(400, 1))
    today = books()
    priced = price_positions(p, RULES, MARK, today)
    for i, pool in enumerate(pools_of(p)):
        side, m = (0 if p.quantity[i] > 0 else 1), p.market[i]
        notional = abs(p.quantity[i]) * MARK[m]
        low = int(np.floor(np.log2(notional)))
        share = notional / 2.0**low - 1
        row = today.slip[side, m].astype(np.float64)
        column = low - EXPONENT_LOW
        slip = row[0] if column < 0 else row[column] + (row[column + 1] - row[column]) * share
        size = MARK[m] * float(np.abs(p.cash[pool]) / notional + 1)
        for first, extra in ((0, 0.0), (STRESS, CLOSE[m] + slip)):
            np.testing.assert_allclose(
                priced.prices[first : first + 4, i], exact(p, pool, i, extra),
                rtol=1e-12, atol=1e-13 * size,
            )  # fmt: skip


def test_maintenance_that_stays_at_todays_mark_is_that_of_the_exact_solver() -> None:
    p, old = sort_positions(**raw(200, 11)), regime_at("hyperliquid", "2023-03-27")
    assert old is not None
    rules = RuleArrays.from_markets([(old, FIVE)] * len(MARK))
    priced = price_positions(p, rules, MARK)
    for i, pool in enumerate(pools_of(p)):
        span = range(p.start[pool], p.start[pool] + p.length[pool])
        q = {j: F(p.quantity[j]) for j in span}
        at = {j: Position("X", q[j], F(MARK[p.market[j]]), FIVE) for j in span}
        need = sum((requirement(old, at[j]) for j in span), F(0))
        equity = F(p.cash[pool]) + sum(q[j] * at[j].price for j in span)
        x = at[i].price - (equity - need) / q[i]
        solved = prices(old, at[i], equity, need - requirement(old, at[i])).liquidation.price
        assert solved == (x if x > 0 else None)
        expected = float(x) if x > 0 else np.nan
        got = priced.prices[PRICE_LIQUIDATION, i]
        np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-12 * float(abs(at[i].price)))


def same(one: BandArrays, two: BandArrays) -> None:
    for field in fields(BandArrays):
        a, b = getattr(one, field.name), getattr(two, field.name)
        pairs = zip(a, b, strict=True) if isinstance(a, tuple) else [(a, b)]
        for x, y in pairs:
            assert np.asarray(x).tobytes() == np.asarray(y).tobytes(), field.name


def test_the_order_of_positions_changes_no_bit() -> None:
    given = raw(500, 2)
    sorted_once = sort_positions(**given)
    first = refresh(sorted_once, RULES, MARK, books())
    shuffle = np.random.default_rng(0).permutation(len(given["pool"]))
    for name in ("pool", "market", "quantity", "entry"):
        given[name] = given[name][shuffle]
    again = sort_positions(**given)
    same(first, refresh(again, RULES, MARK, books()))
    priced = price_positions(sorted_once, RULES, MARK, books())
    for one, two in zip(priced, price_positions(again, RULES, MARK, books()), strict=True):
        assert one.tobytes() == two.tobytes()
    assert (given["quantity"][again.row] == again.quantity).all()


def test_the_number_of_threads_changes_no_bit() -> None:
    p = sort_positions(**raw(500, 3))
    alone = refresh(p, RULES, MARK, books())
    with ThreadPoolExecutor(2) as executor:
        same(alone, refresh(p, RULES, MARK, books(), run=executor.map))


def test_a_used_workspace_gives_what_a_fresh_one_gives() -> None:
    p, q = sort_positions(**raw(300, 4)), sort_positions(**raw(300, 4))
    workspace = Workspace(len(p.quantity), 6)
    refresh(p, RULES, MARK * 1.1, books(), workspace=workspace)
    again = refresh(p, RULES, MARK, books(), workspace=workspace)
    same(refresh(q, RULES, MARK, books()), again)


def test_markets_come_in_the_order_asked_for() -> None:
    p = sort_positions(**raw(300, 4))
    every = refresh(p, RULES, MARK, books())
    some = refresh(p, RULES, MARK, books(), order=np.array([4, 1]))
    for k, market in enumerate((4, 1)):
        assert (some.sums.within[:, k] == every.sums.within[:, market]).all()
        assert (some.sums.top_pool[:, k] == every.sums.top_pool[:, market]).all()
        for side in (0, 1):
            for kind in (ZONE_CELLS, STAGE_CELLS):
                one, two = some.cells(kind, side, k), every.cells(kind, side, market)
                assert one.place.tobytes() == two.place.tobytes()
                assert one.units.tobytes() == two.units.tobytes()


def zone_of(x: np.ndarray, mark: float, side: int, due: np.ndarray) -> np.ndarray:
    """The zone in which each price lies; `ZONE_BINS` for none."""
    x = x * (1 / mark)
    y = (1 - x if side == LONG else x - 1) * (1 / BIN_WIDTH)
    y = np.where(due, 0.0, np.where(np.isnan(y), ZONE_BINS, np.maximum(y, 0.0)))
    return np.minimum(y, ZONE_BINS).astype(int)


def summed(zone: np.ndarray, units: np.ndarray) -> np.ndarray:
    return np.bincount(zone, units, ZONE_BINS + 1)[:ZONE_BINS].astype(np.int64)


def test_each_zone_holds_the_notional_whose_liquidation_price_lies_in_it() -> None:
    p = sort_positions(**raw(600, 5))
    bands = refresh(p, RULES, MARK, books())
    priced = price_positions(p, RULES, MARK, books())
    units = np.rint(np.abs(p.quantity) * MARK[p.market] * 1e6).astype(np.int64)
    for side in (LONG, SHORT):
        for market in range(6):
            mine = (p.market == market) & ((p.quantity > 0) == (side == LONG))
            due = priced.due[pools_of(p)]

            parts = []
            for row in (PRICE_LIQUIDATION, PRICE_LIQUIDATION + STRESS, PRICE_BACKSTOP,
                        PRICE_BANKRUPTCY):  # fmt: skip
                at_once = due if row % 4 == PRICE_LIQUIDATION else np.zeros_like(due)
                zone = zone_of(priced.prices[row], float(MARK[market]), side, at_once)
                parts.append(np.where(mine, zone, ZONE_BINS))
            near, far, back, broke = parts
            assert (by_zone(bands, side, market) == summed(near, units)).all()
            modes = by_group(bands, side, market).sum(axis=(0, 2))
            cross = (near < ZONE_BINS) & ~p.isolated[pools_of(p)]
            assert modes[0] == units[cross].sum()
            stages = by_stage(bands, side, market)
            assert (stages[:, STRESSED] == summed(far, units)).all()
            assert (stages[:, BACKSTOP_STAGE] == summed(back, units)).all()
            assert (stages[:, BANKRUPT] == summed(broke, units)).all()
            # Hyperliquid's path: a fifth first where the position is 100,000 or more.
            partial = (market == 0) & (units >= 100_000 * 10**6)
            later = np.where(partial, units - np.rint(units * 0.2), 0).astype(np.int64)
            assert (stages[:, AWAITING_PAUSE] == summed(near, later)).all()
            assert bands.sums.within[side, market, -1] == by_zone(bands, side, market).sum()
            for kind in (ZONE_CELLS, STAGE_CELLS):
                assert (np.diff(bands.cells(kind, side, market).place.astype(int)) > 0).all()


def test_stress_never_moves_a_liquidation_away() -> None:
    p = sort_positions(**raw(400, 6))
    priced = price_positions(p, RULES, MARK, books())
    for row in range(4):
        calm, stress = priced.prices[row], priced.prices[row + STRESS]
        long = p.quantity > 0
        both = ~np.isnan(calm) & ~np.isnan(stress)
        assert (stress[both & long] >= calm[both & long]).all()
        assert (stress[both & ~long] <= calm[both & ~long]).all()


def test_the_largest_holders_are_those_who_hold_most_near_the_mark() -> None:
    p = sort_positions(**raw(600, 7))
    bands = refresh(p, RULES, MARK, reach=0.05)
    priced = price_positions(p, RULES, MARK)
    units = np.rint(np.abs(p.quantity) * MARK[p.market] * 1e6).astype(np.int64)
    due = priced.due[pools_of(p)]
    for side in (0, 1):
        for market in range(6):
            mine = (p.market == market) & ((p.quantity > 0) == (side == LONG))
            zone = zone_of(priced.prices[PRICE_LIQUIDATION], float(MARK[market]), side, due)
            near = np.flatnonzero(mine & (zone < 100))
            best = near[np.lexsort((p.key[pools_of(p)[near]], -units[near]))][:TOP_HOLDERS]
            assert len(best) == TOP_HOLDERS
            assert bands.sums.top_pool[side, market].tolist() == pools_of(p)[best].tolist()
            assert bands.sums.top[side, market].tolist() == units[best].tolist()


def test_where_a_mark_is_not_known_its_pools_have_no_price_and_are_counted() -> None:
    p = sort_positions(**raw(300, 8))
    mark = MARK.copy()
    mark[2] = np.nan
    bands, priced = refresh(p, RULES, mark), price_positions(p, RULES, mark)
    touched = np.unique(pools_of(p)[p.market == 2])
    assert bands.unknown == len(touched)
    inside = np.isin(pools_of(p), touched)
    assert np.isnan(priced.prices[:, inside]).all()
    rest = refresh(sort_positions(**without(raw(300, 8), touched)), RULES, MARK)
    for side in (0, 1):
        for market in range(6):
            assert (by_zone(bands, side, market) == by_zone(rest, side, market)).all()
    assert not np.isnan(priced.prices[0, ~inside]).all()
    assert np.isnan(priced.prices[4:]).all()  # no book: what stress would do is not known


def test_at_a_factor_root_a_cross_pool_has_just_its_maintenance() -> None:
    p = sort_positions(**raw(400, 9))
    priced = price_positions(p, RULES, MARK)
    met = 0
    for pool in range(400):
        for f in priced.factor[:, pool]:
            if np.isnan(f) or f == 0.0:
                continue
            span = range(p.start[pool], p.start[pool] + p.length[pool])
            equity, need = priced.equity[pool], F(0)
            for i in span:
                m = p.market[i]
                moved = MARK[m] * (1 + BETA[m] * f)
                equity += p.quantity[i] * (moved - MARK[m])
                position = Position("X", F(p.quantity[i]), F(MARK[m]), TIERS[m], F(p.entry[i]),
                                    size_rate=F(RISE[m]))  # fmt: skip
                need += requirement(REGIME[m], position, F(moved))
            gross = sum(abs(p.quantity[i]) * MARK[p.market[i]] for i in span)
            assert equity == pytest.approx(float(need), abs=1e-9 * gross)
            met += 1
    assert met > 50
    assert np.isnan(priced.factor[:, p.isolated]).all()


def test_a_hedged_account_is_further_from_a_common_move_than_from_one_of_its_markets() -> None:
    two = sort_positions(np.array([0, 0]), np.array([0, 1]), np.array([1.0, -50_000 / 3_000]),
                  MARK[:2].copy(), np.array([5_000.0]), np.array([0]))  # fmt: skip
    rules = RuleArrays.from_markets([(REGIMES["binance"], FIVE)] * 2)
    priced = price_positions(two, rules, MARK[:2].copy())
    assert 0 < 1 - priced.prices[PRICE_LIQUIDATION, 0] / MARK[0] < 0.1
    assert np.isnan(priced.factor[0, 0]) or priced.factor[0, 0] < -0.3


def test_slippage_is_the_walk_down_the_ladder_and_depth_what_it_passes() -> None:
    today = books()  # 20 levels of 20,000 each, 3 bp apart
    assert today.slip[0, 0, 0] == pytest.approx(0.0003)
    whole = 2**18  # 262,144: thirteen levels and a part of the fourteenth
    walked = sum(20_000 * 0.0003 * j for j in range(1, 14)) + (whole - 260_000) * 0.0003 * 14
    assert today.slip[1, 3, 18 - EXPONENT_LOW] == pytest.approx(walked / whole)
    assert (np.diff(today.slip, axis=2) >= -1e-15).all()
    assert today.depth[0, 0, 0] == pytest.approx(60_000)  # within 10 bp: three levels
    assert today.depth[0, 0, 1] == pytest.approx(160_000)  # within 25 bp: eight
    assert (np.diff(today.depth, axis=2) >= 0).all()


def test_a_market_twice_in_a_pool_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="give the net position"):
        sort_positions(np.array([0, 0]), np.array([1, 1]), np.array([1.0, 2.0]),
                       np.array([1.0, 1.0]), np.array([5.0]), np.array([0]))  # fmt: skip
