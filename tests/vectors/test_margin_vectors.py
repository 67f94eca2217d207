"""Published liquidation prices, each from its own source, through the document of the command line.

The table says how the inputs of each kind of vector become the JSON of `brinkwatch margin`.
"""

from __future__ import annotations

import json
from fractions import Fraction
from typing import Any

import pytest

from monitor.core.margin.calculator import solve
from tests.support import SHARED, missing

Vector = dict[str, Any]
Document = dict[str, Any]


def one(regime: str, tiers: Any, pool: Document, **position: Any) -> Document:
    position.setdefault("symbol", "X")
    return {"regime": regime, "tiers": tiers, "pool": pool, "positions": [position]}


def hyperliquid(i: Document) -> Document:
    rate = str(Fraction(1, 1) / (2 * i["max_lev"])) if "max_lev" in i else ""
    table = [{"lower_bound": 0, "max_leverage": i["max_lev"]}] if rate else []
    margin = i.get("collateral", i.get("margin"))
    if "tiers" in i:  # "10x<1000<=5x"
        table = [{"lower_bound": 0, "max_leverage": 10}, {"lower_bound": 1000, "max_leverage": 5}]
    pool = {"mode": "isolated", "equity": margin}
    return one("hyperliquid", table, pool, quantity=i["q"], mark=i.get("entry", i.get("mark")))


def hyperliquid_cross(i: Document) -> Document:
    other = {"symbol": "B", "quantity": 100, "mark": 80, "tiers": 0.0125}  # "100@80 40x"
    document = one(
        "hyperliquid",
        0.05,
        {"mode": "cross", "equity": i["cross_value"]},
        symbol="A",
        quantity=i["q"],
        mark=i["mark"],
    )
    document["positions"].append(other)
    return document


def binance(i: Document) -> Document:
    row = [{"maintenance_rate": i["mmr"], "cum": i["cum"]}]
    if "WB" in i:
        return one("binance", row, {"balance": i["WB"]}, quantity=i["q"], entry=i["entry"])
    return one(
        "binance",
        row,
        {"mode": "isolated"},
        quantity=i["qty"] * i["side"],
        entry=i["entry"],
        leverage=i["lev"],
    )


def binance_cross(i: Document) -> Document:
    eth = [{"maintenance_rate": 0.1, "cum": 135365}]
    btc = [{"maintenance_rate": 0.025, "cum": 16300}]
    return {
        "regime": "binance",
        "pool": {"mode": "cross", "balance": i["WB"]},
        "positions": [
            {"symbol": "ETH", "quantity": 3683.979, "entry": 1456.84, "tiers": eth},
            {
                "symbol": "BTC",
                "quantity": 109.488,
                "entry": 32481.98,
                "mark": 31967.27,
                "tiers": btc,
            },
        ],
    }


def okx(i: Document) -> Document:
    return one(
        "okx",
        [i["mmr"]],
        {"mode": "isolated"},
        quantity=i["qty"] * i["side"],
        entry=i["entry"],
        leverage=i["lev"],
        fee=i["taker"],
    )


def bybit(i: Document) -> Document:
    return one(
        "bybit",
        {"lower_bound": 0, "maintenance_rate": i["mmr"]},
        {"mode": "isolated"},
        quantity=i["side"],
        entry=i["entry"],
        leverage=i["lev"],
    )


def dydx(i: Document) -> Document:
    pool = {"mode": "cross", "equity": i["e"], "other_maintenance": i.get("MMR_o", 0)}
    return one("dydx", i["mmf"], pool, quantity=i["s"], mark=i["p"])


def dydx_fillable(i: Document) -> Document:
    own = abs(i["PS"]) * i["o"] * i["mmf"]
    pool = {
        "equity": i["TNC"],
        "other_maintenance": i.get("TMMR", own) - own,
        "bankruptcy_adjustment": i.get("ba", 1),
        "spread_to_maintenance": i.get("smmr", 0.1),  # the configuration of the venue's own test
    }
    return one("dydx", i["mmf"], pool, quantity=i["PS"], mark=i["o"])


def dydx_deleveraging(i: Document) -> Document:
    delta, oracle, equity, rate, total = i["args"]
    pool = {"equity": equity, "other_maintenance": total - abs(delta) * oracle * rate}
    return one("dydx", rate, pool, quantity=-delta, mark=oracle)


def drift(i: Document) -> Document:
    shortage, rate, fee, fund, price, *quote = i["args"]
    document = one(
        "drift", rate, {"equity": 100 * price * rate - shortage}, quantity=100, mark=price
    )
    return document | {"liquidator_fee": fee, "fund_fee": fund, "quote_price": [*quote, 1][0]}


def deribit(i: Document) -> Document:
    base, rise, size, price = i["args"]
    row = [{"lower_bound": 0, "maintenance_rate": base, "initial_rate": base}]
    return one("deribit", row, {"equity": size * price}, quantity=size, mark=price, size_rate=rise)


def bankruptcy(i: Document) -> Document:
    return one(
        "generic",
        0.05,
        {"mode": "isolated"},
        quantity=i["q"],
        entry=i.get("entry", 1),
        margin=i.get("deposit", i.get("c")),
    )


def gap(i: Document) -> Document:
    return one("generic", 0, {"equity": i["deposit"]}, quantity=i["notional"], mark=1)


KINDS: list[tuple[str, Any, str]] = [
    # name starts with   inputs → document    where the answer stands
    ("HLFT", hyperliquid, "liquidation"),
    ("HM1", hyperliquid, "backstop"),
    ("HM3", hyperliquid, "liquidation"),
    ("HM4", hyperliquid_cross, "liquidation"),
    ("BN3", binance_cross, "liquidation"),
    ("BN", binance, "liquidation"),
    ("Gate/OKX", okx, "liquidation"),
    ("BYf", bybit, "liquidation"),
    ("DYF", dydx_fillable, "fillable"),
    ("DYB", dydx_deleveraging, "deleveraging"),
    ("DYC", bankruptcy, "bankruptcy"),
    ("DY", dydx, "liquidation"),
    ("DR ", drift, "close_to_cover"),
    ("DB IM", deribit, "trace.initial"),
    ("DB MM", deribit, "trace.maintenance"),
    ("ADL bk", bankruptcy, "bankruptcy"),
    ("FTX gap", gap, "bankruptcy"),
]
VECTORS: list[Vector] = []
if (SHARED / "vectors/margin.json").exists():
    VECTORS = json.loads((SHARED / "vectors/margin.json").read_text())


def test_the_vectors_are_present() -> None:
    if not VECTORS:
        missing("the margin vectors")


@pytest.mark.parametrize("vector", VECTORS, ids=lambda v: f"{v['name']} [{v['source']}]")
def test_a_published_price_is_reproduced(vector: Vector) -> None:
    inputs, expected = vector["inputs"], vector["expected"]
    document, field = next((d, f) for name, d, f in KINDS if vector["name"].startswith(name))
    answer: Any = solve(json.loads(json.dumps(document(inputs))))["pools"]
    answer = answer[0]["positions"][0]
    for key in field.split("."):
        answer = answer[key]
    result = float(answer)
    if vector["name"] == "FTX gap":  # the source states what the pool lacks after the drop
        result = inputs["notional"] * (1 - inputs["drop"] - result)
    if field == "deleveraging":  # the source states it for the whole delta, in quote currency
        result *= -inputs["args"][0]
    assert result == pytest.approx(expected, rel=vector["tol"])
