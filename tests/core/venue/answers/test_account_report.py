"""One account as it stands: by hand, by `brinkwatch margin`, and by the bands' kernels."""

from __future__ import annotations

import random
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from monitor.core.bands.inputs import BookImpact, RuleArrays, mark_prices
from monitor.core.engine import Engine
from monitor.core.margin.calculator import solve
from monitor.core.venue.answers.account_report import (
    PRICES,
    find_account,
    report_account,
    some_accounts,
)
from tests.core.bands.position_arrays import price_positions
from tests.core.venue.test_state import deposit, run

TIERS = [
    {"lower_bound": 0, "maintenance_rate": "0.01", "initial_rate": "0.02"},
    {"lower_bound": 50_000, "maintenance_rate": "0.02", "initial_rate": "0.04"},
    {"lower_bound": 400_000, "maintenance_rate": "0.05", "initial_rate": "0.1"},
]


def market(symbol: str, price: object, regime: str = "hyperliquid") -> list[dict[str, Any]]:
    p = float(str(price))
    levels = [[f"{p * (1 + sign * step):.6f}", f"{300 / p:.6f}"]
              for sign in (-1, 1) for step in (0.001, 0.002, 0.004)]  # fmt: skip
    return [
        {"kind": "reference", "about": "market", "symbol": symbol, "regime": regime,
         "tiers": TIERS},
        {"kind": "mark", "symbol": symbol, "mark": price},
        {"kind": "book", "symbol": symbol, "bids": levels[:3], "asks": levels[3:]},
    ]  # fmt: skip


def trade(
    account: str, symbol: str, quantity: object, price: object, **more: Any
) -> dict[str, Any]:
    signed = Decimal(str(quantity))
    return {"kind": "fill", "account": account, "symbol": symbol, "quantity": str(abs(signed)),
            "side": "buy" if signed > 0 else "sell", "price": price, **more}  # fmt: skip


def leverage(account: str, symbol: str, times: int, mode: str) -> dict[str, Any]:
    return {"kind": "leverage", "symbol": symbol, "account": account, "leverage": times,
            "margin_mode": mode}  # fmt: skip


def report(records: list[dict[str, Any]], account: str) -> dict[str, Any]:
    engine, _ = run(records)
    return report_of(engine, account)


def report_of(engine: Engine, account: str) -> dict[str, Any]:
    number = find_account(engine.venue.ledger, account)
    assert number is not None
    return report_account(engine.venue, number)


TWO = [
    *market("BTC", 60_000),
    *market("ETH", 3_000),
    deposit("a", 5_000),
    trade("a", "BTC", "0.5", 59_000, fee="2.95"),
    trade("a", "BTC", "-0.1", 60_500, fee="0.605"),
    trade("a", "ETH", -4, 3_020, fee="1.2"),
    deposit("a", "-7.25", "funding", symbol="BTC"),
    deposit("a", "0.005", "rebate"),
]


def test_an_account_by_hand_to_the_last_digit() -> None:
    got = report(TWO, "a")
    assert got["equity"] == {
        "price": "630", "realised": "150", "unrealised": "480", "funding": "-7.25",
        "fees": "4.75", "transfers": "5000", "total": "5618",
    }  # fmt: skip
    assert got["unknown"] == []
    btc, eth = got["positions"]
    assert [btc[n] for n in ("symbol", "mode", "quantity", "entry", "mark", "notional")] == [
        "BTC", "cross", "0.4", "59000", "60000", "24000",
    ]  # fmt: skip
    # 5618 + 0.4 (x − 60000) = 0.01 · 0.4 x + 120, for ETH requires 0.01 · 12000.
    assert Decimal(btc["liquidation"]) == pytest.approx(Decimal(18_502) / Decimal("0.396"))
    # 5618 − 4 (x − 3000) = k (0.01 · 4 x + 240): bankruptcy k = 0.
    assert Decimal(eth["bankruptcy"]) == Decimal("4404.5")
    assert btc["distance"]["liquidation"] == pytest.approx(float(btc["liquidation"]) / 60_000 - 1)
    # 5618 + (24000 − 12000) f = 0.01 · 36000 · (1 + f)
    assert got["factor"]["down"] == pytest.approx(-5258 / 11640)
    assert got["factor"]["up"] is None


def test_the_prices_are_those_of_the_margin_command() -> None:
    got = report(TWO, "a")
    document = {
        "regime": "hyperliquid", "tiers": TIERS, "as_of": "2025-11-24",
        "pool": {"mode": "cross", "equity": "5618"},
        "positions": [
            {"symbol": "BTC", "quantity": "0.4", "mark": 60_000, "entry": 59_000},
            {"symbol": "ETH", "quantity": -4, "mark": 3_000, "entry": 3_020},
        ],
    }  # fmt: skip
    (pool,) = solve(document)["pools"]  # type: ignore[misc]
    for mine, other in zip(got["positions"], pool["positions"], strict=True):
        del other["trace"]["unknown"], other["trace"]["ignored"]
        assert {name: mine[name] for name in other} == other


def test_as_isolated_and_as_cross_are_what_the_other_mode_would_give() -> None:
    records = [*TWO, leverage("a", "BTC", 10, "cross"), leverage("a", "ETH", 5, "cross")]
    crossed = report(records, "a")
    alone = [leverage("a", "BTC", 10, "isolated"), leverage("a", "ETH", 5, "isolated")]
    isolated = report([*TWO, *({**r, "at": 2} for r in alone)], "a")
    for as_cross, as_isolated in zip(crossed["positions"], isolated["positions"], strict=True):
        assert (as_cross["mode"], as_isolated["mode"]) == ("cross", "isolated")
        for name in PRICES:
            assert as_cross["as_cross"][name] == as_cross[name] == as_isolated["as_cross"][name]
            assert as_isolated["as_isolated"][name] == as_isolated[name]
    assert crossed["factor"] is not None
    assert isolated["factor"] is None
    # What the venue would take as margin is the entry value over the leverage; profit comes on top.
    # Isolated, fees and funding of the position are in its equity too.
    btc = crossed["positions"][0]["as_isolated"]
    assert btc["equity"] == str(23_600 // 10 + 400)
    assert btc["equity_is"] == "entry value / leverage, and profit"


def test_without_a_leverage_the_initial_margin_stands_for_it() -> None:
    btc, _ = report(TWO, "a")["positions"]
    assert btc["as_isolated"]["equity"] == "480"


@pytest.mark.parametrize("missing", ["mark", "reference"])
def test_what_is_missing_is_said_and_no_price_is_guessed(missing: str) -> None:
    records = [r for r in TWO if not (r["kind"] == missing and r["symbol"] == "ETH")]
    got = report(records, "a")
    assert len(got["unknown"]) == 1
    assert got["unknown"][0].startswith("ETH: no prices")
    assert [one["liquidation"] for one in got["positions"]] == [None, None]
    assert (got["equity"]["total"] is None) == (missing == "mark")
    assert got["factor"] is None


def test_a_contract_in_coin_is_not_counted_as_if_it_were_linear() -> None:
    eth = next(r for r in TWO if r.get("about") == "market" and r["symbol"] == "ETH")
    records = [r | {"contract": {"type": "inverse", "size": 10}} if r is eth else r for r in TWO]
    got = report(records, "a")
    assert got["unknown"] == [
        "its wallet in ETH is not shown: what settles in coin counts by itself"
    ]
    assert [one["symbol"] for one in got["positions"]] == ["BTC"]
    assert got["equity"]["transfers"] == "5000"


def test_a_market_without_a_book_has_no_stressed_prices() -> None:
    btc, eth = report([r for r in TWO if r["kind"] != "book" or r["symbol"] == "ETH"], "a")[
        "positions"
    ]
    assert btc["stressed"] is None
    assert eth["stressed"]["slippage"] > 0
    assert float(eth["stressed"]["liquidation"]) < float(eth["liquidation"])


def test_an_account_is_found_by_its_exact_name_alone() -> None:
    engine, _ = run(TWO)
    ledger = engine.venue.ledger
    assert find_account(ledger, "A") is None
    assert some_accounts(ledger) == ["a"]


def test_the_kernels_of_the_bands_give_the_same_prices() -> None:
    rng = random.Random(3)
    prices = {"A": 50_000.0, "B": 3_000.0, "C": 1.25, "D": 77.5}
    regimes = {"A": "hyperliquid", "B": "okx", "C": "generic", "D": "bybit"}
    records = [
        r for symbol, price in prices.items() for r in market(symbol, price, regimes[symbol])
    ]
    names = [f"acc{i}" for i in range(40)]
    for name in names:
        for symbol in rng.sample(sorted(prices), rng.randint(1, 3)):
            mode = rng.choice(["cross", "cross", "isolated"])
            # Odd: a margin of half of 1e-6 is rounded to even here, and anyhow in floats.
            records.append(leverage(name, symbol, rng.choice([3, 7, 15]), mode))
            notional = 10 ** rng.uniform(2, 5.9) * rng.choice([-1, 1])
            entry = round(prices[symbol] * rng.uniform(0.97, 1.03), 6)
            quantity = f"{notional / prices[symbol]:.8f}"
            records.append(trade(name, symbol, quantity, f"{entry:.6f}", fee="0.11"))
        records.append(deposit(name, f"{10 ** rng.uniform(3, 5.5):.6f}"))
    engine, _ = run(records)
    venue, pools = engine.venue, engine.stage.band_maker.pools
    positions, inputs = pools.update(), venue.market_inputs()
    mark = mark_prices(inputs.marks[pools.market_symbols])
    rules = RuleArrays.from_markets([inputs.rules[name] for name in pools.market_names])
    books = BookImpact.from_books(mark, pools.market_symbols, inputs.books)
    priced = price_positions(positions, rules, mark, books)
    compared = 0
    for pool in np.flatnonzero(positions.length > 0).tolist():
        (account,) = venue.ledger.names.names(pools.accounts(np.array([pool])))
        got = report_of(engine, account)
        by_name = {one["symbol"]: one for one in got["positions"]}
        for slot in range(positions.start[pool], positions.start[pool] + positions.length[pool]):
            one = by_name[pools.market_names[positions.market[slot]]]
            for first, values in ((0, one), (4, one["stressed"])):
                for row, name in enumerate(PRICES):
                    kernel = float(priced.prices[first + row, slot])
                    kernel = kernel if 0 < kernel < np.inf else np.nan
                    mine = np.nan if values[name] is None else float(values[name])
                    assert mine == pytest.approx(kernel, rel=1e-9, nan_ok=True), (account, name)
                    compared += 1
        if not positions.isolated[pool]:
            for root, kernel in zip(got["factor"].values(), priced.factor[:, pool], strict=True):
                if not np.isnan(kernel):
                    assert root == pytest.approx(kernel, rel=1e-9)
                else:
                    assert root is None or abs(root) >= 0.5
    assert compared > 300
