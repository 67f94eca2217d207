"""Theorems about positions given as JSON: every form is read, every refusal says how to mend it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.core.margin.calculator import solve
from monitor.core.margin.calculator_input import MarginInputError
from tests.support import recording


def document(**changes: Any) -> dict[str, Any]:
    return {
        "regime": "hyperliquid",
        "tiers": [{"lower_bound": 0, "maintenance_rate": "0.05"}],
        "pool": {"mode": "isolated", "equity": 200},
        "positions": [{"symbol": "A", "quantity": 10, "mark": 100}],
    } | changes


def first(answer: dict[str, Any]) -> dict[str, Any]:
    position: dict[str, Any] = answer["pools"][0]["positions"][0]
    return position


@pytest.mark.parametrize(
    "tiers",
    [0.05, "0.05", [0.05], [0, 0.05], [[0, "0.05"]], {"lower_bound": 0, "maintenance_rate": 0.05},
     [{"max_leverage": 10}], [[0, 0.05, 0.1]], [0, 0.05, 10**9, 0.1]],
)  # fmt: skip
def test_every_form_of_a_table_gives_the_same_prices(tiers: object) -> None:
    result = first(solve(document(tiers=tiers)))
    assert result["liquidation"] == "84.2105263157894737"
    assert result["backstop"] == "82.7586206896551724"
    assert (result["bankruptcy"], result["tier"]) == ("80", 0)


def test_other_cross_positions_count_and_isolated_positions_do_not() -> None:
    other = {"symbol": "B", "quantity": -100, "mark": 80, "tiers": 0.0125}
    cross = document(pool={"mode": "cross", "equity": 300})
    alone = first(solve(cross))["liquidation"]
    cross["positions"].append(other)
    assert float(first(solve(cross))["liquidation"]) == pytest.approx(
        float(alone) + 0.0125 * 8000 / 9.5
    )
    cross["positions"][1] = other | {"mode": "isolated", "margin": 500}
    assert first(solve(cross))["liquidation"] == alone


def test_equity_at_the_mark_and_margin_at_entry_give_the_same_price() -> None:
    by_margin = document(pool={"mode": "isolated"})
    by_margin["positions"][0] |= {"entry": 110, "margin": 300}
    by_leverage = document(pool={"mode": "isolated"})
    by_leverage["positions"][0] |= {"entry": 110, "leverage": "5.5"}
    assert first(solve(by_margin))["liquidation"] == "84.2105263157894737"
    assert float(first(solve(by_leverage))["bankruptcy"]) == pytest.approx(90.0)


def test_the_trace_names_the_binding_tier_the_unknown_inputs_and_the_ignored_fields() -> None:
    given = document()
    given["positions"][0]["colour"] = "red"
    trace = first(solve(given))["trace"]
    assert trace["binds"]["liquidation"]["maintenance_rate"] == "0.05"
    assert trace["ignored"] == ["colour"]
    assert "initial rate: not given" in trace["unknown"]
    assert (trace["margin_ratio"], trace["state"]) == ("0.25", "healthy")


def test_venues_names_of_fields_are_understood() -> None:
    plain = document(regime="binance", pool={"mode": "isolated"})
    plain["positions"] = [{"symbol": "BTCUSDT", "quantity": -2, "entry": 110, "mark": 100,
                           "margin": 30}]  # fmt: skip
    of_binance = {"symbol": "BTCUSDT", "positionAmt": "-2", "entryPrice": "110",
                  "markPrice": "100", "isolatedWallet": "30", "positionSide": "BOTH",
                  "marginType": "ISOLATED"}  # fmt: skip
    of_bybit = {"symbol": "BTCUSDT", "size": "2", "side": "Sell", "avgPrice": "110",
                "markPrice": "100", "margin": "30", "category": "linear"}  # fmt: skip
    of_okx = {"instId": "BTCUSDT", "pos": "-20", "posSide": "net", "avgPx": "110", "markPx": "100",
              "margin": "30", "ctVal": "0.1"}  # fmt: skip
    expected = first(solve(plain))["liquidation"]
    for position in (of_binance, of_bybit, of_okx):
        answer = first(solve(plain | {"positions": [position]}))
        assert answer["liquidation"] == expected
        assert answer["trace"]["ignored"] == []


def test_a_table_of_amounts_that_are_all_0_is_one_of_whole_positions() -> None:
    rows = [{"lower_bound": 0, "maintenance_rate": "0.01", "cum": 0},
            {"lower_bound": 500, "maintenance_rate": "0.05", "cum": 0}]  # fmt: skip
    whole = first(solve(document(tiers=rows)))["trace"]
    assert (whole["maintenance"], whole["tier_law"][:18]) == ("50", "the whole position")
    by_part = [{k: v for k, v in row.items() if k != "cum"} for row in rows]
    assert first(solve(document(tiers=by_part)))["trace"]["maintenance"] == "30"
    law = document(tiers=by_part, tier_law="whole")
    assert first(solve(law))["trace"]["maintenance"] == "50"
    okx = document(regime="okx", tiers=by_part, tier_law="marginal")
    assert first(solve(okx))["trace"]["maintenance"] == "30"


def test_tiers_may_be_given_by_their_upper_bounds_or_by_contracts() -> None:
    upper = [{"riskLimitValue": 500, "mmr": "0.01"}, {"riskLimitValue": 900, "mmr": "0.05"}]
    trace = first(solve(document(regime="binance", tiers=upper)))["trace"]
    assert trace["maintenance"] == "30"
    sizes = [{"minSz": 0, "maxSz": 50, "mmr": "0.01"}, {"minSz": 51, "maxSz": 200, "mmr": "0.05"}]
    position = {"symbol": "A-USDT-SWAP", "quantity": 100, "ctVal": "0.1", "mark": 100}
    trace = first(solve(document(regime="okx", tiers=sizes, positions=[position])))["trace"]
    assert trace["maintenance"] == "50"
    assert trace["tier_law"] == "the whole position; tiers by contracts, as they stand today"


def test_hedge_mode_counts_beside_other_markets_of_the_pool() -> None:
    legs = [{"symbol": "A", "quantity": 10, "mark": 100}, {"symbol": "A", "quantity": -4,
                                                           "mark": 100}]  # fmt: skip
    other = {"symbol": "B", "quantity": 1, "mark": 400}
    pool = {"mode": "cross", "equity": 200}
    answer: Any = solve(document(regime="okx", fee=0, pool=pool, positions=[*legs, other]))
    long, short, alone = answer["pools"][0]["positions"]
    # 200 + 6 (x − 100) = 0.05 · (14 x + 400)
    assert float(long["liquidation"]) == pytest.approx(420 / 5.3)
    assert short["liquidation"] == long["liquidation"]
    # 200 + (x − 400) = 0.05 · (1400 + x)
    assert float(alone["liquidation"]) == pytest.approx(270 / 0.95)
    assert long["trace"]["hedge_mode"]
    assert not alone["trace"]["hedge_mode"]


def test_the_rule_of_the_day_is_named_and_the_other_one_shown_where_no_day_is_given() -> None:
    given = document(regime="bybit", pool={"mode": "isolated"})
    given["positions"] = [{"symbol": "A", "quantity": 10, "entry": 100, "leverage": 5}]
    before, since = (first(solve(given | {"as_of": day})) for day in ("2026-05-26", "2026-05-27"))
    assert before["liquidation"] == "85"
    assert float(since["liquidation"]) == pytest.approx(80 / 0.95)
    assert since["trace"]["rule"] == "since 2026-05-27: maintenance at the mark"
    undated = first(solve(given))
    assert undated["liquidation"] == "85"
    assert undated["trace"]["unknown"][0].endswith(since["liquidation"])


def test_a_list_of_documents_gives_one_pool_each() -> None:
    assert len(solve([document(), document(regime="generic")])["pools"]) == 2  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"regime": "mtgox"}, "regime 'mtgox' is none of hyperliquid"),
        ({"regime": None}, "is none of"),
        ({"tiers": None}, "no tiers: give them"),
        ({"tiers": [0, 0.01, 5]}, "odd run of bare numbers"),
        ({"tiers": [{"lower_bound": 0}]}, "no maintenance_rate"),
        ({"tiers": [[0, 0.02], [10, 0.01]]}, "tier 1: maintenance rate 0.01 falls"),
        ({"tiers": [{"maintenance_rate": 0.1}, {"lower_bound": 100, "maintenance_rate": 0.2,
                                                "cum": 11}]}, "the bounds and rates give 10"),
        ({"pool": {"mode": "portfolio"}}, "mode must be cross or isolated"),
        ({"pool": {}}, "no equity: give"),
        ({"pool": []}, "not an object"),
        ({"pool": {"equity": "1e999"}}, "not a finite decimal"),
        ({"positions": []}, "at least one entry"),
        ({"positions": [{"quantity": 0, "mark": 1}]}, "quantity: give a number"),
        ({"positions": [{"quantity": True, "mark": 1}]}, "True is not a number"),
        ({"positions": [{"quantity": 1}]}, "no price: give mark"),
        ({"positions": [{"quantity": 1, "mark": -1}]}, "mark must be above 0"),
        ({"positions": [{"quantity": 1, "mark": "NaN"}]}, "not a finite decimal"),
        ({"regime": "bybit"}, "bybit counts maintenance at entry value: give entry"),
        ({"pool": {"mode": "cross", "equity": 1}, "positions": [
            {"symbol": "A", "quantity": 1, "mark": 1}, {"symbol": "A", "quantity": 2, "mark": 1}]},
         "hyperliquid nets positions: give its net quantity once"),
        ({"regime": "binance", "pool": {"mode": "cross", "equity": 1}, "positions": [
            {"symbol": "A", "quantity": 1, "mark": 1}, {"symbol": "A", "quantity": 2, "mark": 1}]},
         "A stands twice on one side"),
        ({"regime": "generic", "positions": [{"symbol": "BTCUSD", "quantity": 1, "mark": 1}]},
         "may be a coin-margined contract: give contract as"),
        ({"regime": "bitmex", "positions": [{"symbol": "XRPUSD", "quantity": 1, "mark": 1}]},
         "may be a coin-margined contract"),
        ({"regime": "bitmex", "positions": [{"symbol": "XRPUSD", "quantity": 1, "mark": 1,
                                             "entry": 1, "contract_type": "quanto"}]},
         "needs its multiplier"),
        ({"regime": "generic", "contract": {"type": "inverse"}}, "needs its size"),
        ({"contract": {"type": "spot"}}, "type 'spot' is none of linear, inverse, quanto"),
        ({"contract": []}, "not an object"),
        ({"contract": {"type": "inverse", "size": 1}}, "hyperliquid has linear contracts only"),
        ({"regime": "binance", "contract_type": 5}, "type 5 is none of"),
        ({"as_of": "yesterday"}, "'yesterday' is no day"),
        ({"as_of": 20260527}, "is no day"),
        ({"positions": [{"symbol": "A", "quantity": 1, "mark": 1, "as_of": "2026-05-27"}]},
         "a pool has one day"),
        ({"tier_law": "half"}, "'half' is none of marginal, whole"),
        ({"regime": "okx", "tiers": [{"minSz": 0, "mmr": 0.01}, {"minSz": 10, "mmr": 0.02}]},
         "go by contracts: give contract_size"),
        ({"regime": "binance", "pool": {"mode": "cross", "balance": 1}, "positions": [
            {"symbol": "BTCUSD_PERP", "quantity": 1, "mark": 1},
            {"symbol": "ETHUSD_PERP", "quantity": 1, "mark": 1}]}, "settle in BTC and ETH"),
    ],
)  # fmt: skip
def test_a_document_that_cannot_be_solved_says_how_to_mend_it(
    changes: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(MarginInputError, match=sentence):
        solve(document(**changes))


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["regime", "tiers", "pool", "positions", "quantity", "mark", "equity",
                         "contract", "type", "size", "multiplier", "side", "symbol", "as_of",
                         "tier_law", "tiers_by", "minSz", "upper_bound", "cum", "extra_margin"]),
        inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@settings(max_examples=400)
@given(JSON, st.sampled_from(["regime", "tiers", "pool", "positions", "contract", "as_of",
                              "tiers_by", "contract_type", "multiplier"]))  # fmt: skip
def test_no_document_breaks_the_solver(value: object, place: str) -> None:
    for attempt in (value, document(**{place: value})):
        try:
            solve(attempt)
        except MarginInputError as refusal:
            answer = str(refusal)
        else:
            answer = "solved"
        assert answer


def test_a_long_table_in_hedge_mode_is_solved_at_once() -> None:
    tiers = [[i * 10, str(0.0005 * (i + 1))] for i in range(500)]
    legs = [{"symbol": "A", "quantity": q, "mark": 100} for q in (10, -4)]
    pool = {"mode": "cross", "equity": 200}
    answer: Any = solve(document(regime="binance", tiers=tiers, pool=pool, positions=legs))
    long, short = answer["pools"][0]["positions"]
    assert long["liquidation"] == short["liquidation"]


def test_prices_that_hyperliquid_printed_in_march_2023_follow_its_rule_of_then() -> None:
    path = recording("venue-reported-liquidation-prices") / "hyperliquid-accounts.json"
    (account,) = (a for a in json.loads(path.read_text()) if a["name"].startswith("sdk-cassette"))
    marks = [float(p["positionValue"]) / abs(float(p["szi"])) for p in account["positions"]]
    given: dict[str, Any] = {
        "regime": "hyperliquid",
        "as_of": "2023-03-27",
        "tiers": 0.01,
        "pool": {"equity": account["accountValue"]},
        "positions": [
            {"symbol": p["coin"], "quantity": p["szi"], "mark": mark}
            for p, mark in zip(account["positions"], marks, strict=True)
        ],
    }
    then, later = (
        solve(given | {"as_of": day})["pools"][0]["positions"]  # type: ignore[index]
        for day in ("2023-03-27", "2024-02-22")
    )
    for printed, one, other in zip(account["positions"], then, later, strict=True):
        if printed["liquidationPx"] is None:
            assert one["liquidation"] is None
            continue
        price = float(printed["liquidationPx"])
        assert float(one["liquidation"]) == pytest.approx(price, rel=1e-8)
        assert abs(float(other["liquidation"]) / price - 1) > 0.005
    assert then[0]["trace"]["maintenance_at"] == "today's mark"
