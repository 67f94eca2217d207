"""What is said of each market's rules, and what is not, from reference and mark records."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest

from monitor.core.engine import Engine
from monitor.core.venue.answers.stated_rules import (
    TERMS,
    StatedRules,
    count_unstated,
    market_names,
    read_stated_rules,
)
from tests.core.venue.test_state import START, deposit, fill, run

TIERS = [{"lower_bound": 0, "maintenance_rate": "0.0125", "initial_rate": "0.025"},
         {"lower_bound": 150_000, "maintenance_rate": "0.025"}]  # fmt: skip


def reference(**more: Any) -> dict[str, Any]:
    return {"kind": "reference", "about": "market", "symbol": "SOL", "tiers": TIERS, **more}


def fund(amount: object, **more: Any) -> dict[str, Any]:
    return {"kind": "reference", "about": "insurance_fund", "amount": amount, **more}


def mark(**more: Any) -> dict[str, Any]:
    sources = [{"name": name, "price": 100, "ts": START} for name in ("alpha", "beta", "gamma")]
    return {"kind": "mark", "symbol": "SOL", "mark": 100, "index": 100, "sources": sources,
            "funding_interval_s": 28_800, **more}  # fmt: skip


def stated(*records: dict[str, Any]) -> StatedRules:
    engine, _ = run(list(records))
    (rules,) = read_stated_rules(engine.venue, ["SOL"])
    return rules


def missing(rules: StatedRules) -> list[str]:
    return [one.what for one in rules.unstated]


FULL = [reference(regime="hyperliquid", contract={"type": "linear"}), fund(1_000), mark()]


def test_a_market_of_which_all_is_said() -> None:
    rules = stated(*FULL)
    assert rules.unstated == []
    got = rules.describe()
    assert (got["regime"], got["trigger"], got["mark"]["rule"]) == (
        "hyperliquid",
        "mark",
        "hyperliquid",
    )
    assert got["mark"]["formula"].startswith("median(oracle + EMA150s")
    assert got["index"] == {"price": "100", "sources": ["alpha", "beta", "gamma"]}
    assert got["tiers"] == [
        {"lower_bound": "0", "maintenance_rate": "0.0125", "initial_rate": "0.025"},
        {"lower_bound": "150000", "maintenance_rate": "0.025", "initial_rate": None},
    ]
    assert got["funding_interval_s"] == 28_800
    assert (got["insurance_fund"], got["insurance_fund_of"]) == ("1000", "the venue")
    assert got["contract"]["type"] == "linear"
    path = got["path"]
    assert (path["name"], path["first_share"], path["partial_above"]) == (
        "hyperliquid",
        "0.2",
        "100000",
    )
    assert path["cooldown_s"] == 30.0
    assert len(path["steps"]) == 3


def test_a_market_of_which_nothing_is_said() -> None:
    engine, _ = run([deposit("a", 60), fill("a", "buy", 10)])
    assert market_names(engine.venue) == ["SOL"]
    (rules,) = read_stated_rules(engine.venue, ["SOL"])
    assert missing(rules) == [what for what in TERMS if what != "contract"]
    assert str(rules.unstated[0]) == (
        "SOL: tier table: not said (reference about market, with tiers: tiers); the market has no "
        "bands"
    )
    assert rules.describe()["trigger"] is None


@pytest.mark.parametrize(
    ("change", "what"),
    [({"regime": None, "path": "market", "mark_rule": "last"}, "regime"),
     ({"regime": "generic", "path": "market"}, "mark_rule"),
     ({"mark_rule": "fair"}, "mark_rule"), ({"path": "slowly"}, "path")],
)  # fmt: skip
def test_what_is_not_said_or_not_understood_is_named_alone(
    change: dict[str, Any], what: str
) -> None:
    rules = stated(FULL[0] | change, *FULL[1:])
    assert missing(rules) == [what]
    given = change.get(what)
    says = "not said" if given is None else f"{given} is no rule that is understood"
    assert f": {says} (" in str(rules.unstated[0])


@pytest.mark.parametrize(
    ("change", "what"),
    [({"index": None}, "index"), ({"sources": None}, "index_sources"),
     ({"funding_interval_s": None}, "funding_interval")],
)  # fmt: skip
def test_what_marks_leave_out_is_named(change: dict[str, Any], what: str) -> None:
    assert missing(stated(*FULL[:2], mark(**change))) == [what]


def test_the_fund_of_a_market_goes_before_the_venues() -> None:
    rules = stated(*FULL, fund(7, symbol="SOL"))
    assert rules.fund == (Fraction(7), "SOL")
    assert missing(stated(FULL[0], mark())) == ["insurance_fund"]


@pytest.mark.parametrize(
    ("rule", "trigger"),
    [("last", "last"), ("oracle", "index"), ("binance", "mark"), ("dydx", "index")],
)
def test_the_mark_rule_says_what_sets_off_a_liquidation(rule: str, trigger: str) -> None:
    got = stated(FULL[0] | {"mark_rule": rule}, *FULL[1:]).describe()
    assert got["trigger"] == trigger
    assert got["mark"]["formula"]


def test_a_contract_that_its_name_does_not_give_is_named() -> None:
    engine, _ = run([reference(symbol="BTCUSD", regime="generic")])
    (rules,) = read_stated_rules(engine.venue, market_names(engine.venue))
    assert "contract" in missing(rules)
    assert rules.describe()["left_out"] is not None


def test_markets_are_counted_by_what_is_missing() -> None:
    engine, _ = run([*FULL, {"kind": "mark", "symbol": "ETH", "mark": 3_000}])
    counts = count_unstated(engine.venue)
    assert counts["insurance_fund"] == 0  # the venue's serves both
    assert counts["tiers"] == counts["index"] == counts["mark_rule"] == 1
    assert list(counts) == list(TERMS)


def test_the_funding_interval_is_that_of_a_restored_venue_too() -> None:
    engine, _ = run(FULL)
    again = Engine(engine._settings, [])
    again.restore(engine.snapshot())
    (rules,) = read_stated_rules(again.venue, ["SOL"])
    assert (rules.funding_interval_s, len(rules.sources)) == (28_800, 3)
    assert rules.describe() == read_stated_rules(engine.venue, ["SOL"])[0].describe()
