"""Rules that single positions have of their own."""

from __future__ import annotations

from typing import Any

import pytest

from monitor.core.bands.layout import BIN_WIDTH
from monitor.core.engine import Engine
from monitor.core.settings import AccountSettings, EngineSettings
from tests.core.bands.position_arrays import forced_zones
from tests.core.venue.liquidation_prices import liquidation_prices
from tests.core.venue.test_state import deposit, fill, mark, run, table

POSITION = {"kind": "reference", "about": "position", "symbol": "SOL", "margin_mode": "cross",
            "entry_price": 100}  # fmt: skip


def rules(rate: str, regime: str = "hyperliquid", **more: object) -> dict[str, Any]:
    return {**table(rate=rate), "regime": regime, **more}


def long_at(rate: float, equity: float = 20.0) -> float:
    """Liquidation price of one unit bought at 100."""
    return (100.0 - equity) / (1.0 - rate)


def price(records: list[dict[str, Any]], account: str = "a") -> float | None:
    engine, _ = run([mark(100), *records], 20)
    return liquidation_prices(engine)[account, "SOL"]


@pytest.mark.parametrize(("regime", "rate"), [("hyperliquid", 0.05), ("binance", 0.1)])
def test_open_position_keeps_its_table_where_the_regime_says_so(regime: str, rate: float) -> None:
    change = rules("0.1", regime, at=5)
    records = [rules("0.05", regime), deposit("a", 20), fill("a", "buy", 1), change]
    assert price(records) == pytest.approx(long_at(rate), rel=1e-12)


def test_position_opened_after_the_change_has_the_new_table() -> None:
    records = [rules("0.05"), deposit("a", 20), rules("0.1", at=5), fill("a", "buy", 1) | {"at": 7}]
    assert price(records) == pytest.approx(long_at(0.1), rel=1e-12)


@pytest.mark.parametrize("between", ["sell one and buy one", "sell two and buy two"])
def test_kept_table_ends_with_its_position(between: str) -> None:
    size = 1 if between == "sell one and buy one" else 2
    again = [fill("a", "sell", size) | {"at": 8}, fill("a", "buy", size) | {"at": 8.1}]
    records = [rules("0.05"), deposit("a", 20), fill("a", "buy", 1), rules("0.1", at=5), *again]
    assert price(records) == pytest.approx(long_at(0.1), rel=1e-12)


def test_more_of_a_position_keeps_its_table() -> None:
    more = [fill("a", "buy", 1) | {"at": 8}, deposit("a", 20) | {"at": 8}]
    records = [rules("0.05"), deposit("a", 20), fill("a", "buy", 1), rules("0.1", at=5), *more]
    assert price(records) == pytest.approx(long_at(0.05), rel=1e-12)


def test_shown_maximum_leverage_is_one_rate_where_the_table_has_it_not() -> None:
    tiers = [{"lower_bound": 0, "maintenance_rate": "0.05"},
             {"lower_bound": 50, "maintenance_rate": "0.1"}]  # fmt: skip
    market = rules("0.05", tiers=tiers)
    shown = {**POSITION, "account": "a", "quantity": 1}
    assert price([market, deposit("a", 20), {**shown, "max_leverage": 20}]) == pytest.approx(
        long_at(0.025), rel=1e-9
    )
    # 5 is what the table gives a notional of 100: no older table, and its deduction holds.
    assert price([market, deposit("a", 20), {**shown, "max_leverage": 5}]) == pytest.approx(
        (100.0 - 20.0 - 2.5) / 0.9, rel=1e-12
    )


def test_account_has_a_rate_of_its_own_for_what_is_open_and_what_opens_later() -> None:
    rate = {
        "kind": "reference",
        "about": "account_rules",
        "account": "a",
        "maintenance_rate": "0.01",
    }
    opened = [deposit("a", 20), fill("a", "buy", 1), deposit("b", 20), fill("b", "buy", 1)]
    early, late = [{**rate, "at": at} for at in (0, 7)]
    for one in (early, late):
        engine, _ = run([mark(100), rules("0.05"), one, *[r | {"at": 5} for r in opened]], 20)
        prices = liquidation_prices(engine)
        assert prices["a", "SOL"] == pytest.approx(long_at(0.01), rel=1e-12)
        assert prices["b", "SOL"] == pytest.approx(long_at(0.05), rel=1e-12)


def test_in_an_isolated_only_market_every_position_has_a_margin_of_its_own() -> None:
    opened = {**POSITION, "account": "a", "quantity": 1, "isolated_margin": 20}
    records = [rules("0.05", isolated_only=True), deposit("a", 1000), opened]
    assert price(records) == pytest.approx(long_at(0.05), rel=1e-12)


def test_snapshot_holds_own_rules() -> None:
    rate = {
        "kind": "reference",
        "about": "account_rules",
        "account": "a",
        "maintenance_rate": "0.01",
    }
    records = [mark(100), rules("0.05"), rate, deposit("a", 20), fill("a", "buy", 1),
               deposit("b", 20), fill("b", "buy", 1), rules("0.1", at=5)]  # fmt: skip
    engine, _ = run(records, 20)
    settings = EngineSettings(streams=(), accounts=AccountSettings(bands_every_s=1))
    again = Engine(settings, [])
    again.restore(engine.snapshot())
    assert liquidation_prices(again) == liquidation_prices(engine)
    assert again.venue.digest() == engine.venue.digest()
    assert liquidation_prices(engine)["b", "SOL"] == pytest.approx(long_at(0.05), rel=1e-12)


def test_zones_of_a_position_with_own_rules_are_those_of_its_market() -> None:
    other = [table("BTC", "0.02"), mark(50, "BTC"), {**fill("c", "buy", 1, 50), "symbol": "BTC"}]
    records = [mark(100), rules("0.05"), deposit("a", 20), fill("a", "buy", 1), deposit("c", 10)]
    _, bands = run([*records, *other, rules("0.1", at=5)], 20)
    assert [market.symbol for market in bands[-1].markets] == ["BTC", "SOL"]
    of_market = {market.symbol: forced_zones(market)[0] for market in bands[-1].markets}
    zone = int((1 - long_at(0.05) / 100) / BIN_WIDTH)
    assert of_market["SOL"] == {zone: 100 * 10**6}
    assert sum(of_market["BTC"].values()) == 50 * 10**6


def test_own_rules_that_nobody_has_any_more_outlast_a_restart() -> None:
    records = [mark(100), rules("0.05"), deposit("a", 20), fill("a", "buy", 1), rules("0.1", at=5),
               fill("a", "sell", 1) | {"at": 8}]  # fmt: skip
    engine, _ = run(records, 20)
    settings = EngineSettings(streams=(), accounts=AccountSettings(bands_every_s=1))
    again = Engine(settings, [])
    again.restore(engine.snapshot())
    assert again.venue.own_rules.version == 1
    assert liquidation_prices(again) == {}
