"""Accounts that settle in coin, from records to bands: the margin calculator's price in coin."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from monitor.core.bands.layout import BIN_WIDTH
from monitor.core.bands.market_bands import VenueBands
from monitor.core.margin.calculator import solve
from monitor.core.settings import EngineSettings
from monitor.core.venue.answers.stress_test import IN_COIN, StressTest
from monitor.core.venue.state import VenueState
from tests.core.bands.position_arrays import forced_zones
from tests.core.venue.test_state import START, deposit, mark, run, table

PERP = "BTCUSD_PERP"
MARK = 50_000
_times = itertools.count(1)


def rules(symbol: str = PERP, regime: str = "binance", rate: str = "0.01") -> dict[str, Any]:
    return table(symbol, rate) | {"regime": regime}


def usd(account: str, contracts: int, price: float, symbol: str = PERP, **more: Any) -> Any:
    """A fill of contracts of 100 USD, as an importer writes it: base units, 8 decimals."""
    return {"kind": "fill", "symbol": symbol, "account": account, "price": price,
            "side": "buy" if contracts > 0 else "sell",
            "quantity": f"{abs(contracts) * 100 / price:.8f}", "at": next(_times) / 1e3,
            **more}  # fmt: skip


def coin(account: str, amount: object, **more: Any) -> dict[str, Any]:
    return deposit(account, amount, symbol=PERP, **more)


def price_of(bands: VenueBands, symbol: str, side: int) -> tuple[float, float, int]:
    """The edges of the only zone with something in it, and what that is."""
    market = next(m for m in bands.markets if m.symbol == symbol)
    ((zone, units),) = forced_zones(market)[side].items()
    sign = -1 if side == 0 else 1
    edges = sorted(market.mark * (1 + sign * z * BIN_WIDTH) for z in (zone, zone + 1))
    return edges[0], edges[1], units


def liquidation(contracts: float, equity: float, **more: Any) -> float:
    """Of a position at the mark, by the calculator."""
    position = {"symbol": PERP, "quantity": contracts, "mark": MARK}
    document = {"regime": "binance", "tiers": 0.01, "pool": {"equity": equity, **more},
                "positions": [position]}  # fmt: skip
    answer: Any = solve(document)
    return float(answer["pools"][0]["positions"][0]["liquidation"])


@pytest.mark.parametrize("sign", [1, -1])
def test_a_cross_account_is_forced_where_its_coin_is_lost(sign: int) -> None:
    # Two fills and a part closed again: 700 contracts are left.
    trades = [usd("a", sign * 600, 49_000), usd("a", sign * 300, 52_000, fee="0.002"),
              usd("a", -sign * 200, 51_000)]  # fmt: skip
    _, bands = run([rules(), mark(MARK, PERP), coin("a", "0.3"), *trades])
    coin_flow = sum(
        s * 100 * n / p for s, n, p in ((1, 600, 49_000), (1, 300, 52_000), (-1, 200, 51_000))
    )
    equity = 0.3 - 0.002 + sign * (coin_flow - 70_000 / MARK)
    low, high, units = price_of(bands[-1], PERP, 0 if sign > 0 else 1)
    assert low <= liquidation(sign * 700, equity) <= high
    assert units == 70_000 * 10**6
    assert (bands[-1].pools, bands[-1].unknown, bands[-1].left_out) == (1, 0, ())


def test_an_isolated_position_has_its_margin_or_its_leverage_in_coin() -> None:
    set_ten = {"kind": "leverage", "symbol": PERP, "account": "a", "leverage": 10,
               "margin_mode": "isolated"}  # fmt: skip
    base = [rules(), mark(MARK, PERP), coin("a", 5), set_ten, usd("a", 500, MARK)]
    for margin in ([], [coin("a", "0.1", cause="isolated_in")]):
        _, bands = run([*base, *margin])
        low, high, _ = price_of(bands[-1], PERP, 0)
        assert low <= liquidation(500, 0.1) <= high
        assert bands[-1].assumed == (0 if margin else 1)


def test_a_wallet_serves_all_markets_of_its_currency_and_no_other() -> None:
    other = "BTCUSD_260327"
    first = [rules(), rules(other), rules("SOLUSDT"), mark(MARK, PERP), mark(MARK, other),
             mark(100, "SOLUSDT"), coin("a", "0.3"), deposit("a", 1_000_000)]  # fmt: skip
    hedge = [usd("a", 500, MARK), usd("a", -400, MARK, other)]
    _, bands = run([*first, *hedge])
    # The other market's requirement counts, a million dollars do not.
    low, high, _ = price_of(bands[-1], PERP, 0)
    assert low <= liquidation(500, 0.3, other_maintenance=0.008) <= high
    linear = {"kind": "fill", "symbol": "SOLUSDT", "account": "a", "price": 100, "side": "buy",
              "quantity": 10}  # fmt: skip
    _, beside = run([*first, *hedge, linear])
    assert beside[-1].pools == 2
    assert price_of(beside[-1], PERP, 0) == (low, high, 50_000 * 10**6)
    (holders, _) = next(m for m in beside[-1].markets if m.symbol == other).top
    assert holders == []


def test_holders_go_by_the_accounts_own_name() -> None:
    _, bands = run([rules(), mark(MARK, PERP), coin("a", "0.015"), usd("a", 500, MARK)])
    (market,) = bands[-1].markets
    assert market.top == ([("a", 50_000 * 10**6)], [])


def test_a_flat_position_leaves_its_coin_to_the_wallet() -> None:
    # Bought at 50,000 and sold at 40,000: a quarter of a coin is lost.
    trip = [usd("a", 500, 50_000), usd("a", -500, 40_000)]
    base = [rules(), mark(MARK, PERP), coin("a", "0.35")]
    _, bands = run([*base, *trip])
    assert not bands or not bands[-1].markets or bands[-1].pools == 0
    _, bands = run([*base, *trip, usd("a", 500, MARK)])
    low, high, _ = price_of(bands[-1], PERP, 0)
    assert low <= liquidation(500, 0.35 - 0.25) <= high


def test_a_quanto_position_gains_its_multiplier_in_the_third_currency() -> None:
    # 1,000 contracts of 1e-6 XBT a dollar at 3,000: 3 XBT; 1 % maintenance, 0.15 XBT of margin.
    fill = {"kind": "fill", "symbol": "ETHUSD", "account": "a", "price": 3_000, "side": "buy",
            "quantity": 1_000}  # fmt: skip
    base = [rules("ETHUSD", "bitmex"), mark(3_000, "ETHUSD")]
    _, bands = run([*base, deposit("a", "0.15", symbol="ETHUSD"), fill])
    low, high, units = price_of(bands[-1], "ETHUSD", 0)
    # BitMEX counts maintenance at entry: 0.15 + 0.001 (x − 3,000) = 0.03.
    assert low <= 3_000 - 0.12 / 0.001 <= high
    assert units == 3_000_000 * 10**6


def test_what_came_before_its_contract_stays_out_and_a_restart_changes_nothing() -> None:
    terms = {"kind": "reference", "about": "market", "symbol": "SOL",
             "contract": {"type": "inverse", "size": 10, "settles_in": "SOL"}}  # fmt: skip
    early = {"kind": "fill", "symbol": "SOL", "account": "a", "price": 100, "side": "buy",
             "quantity": 1}  # fmt: skip
    engine, bands = run([table(), mark(100), early, terms | {"at": 3}, mark(101) | {"at": 5}])
    assert bands[0].markets
    ((_, why),) = bands[-1].left_out
    assert why.startswith("inverse: what its contract is came after its first record")
    engine, _ = run([rules(), mark(MARK, PERP), coin("a", "0.3"), usd("a", 500, MARK)])
    again = VenueState(EngineSettings())
    again.restore(engine.venue.snapshot())
    assert again.coin_rules == engine.venue.coin_rules
    assert again.coin_rules.keys() == {PERP}
    assert again.digest() == engine.venue.digest()


def test_a_forced_fill_is_judged_in_coin() -> None:
    due = liquidation(500, 0.1)
    forced = usd("a", -500, due * 0.99, cause="liquidation", at=4)
    records = [rules(), mark(MARK, PERP), coin("a", "0.1"), usd("a", 500, MARK),
               mark(due, PERP) | {"at": 3}, forced]  # fmt: skip
    engine, _ = run(records)
    counts = engine.venue.outcomes.counts_by_name()
    assert counts == {"liquidation": {"cross": {"within_10_bps": 1}}}


def test_sums_of_fills_and_streams_stay_in_quote_currency() -> None:
    records = [rules(), mark(MARK, PERP), coin("a", "0.3"), usd("a", 500, MARK)]
    engine, _ = run(records)
    assert engine.venue.ledger.fills_by_cause[-1].tolist() == [1, 50_000 * 10**6]
    ((entries, effects),) = engine.venue.changes
    assert entries[0, 0] == START
    opened = effects[effects[:, 0] > 0]
    assert opened[:, 0].tolist() == [10**18]  # one coin's worth of base units


def test_without_accounts_an_estimate_is_made_in_coin_too() -> None:
    _, bands = run([rules(), mark(MARK, PERP) | {"open_interest": 10}])
    (market,) = bands[-1].markets
    assert market.estimate is not None
    longs, shorts = (max(zones) for zones in forced_zones(market))
    # Leverage from 50 (the lowest tier's) down to 2; from 1/x = 1.01 or 0.99 of 1/2 − 1 % on.
    away = (0.5 - 0.01) / 1.01
    assert longs == pytest.approx(away / (1 + away) / BIN_WIDTH, abs=10)
    assert shorts > 970  # up to 98 %, beyond reach
    nearest = [min(zones) for zones in forced_zones(market)]
    assert nearest == pytest.approx([0.01 / 1.02 / BIN_WIDTH, 0.01 / 0.98 / BIN_WIDTH], abs=2)


@pytest.mark.parametrize("symbol", ["BTC-USDT-SWAP", "BTC-USD-SWAP"])
@pytest.mark.parametrize("contracts", [99, 100])
def test_tiers_by_contracts_go_by_the_contracts_size(symbol: str, contracts: int) -> None:
    # OKX: 0.01 BTC or 100 USD a contract; from 100 contracts on 2 % of all of it.
    linear, tiers = "USDT" in symbol, [("0", "0.004"), ("100", "0.02")]
    terms = {"type": "linear", "size": "0.01"} if linear else {"type": "inverse", "size": 100}
    rows = [{"lower_bound": bound, "maintenance_rate": rate} for bound, rate in tiers]
    market = {"kind": "reference", "about": "market", "symbol": symbol, "regime": "okx",
              "tiers": rows, "tiers_by": "contracts", "contract": terms}  # fmt: skip
    fill = usd("a", contracts, MARK, symbol) | ({"quantity": contracts / 100} if linear else {})
    equity = contracts / 100 * MARK / 10 if linear else contracts * 100 / MARK / 10
    _, bands = run([market, mark(MARK, symbol), deposit("a", equity, symbol=symbol), fill])
    low, high, _ = price_of(bands[-1], symbol, 0)
    rate, fee = (0.02 if contracts >= 100 else 0.004), 0.0005
    # Linear: 0.1 + y − 1 = (rate + fee) y; inverse in 1/y.
    y = 0.9 / (1 - rate - fee) if linear else (1 + rate + fee) / 1.1
    assert low <= MARK * y <= high


def test_stress_says_first_which_markets_it_does_not_cover() -> None:
    linear = {"kind": "fill", "symbol": "SOL", "account": "a", "price": 100, "side": "buy",
              "quantity": 10}  # fmt: skip
    records = [rules(), mark(MARK, PERP), coin("a", "0.1"), usd("a", 500, MARK), table(), mark(100),
               deposit("a", 110), linear]  # fmt: skip
    engine, _ = run(records)
    stress = StressTest(engine.venue, engine.stage.band_maker).shock([-0.07], [1.0])
    assert [market.symbol for market in stress.markets] == ["SOL"]
    assert stress.markets[0].rows[0].forced_notional > 0
    assert stress.unknown[0] == f"{PERP}: {IN_COIN}"
