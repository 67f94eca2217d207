"""Published figures for inverse and quanto contracts, hedge mode and whole-position tiers.

Each is a venue's own example, or one by its own formula worked out by hand; read in November 2026.
"""

from __future__ import annotations

from typing import Any

import pytest

from monitor.core.margin.calculator import solve

Document = dict[str, Any]
COIN_M_2021 = [[0, 0.004], [5, 0.005], [10, 0.01], [20, 0.025], [50, 0.05], [100, 0.1],
               [200, 0.125], [400, 0.15]]  # fmt: skip
"""Binance's table for BTCUSD of 2021: bounds in BTC."""


def one(regime: str, pool: Document, **position: Any) -> Any:
    answer: Any = solve({"regime": regime, "pool": pool, "positions": [position]})
    return answer["pools"][0]["positions"][0]


def bybit(side: str, **changes: Any) -> float:
    fields = {"symbol": "BTCUSD", "side": side, "quantity": 60_000, "entry": 50_000, "leverage": 10,
              "tiers": 0.005} | changes  # fmt: skip
    day = fields.pop("as_of", None)
    return float(one("bybit", {"mode": "isolated", "as_of": day}, **fields)["liquidation"])


def test_bybit_inverse_at_entry_value() -> None:
    """Help center, "Liquidation price under isolated mode": size / (value ± (IM − MM))."""
    assert bybit("Sell") == pytest.approx(60_000 / (1.2 - 0.12 + 0.006))
    assert bybit("Buy", leverage=2) == pytest.approx(33_444.82, abs=0.005)
    assert bybit("Sell", leverage=2) == pytest.approx(99_009.90, abs=0.005)


def test_bybit_inverse_at_the_mark_since_may_2026() -> None:
    """The same page as of 27 May 2026: size·(1 ± MMR) over value, initial margin, deduction and
    what was added, less the taker fee."""
    since = {"as_of": "2026-06-01", "leverage": 2}
    assert bybit("Buy", **since) == pytest.approx(60_000 * 1.005 / 1.8)
    assert bybit("Sell", **since) == pytest.approx(60_000 * 0.995 / 0.6)
    added = {"extra_margin": "0.1", "fee": "0.00055"} | since
    assert bybit("Buy", **added) == pytest.approx(60_000 * 1.005 / (1.8 + 0.1 / 1.00055))
    assert bybit("Sell", **added) == pytest.approx(60_000 * 0.995 / (0.6 - 0.1 / 0.99945))
    tier = [{"lower_bound": 0, "mmr": 0.005}, {"lower_bound": 1, "mmr": 0.01, "mmDeduction": 0.005}]
    price = bybit("Buy", tiers=tier, **since)
    assert price == pytest.approx(60_000 * 1.01 / (1.8 + 0.005))


def test_bybit_linear_before_and_since_may_2026() -> None:
    fields = {"symbol": "BTCUSDT", "quantity": 1, "entry": 10, "leverage": 3, "tiers": 0.01}
    assert bybit("Buy", as_of="2026-05-01", **fields) == pytest.approx(10 * (1 - 1 / 3 + 0.01))
    assert bybit("Buy", as_of="2026-05-27", **fields) == pytest.approx(10 * (1 - 1 / 3) / 0.99)


def test_binance_coin_m_calculator() -> None:
    """A developer's figure of the venue's calculator, which shows whole ticks of 0.1: 101 BTC and
    100,000 contracts at 45,000."""
    fields = {"symbol": "BTCUSD_PERP", "positionAmt": "100000", "entryPrice": "45000"}
    answer = one("binance", {"balance": 101, "tiers": COIN_M_2021}, **fields)
    assert float(answer["liquidation"]) == pytest.approx(33_599.40, abs=0.05)
    assert answer["trace"]["binds"]["liquidation"]["deduction"] == "11.605"
    assert answer["trace"]["contract"]["settles_in"] == "BTC"


def test_binance_coin_m_maintenance_in_coin() -> None:
    """FAQ: 100 contracts at a mark of 25,000 are 0.4 BTC and need 0.0016."""
    fields = {"symbol": "BTCUSD_PERP", "quantity": 100, "mark": 25_000}
    answer = one("binance", {"equity": 1, "tiers": COIN_M_2021}, **fields)
    assert answer["trace"]["maintenance"] == "0.0016"


def test_okx_coin_margined_with_its_closing_fee() -> None:
    """face·n·(1 ± (MMR + fee)) / (margin ± face·n/average price): BTC contracts of 100 USD."""
    fields = {"instId": "BTC-USD-SWAP", "pos": 500, "avgPx": 50_000, "lever": 5, "mmr": 0.004}
    long = one("okx", {"mgnMode": "isolated"}, posSide="long", **fields)
    short = one("okx", {"mgnMode": "isolated"}, posSide="short", **fields)
    assert float(long["liquidation"]) == pytest.approx(50_000 * 1.0045 / (0.2 + 1))
    assert float(short["liquidation"]) == pytest.approx(50_000 * 0.9955 / (1 - 0.2))


def test_bitmex_inverse_and_quanto() -> None:
    """Maintenance at entry value. ETHUSD series guide: 1e-6 XBT a contract for each USD."""
    short = one("bitmex", {"mode": "isolated"}, symbol="XBTUSD", side="short", quantity=25,
                entry=80_000, leverage=2, tiers=0.1)  # fmt: skip
    assert float(short["liquidation"]) == pytest.approx(133_333.33, abs=0.005)
    table = [[0, "0.01", "0.02"]]
    quanto = one("bitmex", {"mode": "isolated"}, symbol="ETHUSD", currentQty=10_000, entry=500,
                 leverage=50, tiers=table)  # fmt: skip
    assert quanto["trace"]["initial"] == "0.1"
    assert quanto["trace"]["equity"] == "0.1"
    assert float(quanto["liquidation"]) == pytest.approx(500 * (1 - 0.02 + 0.01))


def test_bitmex_risk_limit_holds_for_the_whole_position() -> None:
    """Base maintenance 0.4 % to 200 XBT and 0.4 % more for each 100 XBT: at 300 XBT all of it."""
    table = [[0, "0.004"], [200, "0.008"], [300, "0.012"]]
    answer = one("bitmex", {"balance": 50}, symbol="XBTUSD", quantity=15_000_000, entry=50_000,
                 mark=50_000, tiers=table)  # fmt: skip
    assert float(answer["trace"]["maintenance"]) == pytest.approx(300 * 0.012)


def test_deribit_btc_perpetual() -> None:
    """50,000 USD at 62,000 are 0.80645 BTC: maintenance (1 % + 0.005 % a BTC) of them, in BTC."""
    answer = one("deribit", {"mode": "cross", "equity": "0.5"}, symbol="BTC-PERPETUAL",
                 quantity="50000", entry="62000", mark="62000")  # fmt: skip
    coin = 50_000 / 62_000
    assert float(answer["trace"]["maintenance"]) == pytest.approx(coin * (0.01 + 0.00005 * coin))
    at = 50_000 / float(answer["liquidation"])
    left = 0.5 + coin - at
    assert left == pytest.approx(at * (0.01 + 0.00005 * at))


def test_okx_rate_of_the_tier_on_the_whole_position() -> None:
    table = [[i * 600_000, 0.004 + 0.005 * i] for i in range(11)]
    answer = one("okx", {"mode": "isolated"}, symbol="BTC-USDT-SWAP", quantity=95, entry=60_000,
                 mark=60_000, leverage=15, fee="0.0005", tiers=table)  # fmt: skip
    assert float(answer["trace"]["maintenance"]) == pytest.approx(279_300)
    assert float(answer["trace"]["margin_ratio"]) == pytest.approx(0.735)
    assert float(answer["liquidation"]) == pytest.approx(58_916.36, abs=0.005)


def test_binance_hedge_mode_counts_both_legs() -> None:
    legs = [{"symbol": "BTCUSDT", "positionSide": side, "quantity": q, "entry": 60_000}
            for side, q in (("LONG", 100), ("SHORT", 95))]  # fmt: skip
    table = [[0, 0.004], [50_000, 0.005], [600_000, 0.0065], [3_000_000, 0.01], [12_000_000, 0.02]]
    pool = {"mode": "cross", "balance": 120_000}
    answer: Any = solve({"regime": "binance", "pool": pool, "tiers": table, "positions": legs})
    for leg in answer["pools"][0]["positions"]:
        assert float(leg["liquidation"]) == pytest.approx(51_508.20, abs=0.005)
    assert answer["pools"][0]["maintenance"] == "94100"
