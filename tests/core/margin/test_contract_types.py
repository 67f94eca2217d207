"""What venues call their contracts in coin, so that none is taken for a linear one."""

from __future__ import annotations

from fractions import Fraction

import pytest

from monitor.core.margin.contract_types import INVERSE, LINEAR, QUANTO, Contract


@pytest.mark.parametrize(
    ("regime", "symbol", "size", "coin"),
    [
        ("binance", "BTCUSD_PERP", 100, "BTC"),
        ("binance", "ETHUSD_260327", 10, "ETH"),
        ("bybit", "BTCUSD", 1, "BTC"),
        ("bybit", "ETHUSDZ26", 1, "ETH"),
        ("okx", "BTC-USD-SWAP", 100, "BTC"),
        ("okx", "LTC-USD-261225", 10, "LTC"),
        ("deribit", "BTC-PERPETUAL", 1, "BTC"),
        ("deribit", "ETH-25DEC26", 1, "ETH"),
        ("bitmex", "XBTUSD", 1, "XBT"),
        ("bitmex", "XBTZ26", 1, "XBT"),
        ("gate", "BTC_USD", 1, "BTC"),
        ("bybit", "btcusd", 1, "BTC"),
    ],
)
def test_a_coin_margined_contract_is_recognised_at_its_venue(
    regime: str, symbol: str, size: int, coin: str
) -> None:
    assert Contract.at_venue(regime, symbol) == Contract(INVERSE, Fraction(size), None, coin)


def test_bitmex_ethusd_is_a_quanto_of_a_millionth() -> None:
    contract = Contract.at_venue("bitmex", "ETHUSD")
    assert contract == Contract(QUANTO, Fraction(1), Fraction(1, 10**6), "XBT")


@pytest.mark.parametrize(
    ("regime", "symbol"),
    [("binance", "BTCUSDT"), ("bybit", "ETHUSDT"), ("okx", "BTC-USDT-SWAP"),
     ("deribit", "BTC_USDC-PERPETUAL"), ("bitmex", "XBTUSDT"), ("gate", "BTC_USDT"),
     ("bybit", "BTCUSDT-25DEC26"),
     ("dydx", "BTC-USD"), ("hyperliquid", "BTC"), ("drift", "SOL-PERP"), ("generic", "SOL-PERP")],
)  # fmt: skip
def test_a_linear_contract_is_one(regime: str, symbol: str) -> None:
    contract = Contract.at_venue(regime, symbol)
    assert contract is not None
    assert contract.type == LINEAR


@pytest.mark.parametrize(
    ("regime", "symbol"),
    [("generic", "BTCUSD"), ("generic", "XBTUSD"), ("generic", "BTC-PERPETUAL"),
     ("okx", "BTCUSD_PERP"), ("binance", "BTCUSD"), ("binance", "BTC-USD-SWAP"),
     ("bitmex", "XRPUSD")],
)  # fmt: skip
def test_a_name_of_contracts_in_coin_elsewhere_says_nothing(regime: str, symbol: str) -> None:
    assert Contract.at_venue(regime, symbol) is None
